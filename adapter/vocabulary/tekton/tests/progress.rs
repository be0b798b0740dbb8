use super::*;

fn running(completed: u32, incomplete: u32) -> Value {
    let message = format!(
        "Tasks Completed: {completed} (Failed: 0, Cancelled 0), Incomplete: {incomplete}, Skipped: 0"
    );
    json!({"startTime": "2026-01-01T00:00:01Z", "conditions": [{
        "type": "Succeeded", "status": "Unknown", "reason": "Running", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:05Z",
    }]})
}

#[test]
fn a_pipeline_run_says_how_far_it_has_come_when_that_is_asked_for() {
    let asked = cluster().progress(true);
    let run = pipeline_run(&running(1, 3));
    assert_eq!(transitions(&run, RunKind::PipelineRun, &cluster()).len(), 2);
    let all = transitions(&run, RunKind::PipelineRun, &asked);
    let names: Vec<_> = all.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["queued", "started", "progressed/1.0.0.0.3"]);
    assert!(is_progress(&all[2].name) && !is_progress(&all[1].name));
    let event = &all[2].event;
    assert_eq!(event.ty(), PROGRESSED);
    assert_eq!(event.time(), Some("2026-01-01T00:00:05Z"));
    assert_eq!(event.attribute("causationid").as_deref(), Some(all[1].event.id()));
    assert_eq!(event.attribute("correlationid"), all[1].event.attribute("correlationid"));
    let data = event.tree().unwrap();
    assert_eq!(
        data["subject"],
        json!({"id": "ci/build-1", "content": {
            "completed": 1, "failed": 0, "cancelled": 0, "skipped": 0, "incomplete": 3, "total": 4, "percent": 25,
        }})
    );
    assert_eq!(data["customData"]["tekton"]["uid"], UID);
}

#[test]
fn equal_counts_are_one_event_and_other_counts_another() {
    let asked = cluster().progress(true);
    let id = |status: &Value| {
        let all = transitions(&pipeline_run(status), RunKind::PipelineRun, &asked);
        all.last().unwrap().event.id().to_owned()
    };
    let mut later = running(1, 3);
    later["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T00:00:09Z");
    later["conditions"][0]["reason"] = json!("PipelineRunStopping");
    assert_eq!(id(&running(1, 3)), id(&later));
    assert_ne!(id(&running(1, 3)), id(&running(2, 2)));
}

#[test]
fn the_end_follows_from_the_start_and_no_progress_is_told_with_it() {
    let asked = cluster().progress(true);
    let mut status = done("True", "Succeeded");
    status["conditions"][0]["message"] = running(1, 3)["conditions"][0]["message"].clone();
    let all = transitions(&pipeline_run(&status), RunKind::PipelineRun, &asked);
    assert_eq!(all.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["queued", "started", "finished"]);
    assert_eq!(all[2].event.attribute("causationid").as_deref(), Some(all[1].event.id()));
    // A task counts nothing, and a run that has not begun neither.
    assert_eq!(transitions(&task_run(&running(1, 3)), RunKind::TaskRun, &asked).len(), 1);
    let mut pending = running(0, 1);
    pending["conditions"][0]["reason"] = json!("PipelineRunPending");
    assert_eq!(transitions(&pipeline_run(&pending), RunKind::PipelineRun, &asked).len(), 1);
}

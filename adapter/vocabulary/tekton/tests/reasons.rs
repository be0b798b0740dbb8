//! Every reason that Tekton v1.15 has, and what it means (tektoncd/pipeline, `pkg/apis/pipeline/v1`, `pkg/apis/pipeline/v1beta1`
//! and `pkg/pod/status.go`).

use super::*;

/// What is told last of a run whose condition has the reason.
fn told(kind: RunKind, status: &str, reason: &str) -> String {
    let status = if status == "Unknown" { unknown(reason) } else { done(status, reason) };
    let object = match kind {
        RunKind::PipelineRun => pipeline_run(&status),
        RunKind::TaskRun | RunKind::CustomRun => task_run(&status),
    };
    let Some(last) = transitions(&object, kind, &cluster()).pop() else { return "nothing".to_owned() };
    match last.event.tree().unwrap()["subject"]["content"]["outcome"].as_str() {
        Some(outcome) => outcome.to_owned(),
        None => last.name.into_owned(),
    }
}

fn assert_told(kind: RunKind, rows: &[(&str, &str, &[&str])]) {
    for (status, wanted, reasons) in rows {
        for reason in *reasons {
            assert_eq!(told(kind, status, reason), *wanted, "{kind:?} {status} {reason}");
        }
    }
}

#[test]
fn every_reason_of_a_pipeline_run_has_its_meaning() {
    assert_told(
        RunKind::PipelineRun,
        &[
            ("Unknown", "queued", &["PipelineRunPending"]),
            (
                "Unknown",
                "started",
                &[
                    "Started",
                    "Running",
                    "ResolvingPipelineRef",
                    "ResolvingTaskRef",
                    "PipelineRunStopping",
                    "CancelledRunningFinally",
                    "StoppedRunningFinally",
                    "PipelineRunTimeoutRunningFinally",
                    "PipelineRunCouldntCancel",
                    "PipelineRunCouldntTimeOut",
                ],
            ),
            ("True", "success", &["Succeeded", "Completed"]),
            ("False", "failure", &["Failed"]),
            ("False", "cancel", &["Cancelled", "CancelledRunningFinally", "StoppedRunningFinally"]),
            (
                "False",
                "error",
                &[
                    "PipelineRunTimeout",
                    "CouldntGetPipeline",
                    "InvalidPipelineResourceBindings",
                    "InvalidWorkspaceBindings",
                    "InvalidTaskRunSpecs",
                    "ParameterTypeMismatch",
                    "ObjectParameterMissKeys",
                    "ParamArrayIndexingInvalid",
                    "CouldntGetTask",
                    "ParameterMissing",
                    "PipelineValidationFailed",
                    "CouldntGetPipelineResult",
                    "PipelineInvalidGraph",
                    "PipelineRunCouldntCancel",
                    "PipelineRunCouldntTimeOut",
                    "InvalidMatrixParameterTypes",
                    "InvalidTaskResultReference",
                    "InvalidPipelineResultReference",
                    "RequiredWorkspaceMarkedOptional",
                    "ResourceVerificationFailed",
                    "CreateRunFailed",
                    "CELEvaluationFailed",
                    "InvalidParamValue",
                    "ReasonOfTheFuture",
                    "",
                ],
            ),
        ],
    );
}

#[test]
fn every_reason_of_a_task_run_has_its_meaning() {
    assert_told(
        RunKind::TaskRun,
        &[
            (
                "Unknown",
                "nothing",
                &[
                    "TaskRunPending",
                    "Pending",
                    "ExceededNodeResources",
                    "ExceededResourceQuota",
                    "PullImageFailed",
                    "ResolvingTaskRef",
                    "ResolvingStepActionRef",
                    "ToBeRetried",
                ],
            ),
            ("Unknown", "started", &["Started", "Running"]),
            ("True", "success", &["Succeeded"]),
            ("False", "failure", &["Failed", "StepFailed", "SidecarFailed", "FailureIgnored"]),
            ("False", "cancel", &["TaskRunCancelled"]),
            (
                "False",
                "error",
                &[
                    "TaskRunTimeout",
                    "TaskRunImagePullFailed",
                    "CreateContainerConfigError",
                    "PodCreationFailed",
                    "PodAdmissionFailed",
                    "PodEvicted",
                    "StepOOM",
                    "SidecarOOM",
                    "InitContainerOOM",
                    "InitContainerFailed",
                    "TaskRunResultLargerThanAllowedLimit",
                    "TaskRunStopSidecarFailed",
                    "InvalidParamValue",
                    "TaskRunResolutionFailed",
                    "TaskRunValidationFailed",
                    "TaskValidationFailed",
                    "ResourceVerificationFailed",
                    "ReasonOfTheFuture",
                    "",
                ],
            ),
        ],
    );
}

#[test]
fn every_reason_of_a_custom_run_has_its_meaning() {
    assert_told(
        RunKind::CustomRun,
        &[
            ("Unknown", "started", &["Started", "Running", "Waiting", ""]),
            ("True", "success", &["Succeeded", "Approved", ""]),
            // Its controller may use any word for "no".
            ("False", "failure", &["Failed", "Rejected", ""]),
            ("False", "cancel", &["CustomRunCancelled"]),
            ("False", "error", &["CustomRunTimedOut", "CustomRunWorkspaceNotSupported"]),
        ],
    );
}

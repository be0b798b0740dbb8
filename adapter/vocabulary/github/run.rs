//! GitHub Actions: `workflow_run` and `workflow_job`.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{Account, Repository};
use super::{borrow, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::run::{
    FINISHED, MAX_CHANGES, QUEUED, STARTED, TASK_FINISHED, TASK_STARTED, Told, id, write,
};
use crate::vocabulary::outcome::Outcome;
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

/// `workflow_run`.
#[derive(Debug, Deserialize)]
struct WorkflowRunEvent<'a> {
    #[serde(borrow)]
    workflow_run: WorkflowRun<'a>,
    #[serde(borrow)]
    workflow: Option<Workflow<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct WorkflowRun<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub path: Option<Text<'a>>,
    #[serde(borrow)]
    pub head_branch: Option<Text<'a>>,
    #[serde(borrow)]
    pub head_sha: Option<Text<'a>>,
    #[serde(borrow)]
    pub event: Option<Text<'a>>,
    #[serde(borrow)]
    pub conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    pub run_attempt: Option<u64>,
    pub pull_requests: Option<List<PullRequest>>,
    pub run_started_at: Option<When>,
    pub created_at: Option<When>,
    pub updated_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Workflow<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
}

/// A pull request that has the commit: it may be one of another repository.
#[derive(Debug, Deserialize)]
pub struct PullRequest {
    pub number: u64,
    pub base: Option<Base>,
}

#[derive(Debug, Deserialize)]
pub struct Base {
    pub repo: Option<BaseRepository>,
}

#[derive(Debug, Deserialize)]
pub struct BaseRepository {
    pub id: Option<u64>,
}

/// `workflow_job`.
#[derive(Debug, Deserialize)]
struct WorkflowJobEvent<'a> {
    #[serde(borrow)]
    workflow_job: WorkflowJob<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct WorkflowJob<'a> {
    id: u64,
    run_id: u64,
    run_attempt: Option<u64>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    workflow_name: Option<Text<'a>>,
    #[serde(borrow)]
    head_branch: Option<Text<'a>>,
    #[serde(borrow)]
    head_sha: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    steps: Option<List<Step<'a>>>,
    started_at: Option<When>,
    completed_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Step<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
}

/// The slug of the App that runs workflows.
pub const ACTIONS: &str = "github-actions";
/// What GitHub calls the end of a run that waits for somebody to allow it: it is no end.
pub const ACTION_REQUIRED: &str = "action_required";

pub fn queued(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    workflow(delivery, QUEUED, out)
}

pub fn started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    workflow(delivery, STARTED, out)
}

pub fn finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    workflow(delivery, FINISHED, out)
}

pub fn job_started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    job(delivery, TASK_STARTED, out)
}

pub fn job_finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    job(delivery, TASK_FINISHED, out)
}

fn workflow(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: WorkflowRunEvent<'_> = delivery.payload()?;
    let (run, workflow) = (&event.workflow_run, event.workflow.as_ref());
    let conclusion = run.conclusion.as_deref();
    if base == FINISHED && conclusion == Some(ACTION_REQUIRED) {
        return Ok(());
    }
    let mut about = extract_of(run, event.repository.id);
    let names = [workflow.and_then(|it| it.name.as_ref()), run.name.as_ref()];
    about.name =
        names.into_iter().flatten().find(|name| !name.is_empty()).map_or_else(Cow::default, Text::lend);
    about.file = about.file.or_else(|| borrow(workflow.and_then(|it| it.path.as_ref())).map(without_ref));
    about.conclusion = about.conclusion.filter(|_| base == FINISHED);
    delivery.needs(&["workflow_run.run_attempt"])?;
    let subject = subject(run.id, run.run_attempt);
    let place = place(delivery.webhook, event.repository)?;
    let told = Told {
        base,
        run: about,
        pipeline: None,
        outcome: (base == FINISHED).then(|| outcome(delivery, conclusion)),
        errors: None,
        key: Vec::new(),
        parent: match base {
            STARTED => Some(id(&place, QUEUED, &subject, &[])),
            FINISHED => Some(id(&place, STARTED, &subject, &[])),
            _ => None,
        },
        time: match base {
            FINISHED => time(delivery, &[run.updated_at]),
            _ => time(delivery, &[run.run_started_at, run.created_at]),
        },
        subject,
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

fn job(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: WorkflowJobEvent<'_> = delivery.payload()?;
    let job = &event.workflow_job;
    let conclusion = job.conclusion.as_deref().filter(|_| base == TASK_FINISHED);
    let place = place(delivery.webhook, event.repository)?;
    let subject = format!("actions/jobs/{}", job.id);
    let pipeline = self::subject(job.run_id, job.run_attempt);
    // A job that is skipped has never begun.
    let has_begun = base == TASK_FINISHED && conclusion != Some("skipped");
    let parent =
        if has_begun { id(&place, TASK_STARTED, &subject, &[]) } else { id(&place, STARTED, &pipeline, &[]) };
    let failed = job
        .steps
        .iter()
        .flatten()
        .filter(|step| matches!(step.conclusion.as_deref(), Some("failure" | "timed_out")));
    let errors: Vec<&str> = failed.filter_map(|step| step.name.as_deref()).collect();
    let told = Told {
        base,
        run: extract::Run {
            id: Cow::Owned(job.id.to_string()),
            name: borrow(job.name.as_ref()).unwrap_or_default(),
            pipeline: borrow(job.workflow_name.as_ref()).filter(|name| !name.is_empty()),
            attempt: job.run_attempt,
            conclusion: conclusion.map(Cow::Borrowed),
            url: borrow(job.html_url.as_ref()),
            app: Some(Cow::Borrowed(ACTIONS)),
            branch: borrow(job.head_branch.as_ref()),
            sha: borrow(job.head_sha.as_ref()),
            ..extract::Run::default()
        },
        subject,
        pipeline: Some(pipeline),
        outcome: (base == TASK_FINISHED).then(|| outcome(delivery, conclusion)),
        errors: (base == TASK_FINISHED).then(|| Cow::Owned(errors.join(", "))),
        key: Vec::new(),
        parent: Some(parent),
        time: match base {
            TASK_FINISHED => time(delivery, &[job.completed_at]),
            _ => time(delivery, &[job.started_at]),
        },
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

/// `subject.id` of a run: a run that is started again is another one.
pub fn subject(run: u64, attempt: Option<u64>) -> String {
    format!("actions/runs/{run}/attempts/{}", attempt.unwrap_or(1))
}

/// What is told of a run in each event about it; `repository` is the forge's id of the one that it belongs to.
pub fn extract_of<'b>(run: &'b WorkflowRun<'_>, repository: Option<u64>) -> extract::Run<'b> {
    extract::Run {
        id: Cow::Owned(run.id.to_string()),
        name: borrow(run.name.as_ref()).unwrap_or_default(),
        pipeline: None,
        file: borrow(run.path.as_ref()).map(without_ref).filter(|path| !path.is_empty()),
        attempt: run.run_attempt,
        cause: borrow(run.event.as_ref()),
        conclusion: borrow(run.conclusion.as_ref()),
        url: borrow(run.html_url.as_ref()),
        app: Some(Cow::Borrowed(ACTIONS)),
        branch: borrow(run.head_branch.as_ref()),
        sha: borrow(run.head_sha.as_ref()).filter(|sha| !sha.is_empty()),
        changes: changes(run.pull_requests.as_deref(), repository),
    }
}

/// The numbers of those pull requests that belong to this repository.
pub fn changes(all: Option<&[PullRequest]>, repository: Option<u64>) -> Vec<u64> {
    let ours = |pull: &&PullRequest| {
        let base = pull.base.as_ref().and_then(|base| base.repo.as_ref()).and_then(|repo| repo.id);
        base.is_none() || repository.is_none() || base == repository
    };
    all.unwrap_or_default().iter().filter(ours).map(|pull| pull.number).take(MAX_CHANGES).collect()
}

/// A run without a conclusion has not come to its end.
pub fn outcome(delivery: &Delivery<'_>, conclusion: Option<&str>) -> Outcome {
    conclusion.map_or(Outcome::Error, |word| delivery.outcome(word))
}

/// A workflow's path may have the ref after it: `.github/workflows/ci.yml@refs/heads/main`.
pub fn without_ref(path: Cow<'_, str>) -> Cow<'_, str> {
    let end = [".yml@", ".yaml@"].into_iter().find_map(|mark| Some(path.find(mark)? + mark.len() - 1));
    match (end, path) {
        (Some(end), Cow::Borrowed(path)) => Cow::Borrowed(&path[..end]),
        (Some(end), Cow::Owned(path)) => Cow::Owned(path[..end].to_owned()),
        (None, path) => path,
    }
}

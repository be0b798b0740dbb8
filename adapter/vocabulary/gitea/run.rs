//! Gitea Actions (`workflow_run`, `workflow_job`), which are told as GitHub's, and Forgejo Actions (`action_run_*`).

use std::borrow::Cow;

use serde::Deserialize;

use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::github::payload::{Account, Repository};
use crate::vocabulary::github::run::{PullRequest, changes, outcome, without_ref};
use crate::vocabulary::github::{borrow, key, login, place, time};
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::run::{
    FINISHED, QUEUED, STARTED, TASK_FINISHED, TASK_STARTED, Told, id, write,
};
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

/// `workflow_run`.
#[derive(Debug, Deserialize)]
struct RunEvent<'a> {
    #[serde(borrow)]
    workflow_run: Run<'a>,
    #[serde(borrow)]
    workflow: Option<Workflow<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Run<'a> {
    id: u64,
    /// 0 or absent in versions that do not count.
    #[serde(rename = "run_attempt")]
    attempt: Option<u64>,
    /// The file and the ref: `ci.yaml@refs/heads/main`.
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    head_branch: Option<Text<'a>>,
    #[serde(borrow)]
    head_sha: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    pull_requests: Option<List<PullRequest>>,
    created_at: Option<When>,
    started_at: Option<When>,
    completed_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Workflow<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
}

/// `workflow_job`.
#[derive(Debug, Deserialize)]
struct JobEvent<'a> {
    #[serde(borrow)]
    workflow_job: Job<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Job<'a> {
    id: u64,
    run_id: u64,
    run_attempt: Option<u64>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
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

/// `action_run_success`, `action_run_failure` and, when the one before had failed, `action_run_recover` besides.
#[derive(Debug, Deserialize)]
struct EndEvent<'a> {
    #[serde(borrow)]
    run: EndedRun<'a>,
}

#[derive(Debug, Deserialize)]
struct EndedRun<'a> {
    id: u64,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    workflow_id: Option<Text<'a>>,
    #[serde(borrow)]
    trigger_user: Option<Account<'a>>,
    #[serde(borrow)]
    prettyref: Option<Text<'a>>,
    #[serde(borrow)]
    commit_sha: Option<Text<'a>>,
    #[serde(borrow)]
    trigger_event: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    stopped: Option<When>,
}

const GITEA: &str = "gitea-actions";
const FORGEJO: &str = "forgejo-actions";

pub fn queued(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    run(delivery, QUEUED, out)
}

pub fn started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    run(delivery, STARTED, out)
}

pub fn finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    run(delivery, FINISHED, out)
}

pub fn job_started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    job(delivery, TASK_STARTED, out)
}

pub fn job_finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    job(delivery, TASK_FINISHED, out)
}

fn run(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: RunEvent<'_> = delivery.payload()?;
    delivery.needs(match base {
        QUEUED => &["workflow_run.run_attempt"],
        _ => &["workflow_run.run_attempt", "workflow_run.started_at", "workflow_run.completed_at"],
    })?;
    let (run, workflow) = (&event.workflow_run, event.workflow.as_ref());
    let conclusion = word(run.conclusion.as_ref()).filter(|_| base == FINISHED);
    let changes = changes(run.pull_requests.as_deref(), event.repository.id);
    let place = place(delivery.webhook, event.repository)?;
    let subject = subject(run.id, run.attempt);
    let started_at = key(known(run.started_at));
    let parent = match base {
        QUEUED => None,
        STARTED => Some(id(&place, QUEUED, &subject, &[])),
        _ => Some(id(&place, STARTED, &subject, &[&started_at])),
    };
    let file = borrow(workflow.and_then(|it| it.path.as_ref()))
        .or_else(|| borrow(run.path.as_ref()).map(without_ref));
    let told = Told {
        base,
        run: extract::Run {
            id: Cow::Owned(run.id.to_string()),
            name: borrow(workflow.and_then(|it| it.name.as_ref()))
                .or_else(|| file.clone())
                .unwrap_or_default(),
            file,
            attempt: attempt(run.attempt),
            cause: borrow(run.event.as_ref()),
            conclusion: conclusion.map(Cow::Borrowed),
            url: borrow(run.html_url.as_ref()),
            app: Some(Cow::Borrowed(GITEA)),
            branch: borrow(run.head_branch.as_ref()),
            sha: borrow(run.head_sha.as_ref()),
            changes,
            ..extract::Run::default()
        },
        pipeline: None,
        outcome: (base == FINISHED).then(|| outcome(delivery, conclusion)),
        errors: None,
        key: match base {
            QUEUED => Vec::new(),
            STARTED => vec![started_at],
            _ => vec![key(known(run.completed_at))],
        },
        parent,
        time: match base {
            QUEUED => time(delivery, &[known(run.created_at)]),
            STARTED => time(delivery, &[known(run.started_at)]),
            _ => time(delivery, &[known(run.completed_at)]),
        },
        subject,
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

fn job(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: JobEvent<'_> = delivery.payload()?;
    delivery.needs(&["workflow_job.run_attempt", "workflow_job.started_at"])?;
    let job = &event.workflow_job;
    let is_finished = base == TASK_FINISHED;
    let conclusion = word(job.conclusion.as_ref()).filter(|_| is_finished);
    let place = place(delivery.webhook, event.repository)?;
    let subject = format!("actions/jobs/{}", job.id);
    let key = vec![attempt(job.run_attempt).unwrap_or(1).to_string(), key(known(job.started_at))];
    let has_begun = is_finished && conclusion != Some("skipped");
    let parent = has_begun.then(|| id(&place, TASK_STARTED, &subject, &[&key[0], &key[1]]));
    let failed = job.steps.iter().flatten().filter(|step| step.conclusion.as_deref() == Some("failure"));
    let errors: Vec<&str> = failed.filter_map(|step| step.name.as_deref()).collect();
    let told = Told {
        base,
        run: extract::Run {
            id: Cow::Owned(job.id.to_string()),
            name: borrow(job.name.as_ref()).unwrap_or_default(),
            attempt: attempt(job.run_attempt),
            conclusion: conclusion.map(Cow::Borrowed),
            url: borrow(job.html_url.as_ref()),
            app: Some(Cow::Borrowed(GITEA)),
            branch: borrow(job.head_branch.as_ref()),
            sha: borrow(job.head_sha.as_ref()),
            ..extract::Run::default()
        },
        pipeline: Some(self::subject(job.run_id, job.run_attempt)),
        outcome: is_finished.then(|| outcome(delivery, conclusion)),
        errors: is_finished.then(|| Cow::Owned(errors.join(", "))),
        key,
        parent,
        time: time(delivery, &[known(if is_finished { job.completed_at } else { job.started_at })]),
        subject,
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

/// The end of a run, which Forgejo tells alone.
pub fn ended(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let EndEvent { run } = delivery.payload()?;
    delivery.needs(&["run.stopped"])?;
    let conclusion = word(run.status.as_ref());
    let place = place(delivery.webhook, run.repository)?;
    let told = Told {
        base: FINISHED,
        subject: subject(run.id, None),
        run: extract::Run {
            id: Cow::Owned(run.id.to_string()),
            name: borrow(run.workflow_id.as_ref()).unwrap_or_default(),
            file: borrow(run.workflow_id.as_ref()),
            cause: borrow(run.trigger_event.as_ref()),
            conclusion: conclusion.map(Cow::Borrowed),
            url: borrow(run.html_url.as_ref()),
            app: Some(Cow::Borrowed(FORGEJO)),
            // Of a pull request it is `#4`.
            branch: borrow(run.prettyref.as_ref()).filter(|name| !name.starts_with('#')),
            sha: borrow(run.commit_sha.as_ref()),
            ..extract::Run::default()
        },
        pipeline: None,
        outcome: Some(outcome(delivery, conclusion)),
        errors: None,
        // One that is run again ends again, under the same id.
        key: vec![key(run.stopped)],
        parent: None,
        time: time(delivery, &[run.stopped]),
    };
    write(delivery, &told, &place, login(run.trigger_user.as_ref()), out)
}

/// `subject.id` of a run, as GitHub's.
fn subject(run: u64, counted: Option<u64>) -> String {
    crate::vocabulary::github::run::subject(run, attempt(counted))
}

fn attempt(counted: Option<u64>) -> Option<u64> {
    counted.filter(|attempt| *attempt > 0)
}

fn word<'b>(text: Option<&'b Text<'_>>) -> Option<&'b str> {
    text.map(|text| &**text).filter(|text| !text.is_empty())
}

/// A time that has not come yet is that of 1970, or of the year 1.
fn known(when: Option<When>) -> Option<When> {
    when.filter(|when| when.0.is_some_and(|time| time.as_second() > 0))
}

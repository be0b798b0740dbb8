//! What Apps and services report about a commit: `check_run`, `check_suite` and `status`.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{Account, Repository};
use super::run::{ACTION_REQUIRED, ACTIONS, PullRequest, changes, outcome};
use super::{borrow, key, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::run::{FINISHED, TASK_FINISHED, TASK_STARTED, Told, id, write};
use crate::vocabulary::occurrence::{Delivery, subject_part};
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

/// `check_run`.
#[derive(Debug, Deserialize)]
struct CheckRunEvent<'a> {
    #[serde(borrow)]
    check_run: CheckRun<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct CheckRun<'a> {
    id: u64,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    head_sha: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<Output<'a>>,
    #[serde(borrow)]
    check_suite: Option<SuiteOfRun<'a>>,
    #[serde(borrow)]
    app: Option<App<'a>>,
    pull_requests: Option<List<PullRequest>>,
    started_at: Option<When>,
    completed_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    title: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct SuiteOfRun<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    head_branch: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct App<'a> {
    #[serde(borrow)]
    slug: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// `check_suite`.
#[derive(Debug, Deserialize)]
struct CheckSuiteEvent<'a> {
    #[serde(borrow)]
    check_suite: CheckSuite<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct CheckSuite<'a> {
    id: u64,
    #[serde(borrow)]
    head_branch: Option<Text<'a>>,
    #[serde(borrow)]
    head_sha: Option<Text<'a>>,
    #[serde(borrow)]
    conclusion: Option<Text<'a>>,
    #[serde(borrow)]
    app: Option<App<'a>>,
    pull_requests: Option<List<PullRequest>>,
    updated_at: Option<When>,
}

/// `status`.
#[derive(Debug, Deserialize)]
struct StatusEvent<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    sha: Text<'a>,
    #[serde(borrow)]
    context: Option<Text<'a>>,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    target_url: Option<Text<'a>>,
    created_at: Option<When>,
    updated_at: Option<When>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

pub fn started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    check(delivery, TASK_STARTED, out)
}

pub fn finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    check(delivery, TASK_FINISHED, out)
}

fn check(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: CheckRunEvent<'_> = delivery.payload()?;
    let (run, suite) = (&event.check_run, event.check_run.check_suite.as_ref());
    let is_finished = base == TASK_FINISHED;
    let conclusion = run.conclusion.as_deref().filter(|_| is_finished);
    // The jobs of GitHub Actions tell of themselves, so whose check this is decides.
    delivery.needs(&["check_run.app.slug"])?;
    if is_actions(run.app.as_ref()) || conclusion == Some(ACTION_REQUIRED) {
        return Ok(());
    }
    if is_finished {
        delivery.needs(&["check_run.completed_at"])?;
    }
    let changes = changes(run.pull_requests.as_deref(), event.repository.id);
    let place = place(delivery.webhook, event.repository)?;
    let subject = format!("check-runs/{}", run.id);
    let outcome = is_finished.then(|| outcome(delivery, conclusion));
    let told = Told {
        base,
        run: extract::Run {
            id: Cow::Owned(run.id.to_string()),
            name: borrow(run.name.as_ref()).unwrap_or_default(),
            conclusion: conclusion.map(Cow::Borrowed),
            url: borrow(run.html_url.as_ref()),
            app: name_of(run.app.as_ref()),
            branch: borrow(suite.and_then(|suite| suite.head_branch.as_ref())),
            sha: borrow(run.head_sha.as_ref()).filter(|sha| !sha.is_empty()),
            changes,
            ..extract::Run::default()
        },
        pipeline: suite.and_then(|suite| suite.id).map(subject_of_suite),
        outcome,
        errors: borrow(run.output.as_ref().and_then(|output| output.title.as_ref()))
            .filter(|_| outcome.is_some_and(|outcome| !outcome.is_success())),
        // An App may take a check up again and complete it once more.
        key: if is_finished { vec![key(run.completed_at)] } else { Vec::new() },
        parent: is_finished.then(|| id(&place, TASK_STARTED, &subject, &[])),
        time: time(delivery, &[if is_finished { run.completed_at } else { run.started_at }]),
        subject,
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

pub fn suite_finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: CheckSuiteEvent<'_> = delivery.payload()?;
    let suite = &event.check_suite;
    let conclusion = suite.conclusion.as_deref();
    delivery.needs(&["check_suite.app.slug"])?;
    if is_actions(suite.app.as_ref()) || conclusion == Some(ACTION_REQUIRED) {
        return Ok(());
    }
    delivery.needs(&["check_suite.updated_at"])?;
    let changes = changes(suite.pull_requests.as_deref(), event.repository.id);
    let place = place(delivery.webhook, event.repository)?;
    let told = Told {
        base: FINISHED,
        subject: subject_of_suite(suite.id),
        run: extract::Run {
            id: Cow::Owned(suite.id.to_string()),
            name: name_of(suite.app.as_ref()).unwrap_or_default(),
            conclusion: conclusion.map(Cow::Borrowed),
            app: name_of(suite.app.as_ref()),
            branch: borrow(suite.head_branch.as_ref()),
            sha: borrow(suite.head_sha.as_ref()).filter(|sha| !sha.is_empty()),
            changes,
            ..extract::Run::default()
        },
        pipeline: None,
        outcome: Some(outcome(delivery, conclusion)),
        errors: None,
        // A suite is completed again when one of its checks was asked for again.
        key: vec![key(suite.updated_at)],
        parent: None,
        time: time(delivery, &[suite.updated_at]),
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

pub fn status(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: StatusEvent<'_> = delivery.payload()?;
    let base = match &*event.state {
        "pending" => TASK_STARTED,
        // The last two are Gitea's.
        "success" | "failure" | "error" | "warning" | "skipped" => TASK_FINISHED,
        _ => return Ok(()),
    };
    delivery.needs(&["id", "context"])?;
    if event.id.is_none() {
        delivery.needs(&["updated_at"])?;
    }
    let is_finished = base == TASK_FINISHED;
    let context = event.context.as_deref().filter(|context| !context.is_empty()).unwrap_or("default");
    let outcome = is_finished.then(|| delivery.outcome(&event.state));
    let place = place(delivery.webhook, event.repository)?;
    let told = Told {
        base,
        subject: format!("{}/statuses/{}", subject_part(&event.sha), subject_part(context)),
        run: extract::Run {
            id: event.id.map(|id| Cow::Owned(id.to_string())).unwrap_or_default(),
            name: Cow::Borrowed(context),
            conclusion: is_finished.then(|| Cow::Borrowed(&*event.state)),
            url: borrow(event.target_url.as_ref()).filter(|url| !url.is_empty()),
            sha: Some(Cow::Borrowed(&event.sha)),
            ..extract::Run::default()
        },
        pipeline: None,
        outcome,
        errors: borrow(event.description.as_ref())
            .filter(|_| outcome.is_some_and(|outcome| !outcome.is_success())),
        // Each status has an id of its own; which `pending` one it follows is not said.
        key: match event.id {
            Some(id) => vec![id.to_string()],
            None => vec![event.state.to_string(), key(event.updated_at)],
        },
        parent: None,
        time: time(delivery, &[event.updated_at, event.created_at]),
    };
    write(delivery, &told, &place, login(event.sender.as_ref()), out)
}

fn subject_of_suite(id: u64) -> String {
    format!("check-suites/{id}")
}

/// The checks of GitHub Actions are its jobs, which tell of themselves.
fn is_actions(app: Option<&App<'_>>) -> bool {
    app.and_then(|app| app.slug.as_deref()) == Some(ACTIONS)
}

fn name_of<'b>(app: Option<&'b App<'_>>) -> Option<Cow<'b, str>> {
    let app = app?;
    borrow(app.slug.as_ref().or(app.name.as_ref())).filter(|name| !name.is_empty())
}

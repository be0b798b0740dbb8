//! GitLab CI: `pipeline` and `build`, which is a job.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{Project, User};
use super::{borrow, place, place_of_repository, time, username};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::run::{
    FINISHED, QUEUED, STARTED, TASK_FINISHED, TASK_STARTED, Told, id, write,
};
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

/// What GitLab calls itself in `customData.run.app`.
const APP: &str = "gitlab-ci";

/// `pipeline`.
#[derive(Debug, Deserialize)]
struct PipelineEvent<'a> {
    #[serde(borrow, rename = "object_attributes")]
    pipeline: Pipeline<'a>,
    merge_request: Option<MergeRequest>,
    #[serde(borrow)]
    builds: Option<List<Build<'a>>>,
    #[serde(borrow)]
    project: Project<'a>,
    #[serde(borrow)]
    user: Option<User<'a>>,
}

#[derive(Debug, Deserialize)]
struct Pipeline<'a> {
    id: u64,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow, rename = "ref")]
    reference: Option<Text<'a>>,
    tag: Option<bool>,
    #[serde(borrow)]
    sha: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    created_at: Option<When>,
    finished_at: Option<When>,
}

/// The change that the pipeline is for; it may be one of another project.
#[derive(Debug, Deserialize)]
struct MergeRequest {
    iid: Option<u64>,
    target_project_id: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Build<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    allow_failure: Option<bool>,
    started_at: Option<When>,
}

/// `build`.
#[derive(Debug, Deserialize)]
struct JobEvent<'a> {
    build_id: u64,
    #[serde(borrow)]
    build_name: Option<Text<'a>>,
    #[serde(borrow)]
    build_failure_reason: Option<Text<'a>>,
    build_started_at: Option<When>,
    build_finished_at: Option<When>,
    pipeline_id: Option<u64>,
    #[serde(borrow, rename = "ref")]
    reference: Option<Text<'a>>,
    tag: Option<bool>,
    #[serde(borrow)]
    sha: Option<Text<'a>>,
    #[serde(borrow)]
    commit: Option<JobCommit<'a>>,
    project_id: Option<u64>,
    /// Old versions do not send it.
    #[serde(borrow)]
    project: Option<Project<'a>>,
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
}

/// Its name is that of the pipeline.
#[derive(Debug, Deserialize)]
struct JobCommit<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// What there is of the project where there is no `project`.
#[derive(Debug, Deserialize)]
pub struct Repository<'a> {
    #[serde(borrow)]
    pub homepage: Text<'a>,
    #[serde(borrow)]
    pub git_http_url: Option<Text<'a>>,
}

pub fn queued(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    pipeline(delivery, QUEUED, out)
}

pub fn started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    pipeline(delivery, STARTED, out)
}

pub fn finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    pipeline(delivery, FINISHED, out)
}

pub fn job_started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    job(delivery, TASK_STARTED, out)
}

pub fn job_finished(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    job(delivery, TASK_FINISHED, out)
}

fn pipeline(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let PipelineEvent { pipeline, merge_request, builds, project, user } = delivery.payload()?;
    let is_finished = base == FINISHED;
    let project_id = project.id;
    let change = merge_request.filter(|it| it.target_project_id == project_id).and_then(|it| it.iid);
    if is_finished {
        delivery.needs(&["object_attributes.finished_at"])?;
    }
    let place = place(delivery.webhook, project)?;
    let builds = builds.unwrap_or_default();
    let failed = builds
        .iter()
        .filter(|build| build.status.as_deref() == Some("failed") && build.allow_failure != Some(true));
    let errors: Vec<&str> = failed.filter_map(|build| build.name.as_deref()).collect();
    // The pipeline has no time of its start, but its jobs have one.
    let began = builds.iter().filter_map(|build| build.started_at?.0).min();
    let subject = subject(pipeline.id);
    // One that is skipped has never begun.
    let parent = match base {
        QUEUED => None,
        FINISHED if delivery.action() != "skipped" => Some(id(&place, STARTED, &subject, &[])),
        _ => Some(id(&place, QUEUED, &subject, &[])),
    };
    let told = Told {
        base,
        run: extract::Run {
            id: Cow::Owned(pipeline.id.to_string()),
            // A project has one definition of its pipelines; not all of them have a name.
            name: borrow(pipeline.name.as_ref()).unwrap_or(Cow::Borrowed(&place.name)),
            cause: borrow(pipeline.source.as_ref()),
            conclusion: is_finished.then(|| Cow::Borrowed(delivery.action())),
            url: borrow(pipeline.url.as_ref()),
            app: Some(Cow::Borrowed(APP)),
            branch: branch(pipeline.reference.as_ref(), pipeline.tag),
            sha: borrow(pipeline.sha.as_ref()),
            changes: change.into_iter().collect(),
            ..extract::Run::default()
        },
        pipeline: None,
        outcome: is_finished.then(|| delivery.outcome(delivery.action())),
        errors: is_finished.then(|| Cow::Owned(errors.join(", "))),
        // One whose jobs are retried ends again, under the same id.
        key: if is_finished { vec![When::exact(pipeline.finished_at)] } else { Vec::new() },
        parent,
        time: match base {
            QUEUED => time(delivery, pipeline.created_at),
            FINISHED => time(delivery, pipeline.finished_at),
            _ => began.unwrap_or(delivery.webhook.received),
        },
        subject,
    };
    write(delivery, &told, &place, username(user.as_ref()), out)
}

fn job(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let job: JobEvent<'_> = delivery.payload()?;
    let is_finished = base == TASK_FINISHED;
    // Both name the project, but not always by the same address.
    delivery.needs(&["project"])?;
    let place = match (job.project, job.repository) {
        (Some(project), _) => place(delivery.webhook, project)?,
        (None, Some(repository)) => place_of_repository(delivery.webhook, repository, job.project_id)?,
        (None, None) => return Err(delivery.webhook.malformed("missing field `project`")),
    };
    let subject = format!("jobs/{}", job.build_id);
    let pipeline = job.pipeline_id.map(self::subject);
    // A job that is skipped, or canceled before its turn, has never begun.
    let parent = match (&pipeline, is_finished && job.build_started_at.is_some()) {
        (_, true) => Some(id(&place, TASK_STARTED, &subject, &[])),
        (Some(pipeline), false) => Some(id(&place, STARTED, pipeline, &[])),
        (None, false) => None,
    };
    let outcome = is_finished.then(|| delivery.outcome(delivery.action()));
    let told = Told {
        base,
        run: extract::Run {
            id: Cow::Owned(job.build_id.to_string()),
            name: borrow(job.build_name.as_ref()).unwrap_or_default(),
            pipeline: borrow(job.commit.as_ref().and_then(|commit| commit.name.as_ref())),
            conclusion: is_finished.then(|| Cow::Borrowed(delivery.action())),
            app: Some(Cow::Borrowed(APP)),
            branch: branch(job.reference.as_ref(), job.tag),
            sha: borrow(job.sha.as_ref()),
            ..extract::Run::default()
        },
        pipeline,
        outcome,
        errors: borrow(job.build_failure_reason.as_ref())
            .filter(|_| outcome.is_some_and(|outcome| !outcome.is_success())),
        // A job that is retried is another one.
        key: Vec::new(),
        parent,
        time: time(delivery, if is_finished { job.build_finished_at } else { job.build_started_at }),
        subject,
    };
    write(delivery, &told, &place, username(job.user.as_ref()), out)
}

/// `subject.id` of a pipeline.
fn subject(pipeline: u64) -> String {
    format!("pipelines/{pipeline}")
}

/// The ref of a merge request's pipeline is none of the project's branches.
fn branch<'b>(reference: Option<&'b Text<'_>>, tag: Option<bool>) -> Option<Cow<'b, str>> {
    borrow(reference).filter(|name| tag != Some(true) && !name.starts_with("refs/"))
}

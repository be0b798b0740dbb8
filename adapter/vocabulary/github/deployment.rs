//! Deployments: `deployment`, `deployment_status`, `deployment_review` and `deployment_protection_rule`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{Account, Repository};
use super::run::{WorkflowRun, extract_of, subject};
use super::{borrow, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::deployment::{
    APPROVED, Approval, CREATED, DEPLOYED, ERRORED, FAILED, MAX_REVIEWERS, PENDING, PROGRESSING, QUEUED,
    REJECTED, REMOVED, REQUESTED, ROLLED_BACK, Told, write, write_approval,
};
use crate::vocabulary::occurrence::release::purl_of_release;
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

/// `deployment` and `deployment_status`.
#[derive(Debug, Deserialize)]
struct DeploymentEvent<'a> {
    #[serde(borrow)]
    deployment: Deployment<'a>,
    #[serde(borrow)]
    deployment_status: Option<Status<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Deployment<'a> {
    id: u64,
    #[serde(borrow)]
    sha: Text<'a>,
    #[serde(borrow, rename = "ref")]
    reference: Option<Text<'a>>,
    #[serde(borrow)]
    task: Option<Text<'a>>,
    /// Whatever its creator put there: an object, or the text of one.
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    environment: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    creator: Option<Account<'a>>,
    production_environment: Option<bool>,
    transient_environment: Option<bool>,
    created_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Status<'a> {
    id: u64,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    environment: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    environment_url: Option<Text<'a>>,
    #[serde(borrow)]
    log_url: Option<Text<'a>>,
    #[serde(borrow)]
    target_url: Option<Text<'a>>,
    created_at: Option<When>,
}

/// What a deployment's payload may say about what is deployed.
#[derive(Debug, Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    artifact: Text<'a>,
}

/// `deployment_review`.
#[derive(Debug, Deserialize)]
struct ReviewEvent<'a> {
    #[serde(borrow)]
    workflow_run: Option<WorkflowRun<'a>>,
    #[serde(borrow)]
    workflow_job_run: Option<JobRun<'a>>,
    #[serde(borrow)]
    workflow_job_runs: Option<List<JobRun<'a>>>,
    #[serde(borrow)]
    environment: Option<Text<'a>>,
    #[serde(borrow)]
    comment: Option<Text<'a>>,
    #[serde(borrow)]
    requestor: Option<Account<'a>>,
    /// The same, as it is called once it is decided.
    #[serde(borrow)]
    requester: Option<Account<'a>>,
    #[serde(borrow)]
    approver: Option<Account<'a>>,
    #[serde(borrow)]
    reviewers: Option<List<Reviewer<'a>>>,
    since: Option<When>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

/// A job that waits.
#[derive(Debug, Deserialize)]
struct JobRun<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    environment: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Reviewer<'a> {
    #[serde(borrow)]
    reviewer: Option<UserOrTeam<'a>>,
}

#[derive(Debug, Deserialize)]
struct UserOrTeam<'a> {
    #[serde(borrow)]
    login: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// `deployment_protection_rule`.
#[derive(Debug, Deserialize)]
struct RuleEvent<'a> {
    #[serde(borrow)]
    deployment: Option<Deployment<'a>>,
    #[serde(borrow)]
    environment: Option<Text<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

/// More jobs than that are not told of one decision; GitHub's own limit of jobs in a run.
const MAX_JOBS: usize = 256;

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: DeploymentEvent<'_> = delivery.payload()?;
    delivery.needs(&["deployment.environment"])?;
    let time = time(delivery, &[event.deployment.created_at]);
    tell(delivery, event, CREATED, Vec::new(), time, out)
}

pub fn status(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: DeploymentEvent<'_> = delivery.payload()?;
    let Some(status) = &event.deployment_status else {
        return Err(delivery.webhook.malformed("missing field `deployment_status`"));
    };
    delivery.needs(&["deployment_status.environment", "deployment.environment", "deployment.task"])?;
    let base = match &*status.state {
        "success" if event.deployment.task.as_deref() == Some("rollback") => ROLLED_BACK,
        "success" => DEPLOYED,
        "inactive" => REMOVED,
        "queued" => QUEUED,
        "pending" | "waiting" => PENDING,
        "in_progress" => PROGRESSING,
        "failure" => FAILED,
        "error" => ERRORED,
        _ => return Ok(()),
    };
    let (key, time) = (vec![status.id.to_string()], time(delivery, &[status.created_at]));
    tell(delivery, event, base, key, time, out)
}

fn tell<'a>(
    delivery: &Delivery<'a>,
    event: DeploymentEvent<'a>,
    base: &'static str,
    key: Vec<String>,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let DeploymentEvent { deployment, deployment_status: status, repository, sender } = event;
    let place = place(delivery.webhook, repository)?;
    let about = extract_of_deployment(&deployment, status.as_ref());
    if about.environment.is_empty() {
        return Err(delivery
            .webhook
            .malformed("`deployment.environment` must be the name of an environment"));
    }
    let artifact =
        artifact(deployment.payload).unwrap_or_else(|| purl_of_release("github", &place, &deployment.sha));
    let told = Told { base, deployment: about, artifact, has_created: true, key, time };
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

fn extract_of_deployment<'b>(
    deployment: &'b Deployment<'_>,
    status: Option<&'b Status<'_>>,
) -> extract::Deployment<'b> {
    let text = |text: Option<&'b Text<'_>>| borrow(text).filter(|text| !text.is_empty());
    let environment = text(status.and_then(|status| status.environment.as_ref()));
    let description = text(status.and_then(|status| status.description.as_ref()));
    let url = text(status.and_then(|status| status.log_url.as_ref()));
    extract::Deployment {
        id: Cow::Owned(deployment.id.to_string()),
        environment: environment.or_else(|| text(deployment.environment.as_ref())).unwrap_or_default(),
        task: text(deployment.task.as_ref()),
        state: status.map(|status| status.state.lend()),
        description: description.or_else(|| text(deployment.description.as_ref())),
        reference: text(deployment.reference.as_ref()),
        sha: Some(deployment.sha.lend()),
        author: login(deployment.creator.as_ref()),
        environment_url: text(status.and_then(|status| status.environment_url.as_ref())),
        url: url.or_else(|| text(status.and_then(|status| status.target_url.as_ref()))),
        production: deployment.production_environment,
        transient: deployment.transient_environment,
    }
}

/// The purl in the deployment's payload, which may be an object or, when it was created so, its text.
fn artifact(payload: Option<&RawValue>) -> Option<String> {
    let json = payload?.get();
    let text = serde_json::from_str::<String>(json).ok();
    let payload: Payload<'_> = serde_json::from_str(text.as_deref().unwrap_or(json)).ok()?;
    payload.artifact.starts_with("pkg:").then(|| payload.artifact.to_string())
}

pub fn review(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let mut event: ReviewEvent<'_> = delivery.payload()?;
    let base = match delivery.action() {
        "approved" => APPROVED,
        "rejected" => REJECTED,
        _ => REQUESTED,
    };
    let Some(run) = event.workflow_run.take() else {
        return Err(delivery.webhook.malformed("missing field `workflow_run`"));
    };
    delivery.needs(&["workflow_run.run_attempt", "workflow_job_run.id", "workflow_job_runs[]"])?;
    let repository = event.repository.id;
    let place = place(delivery.webhook, event.repository)?;
    // One decision may be about several jobs; each of them has asked for it.
    let several = event.workflow_job_runs.iter().flatten().map(Some);
    let mut jobs: Vec<Option<&JobRun<'_>>> = event.workflow_job_run.iter().map(Some).chain(several).collect();
    jobs.truncate(MAX_JOBS);
    if jobs.is_empty() {
        jobs.push(None);
    }
    for job in jobs {
        let id = job.and_then(|job| job.id);
        let environment = job.and_then(|job| job.environment.as_ref()).or(event.environment.as_ref());
        let url = job.and_then(|job| job.html_url.as_ref()).or(run.html_url.as_ref());
        let told = Approval {
            base,
            subject: match id {
                Some(id) => format!("actions/jobs/{id}/approval"),
                None => format!("{}/approval", subject(run.id, run.run_attempt)),
            },
            about: extract::Approval {
                state: Cow::Borrowed(delivery.action()),
                environment: borrow(environment),
                requestor: login(event.requestor.as_ref().or(event.requester.as_ref())),
                responder: login(event.approver.as_ref()),
                comment: borrow(event.comment.as_ref()).filter(|comment| !comment.is_empty()),
                reviewers: reviewers(event.reviewers.as_deref()),
                url: borrow(url),
            },
            run: Some(extract_of(&run, repository)),
            deployment: None,
            sha: borrow(run.head_sha.as_ref()).filter(|sha| !sha.is_empty()),
            // `since` is when the review was asked for; a decision has no time of its own.
            time: if base == REQUESTED { time(delivery, &[event.since]) } else { delivery.webhook.received },
        };
        write_approval(delivery, &told, &place, login(event.sender.as_ref()), out)?;
    }
    Ok(())
}

fn reviewers<'b>(all: Option<&'b [Reviewer<'_>]>) -> Vec<Cow<'b, str>> {
    let names = all.unwrap_or_default().iter().filter_map(|it| {
        let who = it.reviewer.as_ref()?;
        borrow(who.login.as_ref().or(who.name.as_ref()))
    });
    names.take(MAX_REVIEWERS).collect()
}

/// A rule of an App that a deployment waits for.
pub fn protection(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: RuleEvent<'_> = delivery.payload()?;
    let Some(deployment) = &event.deployment else {
        return Err(delivery.webhook.malformed("missing field `deployment`"));
    };
    let place = place(delivery.webhook, event.repository)?;
    let about = extract_of_deployment(deployment, None);
    let told = Approval {
        base: REQUESTED,
        subject: format!("deployments/{}/approval", deployment.id),
        about: extract::Approval {
            state: Cow::Borrowed("requested"),
            environment: borrow(event.environment.as_ref().or(deployment.environment.as_ref())),
            requestor: login(deployment.creator.as_ref()),
            ..extract::Approval::default()
        },
        run: None,
        sha: about.sha.clone(),
        deployment: Some(about),
        time: time(delivery, &[deployment.created_at]),
    };
    write_approval(delivery, &told, &place, login(event.sender.as_ref()), out)
}

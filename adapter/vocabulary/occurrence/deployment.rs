//! Deployments, and the approvals that they wait for.
//!
//! What is there afterwards is told in the specification's words (`service.*`). It has none for the way to it and for
//! an approval, so these are types of ours; one set for all forges.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, Reference, custom, standard};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;
use crate::vocabulary::types::Type;

pub const CREATED: &str = "dev.cdeventsx.forge-deployment.created";
pub const QUEUED: &str = "dev.cdeventsx.forge-deployment.queued";
pub const PENDING: &str = "dev.cdeventsx.forge-deployment.pending";
pub const PROGRESSING: &str = "dev.cdeventsx.forge-deployment.progressing";
pub const FAILED: &str = "dev.cdeventsx.forge-deployment.failed";
pub const ERRORED: &str = "dev.cdeventsx.forge-deployment.errored";
pub const DEPLOYED: &str = "dev.cdevents.service.deployed";
pub const ROLLED_BACK: &str = "dev.cdevents.service.rolledback";
pub const PUBLISHED: &str = "dev.cdevents.service.published";
pub const REMOVED: &str = "dev.cdevents.service.removed";

pub const REQUESTED: &str = "dev.cdeventsx.forge-approval.requested";
pub const APPROVED: &str = "dev.cdeventsx.forge-approval.approved";
pub const REJECTED: &str = "dev.cdeventsx.forge-approval.rejected";

/// More reviewers than that are not told.
pub const MAX_REVIEWERS: usize = 100;

/// What a delivery tells about a deployment.
pub struct Told<'a> {
    /// Which of the types above; [`PUBLISHED`] comes with [`DEPLOYED`] and [`ROLLED_BACK`] by itself when the
    /// environment has an address.
    pub base: &'static str,
    pub deployment: extract::Deployment<'a>,
    /// The purl of what is deployed.
    pub artifact: String,
    /// Whether the forge tells of every deployment when it is made, so that [`CREATED`] can be the parent.
    pub has_created: bool,
    /// What tells this occurrence from another of the same deployment; nothing for its creation.
    pub key: Vec<String>,
    pub time: Timestamp,
}

/// What a delivery tells about an approval.
pub struct Approval<'a> {
    /// Which of the types above.
    pub base: &'static str,
    /// `subject.id`: what waits for the approval.
    pub subject: String,
    pub about: extract::Approval<'a>,
    /// The run that waits.
    pub run: Option<extract::Run<'a>>,
    /// The deployment that waits.
    pub deployment: Option<extract::Deployment<'a>>,
    /// The commit that is to be deployed.
    pub sha: Option<Cow<'a, str>>,
    pub time: Timestamp,
}

/// `subject.content` of all of these; each has the fields that are set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requestor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    responder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
}

/// The events of a deployment.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let deployment = &told.deployment;
    let subject = format!("deployments/{}", deployment.id);
    let service = place.reference();
    let chain = match &deployment.sha {
        Some(sha) => place.chain(&["commit", sha]),
        None => place.chain(&["deployment", &deployment.id]),
    };
    let mut extract = delivery.extract(place, sender);
    extract.deployment = Some(deployment.clone());
    // Two environments are two subjects of one service: the deployment's id keeps them apart.
    let mut key = vec![deployment.id.as_ref()];
    key.extend(told.key.iter().map(String::as_str));
    let created =
        told.has_created.then(|| occurrence_id(CREATED, &place.source, &subject, &[&deployment.id]));

    let has_address = deployment.environment_url.as_deref().is_some_and(|url| !url.is_empty());
    let is_there = told.base == DEPLOYED || told.base == ROLLED_BACK;
    let bases = std::iter::once(told.base).chain((is_there && has_address).then_some(PUBLISHED));
    let mut parent = created.filter(|_| told.base != CREATED);
    for base in bases {
        let ty = type_of(base)?;
        let mut content = Content { environment: Some(environment(place, deployment)), ..Content::default() };
        let is_custom = matches!(ty, Type::Custom(_));
        if is_custom || base == DEPLOYED || base == ROLLED_BACK {
            content.artifact_id = Some(&told.artifact);
        }
        content.service = is_custom.then(|| place.reference());
        let subject = if is_custom { &subject } else { &service.id };
        let mut event = CdEvent::occurrence(ty, &place.source, subject, &key, told.time)
            .chain(&chain)
            .content(&content)?
            .custom_data(&extract)?;
        let id = event.id().to_owned();
        if let Some(from) = parent.replace(id) {
            event = event.link(Link::Path { from });
        }
        out.push(event);
    }
    Ok(())
}

/// The event of an approval.
pub fn write_approval(
    delivery: &Delivery<'_>,
    told: &Approval<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let approval = &told.about;
    let mut extract = delivery.extract(place, sender);
    extract.approval = Some(approval.clone());
    extract.run.clone_from(&told.run);
    extract.deployment.clone_from(&told.deployment);
    let environment = approval.environment.as_deref().filter(|name| !name.is_empty());
    let content = Content {
        environment: environment.map(|name| Reference { id: name.to_owned(), source: place.source.clone() }),
        requestor: approval.requestor.as_deref(),
        responder: approval.responder.as_deref(),
        uri: approval.url.as_deref(),
        ..Content::default()
    };
    let chain = match &told.sha {
        Some(sha) => place.chain(&["commit", sha]),
        None => place.chain(&["approval", &told.subject]),
    };
    let mut event = CdEvent::occurrence(type_of(told.base)?, &place.source, &told.subject, &[], told.time)
        .chain(chain)
        .content(&content)?
        .custom_data(&extract)?;
    if told.base != REQUESTED {
        let from = occurrence_id(REQUESTED, &place.source, &told.subject, &[]);
        event = event.link(Link::Path { from });
    }
    out.push(event);
    Ok(())
}

fn environment(place: &Place<'_>, deployment: &extract::Deployment<'_>) -> Reference {
    Reference { id: deployment.environment.to_string(), source: place.source.clone() }
}

fn type_of(base: &str) -> Result<Type, PayloadError> {
    Ok(if base.starts_with("dev.cdeventsx.") { custom(base)?.into() } else { standard(base)?.into() })
}

//! Deployments: `deployment`.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{Project, User};
use super::{borrow, place, time, username};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::deployment::{DEPLOYED, FAILED, PROGRESSING, Told, write};
use crate::vocabulary::occurrence::release::purl_of_release;
use crate::vocabulary::read::{Text, When};
use crate::vocabulary::{PayloadError, extract};

/// One that somebody stopped; GitHub has no word for it.
pub const CANCELED: &str = "dev.cdeventsx.forge-deployment.canceled";

#[derive(Debug, Deserialize)]
struct DeploymentEvent<'a> {
    deployment_id: u64,
    #[serde(borrow)]
    environment: Text<'a>,
    #[serde(borrow)]
    environment_tier: Option<Text<'a>>,
    #[serde(borrow)]
    environment_external_url: Option<Text<'a>>,
    #[serde(borrow)]
    deployable_url: Option<Text<'a>>,
    #[serde(borrow, rename = "ref")]
    reference: Option<Text<'a>>,
    #[serde(borrow)]
    short_sha: Option<Text<'a>>,
    #[serde(borrow)]
    commit_url: Option<Text<'a>>,
    status_changed_at: Option<When>,
    #[serde(borrow)]
    project: Project<'a>,
    #[serde(borrow)]
    user: Option<User<'a>>,
}

pub fn started(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    deployment(delivery, PROGRESSING, out)
}

pub fn succeeded(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    deployment(delivery, DEPLOYED, out)
}

pub fn failed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    deployment(delivery, FAILED, out)
}

pub fn canceled(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    deployment(delivery, CANCELED, out)
}

fn deployment(
    delivery: &Delivery<'_>,
    base: &'static str,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let event: DeploymentEvent<'_> = delivery.payload()?;
    if event.environment.is_empty() {
        return Err(delivery.webhook.malformed("`environment` must not be empty"));
    }
    delivery.needs(&["status_changed_at"])?;
    let place = place(delivery.webhook, event.project)?;
    // The whole commit stands at the end of its page only.
    let is_sha = |text: &&str| text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let page = event.commit_url.as_deref().and_then(|url| url.rsplit('/').next());
    let sha = page.filter(is_sha).map(Cow::Borrowed).or_else(|| borrow(event.short_sha.as_ref()));
    let reference = borrow(event.reference.as_ref());
    let version = sha.clone().or_else(|| reference.clone()).unwrap_or_default();
    let told = Told {
        base,
        artifact: purl_of_release("gitlab", &place, &version),
        deployment: extract::Deployment {
            id: Cow::Owned(event.deployment_id.to_string()),
            environment: Cow::Borrowed(&event.environment),
            state: Some(Cow::Borrowed(delivery.action())),
            reference,
            sha,
            author: username(event.user.as_ref()),
            environment_url: borrow(event.environment_external_url.as_ref()),
            url: borrow(event.deployable_url.as_ref()),
            production: event.environment_tier.as_deref().map(|tier| tier == "production"),
            ..extract::Deployment::default()
        },
        has_created: false,
        key: vec![delivery.action().to_owned(), When::exact(event.status_changed_at)],
        time: time(delivery, event.status_changed_at),
    };
    write(delivery, &told, &place, username(event.user.as_ref()), out)
}

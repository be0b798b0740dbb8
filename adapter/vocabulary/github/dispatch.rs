//! Requests for a run: `workflow_dispatch` and `repository_dispatch`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{Account, Repository};
use super::{login, place};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::dispatch::{Told, write};
use crate::vocabulary::read::Text;

#[derive(Debug, Deserialize)]
struct Dispatch<'a> {
    /// The file, of `workflow_dispatch`.
    #[serde(borrow)]
    workflow: Option<Text<'a>>,
    #[serde(borrow, rename = "ref")]
    reference: Option<Text<'a>>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    /// The short name, of `repository_dispatch`.
    #[serde(borrow)]
    branch: Option<Text<'a>>,
    #[serde(borrow)]
    client_payload: Option<&'a RawValue>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

pub fn requested(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let dispatch: Dispatch<'_> = delivery.payload()?;
    delivery.needs(&["workflow", "ref", "branch"])?;
    let named = [dispatch.workflow.as_deref(), delivery.action.as_deref()];
    let Some(name) = named.into_iter().flatten().find(|name| !name.is_empty()) else {
        return Err(delivery
            .webhook
            .malformed("`workflow` or `action` must be the name of what is asked for"));
    };
    let branch = dispatch.branch.as_deref().map(|branch| format!("refs/heads/{branch}"));
    let told = Told {
        name,
        reference: dispatch.reference.as_deref().or(branch.as_deref()),
        inputs: dispatch.inputs.or(dispatch.client_payload).filter(|inputs| inputs.get().starts_with('{')),
    };
    let place = place(delivery.webhook, dispatch.repository)?;
    write(delivery, &told, &place, login(dispatch.sender.as_ref()), out)
}

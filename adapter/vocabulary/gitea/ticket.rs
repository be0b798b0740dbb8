//! Tickets: those events of `issues` of which Gitea tells otherwise than GitHub.

use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::github::ticket::{IssueEvent, write};
use crate::vocabulary::github::{key, time};
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::ticket::UPDATED;

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    delivery.needs(&["issue.updated_at", "issue.labels[]", "issue.assignees[]", "issue.milestone.title"])?;
    let issue = &event.issue;
    let mut occurrence = vec![
        delivery.action().to_owned(),
        key(issue.updated_at),
        event.changes.map_or("", |changes| changes.get()).to_owned(),
    ];
    // One entry more for each, and an empty one between, so that no two lists run together.
    occurrence.extend(issue.labels.iter().flatten().map(|label| label.name.to_string()));
    occurrence.push(String::new());
    occurrence
        .extend(issue.assignees.iter().flatten().filter_map(|it| it.login.as_deref().map(str::to_owned)));
    occurrence.push(String::new());
    let milestone = issue.milestone.as_ref().and_then(|milestone| milestone.title.as_deref());
    occurrence.push(milestone.unwrap_or_default().to_owned());
    let time = time(delivery, &[issue.updated_at]);
    write(delivery, event, UPDATED, occurrence, time, out)
}

//! The queue of merges: `merge_group`.

use serde::Deserialize;

use super::payload::{Account, Commit, Repository};
use super::{borrow, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::change::{Told, UPDATED, write};
use crate::vocabulary::read::Text;
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct GroupEvent<'a> {
    #[serde(borrow)]
    merge_group: Group<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Group<'a> {
    #[serde(borrow)]
    head_sha: Text<'a>,
    /// `refs/heads/gh-readonly-queue/main/pr-104-<commit>`.
    #[serde(borrow)]
    head_ref: Text<'a>,
    #[serde(borrow)]
    base_sha: Option<Text<'a>>,
    #[serde(borrow)]
    base_ref: Option<Text<'a>>,
    #[serde(borrow)]
    head_commit: Option<Commit<'a>>,
}

/// The queue has merged the change with those before it, and wants to know whether that works. Of the change there is only
/// the number, in the name of the branch; a branch of another name is told by the raw event alone.
pub fn requested(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let GroupEvent { merge_group: group, repository, sender } = delivery.payload()?;
    let branch = |reference: &'_ str| reference.strip_prefix("refs/heads/").unwrap_or(reference).to_owned();
    let Some(number) = number(&group.head_ref) else { return Ok(()) };
    let place = place(delivery.webhook, repository)?;
    let told = Told {
        base: UPDATED,
        change: extract::Change {
            number,
            source: extract::ChangeSource {
                branch: branch(&group.head_ref).into(),
                sha: group.head_sha.lend(),
                before: None,
                repository_url: place.clone_url.clone(),
                // The branch of the queue is in the repository itself, wherever the change came from.
                fork: false,
            },
            target: extract::ChangeTarget {
                branch: group.base_ref.as_deref().map(branch).unwrap_or_default().into(),
                sha: borrow(group.base_sha.as_ref()).unwrap_or_default(),
            },
            ..extract::Change::default()
        },
        review: None,
        created: String::new(),
        occurrence: vec![delivery.action().to_owned(), group.head_sha.to_string()],
        time: time(delivery, &[group.head_commit.as_ref().and_then(|commit| commit.timestamp)]),
    };
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

fn number(reference: &str) -> Option<u64> {
    let (_, last) = reference.rsplit_once("/pr-")?;
    last.split('-').next()?.parse().ok()
}

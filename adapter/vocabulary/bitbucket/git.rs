//! Branches and tags: `repo:push`, which tells of every ref of one push.

use super::payload::{self, Ref};
use super::{login, place};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::git::{Deed, Kind, Told, write};

pub fn pushed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let payload::PushEvent { push, repository, actor } = delivery.payload()?;
    let place = place(delivery.webhook, repository)?;
    let changes = push.and_then(|push| push.changes).unwrap_or_default();
    for (i, change) in changes.iter().enumerate() {
        let unknown = |member| delivery.misses_in("push.changes", i, member);
        // One of a push says nothing about the others.
        let Some(change) = change else { continue };
        if ["old.type", "old.name", "old.target.hash", "new.type", "new.name", "new.target.hash"]
            .into_iter()
            .any(unknown)
        {
            continue;
        }
        // An empty object is no ref.
        let (old, new) = (there(change.old.as_ref()), there(change.new.as_ref()));
        let deed = match (old, new) {
            (None, None) => continue,
            (None, Some(_)) => Deed::Created,
            (Some(_), None) => Deed::Deleted,
            (Some(_), Some(_)) => Deed::Updated,
        };
        let Some((kind, name)) = new.or(old).and_then(split) else {
            continue;
        };
        let prefix = match kind {
            Kind::Branch => "refs/heads/",
            Kind::Tag => "refs/tags/",
        };
        let (before, after) = (hash(old), hash(new));
        let told = Told {
            kind,
            deed,
            name,
            reference: &format!("{prefix}{name}"),
            before,
            after,
            commit: after,
            forced: change.forced,
            commits: change.commits.map(|commits| commits.0),
            key: vec![before.unwrap_or_default(), after.unwrap_or_default()],
            // The push itself has no time. When a branch was made or taken away, no commit tells.
            time: (deed == Deed::Updated)
                .then(|| change.new.as_ref()?.target.as_ref()?.date?.0)
                .flatten()
                .unwrap_or(delivery.webhook.received),
        };
        write(delivery, &told, &place, login(actor.as_ref()), out)?;
    }
    Ok(())
}

fn split<'b>(of: &'b Ref<'_>) -> Option<(Kind, &'b str)> {
    let kind = match of.kind.as_deref()? {
        "branch" | "named_branch" => Kind::Branch,
        "tag" | "annotated_tag" => Kind::Tag,
        _ => return None,
    };
    Some((kind, of.name.as_deref().filter(|name| !name.is_empty())?))
}

fn there<'b, 'a>(of: Option<&'b Ref<'a>>) -> Option<&'b Ref<'a>> {
    of.filter(|it| it.kind.is_some() || it.name.is_some() || it.target.is_some())
}

fn hash<'b>(of: Option<&'b Ref<'_>>) -> Option<&'b str> {
    of?.target.as_ref()?.hash.as_deref().filter(|hash| !hash.is_empty())
}

//! Comments: `note`.

use std::borrow::Cow;

use serde::Deserialize;

use super::change::extract_of;
use super::payload::{Commit, MergeRequest, Project, User};
use super::{borrow, place, time, username};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::comment::{On, Told, write};
use crate::vocabulary::read::{Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct NoteEvent<'a> {
    #[serde(borrow, rename = "object_attributes")]
    note: Note<'a>,
    merge_request: Option<Numbered>,
    issue: Option<Numbered>,
    #[serde(borrow)]
    commit: Option<Commit<'a>>,
    #[serde(borrow)]
    project: Project<'a>,
    #[serde(borrow)]
    user: Option<User<'a>>,
}

/// The merge request that a note is on.
#[derive(Debug, Deserialize)]
struct OfRequest<'a> {
    #[serde(borrow)]
    merge_request: Option<MergeRequest<'a>>,
}

#[derive(Debug, Deserialize)]
struct Note<'a> {
    id: u64,
    #[serde(borrow, rename = "note")]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    /// Set for what GitLab writes itself.
    system: Option<bool>,
    #[serde(borrow)]
    commit_id: Option<Text<'a>>,
    #[serde(borrow)]
    position: Option<Position<'a>>,
    created_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Position<'a> {
    #[serde(borrow)]
    new_path: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    iid: u64,
    created_at: Option<When>,
}

/// Old versions tell of new notes only and have no action; a note on a snippet is nobody's business.
pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let NoteEvent { note, merge_request, issue, commit, project, user } = delivery.payload()?;
    if note.system == Some(true) || note.action.as_deref().is_some_and(|action| action != "create") {
        return Ok(());
    }
    delivery.needs(&["merge_request", "issue", "commit.id", "object_attributes.commit_id"])?;
    let created = |it: &Numbered| When::key(it.created_at).unwrap_or_default();
    let commit_id = borrow(commit.as_ref().and_then(|commit| commit.id.as_ref()))
        .or_else(|| borrow(note.commit_id.as_ref()));
    let on = match (&merge_request, &issue, &commit_id) {
        (Some(it), ..) => On::Change { number: it.iid, created: created(it) },
        (None, Some(it), _) => On::Ticket { number: it.iid, created: created(it) },
        (None, None, Some(sha)) => On::Commit { sha },
        (None, None, None) => return Ok(()),
    };
    let place = place(delivery.webhook, project)?;
    // Of the merge request that a note is on, not everything needs to be there.
    let request = delivery.payload::<OfRequest<'_>>().ok().and_then(|it| it.merge_request);
    let told = Told {
        on,
        comment: extract::Comment {
            id: Cow::Owned(note.id.to_string()),
            commit: commit_id.clone(),
            path: borrow(note.position.as_ref().and_then(|position| position.new_path.as_ref())),
            body: borrow(note.text.as_ref()).unwrap_or_default(),
            author: username(user.as_ref()),
            url: borrow(note.url.as_ref()),
            ..extract::Comment::default()
        },
        change: request.as_ref().map(|request| extract_of(request, &[], None, "")),
        time: time(delivery, note.created_at),
    };
    write(delivery, told, &place, username(user.as_ref()), out)
}

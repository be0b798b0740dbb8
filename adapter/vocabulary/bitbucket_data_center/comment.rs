//! Comments: `pr:comment:added` and `repo:comment:added`.

use std::borrow::Cow;

use serde::Deserialize;

use super::change::extract_of;
use super::payload::{PullRequest, Repository, User};
use super::{borrow, checked_place, login};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::comment::{On, Told, write};
use crate::vocabulary::read::{Millis, Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommentEvent<'a> {
    date: Option<When>,
    #[serde(borrow)]
    actor: Option<User<'a>>,
    #[serde(borrow)]
    comment: Comment<'a>,
    #[serde(borrow)]
    pull_request: Option<PullRequest<'a>>,
    /// There when the comment is on a commit.
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    commit: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Comment<'a> {
    id: u64,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    author: Option<User<'a>>,
    created_date: Option<Millis>,
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let CommentEvent { date, actor, comment, pull_request, repository, commit } = delivery.payload()?;
    delivery.needs(&["pullRequest", "repository"])?;
    delivery.needs(match &pull_request {
        Some(_) => &["pullRequest.toRef.repository.links.self[]"],
        None => &["repository.links.self[]"],
    })?;
    let sha = borrow(commit.as_ref());
    let (on, repository) = match (&pull_request, repository, &sha) {
        (Some(pull), ..) => (
            On::Change { number: pull.id, created: Millis::key(pull.created_date) },
            pull.repository().cloned(),
        ),
        (None, Some(repository), Some(sha)) => (On::Commit { sha }, Some(repository)),
        _ => {
            return Err(delivery
                .webhook
                .malformed("`pullRequest`, or `repository` and `commit`, must be there"));
        }
    };
    let place = checked_place(delivery.webhook, repository)?;
    let told = Told {
        on,
        comment: extract::Comment {
            id: Cow::Owned(comment.id.to_string()),
            commit: sha.clone(),
            body: borrow(comment.text.as_ref()).unwrap_or_default(),
            author: login(comment.author.as_ref()).or_else(|| login(actor.as_ref())),
            ..extract::Comment::default()
        },
        change: pull_request.as_ref().map(|pull| extract_of(pull, "")),
        time: comment
            .created_date
            .and_then(|when| when.0)
            .or(date.and_then(|date| date.0))
            .unwrap_or(delivery.webhook.received),
    };
    write(delivery, told, &place, login(actor.as_ref()), out)
}

//! Comments: `issue_comment`, `pull_request_review_comment` and `commit_comment`.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{PullRequest, Repository};
use super::{borrow, key, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::comment::{On, Told, write};
use crate::vocabulary::read::{Object, Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct CommentEvent<'a> {
    #[serde(borrow)]
    comment: Comment<'a>,
    /// There for `issue_comment`.
    issue: Option<Issue>,
    /// There for `pull_request_review_comment`, and in Gitea's `issue_comment`.
    #[serde(borrow)]
    pull_request: Option<PullRequest<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<User<'a>>,
}

#[derive(Debug, Deserialize)]
struct Comment<'a> {
    id: u64,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    commit_id: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<User<'a>>,
    #[serde(borrow)]
    author_association: Option<Text<'a>>,
    created_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    login: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    number: u64,
    created_at: Option<When>,
    /// There when the issue is a pull request.
    pull_request: Option<Object>,
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let CommentEvent { comment, issue, pull_request, repository, sender } = delivery.payload()?;
    delivery.needs(&["pull_request", "issue.pull_request", "comment.commit_id"])?;
    let on = match (&issue, &pull_request, &comment.commit_id) {
        (_, Some(pull), _) => On::Change { number: pull.number, created: key(pull.created_at) },
        // GitHub makes both at the same time, and they count alike.
        (Some(issue), ..) if issue.pull_request.is_some() => {
            On::Change { number: issue.number, created: key(issue.created_at) }
        }
        (Some(issue), ..) => On::Ticket { number: issue.number, created: key(issue.created_at) },
        (None, None, Some(commit)) => On::Commit { sha: commit },
        (None, None, None) => {
            return Err(delivery
                .webhook
                .malformed("one of `issue`, `pull_request` and `comment.commit_id` must be there"));
        }
    };
    let kind = comment.user.as_ref().and_then(|user| user.kind.as_deref());
    let told = Told {
        on,
        comment: extract::Comment {
            id: Cow::Owned(comment.id.to_string()),
            commit: borrow(comment.commit_id.as_ref()).filter(|sha| !sha.is_empty()),
            path: borrow(comment.path.as_ref()).filter(|path| !path.is_empty()),
            body: borrow(comment.body.as_ref()).unwrap_or_default(),
            author: login(comment.user.as_ref()),
            author_association: extract::Association::of_word(comment.author_association.as_deref()),
            bot: kind.map(|kind| kind == "Bot"),
            url: borrow(comment.html_url.as_ref()),
            ..extract::Comment::default()
        },
        change: pull_request.as_ref().map(|pull| super::change::extract_of(pull, "")),
        time: time(delivery, &[comment.created_at]),
    };
    let place = place(delivery.webhook, repository)?;
    write(delivery, told, &place, login(sender.as_ref()), out)
}

fn login<'b>(user: Option<&'b User<'_>>) -> Option<Cow<'b, str>> {
    borrow(user.and_then(|user| user.login.as_ref()))
}

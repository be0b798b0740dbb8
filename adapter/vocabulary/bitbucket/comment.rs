//! Comments: `pullrequest:comment_created`, `issue:comment_created` and `repo:commit_comment_created`.

use std::borrow::Cow;

use serde::Deserialize;

use super::change::{association, clone_url, created_on, extract_of};
use super::payload::{Account, Commit, Links, PullRequest, Repository};
use super::{borrow, login, page, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::comment::{On, Told, write};
use crate::vocabulary::read::{Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct CommentEvent<'a> {
    #[serde(borrow)]
    comment: Comment<'a>,
    #[serde(borrow)]
    pullrequest: Option<PullRequest<'a>>,
    issue: Option<Issue>,
    #[serde(borrow)]
    commit: Option<Commit<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    actor: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Comment<'a> {
    id: u64,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    inline: Option<Inline<'a>>,
    #[serde(borrow)]
    links: Option<Links<'a>>,
    #[serde(borrow)]
    user: Option<Account<'a>>,
    created_on: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    raw: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Inline<'a> {
    #[serde(borrow)]
    path: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    id: u64,
    created_on: Option<When>,
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let CommentEvent { comment, pullrequest, issue, commit, repository, actor } = delivery.payload()?;
    delivery.needs(&["pullrequest", "issue", "commit"])?;
    let sha = borrow(commit.as_ref().and_then(|commit| commit.hash.as_ref()));
    let on = match (&pullrequest, &issue, &sha) {
        (Some(pull), ..) => On::Change { number: pull.id, created: created_on(pull) },
        (None, Some(issue), _) => On::Ticket { number: issue.id, created: When::exact(issue.created_on) },
        (None, None, Some(sha)) => On::Commit { sha },
        (None, None, None) => {
            return Err(delivery
                .webhook
                .malformed("one of `pullrequest`, `issue` and `commit.hash` must be there"));
        }
    };
    let change = pullrequest.as_ref().map(|pull| extract::Change {
        author_association: association(pull, &repository),
        ..extract_of(pull, "")
    });
    let place = place(delivery.webhook, repository)?;
    let mut change = change;
    if let (Some(change), Some(pull)) = (&mut change, &pullrequest) {
        change.source.repository_url = clone_url(pull, &place).map(Cow::Owned);
    }
    let told = Told {
        on,
        comment: extract::Comment {
            id: Cow::Owned(comment.id.to_string()),
            commit: sha.clone(),
            path: borrow(comment.inline.as_ref().and_then(|inline| inline.path.as_ref())),
            body: borrow(comment.content.as_ref().and_then(|content| content.raw.as_ref()))
                .unwrap_or_default(),
            author: login(comment.user.as_ref()).or_else(|| login(actor.as_ref())),
            url: page(comment.links.as_ref()),
            ..extract::Comment::default()
        },
        change,
        time: time(delivery, comment.created_on),
    };
    write(delivery, told, &place, login(actor.as_ref()), out)
}

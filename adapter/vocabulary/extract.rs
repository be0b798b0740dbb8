//! `customData` of every event that comes from a forge: the small extract of the payload, in one shape for all forges.
//!
//! Mappings read these names, so they are a promise. Never the whole payload: that is the data of the raw event.

mod change;
mod comment;
mod deployment;
mod package;
mod run;
mod ticket;

use std::borrow::Cow;

use serde::Serialize;

pub use self::change::{Association, Change, ChangeSource, ChangeTarget, is_fork};
pub use self::comment::Comment;
pub use self::deployment::{Approval, Deployment};
pub use self::package::Package;
pub use self::run::Run;
pub use self::ticket::Ticket;

type Text<'a> = Cow<'a, str>;

fn is_empty(text: &Text<'_>) -> bool {
    text.is_empty()
}

/// The extract; what the event is about decides which of the lower parts are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extract<'a> {
    /// Which forge said what.
    pub forge: Origin<'a>,
    /// Login of the account whose deed it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Text<'a>>,
    /// The repository that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository<'a>>,
    /// The change: a pull request or merge request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change<'a>>,
    /// What was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<Push<'a>>,
    /// The release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release<'a>>,
    /// The review of the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review<'a>>,
    /// The comment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Comment<'a>>,
    /// The ticket: an issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket<'a>>,
    /// The run of the forge's own automation: a pipeline, a task of one, a check or a commit status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run<'a>>,
    /// The deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment<'a>>,
    /// The approval that a deployment waits for, or has got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval<'a>>,
    /// The package, with the version that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<Package<'a>>,
    /// What the repository was called before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Name<'a>>,
}

/// Which forge said what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin<'a> {
    /// `github`.
    pub name: &'static str,
    /// The forge's name of the event, such as `pull_request`.
    pub event: Text<'a>,
    /// The forge's name of the action, such as `synchronize`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Text<'a>>,
    /// The forge's id of the delivery.
    pub delivery: Text<'a>,
}

/// A repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository<'a> {
    /// The account that it belongs to.
    pub owner: Text<'a>,
    /// Its name without the owner.
    pub name: Text<'a>,
    /// The page for people; absent (empty) when the forge does not say on which host it is.
    #[serde(skip_serializing_if = "is_empty")]
    pub url: Text<'a>,
    /// What `git clone` takes, over HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clone_url: Option<Text<'a>>,
    /// The same over SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_url: Option<Text<'a>>,
    /// The branch that changes are made against by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<Text<'a>>,
}

/// What a repository is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Name<'a> {
    /// The account that it belongs to.
    pub owner: Text<'a>,
    /// Its name without the owner.
    pub name: Text<'a>,
}

/// What was pushed. A forge may tell of a new branch without its commits (GitHub's `create`): then the commits are
/// absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Push<'a> {
    /// The full name, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub reference: Text<'a>,
    /// The branch, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Text<'a>>,
    /// The tag, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Text<'a>>,
    /// The commit before; absent for a new ref.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Text<'a>>,
    /// What the ref points to after; absent for a deleted ref. Of an annotated tag that is an object of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Text<'a>>,
    /// The commit that this leads to; absent where the forge does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Text<'a>>,
    /// Whether commits were taken away; absent when the forge does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<bool>,
    /// How many commits the forge lists; it may list fewer than were pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commits: Option<u64>,
}

/// A release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release<'a> {
    /// The tag.
    pub tag: Text<'a>,
    /// Its title: untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// Login of its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Text<'a>>,
    /// The branch or commit that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Text<'a>>,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether its author calls it not ready for production.
    pub prerelease: bool,
    /// The file that the event is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<Asset<'a>>,
}

/// A file of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset<'a> {
    /// Its file name.
    pub name: Text<'a>,
    /// Where it can be downloaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Text<'a>>,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its checksum as `sha256:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Text<'a>>,
}

/// A review of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review<'a> {
    /// `approved`, `changes_requested`, `commented` or `dismissed`.
    pub state: Text<'a>,
    /// Login of the reviewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Text<'a>>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// The commit that was reviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Text<'a>>,
}

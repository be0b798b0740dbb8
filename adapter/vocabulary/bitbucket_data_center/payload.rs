//! The parts of Bitbucket Data Center's payloads that we read, borrowed from the body; everything that it leaves out or sets
//! to `null` somewhere is optional.

use serde::Deserialize;

use crate::vocabulary::read::{Millis, Text, When};

/// Any event: whose repository it is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Whose<'a> {
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    pull_request: Option<Target<'a>>,
    /// Of `repo:modified`.
    #[serde(borrow)]
    new: Option<Repository<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    #[serde(borrow)]
    to_ref: Option<TargetRef<'a>>,
}

#[derive(Debug, Deserialize)]
struct TargetRef<'a> {
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
}

/// `repo:refs_changed`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push<'a> {
    pub date: Option<When>,
    #[serde(borrow)]
    pub actor: Option<User<'a>>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub changes: Option<Vec<Option<RefChange<'a>>>>,
    /// What a push of one ref leads to; not every version sends it.
    #[serde(borrow)]
    pub to_commit: Option<Commit<'a>>,
}

/// What became of one ref.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefChange<'a> {
    #[serde(borrow)]
    pub ref_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub from_hash: Option<Text<'a>>,
    #[serde(borrow)]
    pub to_hash: Option<Text<'a>>,
    /// `ADD`, `UPDATE` or `DELETE`.
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
}

/// `pr:*`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change<'a> {
    pub date: Option<When>,
    #[serde(borrow)]
    pub actor: Option<User<'a>>,
    #[serde(borrow)]
    pub pull_request: PullRequest<'a>,
    /// The newest commit before `pr:from_ref_updated`.
    #[serde(borrow)]
    pub previous_from_hash: Option<Text<'a>>,
    #[serde(borrow)]
    pub participant: Option<Participant<'a>>,
}

/// Its times are milliseconds since 1970, or text as that of `date`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest<'a> {
    pub id: u64,
    /// Counts editions.
    pub version: Option<u64>,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
    pub draft: Option<bool>,
    /// `OPEN`, `MERGED` or `DECLINED`.
    #[serde(borrow)]
    pub state: Option<Text<'a>>,
    pub created_date: Option<Millis>,
    pub closed_date: Option<Millis>,
    #[serde(borrow)]
    pub from_ref: Option<Side<'a>>,
    #[serde(borrow)]
    pub to_ref: Option<Side<'a>>,
    #[serde(borrow)]
    pub author: Option<Participant<'a>>,
    #[serde(borrow)]
    pub links: Option<Links<'a>>,
    #[serde(borrow)]
    pub properties: Option<Properties<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Side<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub latest_commit: Option<Text<'a>>,
    #[serde(borrow)]
    pub repository: Option<Repository<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Properties<'a> {
    #[serde(borrow)]
    pub merge_commit: Option<Commit<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Commit<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant<'a> {
    #[serde(borrow)]
    pub user: Option<User<'a>>,
    #[serde(borrow)]
    pub last_reviewed_commit: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct User<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Repository<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub slug: Text<'a>,
    #[serde(borrow)]
    pub project: Project<'a>,
    /// Not every version sends them.
    #[serde(borrow)]
    pub links: Option<Links<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Project<'a> {
    #[serde(borrow)]
    pub key: Text<'a>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Links<'a> {
    #[serde(borrow, rename = "self")]
    pub this: Option<Vec<Option<Link<'a>>>>,
    #[serde(borrow)]
    pub clone: Option<Vec<Option<Link<'a>>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Link<'a> {
    #[serde(borrow)]
    pub href: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}

// === impl PullRequest ===

impl<'a> PullRequest<'a> {
    /// The repository that it would be merged into, which it belongs to.
    pub fn repository(&self) -> Option<&Repository<'a>> {
        self.to_ref.as_ref()?.repository.as_ref()
    }
}

// === impl Whose ===

impl<'a> Whose<'a> {
    /// The repository that a source can be made of.
    pub fn repository(self) -> Option<Repository<'a>> {
        let of_change = || self.pull_request?.to_ref?.repository;
        self.repository
            .or(self.new)
            .or_else(of_change)
            .filter(|it| !it.slug.is_empty() && !it.project.key.is_empty())
    }
}

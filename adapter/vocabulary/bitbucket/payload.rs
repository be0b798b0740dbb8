//! The parts of Bitbucket Cloud's payloads that we read, borrowed from the body; everything that it leaves out or sets to
//! `null` somewhere is optional.

use serde::Deserialize;

use crate::vocabulary::read::{Count, Text, When};

/// `repo:push`.
#[derive(Debug, Deserialize)]
pub struct PushEvent<'a> {
    #[serde(borrow)]
    pub push: Option<Changes<'a>>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub actor: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Changes<'a> {
    #[serde(borrow)]
    pub changes: Option<Vec<Option<RefChange<'a>>>>,
}

/// What became of one ref.
#[derive(Debug, Deserialize)]
pub struct RefChange<'a> {
    /// `null` when it was made.
    #[serde(borrow)]
    pub old: Option<Ref<'a>>,
    /// `null` when it was taken away.
    #[serde(borrow)]
    pub new: Option<Ref<'a>>,
    pub forced: Option<bool>,
    /// At most five.
    pub commits: Option<Count>,
}

#[derive(Debug, Deserialize)]
pub struct Ref<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub target: Option<Commit<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Commit<'a> {
    #[serde(borrow)]
    pub hash: Option<Text<'a>>,
    pub date: Option<When>,
}

/// `pullrequest:*`.
#[derive(Debug, Deserialize)]
pub struct Change<'a> {
    #[serde(borrow)]
    pub pullrequest: PullRequest<'a>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub actor: Option<Account<'a>>,
    #[serde(borrow)]
    pub approval: Option<Review<'a>>,
    #[serde(borrow)]
    pub changes_request: Option<Review<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Review<'a> {
    pub date: Option<When>,
    #[serde(borrow)]
    pub user: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct PullRequest<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
    #[serde(borrow)]
    pub links: Option<Links<'a>>,
    #[serde(borrow)]
    pub author: Option<Account<'a>>,
    pub draft: Option<bool>,
    #[serde(borrow)]
    pub source: Option<Side<'a>>,
    #[serde(borrow)]
    pub destination: Option<Side<'a>>,
    #[serde(borrow)]
    pub merge_commit: Option<Commit<'a>>,
    pub created_on: Option<When>,
    pub updated_on: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct Side<'a> {
    #[serde(borrow)]
    pub branch: Option<Branch<'a>>,
    /// Its hash has 12 digits.
    #[serde(borrow)]
    pub commit: Option<Commit<'a>>,
    /// `null` once the repository is deleted.
    #[serde(borrow)]
    pub repository: Option<SideRepository<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Branch<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct SideRepository<'a> {
    #[serde(borrow)]
    pub uuid: Option<Text<'a>>,
    #[serde(borrow)]
    pub full_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Repository<'a> {
    #[serde(borrow)]
    pub uuid: Option<Text<'a>>,
    #[serde(borrow)]
    pub full_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub links: Option<Links<'a>>,
    #[serde(borrow)]
    pub owner: Option<Account<'a>>,
    #[serde(borrow)]
    pub mainbranch: Option<Branch<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Links<'a> {
    #[serde(borrow)]
    pub html: Option<Link<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Link<'a> {
    #[serde(borrow)]
    pub href: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub struct Account<'a> {
    #[serde(borrow)]
    pub username: Option<Text<'a>>,
    #[serde(borrow)]
    pub nickname: Option<Text<'a>>,
    #[serde(borrow)]
    pub display_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub uuid: Option<Text<'a>>,
}

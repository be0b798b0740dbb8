//! The parts of GitHub's payloads that we read, borrowed from the body; everything that GitHub itself leaves out or
//! sets to `null` somewhere is optional.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::vocabulary::read::{Count, List, Text, When};

/// `push`.
#[derive(Debug, Deserialize)]
pub struct Push<'a> {
    #[serde(borrow, rename = "ref")]
    pub reference: Text<'a>,
    #[serde(borrow)]
    pub before: Option<Text<'a>>,
    #[serde(borrow)]
    pub after: Option<Text<'a>>,
    pub created: Option<bool>,
    pub deleted: Option<bool>,
    pub forced: Option<bool>,
    pub commits: Option<Count>,
    #[serde(borrow)]
    pub head_commit: Option<Commit<'a>>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Commit<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    pub timestamp: Option<When>,
}

/// `create` and `delete`.
#[derive(Debug, Deserialize)]
pub struct Announcement<'a> {
    #[serde(borrow, rename = "ref")]
    pub reference: Text<'a>,
    #[serde(borrow)]
    pub ref_type: Text<'a>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

/// `pull_request` and `pull_request_review`.
#[derive(Debug, Deserialize)]
pub struct Change<'a> {
    #[serde(borrow)]
    pub pull_request: PullRequest<'a>,
    #[serde(borrow)]
    pub review: Option<Review<'a>>,
    /// What an `edited` changed; compared as text only.
    #[serde(borrow)]
    pub changes: Option<&'a RawValue>,
    /// The newest commit before a `synchronize`.
    #[serde(borrow)]
    pub before: Option<Text<'a>>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

/// What an action of `pull_request` added or took away.
#[derive(Debug, Deserialize)]
pub struct Details<'a> {
    #[serde(borrow)]
    label: Option<Label<'a>>,
    #[serde(borrow)]
    assignee: Option<Account<'a>>,
    #[serde(borrow)]
    requested_reviewer: Option<Account<'a>>,
    #[serde(borrow)]
    requested_team: Option<Named<'a>>,
    #[serde(borrow)]
    milestone: Option<Named<'a>>,
}

/// A team by its name, a milestone by its title.
#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow, alias = "title")]
    name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct PullRequest<'a> {
    pub number: u64,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub user: Option<Account<'a>>,
    /// What the author is to the repository; Gitea does not tell.
    #[serde(borrow)]
    pub author_association: Option<Text<'a>>,
    pub draft: Option<bool>,
    #[serde(borrow)]
    pub labels: Option<List<Label<'a>>>,
    #[serde(borrow)]
    pub head: Option<Side<'a>>,
    #[serde(borrow)]
    pub base: Option<Side<'a>>,
    pub merged: Option<bool>,
    #[serde(borrow)]
    pub merge_commit_sha: Option<Text<'a>>,
    pub review_comments: Option<u64>,
    pub created_at: Option<When>,
    pub updated_at: Option<When>,
    pub closed_at: Option<When>,
    pub merged_at: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct Label<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub struct Side<'a> {
    #[serde(borrow, rename = "ref")]
    pub branch: Option<Text<'a>>,
    #[serde(borrow)]
    pub sha: Option<Text<'a>>,
    /// `null` once the repository is deleted.
    #[serde(borrow)]
    pub repo: Option<SideRepository<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct SideRepository<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub full_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub clone_url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Review<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub state: Option<Text<'a>>,
    #[serde(borrow)]
    pub user: Option<Account<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub commit_id: Option<Text<'a>>,
    pub submitted_at: Option<When>,
    pub updated_at: Option<When>,
}

/// `release`.
#[derive(Debug, Deserialize)]
pub struct ReleaseEvent<'a> {
    #[serde(borrow)]
    pub release: Release<'a>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Release<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub tag_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub target_commitish: Option<Text<'a>>,
    #[serde(borrow)]
    pub author: Option<Account<'a>>,
    pub draft: Option<bool>,
    pub prerelease: Option<bool>,
    pub published_at: Option<When>,
    pub updated_at: Option<When>,
    #[serde(borrow)]
    pub assets: Option<Vec<Option<Asset<'a>>>>,
}

#[derive(Debug, Deserialize)]
pub struct Asset<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub browser_download_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub content_type: Option<Text<'a>>,
    pub size: Option<u64>,
    #[serde(borrow)]
    pub digest: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Repository<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub full_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub owner: Option<Account<'a>>,
    #[serde(borrow)]
    pub html_url: Text<'a>,
    #[serde(borrow)]
    pub clone_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub ssh_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub default_branch: Option<Text<'a>>,
    pub pushed_at: Option<When>,
    pub created_at: Option<When>,
    pub updated_at: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct Account<'a> {
    #[serde(borrow)]
    pub login: Option<Text<'a>>,
}

// === impl PullRequest ===

impl PullRequest<'_> {
    /// The newest commit; empty when it is not told.
    pub fn head_sha(&self) -> &str {
        self.head.as_ref().and_then(|head| head.sha.as_deref()).unwrap_or_default()
    }
}

// === impl Details ===

impl Details<'_> {
    /// Where the name stands.
    pub const FIELDS: &'static [&'static str] =
        &["label", "assignee.login", "requested_reviewer.login", "requested_team.name", "milestone.title"];

    /// What was added or taken away; empty when it has no name.
    pub fn name(&self) -> &str {
        let accounts = [&self.assignee, &self.requested_reviewer];
        let login = accounts.into_iter().flatten().find_map(|it| it.login.as_deref());
        let named = [&self.requested_team, &self.milestone];
        let name = named.into_iter().flatten().find_map(|it| it.name.as_deref());
        self.label.as_ref().map(|label| &*label.name).or(login).or(name).unwrap_or_default()
    }
}

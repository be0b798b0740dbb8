//! The parts of GitLab's payloads that we read, borrowed from the body; everything that GitLab itself leaves out or sets
//! to `null` somewhere is optional.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::vocabulary::read::{List, Text, When};

/// `push` and `tag_push`.
#[derive(Debug, Deserialize)]
pub struct Push<'a> {
    #[serde(borrow, rename = "ref")]
    pub reference: Text<'a>,
    #[serde(borrow)]
    pub before: Option<Text<'a>>,
    #[serde(borrow)]
    pub after: Option<Text<'a>>,
    /// The commit, also of an annotated tag.
    #[serde(borrow)]
    pub checkout_sha: Option<Text<'a>>,
    #[serde(borrow)]
    pub user_username: Option<Text<'a>>,
    /// At most 20, the newest last.
    #[serde(borrow)]
    pub commits: Option<List<Commit<'a>>>,
    pub total_commits_count: Option<u64>,
    #[serde(borrow)]
    pub project: Project<'a>,
}

#[derive(Debug, Deserialize)]
pub struct Commit<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    pub timestamp: Option<When>,
}

/// `merge_request`.
#[derive(Debug, Deserialize)]
pub struct Change<'a> {
    #[serde(borrow)]
    pub user: Option<User<'a>>,
    #[serde(borrow)]
    pub project: Project<'a>,
    #[serde(borrow, rename = "object_attributes")]
    pub request: MergeRequest<'a>,
    #[serde(borrow)]
    pub labels: Option<List<Label<'a>>>,
    /// What an `update` changed.
    #[serde(borrow)]
    pub changes: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub struct MergeRequest<'a> {
    pub iid: u64,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
    #[serde(borrow)]
    pub url: Option<Text<'a>>,
    pub author_id: Option<u64>,
    pub draft: Option<bool>,
    /// What `draft` was called before GitLab 14.
    pub work_in_progress: Option<bool>,
    #[serde(borrow)]
    pub source_branch: Option<Text<'a>>,
    pub source_project_id: Option<u64>,
    /// `null` once the project is deleted.
    #[serde(borrow)]
    pub source: Option<SideProject<'a>>,
    #[serde(borrow)]
    pub target_branch: Option<Text<'a>>,
    pub target_project_id: Option<u64>,
    #[serde(borrow)]
    pub last_commit: Option<Commit<'a>>,
    #[serde(borrow)]
    pub merge_commit_sha: Option<Text<'a>>,
    /// The newest commit before an `update` that pushed others.
    #[serde(borrow)]
    pub oldrev: Option<Text<'a>>,
    /// Set for what GitLab did itself, such as to take approvals back when somebody pushed.
    pub system: Option<bool>,
    pub created_at: Option<When>,
    pub updated_at: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct SideProject<'a> {
    #[serde(borrow)]
    pub git_http_url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Label<'a> {
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
}

/// What may change about a merge request and is worth an event; what the values are is nobody's business here.
#[derive(Debug, Deserialize)]
pub struct Changes<'a> {
    #[serde(borrow)]
    pub title: Option<&'a RawValue>,
    #[serde(borrow)]
    pub description: Option<&'a RawValue>,
    #[serde(borrow)]
    pub target_branch: Option<&'a RawValue>,
    #[serde(borrow)]
    pub draft: Option<&'a RawValue>,
}

/// `release`.
#[derive(Debug, Deserialize)]
pub struct Release<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub tag: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub url: Option<Text<'a>>,
    pub created_at: Option<When>,
    #[serde(borrow)]
    pub project: Project<'a>,
    #[serde(borrow)]
    pub assets: Option<Assets<'a>>,
    #[serde(borrow)]
    pub commit: Option<Commit<'a>>,
}

/// The files that somebody made; the archives of the source are in every release.
#[derive(Debug, Deserialize)]
pub struct Assets<'a> {
    #[serde(borrow)]
    pub links: Option<Vec<Option<AssetLink<'a>>>>,
}

#[derive(Debug, Deserialize)]
pub struct AssetLink<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Project<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub path_with_namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub web_url: Text<'a>,
    #[serde(borrow)]
    pub git_http_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub git_ssh_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub default_branch: Option<Text<'a>>,
}

/// Old versions send no id.
#[derive(Debug, Deserialize)]
pub struct User<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub username: Option<Text<'a>>,
}

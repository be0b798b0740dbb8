//! What a forge tells of a deployment and of the approval that it waits for.

use serde::Serialize;

use super::Text;

/// A deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment<'a> {
    /// The forge's id of the deployment.
    pub id: Text<'a>,
    /// The name of the environment.
    pub environment: Text<'a>,
    /// What is done, such as `deploy` or `rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Text<'a>>,
    /// How it goes, in the forge's word, such as `in_progress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Text<'a>>,
    /// What it is or what happened, in somebody's words: untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<'a>>,
    /// The branch, tag or commit that was asked for.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<'a>>,
    /// The commit that is deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<Text<'a>>,
    /// Login of whoever asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Text<'a>>,
    /// Where what was deployed can be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_url: Option<Text<'a>>,
    /// The page that tells how it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// Whether users meet the environment; absent when the forge does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<bool>,
    /// Whether the environment will go away; absent when the forge does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient: Option<bool>,
}

/// The approval that a deployment waits for, or has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval<'a> {
    /// `requested`, `approved` or `rejected`.
    pub state: Text<'a>,
    /// The name of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<Text<'a>>,
    /// Login of whoever wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requestor: Option<Text<'a>>,
    /// Login of whoever decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responder: Option<Text<'a>>,
    /// What that one wrote: untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<Text<'a>>,
    /// Logins of the accounts and names of the teams that may decide.
    pub reviewers: Vec<Text<'a>>,
    /// The page where it is decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
}

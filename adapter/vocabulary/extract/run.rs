//! What a forge tells of its own automation.

use serde::Serialize;

use super::Text;

/// A run of the forge's own automation: a pipeline or a task of one, a check, a commit status. Whether it is queued,
/// started or finished is the type of the event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Run<'a> {
    /// The forge's id of the run, job, check or status.
    pub id: Text<'a>,
    /// The name of the pipeline or task; of a commit status its context.
    pub name: Text<'a>,
    /// The name of the pipeline that the task is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Text<'a>>,
    /// The file in the repository that says what the pipeline does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Text<'a>>,
    /// Which attempt it is, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// What started the pipeline, in the forge's word, such as `push` or `schedule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Text<'a>>,
    /// How it ended, in the forge's word, such as `neutral` or `timed_out`; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<Text<'a>>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// The name of the App or service that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<Text<'a>>,
    /// The branch that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<Text<'a>>,
    /// The commit that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<Text<'a>>,
    /// The numbers of the changes of this repository that it is for, as far as the forge tells them.
    pub changes: Vec<u64>,
}

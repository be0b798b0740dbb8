//! What a forge tells of a ticket.

use serde::Serialize;

use super::Text;

/// A ticket: an issue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket<'a> {
    /// Its number in the repository.
    pub number: u64,
    /// Its title, as its author wrote it: untrusted text.
    pub title: Text<'a>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// Login of its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Text<'a>>,
    /// `open` or `closed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Text<'a>>,
    /// Why it is closed, in the forge's word, such as `not_planned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<'a>>,
    /// The name of its type, where the forge has types.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text<'a>>,
    /// Names of its labels.
    pub labels: Vec<Text<'a>>,
    /// Logins of those who are to work on it.
    pub assignees: Vec<Text<'a>>,
    /// The title of its milestone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milestone: Option<Text<'a>>,
    /// How urgent it is, where the forge has a word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Text<'a>>,
}

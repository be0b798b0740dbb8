//! The part of the extract about a comment.

use serde::Serialize;

use super::{Association, Text};

/// A comment on a change, a ticket or a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment<'a> {
    /// The forge's id of it.
    pub id: Text<'a>,
    /// What it is on: `change`, `ticket` or `commit`.
    pub on: &'static str,
    /// The number of the change or ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The commit that it is on, or that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Text<'a>>,
    /// The file that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Text<'a>>,
    /// Its text, or the first 16 KiB of it: untrusted text.
    pub body: Text<'a>,
    /// Login of its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Text<'a>>,
    /// What its author is to the repository.
    pub author_association: Association,
    /// Whether its author is a program; absent when the forge does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot: Option<bool>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
}

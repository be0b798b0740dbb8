//! What users may want otherwise of how payloads are read.

use serde::{Deserialize, Serialize};

use super::outcome::Outcomes;
use super::scope::Scope;

/// How the payloads of all forges are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the ends of runs are in the words of `CDEvents`.
    pub outcomes: Outcomes,
    /// Which events are told besides the usual ones.
    pub optional: Vec<Optional>,
    /// What the source that they come to may tell of.
    pub scope: Scope,
}

/// Events that most people do not want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Optional {
    /// What a scanner finds is a ticket.
    Alerts,
    /// Labels, assignees, reviewers and the like of a change are an update of it.
    ChangeDetails,
    /// A comment is an event of its own.
    Comments,
    /// A push to the default branch is a change that was merged, even without a pull request.
    DirectPush,
    /// Somebody asks for a run.
    Dispatches,
    /// The queue of merges wants its checks: an update of the change.
    MergeGroups,
    /// A comment on a ticket is an update of it.
    TicketComments,
}

/// All of them, by their names in settings, and what each does in a sentence for people.
pub static OPTIONAL: &[(Optional, &str, &str)] = &[
    (
        Optional::Alerts,
        "alerts",
        "what Dependabot, code scanning and secret scanning find is a ticket (GitHub)",
    ),
    (
        Optional::ChangeDetails,
        "changeDetails",
        "labels, assignees, requested reviewers, milestones and locks of a change are a `change.updated` (GitHub, GitLab, \
         Gitea, Forgejo)",
    ),
    (
        Optional::Comments,
        "comments",
        "a new comment on a change, a ticket or a commit is a `dev.cdeventsx.forge-comment.created`, whose text is in \
         `customData.comment.body` (all forges)",
    ),
    (
        Optional::DirectPush,
        "directPush",
        "a push that moves the default branch is a `change.merged` whose subject is the commit, besides \
         `git-ref.updated`; the merge of a pull request is such a push too (all but Bitbucket Data Center, which does not \
         tell the default branch)",
    ),
    (
        Optional::Dispatches,
        "dispatches",
        "`workflow_dispatch` and `repository_dispatch` are a `dev.cdeventsx.forge-dispatch.requested` (GitHub)",
    ),
    (
        Optional::MergeGroups,
        "mergeGroups",
        "`merge_group` with `checks_requested` is a `change.updated` whose source is the branch of the queue (GitHub)",
    ),
    (
        Optional::TicketComments,
        "ticketComments",
        "a new comment on a ticket is a `ticket.updated` (GitHub, Gitea, Forgejo)",
    ),
];

// === impl Options ===

impl Options {
    /// Everything is told.
    pub fn everything() -> Self {
        Self { optional: OPTIONAL.iter().map(|(optional, ..)| *optional).collect(), ..Self::default() }
    }

    /// Whether these events are wanted.
    pub fn wants(&self, optional: Optional) -> bool {
        self.optional.contains(&optional)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_is_listed_by_the_name_that_settings_have_for_it() {
        for (optional, name, _) in OPTIONAL {
            assert_eq!(serde_json::to_value(optional).unwrap(), *name);
        }
        let listed: Vec<&str> = OPTIONAL.iter().map(|(_, name, _)| *name).collect();
        let error = serde_json::from_str::<Optional>("\"everything\"").unwrap_err().to_string();
        assert!(listed.iter().all(|name| error.contains(&format!("`{name}`"))), "{error}");
    }
}

//! The types of raw events, as the forges document their events: a line for each, with what follows its name in the type.
//!
//! A forge may invent an event tomorrow, which is told by the same rule. This is for saying that a mapping waits for
//! something that no forge is known to send, and nothing is refused by it.

/// What follows the name of an event in the type of its raw event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// Nothing.
    Never,
    /// Always one of the words.
    One(&'static str),
    /// One of the words, or nothing.
    Maybe(&'static str),
    /// Whatever the forge says, or nothing.
    Free,
}

/// One event of a forge.
#[derive(Clone, Copy, Debug)]
pub struct RawEvent {
    /// What the type begins with, such as `com.github.`.
    pub prefix: &'static str,
    /// The name in the type, such as `pull_request`.
    pub name: &'static str,
    /// What follows it.
    pub suffix: Suffix,
}

/// `-` stands for nothing, `*` for anything, `?` for one of the words or nothing, and words alone for one of them.
const GITHUB: &str = "
push -
create branch tag
delete branch tag
fork -
public -
gollum -
page_build -
ping -
deployment -
workflow_dispatch -
deployment_status error failure inactive in_progress pending queued success waiting
status error failure pending success
check_run completed created requested_action rerequested
check_suite completed requested rerequested
commit_comment created
issue assigned closed deleted demilestoned edited labeled locked milestoned opened pinned reopened transferred typed \
 unassigned unlabeled unlocked unpinned untyped
issue_comment created deleted edited pinned unpinned
label created deleted edited
merge_group checks_requested destroyed
milestone closed created deleted edited opened
package published updated
pull_request assigned auto_merge_disabled auto_merge_enabled closed converted_to_draft demilestoned dequeued edited enqueued \
 labeled locked milestoned opened ready_for_review reopened review_request_removed review_requested synchronize unassigned \
 unlabeled unlocked
pull_request_review dismissed edited submitted
pull_request_review_comment created deleted edited
pull_request_review_thread resolved unresolved
registry_package published updated
release created deleted edited prereleased published released unpublished
repository archived created deleted edited privatized publicized renamed transferred unarchived
star created deleted
watch started
workflow_job completed in_progress queued waiting
workflow_run completed in_progress requested
branch_protection_configuration *
branch_protection_rule *
code_scanning_alert *
content_reference *
custom_property *
custom_property_promoted_to_enterprise *
custom_property_values *
dependabot_alert *
deploy_key *
deployment_protection_rule *
deployment_review *
discussion *
discussion_comment *
enterprise *
exemption_request_push_ruleset *
exemption_request_secret_scanning *
github_app_authorization *
installation *
installation_repository *
installation_repositories *
installation_target *
issue_dependencies *
marketplace_purchase *
member *
membership *
meta *
org_block *
organization *
personal_access_token_request *
project *
project_card *
project_column *
projects_v2 *
projects_v2_item *
projects_v2_status_update *
repository_advisory *
repository_dispatch *
repository_import *
repository_ruleset *
repository_vulnerability_alert *
secret_scanning_alert *
secret_scanning_alert_location *
secret_scanning_scan *
security_advisory *
security_and_analysis *
sponsorship *
sub_issues *
team *
team_add *
";

const GITLAB: &str = "
push -
tag_push -
issue closed locked opened
merge_request ? approval approved close merge open reopen unapproval unapproved update
note ? abuse_report commit epic issue merge_request project_snippet snippet vulnerability wiki_page
pipeline canceled canceling created failed manual pending preparing running scheduled skipped success \
 waiting_for_callback waiting_for_resource
job canceled canceling created failed manual pending preparing running scheduled skipped success \
 waiting_for_callback waiting_for_resource
wiki_page create delete update
release create delete update
deployment *
access_token *
emoji *
feature_flag *
gitlab_subscription_member_approval *
gitlab_subscription_member_approvals *
group_create *
group_destroy *
group_rename *
key_create *
key_destroy *
member_approval *
milestone *
project *
project_create *
project_destroy *
project_rename *
project_transfer *
project_update *
repository_update *
resource_access_token *
resource_deploy_token *
subgroup_create *
subgroup_destroy *
user_access_request_denied_for_group *
user_access_request_denied_for_project *
user_access_request_revoked_for_group *
user_access_request_revoked_for_project *
user_access_request_to_group *
user_access_request_to_project *
user_add_to_group *
user_add_to_team *
user_create *
user_destroy *
user_failed_login *
user_remove_from_group *
user_remove_from_team *
user_rename *
user_update_for_group *
user_update_for_team *
vulnerability *
work_item *
";

const GITEA: &str = "
push -
create branch tag
delete branch tag
fork *
issues assigned closed deleted demilestoned edited label_cleared label_updated milestoned opened reopened unassigned
issue_comment created deleted edited
pull_request assigned closed demilestoned edited label_cleared label_updated milestoned opened ready_for_review reopened \
 review_request_removed review_requested reviewed synchronized unassigned
pull_request_approved reviewed
pull_request_comment ? created deleted edited reviewed
pull_request_rejected reviewed
package created deleted
release deleted published updated
repository created deleted
status error failure pending skipped success warning
wiki created deleted edited renamed
workflow_job *
workflow_run *
action_run_failure *
action_run_recover *
action_run_success *
issue_assign *
issue_label *
issue_milestone *
pull_request_assign *
pull_request_label *
pull_request_milestone *
pull_request_review *
pull_request_review_approved *
pull_request_review_comment *
pull_request_review_rejected *
pull_request_review_request *
pull_request_sync *
schedule *
workflow_dispatch *
";

const BITBUCKET: &str = "
repo.push -
repo.fork -
repo.updated -
repo.transfer -
repo.created -
repo.deleted -
repo.imported -
repo.commit_comment_created -
repo.commit_status_created -
repo.commit_status_updated -
issue.created -
issue.updated -
issue.comment_created -
pullrequest.approved -
pullrequest.changes_request_created -
pullrequest.changes_request_removed -
pullrequest.comment_created -
pullrequest.comment_deleted -
pullrequest.comment_reopened -
pullrequest.comment_resolved -
pullrequest.comment_updated -
pullrequest.created -
pullrequest.fulfilled -
pullrequest.push -
pullrequest.rejected -
pullrequest.unapproved -
pullrequest.updated -
project.updated -
repo.refs_changed -
repo.modified -
repo.forked -
repo.secret_detected -
repo.comment added deleted edited
pr.opened -
pr.from_ref_updated -
pr.modified -
pr.merged -
pr.declined -
pr.deleted -
pr.comment added deleted edited
pr.reviewer approved changes_requested needs_work unapproved updated
mirror.repo_synchronized -
mirror *
diagnostics.ping -
project *
";

/// The prefixes of the types, each with its forge's events. Both Bitbuckets have the one.
static FORGES: &[(&str, &str)] = &[
    ("com.github.", GITHUB),
    ("com.gitlab.", GITLAB),
    ("com.gitea.", GITEA),
    ("com.forgejo.", GITEA),
    ("com.bitbucket.", BITBUCKET),
];

/// What the types of raw events begin with.
pub fn prefixes() -> impl Iterator<Item = &'static str> {
    FORGES.iter().map(|(prefix, _)| *prefix)
}

/// Every event of every forge.
pub fn events() -> impl Iterator<Item = RawEvent> {
    FORGES.iter().flat_map(|(prefix, text)| {
        text.lines().filter(|line| !line.is_empty()).map(|line| {
            let (name, rest) = line.split_once(' ').unwrap_or((line, "*"));
            let suffix = match rest.split_at_checked(1) {
                Some(("-", "")) => Suffix::Never,
                Some(("*", "")) => Suffix::Free,
                Some(("?", words)) => Suffix::Maybe(words),
                _ => Suffix::One(rest),
            };
            RawEvent { prefix, name, suffix }
        })
    })
}

// === impl RawEvent ===

impl RawEvent {
    /// The type without what follows the event's name.
    pub fn stem(&self) -> String {
        format!("{}{}", self.prefix, self.name)
    }

    /// The words that may follow.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let (Suffix::One(words) | Suffix::Maybe(words)) = self.suffix else { return "".split_whitespace() };
        words.split_whitespace()
    }

    /// Whether the type may end with the event's name.
    pub fn may_stand_alone(&self) -> bool {
        !matches!(self.suffix, Suffix::One(_))
    }
}

//! The names in the payloads of forges at the places that mappings look at most, so that a slip of the finger can be told.

/// A forge's prefix of types, an object in its payloads, and the members that the object has in whatever event. A forge may add
/// others, so that a name that is not here is only told where it is nearly one that is.
pub(super) static PAYLOADS: &[(&str, &[&str], &str)] = &[
    (
        "com.github.",
        &[],
        "action advisory after alert answer assignee avatar_url base_ref before blocked_user branch branches \
         build changes check_run check_suite client_payload comment commit commit_oid commits compare context \
         created created_at definition deleted deployment deployment_status description discussion \
         effective_date enterprise environment event exemption_request forced forkee head_commit hook hook_id \
         id inputs installation invitation issue issue_comment key label marketplace_purchase master_branch \
         member membership merge_group milestone name new_property_values number old_property_values \
         organization package pages parent_issue performed_via_github_app personal_access_token_request \
         project project_card project_column projects_v2 projects_v2_item projects_v2_status_update \
         pull_request pusher pusher_type reason ref ref_type registry_package release repositories \
         repositories_added repositories_removed repository repository_ruleset repository_selection \
         requested_reviewer requested_team requester requestor required_workflow review reviewers rule scope \
         security_advisory sender sha since sponsorship starred_at state status sub_issue target_url team \
         thread updated_at user user_property workflow workflow_job workflow_job_run workflow_run zen",
    ),
    (
        "com.github.",
        &["pull_request"],
        "_links active_lock_reason additions assignee assignees author_association auto_merge base body \
         changed_files closed_at comments comments_url commits commits_url created_at deletions diff_url \
         draft head html_url id issue_url labels locked maintainer_can_modify merge_commit_sha mergeable \
         mergeable_state merged merged_at merged_by milestone node_id number patch_url rebaseable \
         requested_reviewers requested_teams review_comment_url review_comments review_comments_url stack \
         state statuses_url title updated_at url user",
    ),
    ("com.github.", &["pull_request", "head"], "label ref repo sha user"),
    ("com.github.", &["pull_request", "base"], "label ref repo sha user"),
    (
        "com.github.",
        &["head_commit"],
        "added author committer distinct id message modified removed timestamp tree_id url",
    ),
    (
        "com.gitlab.",
        &[],
        "access_level access_token action after approval_rules assets assignees before before_sha \
         build_allow_failure build_created_at build_duration build_failure_reason build_finished_at build_id \
         build_name build_queued_duration build_stage build_started_at build_status builds changes \
         changes_count checkout_sha commit commit_title commit_url commits created_at deploy_token \
         deployable_id deployable_url deployment_id description email emoji environment \
         environment_external_url environment_slug environment_tier event_name expires_at feature_flag \
         full_path group group_access group_id group_name group_path group_plan id issue job_id job_name \
         job_status labels merge_request message milestone name object_attributes object_kind old_path \
         old_path_with_namespace owner_email owner_name owners parent_full_path parent_group_id parent_name \
         parent_path path path_with_namespace pipeline_id project project_id project_name project_visibility \
         push_options ref ref_protected refs released_at repository repository_url retries_count reviewers \
         runner sha short_sha snippet source_pipeline stage status status_changed_at system system_action tag \
         tag_list total_commits_count triggered_by_id updated_at url user user_avatar user_email user_id \
         user_name user_username username vulnerability wiki work_item",
    ),
    (
        "com.gitlab.",
        &["object_attributes"],
        "action active approval_rules assignee assignee_id assignee_ids assignees attachment author_id \
         awardable_id awardable_type awarded_on_url before_sha blocking_discussions_resolved branch_name \
         change_position closed_at commit_id confidential content created_at cycle deleted_at description \
         detailed_merge_status detailed_status diff_url discussion_id discussion_locked draft due_date \
         duplicated_to_id duration escalation_policy escalation_status expired finished_at first_contribution \
         format group_id head_pipeline_id health_status human_time_estimate human_total_time_spent id iid \
         internal issue labels last_commit last_edited_at last_edited_by_id line_code merge_commit_sha \
         merge_error merge_params merge_status merge_user_id merge_when_pipeline_succeeds merged_at message \
         milestone milestone_id moved_to_id name note noteable_id noteable_type oldrev original_position \
         position prepared_at project_id protected_ref queued_duration ref relative_position resolved_at \
         resolved_by_id resolved_by_push reviewer_ids severity sha slug source source_branch \
         source_project_id st_diff stages start_date state status system system_action tag target \
         target_branch target_project_id time_estimate title total_time_spent type updated_at updated_by_id \
         url user_id variables version_id weight work_in_progress",
    ),
    ("com.gitlab.", &["object_attributes", "last_commit"], "author id message timestamp title url"),
    (
        "com.gitlab.",
        &["project"],
        "avatar_url ci_config_path default_branch description git_http_url git_ssh_url homepage http_url \
         http_url_to_repo id name namespace path_with_namespace ssh_url ssh_url_to_repo url visibility_level \
         web_url",
    ),
    (
        "com.gitea.",
        &[],
        "action action_run after assignee assignees base before body branches changes closed_at comment \
         comment_id comments commit commit_id commits compare_url context created_at description diff_url \
         due_date forkee head head_commit html_url id inputs is_pull issue label labels last_run merge_base \
         merge_commit_sha mergeable merged merged_at merged_by milestone number organization package page \
         patch_url prior_status pull_request pusher pusher_type ref ref_type release repository \
         requested_reviewer review run run_attempt schedule secret sender sha state target_url title \
         total_commits updated_at url user workflow workflow_job workflow_run",
    ),
    (
        "com.gitea.",
        &["pull_request"],
        "additions allow_maintainer_edit assets assignee assignees base body changed_files closed_at comments \
         content_version created_at deletions diff_url draft due_date flow head html_url id is_locked labels \
         merge_base merge_commit_sha mergeable merged merged_at merged_by milestone number patch_url \
         pin_order requested_reviewers requested_reviewers_teams review_comments state title updated_at url \
         user",
    ),
    ("com.gitea.", &["pull_request", "head"], "label ref repo repo_id sha"),
    ("com.gitea.", &["pull_request", "base"], "label ref repo repo_id sha"),
    (
        "com.bitbucket.",
        &[],
        "actor addedReviewers approval branch changes changesTruncated changes_request comment \
         commentParentId commit_status commits date diagnostics eventKey fork fromCommit issue mirrorServer \
         new old participant previousDescription previousDraft previousStatus previousTarget previousTitle \
         project pullRequest pullrequest push refLimitExceeded removedReviewers repository secret syncType \
         test toCommit transfer workspace",
    ),
    (
        "com.bitbucket.",
        &["pullrequest"],
        "author close_source_branch closed_by comment_count created_on description destination draft id links \
         merge_commit participants queued reason rendered reviewers source state summary task_count title \
         type updated_on",
    ),
];

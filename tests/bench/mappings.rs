//! Sets of mappings, as the texts of their files.

use std::fmt::Write as _;

/// How many types of events many mappings are for.
const TYPES: usize = 50;
/// What the push of the benchmark becomes.
const BRANCH_CREATED: &str = "dev.cdevents.branch.created";

/// The one that matches: it computes everything and then wants nothing.
const MATCH: &str = "\
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: match}
spec:
  events: [{type: dev.cdevents.branch.created}]
  filter:
    - cel: event.data.customData.push.branch != ''
  let:
    repo: {path: $.data.customData.repository.url, required: true}
    url: {path: $.data.customData.repository.cloneUrl, required: true}
    commit: {path: $.data.customData.push.after, default: \"\"}
    branch: {path: $.data.customData.push.branch, required: true}
  do:
    - name: build
      when: \"false\"
      pipelineRun:
        spec:
          pipelineRef: {name: build}
          params:
            - {name: repo-url, value: \"{{url}}\"}
            - {name: revision, value: \"{{commit}}\"}
            - {name: target, value: \"{{branch}}\"}
  dedupeBy: [repo, commit]
";

/// No mapping.
pub fn none() -> String {
    String::new()
}

/// `count` mappings of which one matches: for 50 types of events, so that every fiftieth is for this type but another
/// repository.
pub fn many(count: usize) -> String {
    others(count, |number| match number % TYPES {
        0 => BRANCH_CREATED.to_owned(),
        kind => format!("dev.cdeventsx.bench-thing{kind}.changed"),
    })
}

/// `count` mappings for the type of the push, of which one is for its repository.
pub fn of_one_type(count: usize) -> String {
    others(count, |_| BRANCH_CREATED.to_owned())
}

/// A run for every push, whatever it pushes.
pub fn run_for_every_push() -> String {
    let own = MATCH
        .replace("dev.cdevents.branch.created", "com.github.push")
        .replace("    - cel: event.data.customData.push.branch != ''\n", "")
        .replace("  filter:\n", "")
        .replace("$.data.customData.repository.url", "$.data.repository.html_url")
        .replace("$.data.customData.repository.cloneUrl", "$.data.repository.clone_url")
        .replace("$.data.customData.push.after", "$.data.after")
        .replace("$.data.customData.push.branch", "$.data.ref")
        .replace("      when: \"false\"\n", "");
    own.replace("  dedupeBy: [repo, commit]\n", "")
}

fn others(count: usize, ty: impl Fn(usize) -> String) -> String {
    let mut text = MATCH.to_owned();
    for number in 1..count {
        let _ = write!(
            text,
            "---
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: other-{number}}}
spec:
  events: [{{type: {}}}]
  filter:
    - exact: {{source: \"https://github.com/myorg/repository-{number}\"}}
  let:
    commit: {{path: $.data.customData.push.after, required: true}}
  do:
    - name: build
      pipelineRun:
        spec:
          pipelineRef: {{name: build}}
          params: [{{name: revision, value: \"{{{{commit}}}}\"}}]
",
            ty(number)
        );
    }
    text
}

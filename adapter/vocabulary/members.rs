//! Which members the data of an event that we tell may have, as far as its shape is ours or that of `CDEvents`.

mod payloads;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::schema::SHIPPED;
use super::types::{EventType, Extra, Field, Kind, resolve};

/// What is known of the members of an object in the data of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Nothing: anything may be there.
    Any,
    /// These; others may be there, from another sender.
    Usual(Vec<&'static str>),
    /// These and no others.
    Only(Vec<&'static str>),
    /// There is no such object.
    None,
}

const DATA: [&str; 4] = ["context", "subject", "customData", "customDataContentType"];
const CONTEXT: [&str; 9] =
    ["specversion", "version", "id", "source", "type", "timestamp", "schemaUri", "chainId", "links"];
const SUBJECT: [&str; 4] = ["id", "source", "type", "content"];

/// Members of `customData`, a line for each with its own members. `+` says that there may be others below.
const CUSTOM_DATA: &str = "
forge name event action delivery
sender
repository owner name url cloneUrl sshUrl defaultBranch
change number title url author authorAssociation draft labels mergeCommit source target
change.source branch sha before repositoryUrl fork
change.target branch sha
push ref branch tag before after commit forced commits
release tag name url author target draft prerelease asset
release.asset name url contentType size digest
comment id on number commit path body author authorAssociation bot url
ticket number title url author state reason type labels assignees milestone priority
run id name pipeline file attempt cause conclusion url app branch sha changes
deployment id environment task state description ref sha author environmentUrl url production transient
approval state environment requestor responder comment reviewers url
package type namespace name version tag digest image url sha
previous owner name
review state author url commit
tekton kind uid namespace name pipeline pipelineRun task status reason message results
tekton.results +
mapping
action
event id source type
delivery
service name version environment
original +
";

/// What `customData` has of an event of a subject, besides what all events of forges have; of other subjects anything.
/// Runs have what Tekton's have, too.
const BY_SUBJECT: [(&str, &str); 13] = [
    // A direct push may be told as a merge.
    ("dev.cdevents.change.merged", "change review push"),
    ("dev.cdevents.change.", "change review"),
    ("dev.cdevents.branch.", "push"),
    ("dev.cdeventsx.git-ref.", "push"),
    ("dev.cdeventsx.git-tag.", "push"),
    ("dev.cdevents.ticket.", "ticket"),
    ("dev.cdevents.repository.", "previous"),
    ("dev.cdeventsx.forge-comment.", "comment change"),
    ("dev.cdeventsx.forge-deployment.", "deployment"),
    ("dev.cdeventsx.forge-approval.", "approval deployment run"),
    ("dev.cdevents.pipelinerun.", "run tekton mapping action event delivery"),
    ("dev.cdevents.taskrun.", "run tekton mapping action event delivery"),
    ("dev.cdeventsx.tekton-pipelinerun.", "tekton mapping action event delivery"),
];
const BY_ALL: &str = "forge sender repository original";

/// The members below `path` in the payload of a raw event of a type.
pub fn raw_members(ty: &str, path: &[&str]) -> Members {
    // What Gitea sends, Forgejo sends.
    let ty =
        ty.strip_prefix("com.forgejo.").map_or_else(|| ty.to_owned(), |rest| format!("com.gitea.{rest}"));
    let of = |(prefix, place, _): &&(&str, &[&str], &str)| ty.starts_with(prefix) && *place == path;
    payloads::PAYLOADS
        .iter()
        .find(of)
        .map_or(Members::Any, |(.., names)| Members::Usual(names.split(' ').collect()))
}

/// The members below `path` in the data of an event of a type, which is without its version and one of those that are known.
pub fn members(ty: &str, path: &[&str]) -> Members {
    match path {
        [] => Members::Only(DATA.to_vec()),
        ["context"] => Members::Only(CONTEXT.to_vec()),
        ["subject"] => Members::Only(SUBJECT.to_vec()),
        ["subject", "content", inner @ ..] => match resolve(ty) {
            Some(ty) => content(ty, inner),
            None if inner.is_empty() => custom_content(ty),
            None => Members::Any,
        },
        ["customData", inner @ ..] => custom_data(ty, inner),
        _ => Members::Any,
    }
}

fn content(ty: &'static EventType, path: &[&str]) -> Members {
    let mut fields: &'static [Field] = ty.fields;
    for name in path {
        match fields.iter().find(|field| field.name == *name).map(|field| &field.kind) {
            Some(Kind::Object(inner, Extra::Refused)) => fields = inner,
            Some(_) => return Members::Any,
            None => return Members::None,
        }
    }
    Members::Only(fields.iter().map(|field| field.name).collect())
}

/// What our own schemas say.
fn custom_content(ty: &str) -> Members {
    static ALL: LazyLock<BTreeMap<&'static str, Vec<String>>> = LazyLock::new(|| {
        let mut all = BTreeMap::new();
        for (name, text) in SHIPPED {
            let Ok(schema) = serde_json::from_str::<Value>(text) else { continue };
            let content = &schema["properties"]["subject"]["properties"]["content"];
            let Some(properties) = content["properties"].as_object() else { continue };
            if content["additionalProperties"] == Value::Bool(false) {
                all.insert(&name[..name.len() - ".0.0.0".len()], properties.keys().cloned().collect());
            }
        }
        all
    });
    ALL.get(ty).map_or(Members::Any, |names| Members::Only(names.iter().map(String::as_str).collect()))
}

fn custom_data(ty: &str, path: &[&str]) -> Members {
    if path.is_empty() {
        let of_subject =
            BY_SUBJECT.iter().find(|(prefix, _)| ty.starts_with(prefix)).map(|(_, names)| *names);
        let names = match of_subject {
            Some(names) => names.split(' ').chain(BY_ALL.split(' ')).collect(),
            None => lines().map(|(name, _)| name).filter(|name| !name.contains('.')).collect(),
        };
        return Members::Usual(names);
    }
    match lines().find(|(name, _)| *name == path.join(".")) {
        Some((_, names)) if !["", "+"].contains(&names) => Members::Only(names.split(' ').collect()),
        _ => Members::Any,
    }
}

/// Every name that `customData` itself may have, of whatever event.
pub fn all_custom_data() -> impl Iterator<Item = &'static str> {
    lines().map(|(name, _)| name).filter(|name| !name.contains('.'))
}

fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = CUSTOM_DATA.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.split_once(' ').unwrap_or((line, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_those_of_the_specification_and_of_ours() {
        let only = |ty: &str, path: &[&str]| match members(ty, path) {
            Members::Only(names) => names,
            other => panic!("{ty} {path:?}: {other:?}"),
        };
        let change = "dev.cdevents.change.created";
        assert!(only(change, &["subject", "content"]).contains(&"repository"));
        assert_eq!(only(change, &["subject", "content", "repository"]), ["id", "source"]);
        assert_eq!(members(change, &["subject", "content", "nothing", "x"]), Members::None);
        assert!(only(change, &["customData", "change", "source"]).contains(&"sha"));
        let pushed = only("dev.cdeventsx.git-ref.updated", &["subject", "content"]);
        assert_eq!(pushed, ["after", "before", "ref", "repository"]);
        for path in
            [&["customData", "tekton", "results"][..], &["customData", "keptn"], &["customData", "sender"]]
        {
            assert_eq!(members(change, path), Members::Any, "{path:?}");
        }
        let Members::Usual(names) = members(change, &["customData"]) else { panic!() };
        assert!(names.contains(&"change") && names.contains(&"sender") && !names.contains(&"deployment"));
    }

    /// Every row of the page's table, whose cells are `change.number`, `.title`, `.url?`.
    #[test]
    fn members_of_custom_data_are_those_of_the_documentation() {
        let page = include_str!("../../docs/events.md");
        let table = page.split("| path below `event.data.customData` | |").nth(1).unwrap();
        let mut seen = 0;
        for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let mut parent = String::new();
            for name in line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2) {
                let name = name.trim_end_matches('?');
                if !name.starts_with('.') {
                    parent = name.rsplit_once('.').map_or(name, |(parent, _)| parent).to_owned();
                }
                let full = if name.starts_with('.') { format!("{parent}{name}") } else { name.to_owned() };
                let Some((parent, last)) = full.rsplit_once('.') else {
                    assert!(all_custom_data().any(|it| it == full), "{full}");
                    continue;
                };
                let (_, names) = lines().find(|(it, _)| *it == parent).unwrap_or_else(|| panic!("{parent}"));
                assert!(names.split(' ').any(|it| it == last), "{full}");
                seen += 1;
            }
        }
        assert!(seen > 80, "{seen}");
    }
}

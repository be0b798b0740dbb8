//! Files of other tools that lie in a folder of mappings, such as a kustomization.

use std::path::Path;

use serde_json::Value;

use super::document::{API_VERSION, KIND};

/// What kustomize looks for; such a file may say nothing of its kind.
const KUSTOMIZATIONS: [&str; 2] = ["kustomization.yaml", "kustomization.yml"];
/// The group of our documents.
const GROUP: &str = "pipewright.dev/";

/// Whether a file is plainly another tool's: every document in it says so by its `apiVersion` and its `kind`. A document
/// that names ours by half is somebody's mistake, and one that says nothing may be anybody's.
pub(super) fn is(path: &Path, text: &str) -> bool {
    let name = path.file_name().unwrap_or_default();
    if KUSTOMIZATIONS.iter().any(|known| name == *known) && !text.contains(GROUP) {
        return true;
    }
    let mut documents = text.split("\n---").filter(|document| !is_blank(document)).peekable();
    documents.peek().is_some() && documents.all(is_foreign)
}

/// Whether a text in JSON is one of our mappings.
pub(super) fn is_mapping_in_json(text: &str) -> bool {
    // Most JSON in such a folder is payloads, and large.
    let Some(Value::Object(document)) =
        text.contains(API_VERSION).then(|| serde_json::from_str(text).ok()).flatten()
    else {
        return false;
    };
    document.get("apiVersion").is_some_and(|it| it == API_VERSION)
        && document.get("kind").is_some_and(|it| it == KIND)
}

fn is_foreign(document: &str) -> bool {
    let field = |name: &str| {
        let value = document.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let value = value.split(" #").next().unwrap_or_default();
        Some(value.trim().trim_matches(['"', '\''])).filter(|value| !value.is_empty())
    };
    match (field("apiVersion"), field("kind")) {
        (Some(version), Some(kind)) => !version.contains("pipewright") && kind != KIND,
        _ => false,
    }
}

fn is_blank(document: &str) -> bool {
    document.lines().all(|line| {
        let line = line.trim_start_matches('-').trim();
        line.is_empty() || line.starts_with('#')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_anothers_only_where_all_of_it_says_so() {
        let named = |name: &str, text: &str| is(Path::new(name), text);
        for (name, text) in [
            ("a.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"),
            (
                "a.yaml",
                "# why\n---\napiVersion: v1\nkind: ConfigMap # data\n---\nkind: \"Task\"\napiVersion: 'tekton.dev/v1'\n",
            ),
            ("kustomization.yaml", "resources: [a.yaml]\n"),
        ] {
            assert!(named(name, text), "{text}");
        }
        for text in [
            "",
            "# nothing\n",
            "resources: [a.yaml]\n",
            "apiVersion: v2\nname: a chart\n",
            "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\n",
            "apiVersion: pipewright.dev/v1\nkind: Source\n",
            "apiVersion: pipewrite.dev/v1alpha1\nkind: Mapping\n",
            "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: pipewright.dev/v1alpha1\nkind: Mapping\n",
        ] {
            assert!(!named("a.yaml", text), "{text}");
        }
    }
}

//! Label and field selectors, in the syntax of list and watch requests.

mod label;

use serde_json::Value;

use super::failure::Failure;
use super::object;
use super::resource::{Id, Scope};

/// What a list or watch wants to see; empty matches everything.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<(String, Requirement)>,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(super) enum Requirement {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Clone, Debug)]
struct Field {
    path: String,
    value: String,
    wanted: bool,
}

// === impl Selector ===

impl Selector {
    /// Parses both selectors; a field that the resource does not index is refused.
    pub fn parse(id: Id, labels: &str, fields: &str) -> Result<Self, Failure> {
        Ok(Self { labels: label::parse(labels)?, fields: parse_fields(id, fields)? })
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The name, when the selector asks for exactly one.
    pub fn name(&self) -> Option<&str> {
        self.fields.iter().find(|f| f.wanted && f.path == "metadata.name").map(|f| f.value.as_str())
    }

    /// The labels that an object must have to match, each with its one value.
    pub fn demanded(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().filter_map(|(key, requirement)| match requirement {
            Requirement::In(values) => match values.as_slice() {
                [value] => Some((key.as_str(), value.as_str())),
                _ => None,
            },
            _ => None,
        })
    }

    /// Whether an object matches.
    pub fn matches(&self, value: &Value) -> bool {
        self.labels.iter().all(|(key, requirement)| requirement.matches(object::label(value, key)))
            && self.fields.iter().all(|field| field.matches(value))
    }
}

// === impl Requirement ===

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let number = || label.and_then(|label| label.parse::<i64>().ok());
        match self {
            Self::In(values) => label.is_some_and(|label| values.iter().any(|v| v == label)),
            // An object without the label matches too.
            Self::NotIn(values) => label.is_none_or(|label| values.iter().all(|v| v != label)),
            Self::Exists => label.is_some(),
            Self::Absent => label.is_none(),
            Self::Greater(than) => number().is_some_and(|n| n > *than),
            Self::Less(than) => number().is_some_and(|n| n < *than),
        }
    }
}

// === impl Field ===

impl Field {
    fn matches(&self, value: &Value) -> bool {
        let actual = match self.path.as_str() {
            // Events say who reports in two fields, by age of the client.
            "reportingComponent" if object::text(value, &["reportingComponent"]).is_empty() => {
                object::text(value, &["source", "component"])
            }
            path => {
                let found = path.split('.').try_fold(value, |value, key| value.get(key));
                found.and_then(Value::as_str).unwrap_or_default()
            }
        };
        (actual == self.value) == self.wanted
    }
}

fn parse_fields(id: Id, text: &str) -> Result<Vec<Field>, Failure> {
    let mut fields = Vec::new();
    for term in text.split(',').filter(|term| !term.trim().is_empty()) {
        let (path, value, wanted) = if let Some((path, value)) = term.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (path, value, true)
        } else {
            return Err(Failure::bad_request(format!(
                "invalid selector: '{text}'; can't understand '{term}'"
            )));
        };
        let path = path.trim();
        let resource = id.get();
        let known = path == "metadata.name"
            || (path == "metadata.namespace" && resource.scope == Scope::Namespaced)
            || resource.fields.contains(&path);
        if !known {
            let message = if resource.is_custom() || !resource.fields.is_empty() {
                format!("field label not supported: {path}")
            } else {
                format!(
                    "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                )
            };
            return Err(Failure::bad_request(message));
        }
        // Backslashes protect `,`, `=` and `\` in field values.
        let value = value.trim().replace("\\=", "=").replace("\\,", ",").replace("\\\\", "\\");
        fields.push(Field { path: path.to_owned(), value, wanted });
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selects(labels: &str, fields: &str) -> bool {
        let id = Id::by_kind("tekton.dev/v1", "PipelineRun").unwrap();
        let value =
            json!({"metadata": {"name": "a", "namespace": "n", "labels": {"app": "web", "rank": "7"}}});
        Selector::parse(id, labels, fields).unwrap().matches(&value)
    }

    #[test]
    fn label_selectors_follow_the_documented_operators() {
        for yes in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "app in (db, web)",
            "app in(web)",
            "app notin (db)",
            "!gone",
            "gone!=x",
            "gone notin (x)",
            "rank>6",
            "rank<8",
            "app=web,rank",
        ] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in [
            "gone",
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web,db)",
            "!app",
            "rank>7",
            "app=web,!rank",
        ] {
            assert!(!selects(no, ""), "{no}");
        }
    }

    #[test]
    fn field_selectors_know_names_only_for_custom_resources() {
        assert!(selects("", "metadata.name=a,metadata.namespace=n"));
        assert!(!selects("", "metadata.name!=a"));
        let id = Id::by_kind("tekton.dev/v1", "PipelineRun").unwrap();
        let failure = Selector::parse(id, "", "spec.status=x").unwrap_err();
        assert_eq!(failure.to_value()["message"], "field label not supported: spec.status");
    }
}

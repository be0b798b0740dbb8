//! JSON Schemas of custom types: those that we send, and those of private vocabularies.
//!
//! A schema is about the whole event, as the official ones are, and names its type by `const` or `enum` at
//! `properties.context.properties.type`. Nothing is ever fetched: a schema is complete in itself.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use super::types::{CustomType, CustomTypeError};
use crate::event::uri;

/// Where the schemas of our own types say that they live.
const HOME: &str = "https://pipewright.dev/schemas/";
/// The most problems of one event that are told.
const MAX_PROBLEMS: usize = 10;
/// The longest text about one of them, in bytes.
const MAX_PROBLEM: usize = 300;

/// Every custom type that we send, and its schema.
pub static SHIPPED: &[(&str, &str)] = &[
    (
        "dev.cdeventsx.cvs-repository.committed.0.1.0",
        include_str!("../../config/schemas/cvs-repository.committed.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-approval.approved.0.1.0",
        include_str!("../../config/schemas/forge-approval.approved.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-approval.rejected.0.1.0",
        include_str!("../../config/schemas/forge-approval.rejected.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-approval.requested.0.1.0",
        include_str!("../../config/schemas/forge-approval.requested.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-comment.created.0.1.0",
        include_str!("../../config/schemas/forge-comment.created.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.canceled.0.1.0",
        include_str!("../../config/schemas/forge-deployment.canceled.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.created.0.1.0",
        include_str!("../../config/schemas/forge-deployment.created.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.errored.0.1.0",
        include_str!("../../config/schemas/forge-deployment.errored.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.failed.0.1.0",
        include_str!("../../config/schemas/forge-deployment.failed.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.pending.0.1.0",
        include_str!("../../config/schemas/forge-deployment.pending.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.progressing.0.1.0",
        include_str!("../../config/schemas/forge-deployment.progressing.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-deployment.queued.0.1.0",
        include_str!("../../config/schemas/forge-deployment.queued.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.forge-dispatch.requested.0.1.0",
        include_str!("../../config/schemas/forge-dispatch.requested.0.1.0.json"),
    ),
    ("dev.cdeventsx.git-ref.updated.0.1.0", include_str!("../../config/schemas/git-ref.updated.0.1.0.json")),
    ("dev.cdeventsx.git-tag.created.0.1.0", include_str!("../../config/schemas/git-tag.created.0.1.0.json")),
    ("dev.cdeventsx.git-tag.deleted.0.1.0", include_str!("../../config/schemas/git-tag.deleted.0.1.0.json")),
    ("dev.cdeventsx.git-tag.updated.0.1.0", include_str!("../../config/schemas/git-tag.updated.0.1.0.json")),
    (
        "dev.cdeventsx.openci-baseline.defined.0.1.0",
        include_str!("../../config/schemas/openci-baseline.defined.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.openci-confidencelevel.modified.0.1.0",
        include_str!("../../config/schemas/openci-confidencelevel.modified.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.pipewright-run.announced.0.1.0",
        include_str!("../../config/schemas/pipewright-run.announced.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.subversion-repository.committed.0.1.0",
        include_str!("../../config/schemas/subversion-repository.committed.0.1.0.json"),
    ),
    (
        "dev.cdeventsx.tekton-pipelinerun.progressed.0.1.0",
        include_str!("../../config/schemas/tekton-pipelinerun.progressed.0.1.0.json"),
    ),
];

/// The schemas that are known; cheap to clone.
#[derive(Clone, Debug)]
pub struct Schemas {
    all: Arc<BTreeMap<String, Schema>>,
}

/// The schema of a custom type.
#[derive(Debug)]
pub struct Schema {
    id: String,
    text: Arc<str>,
    validator: OnceLock<Option<Validator>>,
}

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not JSON.
    #[error("it is not JSON: {0}")]
    Json(String),
    /// No name.
    #[error("`$id` must be an absolute URI: events name their schema by it")]
    Id,
    /// No type.
    #[error(
        "it names no type: write `const` or `enum` at `properties.context.properties.type`, such as \
         `dev.cdeventsx.acme-order.placed.0.1.0`"
    )]
    NoType,
    /// A type that is not custom.
    #[error(transparent)]
    Type(#[from] CustomTypeError),
    /// A type that has a schema.
    #[error("`{0}` has a schema already")]
    Taken(String),
    /// Not a schema, or one that is not complete in itself.
    #[error("it is not a JSON Schema that can be used: {0}")]
    Schema(String),
}

/// Fetches nothing.
struct Nothing;

/// The `$id` of the schema of a type that we send; the same is the path below `/schemas/` on the admin port.
pub fn shipped_uri(ty: &CustomType) -> Option<String> {
    let known = SHIPPED.iter().any(|(known, _)| *known == ty.as_str());
    known.then(|| format!("{HOME}{}", file_name(ty.as_str())))
}

/// The type's name without what all custom types begin with, and `.json`.
pub fn file_name(ty: &str) -> String {
    format!("{}.json", ty.strip_prefix("dev.cdeventsx.").unwrap_or(ty))
}

// === impl Schemas ===

/// Those of the types that we send.
impl Default for Schemas {
    fn default() -> Self {
        let all = SHIPPED.iter().map(|(ty, text)| {
            let schema = Schema {
                id: format!("{HOME}{}", file_name(ty)),
                text: Arc::from(*text),
                validator: OnceLock::new(),
            };
            ((*ty).to_owned(), schema)
        });
        Self { all: Arc::new(all.collect()) }
    }
}

impl Schemas {
    /// Those of the types that we send and of the types that these texts, each with a name for errors, are about.
    ///
    /// # Errors
    /// Each text that cannot be used, with its name.
    pub fn with<'a>(
        texts: impl IntoIterator<Item = (String, &'a str)>,
    ) -> Result<Self, Vec<(String, SchemaError)>> {
        let Self { all } = Self::default();
        let mut all = Arc::into_inner(all).unwrap_or_default();
        let mut errors = Vec::new();
        for (name, text) in texts {
            match read(text) {
                Ok((id, types, validator)) => {
                    for ty in types {
                        let ty = ty.to_string();
                        if all.contains_key(&ty) {
                            errors.push((name.clone(), SchemaError::Taken(ty)));
                            continue;
                        }
                        let validator = OnceLock::from(Some(validator.clone()));
                        all.insert(ty, Schema { id: id.clone(), text: Arc::from(text), validator });
                    }
                }
                Err(error) => errors.push((name, error)),
            }
        }
        if errors.is_empty() { Ok(Self { all: Arc::new(all) }) } else { Err(errors) }
    }

    /// The schema of a type, by its full name.
    pub fn get(&self, ty: &str) -> Option<&Schema> {
        self.all.get(ty)
    }

    /// The types that have one, sorted.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// The text of the schema with this [`file_name`].
    pub fn file(&self, name: &str) -> Option<Arc<str>> {
        let ty = format!("dev.cdeventsx.{}", name.strip_suffix(".json")?);
        self.all.get(&ty).map(|schema| Arc::clone(&schema.text))
    }
}

// === impl Schema ===

impl Schema {
    /// Its `$id`: `schemaUri` and `dataschema` of the events.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The schema itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks a whole event in its JSON form.
    ///
    /// # Errors
    /// The problems, each with the place of the field, such as `` `subject.content.total`: … ``.
    pub fn check(&self, event: &Value) -> Result<(), Vec<String>> {
        // Those of our own are compiled when they are needed first; a test shows that they can be.
        let validator = self.validator.get_or_init(|| read(&self.text).ok().map(|(.., validator)| validator));
        let Some(validator) = validator else { return Ok(()) };
        let problems: Vec<String> = validator
            .iter_errors(event)
            .take(MAX_PROBLEMS)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = place.trim_start_matches('/').replace('/', ".");
                let text = error.masked().to_string();
                format!("`{place}`: {}", &text[..text.floor_char_boundary(MAX_PROBLEM)])
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// `$id`, the types, and the compiled schema.
fn read(text: &str) -> Result<(String, Vec<CustomType>, Validator), SchemaError> {
    let schema: Value = serde_json::from_str(text).map_err(|error| SchemaError::Json(error.to_string()))?;
    let id = schema["$id"].as_str().filter(|id| uri::is_absolute(id)).ok_or(SchemaError::Id)?;
    let ty = &schema["properties"]["context"]["properties"]["type"];
    let names = match (ty.get("const"), ty.get("enum").and_then(Value::as_array)) {
        (Some(name), _) => vec![name],
        (None, names) => names.into_iter().flatten().collect(),
    };
    let names: Option<Vec<&str>> = names.into_iter().map(Value::as_str).collect();
    let names = names.filter(|names| !names.is_empty()).ok_or(SchemaError::NoType)?;
    let types = names.into_iter().map(str::parse).collect::<Result<Vec<CustomType>, _>>()?;
    let validator = jsonschema::options()
        .with_retriever(Nothing)
        .should_validate_formats(true)
        // Linear in the text: events come from anybody.
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .map_err(|error| SchemaError::Schema(error.to_string()))?;
    Ok((id.to_owned(), types, validator))
}

// === impl Nothing ===

impl Retrieve for Nothing {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is another document, and none is fetched: copy what is needed below `$defs`")
            .into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://acme.example.com/order.json",
            "properties": {
                "context": {"properties": {"type": {"enum": ["dev.cdeventsx.acme-order.placed.0.1.0"]}}},
                "subject": {"properties": {"content": {
                    "type": "object", "properties": {"total": {"$ref": "#/$defs/money"}}, "required": ["total"],
                }}},
            },
            "$defs": {"money": {"type": "integer", "minimum": 1}},
        })
    }

    fn with(schema: &Value) -> Result<Schemas, String> {
        Schemas::with([("order.json".to_owned(), schema.to_string().as_str())]).map_err(|errors| {
            errors.iter().map(|(name, error)| format!("{name}: {error}")).collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn a_schema_of_ones_own_is_known_by_its_type() {
        let schemas = with(&order()).unwrap();
        let schema = schemas.get("dev.cdeventsx.acme-order.placed.0.1.0").unwrap();
        assert_eq!(schema.id(), "https://acme.example.com/order.json");
        assert_eq!(schema.check(&json!({"subject": {"content": {"total": 5}}})), Ok(()));
        let problems = schema.check(&json!({"subject": {"content": {"total": 0}}})).unwrap_err();
        assert_eq!(problems, ["`subject.content.total`: value is less than the minimum of 1"]);
        assert_eq!(schemas.types().count(), SHIPPED.len() + 1);
        assert!(schemas.file("acme-order.placed.0.1.0.json").is_some());
        assert!(schemas.file("../acme-order.placed.0.1.0.json").is_none());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        let broken = |change: fn(&mut Value)| {
            let mut schema = order();
            change(&mut schema);
            with(&schema).unwrap_err()
        };
        for (error, wanted) in [
            (broken(|it| it["$id"] = json!("order.json")), "`$id` must be an absolute URI"),
            (broken(|it| it["properties"]["context"] = json!({})), "it names no type"),
            (
                broken(|it| {
                    it["properties"]["context"]["properties"]["type"] = json!({"const": "com.acme.x"});
                }),
                "`com.acme.x` is not a custom CDEvents type",
            ),
            (
                broken(|it| {
                    it["properties"]["context"]["properties"]["type"] =
                        json!({"const": "dev.cdeventsx.git-ref.updated.0.1.0"});
                }),
                "`dev.cdeventsx.git-ref.updated.0.1.0` has a schema already",
            ),
            (broken(|it| it["$defs"]["money"]["minimum"] = json!("one")), "is not of type"),
            (
                broken(|it| it["$defs"]["money"] = json!({"$ref": "https://169.254.169.254/latest"})),
                "`https://169.254.169.254/latest` is another document, and none is fetched",
            ),
            (
                broken(|it| it["$defs"]["money"] = json!({"$ref": "file:///etc/passwd"})),
                "`file:///etc/passwd` is another document, and none is fetched",
            ),
            (
                broken(|it| it["$defs"]["money"] = json!({"$ref": "money.json"})),
                "`https://acme.example.com/money.json` is",
            ),
        ] {
            assert!(error.starts_with("order.json: ") && error.contains(wanted), "{error}");
        }
        let errors = Schemas::with([("a".to_owned(), "{"), ("b".to_owned(), "[]")]).unwrap_err();
        assert!(
            matches!(&errors[..], [(a, SchemaError::Json(_)), (b, SchemaError::Id)] if a == "a" && b == "b")
        );
    }

    #[test]
    fn every_type_that_we_send_has_a_schema_that_can_be_used() {
        for (ty, text) in SHIPPED {
            let (id, types, _) = read(text).unwrap_or_else(|error| panic!("{ty}: {error}"));
            let ty: CustomType = ty.parse().unwrap();
            assert_eq!(shipped_uri(&ty), Some(id), "{ty}");
            assert_eq!(types, [ty]);
        }
        assert_eq!(shipped_uri(&"dev.cdeventsx.acme-order.placed.0.1.0".parse().unwrap()), None);
    }
}

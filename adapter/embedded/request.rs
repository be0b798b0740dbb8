//! A request as it is understood: what it is about, its parameters, the form of the answer.

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::failure::Failure;
use super::patch::type_name;
use super::resource::Id;
use super::resource::Key;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All objects of a resource, in one namespace or (empty) in all.
    Collection(Id, String),
    /// One object.
    Object(Key, Sub),
    /// A part of an object that there is not.
    NoPart(Key),
    /// Something else: discovery, health, version.
    Other,
}

/// The last part of an object's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sub {
    /// The object itself.
    Main,
    /// `/status`.
    Status,
    /// `/finalize` of a namespace.
    Finalize,
}

/// The form in which objects are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Full,
    /// Only their metadata.
    Metadata,
    /// As rows of a table.
    Table,
}

/// The query string, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// The media type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON, or nothing said.
    Json,
    /// YAML.
    Yaml,
    /// Protobuf, which typed Go clients send for the core kinds.
    Protobuf,
    /// A JSON patch.
    JsonPatch,
    /// A merge patch.
    MergePatch,
    /// A strategic merge patch.
    StrategicPatch,
    /// An applied configuration.
    Apply,
}

// === impl Target ===

impl Target {
    /// Understands a path; `None` where the group or resource is unknown.
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Some(Self::Other),
        };
        let find = |plural: &str| Id::by_path(group, version, plural);
        let object = |id: Id, namespace: &str, name: &str, sub| {
            Self::Object(Key { id, namespace: namespace.to_owned(), name: name.to_owned() }, sub)
        };
        let sub = |id: Id, name: &str| match name {
            "status" if id.get().has_status() => Some(Sub::Status),
            "finalize" if id == Id::NAMESPACES => Some(Sub::Finalize),
            _ => None,
        };
        match rest {
            [] => Some(Self::Other),
            ["namespaces", name, last] if group.is_empty() && matches!(*last, "status" | "finalize") => {
                Some(object(Id::NAMESPACES, "", name, sub(Id::NAMESPACES, last)?))
            }
            ["namespaces", namespace, plural, rest @ ..] => {
                let id = find(plural).filter(|id| id.get().is_namespaced())?;
                match rest {
                    [] => Some(Self::Collection(id, (*namespace).to_owned())),
                    [name] => Some(object(id, namespace, name, Sub::Main)),
                    [name, last] => sub(id, last).map(|sub| object(id, namespace, name, sub)).or_else(|| {
                        let key = Key { id, namespace: (*namespace).to_owned(), name: (*name).to_owned() };
                        id.get().is_custom().then_some(Self::NoPart(key))
                    }),
                    _ => None,
                }
            }
            [plural] => Some(Self::Collection(find(plural)?, String::new())),
            [plural, name] => {
                let id = find(plural).filter(|id| !id.get().is_namespaced())?;
                Some(object(id, "", name, Sub::Main))
            }
            _ => None,
        }
    }
}

// === impl Query ===

impl Query {
    /// Decodes a query string.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter; empty when absent.
    pub fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    /// Whether a parameter is `true` or `1`.
    pub fn is_true(&self, key: &str) -> bool {
        matches!(self.get(key), "true" | "1" | "True" | "TRUE")
    }

    /// A number; absent, empty and negative are `None`.
    pub fn number(&self, key: &str) -> Result<Option<u64>, Failure> {
        match self.get(key) {
            "" => Ok(None),
            text => text.parse::<i64>().map(|number| u64::try_from(number).ok()).map_err(|_| {
                Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        }
    }
}

// === impl Form ===

impl Form {
    /// Chooses from what the client accepts.
    pub fn parse(id: Id, parts: &Parts) -> Result<Self, Failure> {
        const KNOWN: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
        const STREAMS: &str =
            "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        let accept = header(&parts.headers, &ACCEPT);
        if accept.trim().is_empty() {
            return Ok(Self::Full);
        }
        for entry in accept.split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "application/json" | "application/*" | "*/*") {
                continue;
            }
            return match parts.find_map(|part| part.strip_prefix("as=")) {
                None => Ok(Self::Full),
                Some("Table") => Ok(Self::Table),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Ok(Self::Metadata),
                Some(_) => continue,
            };
        }
        let names_one =
            ["application/json", "application/*", "*/*"].iter().any(|media| accept.contains(media));
        if id.get().is_custom() || names_one {
            let message = format!("only the following media types are accepted: {KNOWN}");
            return Err(Failure::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message));
        }
        let streams = if parts.method == Method::GET { format!(", {STREAMS}") } else { String::new() };
        Err(Failure::not_acceptable(format!(
            "406: Not Acceptable\n\nAvailable representations: {KNOWN}{streams}"
        )))
    }
}

// === impl Media ===

impl Media {
    /// Reads `Content-Type`.
    pub fn parse(headers: &HeaderMap) -> Result<Self, Failure> {
        let media = header(headers, &CONTENT_TYPE);
        match media.split(';').next().unwrap_or_default().trim() {
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            "application/vnd.kubernetes.protobuf" => Ok(Self::Protobuf),
            "application/json-patch+json" => Ok(Self::JsonPatch),
            "application/merge-patch+json" => Ok(Self::MergePatch),
            "application/strategic-merge-patch+json" => Ok(Self::StrategicPatch),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(Failure::unsupported_media_type(
                "application/json, application/yaml, application/vnd.kubernetes.protobuf",
            )),
        }
    }
}

/// The name under which a writer is recorded: `fieldManager`, or the user agent up to its first slash.
pub fn manager(parts: &Parts, query: &Query) -> String {
    let named = query.get("fieldManager");
    if !named.is_empty() {
        return named.to_owned();
    }
    let agent = header(&parts.headers, &USER_AGENT);
    let agent = agent.split('/').next().unwrap_or_default();
    if agent.is_empty() { "unknown".to_owned() } else { agent.chars().take(128).collect() }
}

/// Parses a body: JSON, protobuf, or YAML with the booleans and octal numbers of Kubernetes.
pub fn parse_body(media: Media, body: &[u8]) -> Result<Value, Failure> {
    if media == Media::Protobuf {
        return super::protobuf::decode(body)
            .map_err(|why| Failure::bad_request(format!("error decoding protobuf: {why}")));
    }
    let yaml = matches!(media, Media::Yaml | Media::Apply);
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(_) if yaml => {
            parse_yaml(body).map_err(|why| Failure::bad_request(format!("error decoding YAML: {why}")))
        }
        Err(error) => {
            let why = go_error(&error);
            Err(Failure::bad_request(format!("couldn't get version/kind; json parse error: {why}")))
        }
    }
}

/// Parses the body of a POST or PUT, which is an object; says how the real server would what is wrong with it.
pub fn parse_object(id: Id, media: Media, body: &[u8]) -> Result<Value, Failure> {
    let kind = id.get().kind;
    let refuse = |why: String| {
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({})",
            summary(body)
        ))
    };
    let value = match media {
        Media::Json => serde_json::from_slice(body).map_err(|error| {
            refuse(format!("couldn't get version/kind; json parse error: {}", go_error(&error)))
        })?,
        media => parse_body(media, body)?,
    };
    if !value.is_object() {
        let found = type_name(&value);
        return Err(refuse(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type \
             struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
             \"json:\\\"kind,omitempty\\\"\" }}"
        )));
    }
    if id.get().is_custom() && value.get("kind").is_none_or(|kind| kind == "") {
        return Err(refuse(format!("Object 'Kind' is missing in '{}'", String::from_utf8_lossy(body))));
    }
    Ok(value)
}

/// Parses the body of a patch that is not an apply.
pub fn parse_patch(media: Media, body: &[u8]) -> Result<Value, Failure> {
    let prefix = if media == Media::StrategicPatch { "" } else { "error decoding patch: " };
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("{prefix}{}", go_error(&error))))?;
    match value {
        Value::Null if media == Media::MergePatch => Err(Failure::bad_request("Invalid JSON Patch")),
        value if media != Media::JsonPatch && !value.is_object() => {
            let found = type_name(&value);
            let why =
                format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
            Err(Failure::bad_request(format!("{prefix}{why}")))
        }
        value => Ok(value),
    }
}

/// An error of JSON as Go words the commonest.
fn go_error(error: &serde_json::Error) -> String {
    if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() }
}

/// The beginning of a body, in hexadecimal when it is no object.
fn summary(body: &[u8]) -> String {
    const LIMIT: usize = 30;
    let (head, more) = if body.len() > LIMIT { (&body[..LIMIT], " ...") } else { (body, "") };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => head.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")) + more,
    }
}

/// One YAML document.
pub fn parse_yaml(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| error.to_string())
}

/// YAML as Kubernetes reads it: `yes` is true (YAML 1.1) and `0755` is 493.
pub fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! { strict_booleans: false, legacy_octal_numbers: true }
}

fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let escaped = match (bytes[at], bytes.get(at + 1), bytes.get(at + 2)) {
            (b'%', Some(high), Some(low)) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        if let Some(byte) = escaped {
            out.push(byte);
            at += 3;
        } else {
            out.push(if plus_is_space && bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections_objects_and_subresources() {
        let pr = Id::by_kind("tekton.dev/v1", "PipelineRun").unwrap();
        let key = |id, namespace: &str, name: &str| Key {
            id,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        for (path, target) in [
            ("/apis/tekton.dev/v1/pipelineruns", Some(Target::Collection(pr, String::new()))),
            ("/apis/tekton.dev/v1/namespaces/n/pipelineruns", Some(Target::Collection(pr, "n".to_owned()))),
            (
                "/apis/tekton.dev/v1/namespaces/n/pipelineruns/a",
                Some(Target::Object(key(pr, "n", "a"), Sub::Main)),
            ),
            (
                "/apis/tekton.dev/v1/namespaces/n/pipelineruns/a/status",
                Some(Target::Object(key(pr, "n", "a"), Sub::Status)),
            ),
            ("/apis/tekton.dev/v1/pipelineruns/a", None),
            (
                "/apis/tekton.dev/v1/namespaces/n/pipelineruns/a/scale",
                Some(Target::NoPart(key(pr, "n", "a"))),
            ),
            ("/api/v1/namespaces/n/configmaps/a/scale", None),
            ("/apis/tekton.dev/v9/pipelineruns", None),
            ("/api/v1/namespaces", Some(Target::Collection(Id::NAMESPACES, String::new()))),
            ("/api/v1/namespaces/n", Some(Target::Object(key(Id::NAMESPACES, "", "n"), Sub::Main))),
            (
                "/api/v1/namespaces/n/finalize",
                Some(Target::Object(key(Id::NAMESPACES, "", "n"), Sub::Finalize)),
            ),
            ("/version", Some(Target::Other)),
            ("/apis/tekton.dev/v1", Some(Target::Other)),
        ] {
            assert_eq!(Target::parse(path), target, "{path}");
        }
    }

    #[test]
    fn query_parameters_are_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc+in%28d%29&limit=5&watch=1&x");
        assert_eq!(query.get("labelSelector"), "a=b,c in(d)");
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert!(query.is_true("watch"));
        assert!(Query::parse("limit=x").number("limit").is_err());
    }
}

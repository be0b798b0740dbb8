//! The document of kind `Sink`: one destination as its author writes it.

mod batch;
mod delivery;
mod destination;
mod duration;
mod header;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use batch::Batch;
pub use delivery::{BackoffPolicy, Delivery};
pub use destination::Destination;
pub use duration::IsoDuration;
pub use header::{Name, Text};
pub use url::{SinkUrl, UrlError};

/// A destination of events: the `spec` of a document of kind `Sink`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SinkSpec {
    /// Where events are posted: an absolute `http` or `https` URL without user and password.
    pub url: SinkUrl,
    /// Headers of every request, such as an API key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<Name, Text>,
    /// How an event is laid out in a request.
    #[serde(default)]
    pub mode: Mode,
    /// A file that holds a bearer token; read before every attempt, since tokens are rotated in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Retries, waits and time limits.
    #[serde(default)]
    pub delivery: Delivery,
    /// Sends events that wait at the same moment in one request, as a batch. Only for a receiver that takes batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The most requests in flight at the same time.
    #[serde(default = "max_in_flight", deserialize_with = "bound")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: usize,
    /// The most deliveries that wait, for a request to end or for their next try; one more is refused at once.
    #[serde(default = "max_waiting", deserialize_with = "bound")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_waiting: usize,
}

/// The content mode of the CloudEvents HTTP binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The whole event is the body, as JSON. The only mode in which every reader understands text outside ASCII.
    #[default]
    Structured,
    /// Attributes are headers, the payload is the body.
    Binary,
}

// === impl SinkSpec ===

impl SinkSpec {
    /// A sink at `url` with everything else as by default.
    pub fn new(url: SinkUrl) -> Self {
        Self {
            url,
            headers: BTreeMap::new(),
            mode: Mode::default(),
            token_file: None,
            delivery: Delivery::default(),
            batch: None,
            max_in_flight: max_in_flight(),
            max_waiting: max_waiting(),
        }
    }

    /// What one field alone cannot show to be wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.batch.is_some() && self.mode == Mode::Binary {
            return Err("`batch` needs `mode: structured`: a batch is one JSON body".to_owned());
        }
        Ok(())
    }
}

fn max_in_flight() -> usize {
    256
}

fn max_waiting() -> usize {
    1024
}

fn bound<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if !(1..=100_000).contains(&number) {
        return Err(serde::de::Error::custom(format!("the bound must be from 1 to 100000, not {number}")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<SinkSpec, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_document_with_only_a_url_has_the_defaults() {
        let spec = read("url: http://broker-ingress.knative-eventing.svc/default/default").unwrap();
        assert_eq!(spec.mode, Mode::Structured);
        assert_eq!(spec.delivery, Delivery::default());
        assert!(spec.headers.is_empty() && spec.token_file.is_none());
    }

    #[test]
    fn every_field_is_read_and_written() {
        let text = "url: https://example.com/in?key=1
headers: {x-api-key: abc}
mode: binary
tokenFile: /oidc/token
delivery: {retry: 2, backoffPolicy: linear, backoffDelay: PT1S, timeout: PT4M, retryAfterMax: PT0S,
  deadLetterSink: {uri: 'http://letters/'}}
batch: {maxEvents: 8, linger: PT0.1S}
maxInFlight: 3
maxWaiting: 4";
        // A batch is one JSON body; the two fields are read together here all the same.
        let spec = read(text).unwrap();
        assert!(spec.check().unwrap_err().contains("`batch` needs `mode: structured`"));
        assert_eq!(spec.delivery.timeout.0.as_secs(), 240);
        assert_eq!((spec.max_in_flight, spec.max_waiting), (3, 4));
        assert_eq!(spec.batch.as_ref().unwrap().max_events, 8);
        let again: SinkSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn mistakes_are_refused_with_a_reason() {
        for (yaml, reason) in [
            ("{}", "missing field `url`"),
            ("url: broker", "must be an absolute URL"),
            ("url: ftp://a/", "must be an `http` or `https` URL, not `ftp`"),
            ("url: http://u:p@a/", "must not carry a user or password"),
            ("{url: http://a/, retry: 3}", "unknown field `retry`"),
            ("{url: http://a/, mode: batched}", "unknown variant `batched`"),
            ("{url: http://a/, headers: {content-type: a}}", "header `content-type` cannot be configured"),
            ("{url: http://a/, headers: {Ce-Id: a}}", "header `ce-id` cannot be configured"),
            ("{url: http://a/, headers: {'a b': a}}", "`a b` is not a header name"),
            ("{url: http://a/, headers: {a: \"b\\nc: d\"}}", "one line of visible text"),
            ("{url: http://a/, batch: {}, maxInFlight: 0}", "the bound must be from 1 to 100000, not 0"),
            ("{url: http://a/, maxWaiting: 100001}", "the bound must be from 1 to 100000"),
            ("{url: http://a/, batch: {maxEvents: 1}}", "`maxEvents` must be from 2 to 1000, not 1"),
            ("{url: http://a/, batch: {maxEvents: 1001}}", "`maxEvents` must be from 2 to 1000"),
            ("{url: http://a/, batch: {linger: PT2S}}", "`linger` must be at most PT1S"),
            ("{url: http://a/, batch: {max: 8}}", "unknown field `max`"),
            ("{url: http://a/, delivery: {deadLetterSink: {}}}", "`deadLetterSink` needs `ref` or `uri`"),
        ] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains(reason), "{yaml}: {error}");
        }
    }

    #[test]
    fn the_schema_for_editors_knows_every_field() {
        let schema = schemars::schema_for!(SinkSpec).to_value();
        let fields: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            ["batch", "delivery", "headers", "maxInFlight", "maxWaiting", "mode", "tokenFile", "url"]
        );
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["required"], serde_json::json!(["url"]));
    }

    #[test]
    fn secrets_are_not_shown() {
        let spec = read("{url: 'http://a/?key=hush', headers: {x-key: hush}}").unwrap();
        assert!(!format!("{spec:?} {}", spec.url).contains("hush"));
    }
}

//! Knative's `Destination`: another sink, an address, or a Service of the cluster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::url::SinkUrl;
use crate::event::name::is_dns_label;

/// Knative's `Destination`, resolved: another sink, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub enum Destination {
    /// The document of kind `Sink` of this name.
    Sink(String),
    /// An address.
    Url(SinkUrl),
}

/// A `Destination` as it is written (`duck/v1`).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// A `Sink` of these settings, or a Service of the cluster.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
    /// An absolute URL; beside a `ref` to a Service, a path there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reference {
    api_version: String,
    kind: String,
    name: String,
    /// Of a Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
}

// === impl Destination ===

impl TryFrom<Written> for Destination {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Some(reference) = written.reference else {
            let uri = written.uri.ok_or("`deadLetterSink` needs `ref` or `uri`")?;
            return uri.parse().map(Self::Url).map_err(|error| format!("`deadLetterSink.uri` {error}"));
        };
        let Reference { api_version, kind, name, namespace } = reference;
        if !is_dns_label(&name) {
            return Err(format!("`deadLetterSink.ref.name: {name}` is not the name of a {kind}"));
        }
        match (api_version.as_str(), kind.as_str()) {
            ("pipewright.dev/v1alpha1", "Sink") => {
                if namespace.is_some() || written.uri.is_some() {
                    return Err("`deadLetterSink.ref` to a Sink takes neither `namespace` nor `uri`: the \
                                Sink is a document of these settings and has its own `url`"
                        .to_owned());
                }
                Ok(Self::Sink(name))
            }
            ("v1", "Service") => {
                let namespace = namespace.filter(|namespace| is_dns_label(namespace)).ok_or(
                    "`deadLetterSink.ref` to a Service needs `namespace`, the namespace of that Service",
                )?;
                service(&name, &namespace, written.uri.as_deref()).map(Self::Url)
            }
            _ => Err(format!(
                "`deadLetterSink.ref` names a `{kind}` of `{api_version}`, whose address only the cluster knows: \
                 write its `status.address.url` as `uri`, or refer to a `Sink` of `pipewright.dev/v1alpha1` or a \
                 `Service` of `v1`"
            )),
        }
    }
}

impl From<Destination> for Written {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::Url(url) => Self { uri: Some(url.into()), ..Self::default() },
            Destination::Sink(name) => Self {
                reference: Some(Reference {
                    api_version: "pipewright.dev/v1alpha1".to_owned(),
                    kind: "Sink".to_owned(),
                    name,
                    namespace: None,
                }),
                uri: None,
            },
        }
    }
}

/// The address that Knative resolves a plain Service to, with the usual cluster domain.
fn service(name: &str, namespace: &str, path: Option<&str>) -> Result<SinkUrl, String> {
    let base = format!("http://{name}.{namespace}.svc.cluster.local/");
    let base = url::Url::parse(&base).map_err(|error| error.to_string())?;
    let url = match path {
        None => base.clone(),
        Some(path) => base.join(path).map_err(|error| format!("`deadLetterSink.uri` is no path: {error}"))?,
    };
    if (url.scheme(), url.host(), url.port()) != (base.scheme(), base.host(), base.port()) {
        return Err(
            "`deadLetterSink.uri` beside `ref` must be a path such as `/letters`; an absolute URL stands \
                    alone"
                .to_owned(),
        );
    }
    url.as_str().parse().map_err(|error| format!("`deadLetterSink.uri` {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Destination, String> {
        serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_destination_is_an_address_a_sink_or_a_service() {
        let url = |text: &str| Destination::Url(text.parse().unwrap());
        for (yaml, destination) in [
            ("{uri: 'https://letters/in'}", url("https://letters/in")),
            (
                "{ref: {apiVersion: pipewright.dev/v1alpha1, kind: Sink, name: letters}}",
                Destination::Sink("letters".to_owned()),
            ),
            (
                "{ref: {apiVersion: v1, kind: Service, name: letters, namespace: ci}}",
                url("http://letters.ci.svc.cluster.local/"),
            ),
            (
                "{ref: {apiVersion: v1, kind: Service, name: letters, namespace: ci}, uri: /in?a=1}",
                url("http://letters.ci.svc.cluster.local/in?a=1"),
            ),
        ] {
            assert_eq!(read(yaml).unwrap(), destination, "{yaml}");
            let again: Destination =
                serde_json::from_value(serde_json::to_value(&destination).unwrap()).unwrap();
            assert_eq!(again, destination);
        }
    }

    #[test]
    fn a_destination_that_cannot_be_resolved_is_refused_with_what_to_do() {
        let service = "apiVersion: v1, kind: Service, name: letters";
        for (yaml, reason) in [
            ("{}".to_owned(), "needs `ref` or `uri`"),
            ("{uri: /in}".to_owned(), "`deadLetterSink.uri` must be an absolute URL"),
            ("{uri: 'http://u:p@a/'}".to_owned(), "user or password"),
            ("{url: 'http://a/'}".to_owned(), "unknown field `url`"),
            (format!("{{ref: {{{service}}}}}"), "needs `namespace`"),
            (format!("{{ref: {{{service}, namespace: 'a.b'}}}}"), "needs `namespace`"),
            (format!("{{ref: {{{service}, namespace: ci}}, uri: 'http://a/'}}"), "must be a path"),
            (format!("{{ref: {{{service}, namespace: ci}}, uri: //a/b}}"), "must be a path"),
            (
                "{ref: {apiVersion: v1, kind: Service, name: a/b, namespace: ci}}".to_owned(),
                "is not the name",
            ),
            (
                "{ref: {apiVersion: pipewright.dev/v1alpha1, kind: Sink, name: a}, uri: /in}".to_owned(),
                "takes neither `namespace` nor `uri`",
            ),
            (
                "{ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: a}}".to_owned(),
                "write its `status.address.url` as `uri`",
            ),
        ] {
            let error = read(&yaml).unwrap_err();
            assert!(error.contains(reason), "{yaml}: {error}");
        }
    }
}

//! `pipewright send`: a payload file as a webhook of a forge or of anything else, or an event file as a CloudEvent.

use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use anyhow::{Context, bail};
use serde_json::json;
use url::Url;

use super::inputs::SettingsArguments;
use super::{BadInput, Ended, Output, print, runtime};
use crate::event::{http, json as event_json};
use crate::settings::SourceSpec;
use crate::sink::client::{Client, ClientError, Tls};
use crate::source::generic::{self, Generic};
use crate::source::secret::{Secret, SecretReference};
use crate::source::sending;
use crate::vocabulary::Forge;

/// How long an answer may take: longer than any deadline of ours.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Flags of `send`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The payload of a webhook (with --event or --source), or a CloudEvent in JSON form
    file: PathBuf,
    /// Send the file as a webhook of this event, such as `push` or `pull_request`
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// The forge to send as, with its headers and its way to show the secret [default: that of the source, or github]
    #[arg(long, requires = "event", value_name = "FORGE")]
    forge: Option<String>,
    /// The name of the source that the webhook goes to; what it is, the settings say [default: that of the forge]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// Where pipewright listens
    #[arg(long, env = "PIPEWRIGHT_URL", hide_env_values = true, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The webhook's secret
    #[arg(long, env = "PIPEWRIGHT_SECRET", hide_env_values = true, conflicts_with = "secret_file")]
    secret: Option<String>,
    /// A file with the webhook's secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The delivery's id; a new one by default. Sending twice with the same id is a redelivery
    #[arg(long, value_name = "ID")]
    delivery: Option<String>,
    /// Send a CloudEvent under a new id, as another event than the one before
    #[arg(long, conflicts_with_all = ["event", "source", "delivery"])]
    new_id: bool,
    /// A bearer token for the CloudEvents route
    #[arg(long, env = "PIPEWRIGHT_TOKEN", hide_env_values = true, conflicts_with = "event")]
    token: Option<String>,
    /// How to print the answer: `text` or `json`
    #[arg(long, short, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    output: Output,
}

struct Request {
    url: Url,
    id: String,
    /// Whether a CloudEvent came without an id and got one here.
    id_is_new: bool,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    let output = arguments.output;
    let request = match (sender(arguments)?, &arguments.event) {
        (Some(SourceSpec::Generic(generic, auth)), event) => {
            other_webhook(arguments, &generic, &auth, event.as_deref())?
        }
        (Some(SourceSpec::Forge(forge, _)), Some(event)) => webhook(arguments, Some(forge), event)?,
        (None, Some(event)) => webhook(arguments, None, event)?,
        (_, None) if arguments.source.is_some() => {
            return Err(BadInput(
                "a webhook of a forge needs its --event; that a source is none, --settings with its `generic` say"
                    .to_owned(),
            )
            .into());
        }
        (_, None) => cloud_event(arguments)?,
    };
    let (status, result, text) = runtime()?.block_on(post(&request))?;
    let accepted = (200..300).contains(&status);
    match output {
        Output::Json => print(&format!(
            "{}\n",
            json!({"status": status, "accepted": accepted, "result": result, "id": request.id, "text": text.trim()})
        ))?,
        Output::Text if accepted => {
            let meaning = match result.as_deref() {
                Some("created") => "a run was created, or several",
                Some("duplicate") => "its runs exist already",
                Some("sent") => "no run was wanted; events were sent",
                Some("ignored") => "no mapping wanted anything",
                _ => "it says no more",
            };
            let made = if request.id_is_new { " (made now, since the file has none)" } else { "" };
            print(&format!("accepted (HTTP {status}): {meaning}\nid {}{made}\n", request.id))?
        }
        Output::Text => print(&format!("refused (HTTP {status}): {}\n", text.trim()))?,
    };
    Ok(if accepted { Ended::Well } else { Ended::NotRight })
}

/// What the settings say of `--source`.
fn sender(arguments: &Arguments) -> anyhow::Result<Option<SourceSpec>> {
    let Some(name) = &arguments.source else { return Ok(None) };
    Ok(arguments.settings.read()?.source(name).cloned())
}

fn other_webhook(
    arguments: &Arguments,
    generic: &Generic,
    auth: &generic::Auth<Vec<SecretReference>>,
    event: Option<&str>,
) -> anyhow::Result<Request> {
    let body = read(&arguments.file)?;
    let id = delivery(arguments);
    let mut headers = generic.headers(event, &id, &body).ok_or_else(|| {
        BadInput("this source has an `eventHeader`: name the --event that stands in it".to_owned())
    })?;
    if let (generic::Auth::Proof(proof, _), Some(secret)) = (auth, secret(arguments)?) {
        headers.push(proof.header(&secret, &body));
    }
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let url = address(arguments, &["webhooks", arguments.source.as_deref().unwrap_or_default()])?;
    Ok(Request { url, id, id_is_new: false, headers, body })
}

fn delivery(arguments: &Arguments) -> String {
    arguments.delivery.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

fn webhook(arguments: &Arguments, of_source: Option<Forge>, event: &str) -> anyhow::Result<Request> {
    let body = read(&arguments.file)?;
    let id = delivery(arguments);
    let forge = match &arguments.forge {
        Some(name) => name.parse().map_err(|error| BadInput(format!("`--forge {name}`: {error}")))?,
        None => of_source.unwrap_or(Forge::GitHub),
    };
    let headers = sending::headers(forge, event, &id, secret(arguments)?.as_ref(), &body);
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let source = arguments.source.as_deref().unwrap_or(forge.name());
    let url = address(arguments, &["webhooks", source])?;
    Ok(Request { url, id, id_is_new: false, headers, body })
}

fn cloud_event(arguments: &Arguments) -> anyhow::Result<Request> {
    let bytes = read(&arguments.file)?;
    let (bytes, id_is_new) = match with_id(&bytes) {
        Some(bytes) => (bytes, true),
        None => (bytes, false),
    };
    let event = event_json::decode(bytes.into()).map_err(|error| {
        BadInput(format!(
            "`{}` is not a CloudEvent in JSON form ({error}); to send it as a webhook, name its --event",
            arguments.file.display()
        ))
    })?;
    let event = if arguments.new_id && !id_is_new {
        event.to_builder().id(uuid::Uuid::new_v4().to_string()).build()?
    } else {
        event
    };
    let (headers, body) = http::encode_structured(&event);
    let mut headers: Vec<(String, Vec<u8>)> =
        headers.into_iter().map(|(name, value)| (name.to_string(), value.into_bytes())).collect();
    if let Some(token) = &arguments.token {
        headers.push(("authorization".to_owned(), format!("Bearer {token}").into_bytes()));
    }
    let url = address(arguments, &["events"])?;
    Ok(Request { url, id: event.id().to_owned(), id_is_new, headers, body: body.to_vec() })
}

/// The text of an event without an `id` with one, and nothing else of it changed.
fn with_id(text: &[u8]) -> Option<Vec<u8>> {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(text) else { return None };
    if members.is_empty() || members.contains_key("id") {
        return None;
    }
    let open = text.iter().position(|byte| *byte == b'{')? + 1;
    let id = format!("\"id\": \"{}\", ", uuid::Uuid::new_v4());
    Some([&text[..open], id.as_bytes(), &text[open..]].concat())
}

/// The webhook's secret, read as `serve` reads it.
fn secret(arguments: &Arguments) -> anyhow::Result<Option<Secret>> {
    let (secret, from) = match (&arguments.secret_file, &arguments.secret) {
        (Some(path), _) => (Secret::literal(read(path)?), format!("`{}`", path.display())),
        (None, Some(secret)) => (Secret::literal(secret), "`--secret`".to_owned()),
        (None, None) => return Ok(None),
    };
    Ok(Some(secret.map_err(|error| BadInput(format!("{from}: {error}")))?))
}

/// The place to send to, below `--url`.
fn address(arguments: &Arguments, path: &[&str]) -> anyhow::Result<Url> {
    let mistake = || {
        let hint = "write one such as `http://127.0.0.1:8080`";
        BadInput(format!("`--url {}` is not an http or https URL; {hint}", arguments.url))
    };
    let mut url = Url::parse(&arguments.url).map_err(|_| mistake())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(mistake().into());
    }
    url.path_segments_mut().map_err(|()| mistake())?.pop_if_empty().extend(path);
    Ok(url)
}

async fn post(request: &Request) -> anyhow::Result<(u16, Option<String>, String)> {
    let client = Client::new(&request.url, &Tls::default()).map_err(|reason| anyhow::anyhow!(reason))?;
    let mut headers = client.headers();
    for (name, value) in &request.headers {
        // The value may be a secret, so it is not shown.
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| BadInput(format!("header `{name}` cannot have a value with control characters")))?;
        headers.insert(HeaderName::try_from(name)?, value);
    }
    let body = request.body.clone().into();
    let answer = match client.post(&headers, &body, TIMEOUT, &mut 0).await {
        Ok(answer) => answer,
        Err(ClientError::Connect(_)) => {
            bail!("nothing listens at {}: start `pipewright dev`, or name another --url", request.url)
        }
        Err(error) => return Err(error).with_context(|| format!("sending to {}", request.url)),
    };
    let result =
        answer.headers.get("x-pipewright-result").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok((answer.status.as_u16(), result, String::from_utf8_lossy(&answer.body).into_owned()))
}

fn read(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))
}

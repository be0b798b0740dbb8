//! `pipewright send`: a payload file as a signed webhook, or an event file as a CloudEvent.

use std::path::PathBuf;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use anyhow::{Context, bail};
use serde_json::json;
use url::Url;

use super::{BadInput, Ended, Output, print, runtime};
use crate::event::{http, json as event_json};
use crate::sink::client::{Client, ClientError, Tls};
use crate::source::secret::Secret;
use crate::source::sending;
use crate::vocabulary::Forge;

/// How long an answer may take: longer than any deadline of ours.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Flags of `send`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The payload of a webhook (with --event), or a CloudEvent in JSON form
    file: PathBuf,
    /// Send the file as a webhook of this event, such as `push` or `pull_request`
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// The forge to send as: with its headers, and its way to show the secret
    #[arg(long, default_value = "github", requires = "event", value_name = "FORGE")]
    forge: String,
    /// The name of the source that the webhook goes to [default: that of the forge]
    #[arg(long, requires = "event", value_name = "NAME")]
    source: Option<String>,
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
    #[arg(long, requires = "event", value_name = "ID")]
    delivery: Option<String>,
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
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    let output = arguments.output;
    let request = match &arguments.event {
        Some(event) => webhook(arguments, event)?,
        None => cloud_event(arguments)?,
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
            print(&format!("accepted (HTTP {status}): {meaning}\nid {}\n", request.id))?
        }
        Output::Text => print(&format!("refused (HTTP {status}): {}\n", text.trim()))?,
    };
    Ok(if accepted { Ended::Well } else { Ended::NotRight })
}

fn webhook(arguments: &Arguments, event: &str) -> anyhow::Result<Request> {
    let body = read(&arguments.file)?;
    let id = arguments.delivery.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let forge: Forge = arguments
        .forge
        .parse()
        .map_err(|error| BadInput(format!("`--forge {}`: {error}", arguments.forge)))?;
    let headers = sending::headers(forge, event, &id, secret(arguments)?.as_ref(), &body);
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let source = arguments.source.as_deref().unwrap_or(forge.name());
    let url = address(arguments, &["webhooks", source])?;
    Ok(Request { url, id, headers, body })
}

fn cloud_event(arguments: &Arguments) -> anyhow::Result<Request> {
    let bytes = read(&arguments.file)?;
    let event = event_json::decode(bytes.into()).map_err(|error| {
        BadInput(format!(
            "`{}` is not a CloudEvent in JSON form ({error}); to send it as a webhook, name its --event",
            arguments.file.display()
        ))
    })?;
    let (headers, body) = http::encode_structured(&event);
    let mut headers: Vec<(String, Vec<u8>)> =
        headers.into_iter().map(|(name, value)| (name.to_string(), value.into_bytes())).collect();
    if let Some(token) = &arguments.token {
        headers.push(("authorization".to_owned(), format!("Bearer {token}").into_bytes()));
    }
    let url = address(arguments, &["events"])?;
    Ok(Request { url, id: event.id().to_owned(), headers, body: body.to_vec() })
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

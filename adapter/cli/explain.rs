//! `pipewright explain`: one delivery or event against all mappings, without a cluster and without doing anything.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};

use super::inputs::{PipelineArguments, SettingsArguments, compile, nothing_found, style};
use super::{BadInput, Ended, Output, complain, print};
use crate::action::{Action, Destination};
use crate::event::{Event, json as event_json, voucher};
use crate::mapping::PlanError;
use crate::mapping::explain::{ActionOutcome, Explanation, Outcome, action_json};
use crate::settings::{Settings, SourceDocument, SourceSpec};
use crate::source::generic::Generic;
use crate::source::{Field, Headers};
use crate::vocabulary::options::Options;
use crate::vocabulary::{self, Cost, Forge, Misfit, Webhook, alias};

/// The id of a delivery that there was not.
const NO_DELIVERY: &str = "00000000-0000-0000-0000-000000000000";

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The payload of a webhook (with --event or --source), or a CloudEvent in JSON form
    file: PathBuf,
    /// Read the file as a webhook of this event, such as `push` or `pull_request`
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// The forge that the webhook comes from [default: that of the source]
    #[arg(long, requires = "event", value_name = "FORGE")]
    forge: Option<String>,
    /// The source that the webhook comes to [default: that of the forge's name, or `github`]; of a CloudEvent, who vouches
    /// for it [default: `events:token` where the settings have tokens, or `events:insecure`]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Files and folders of mappings [default: those of the settings, or `mappings`]
    #[arg(long, value_name = "PATH")]
    mappings: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    pipelines: PipelineArguments,
    /// Show mappings too that are for other events
    #[arg(long)]
    all: bool,
    /// How to print it: `text` or `json`, which is `{events, mappings, plan, failures}`
    #[arg(long, short, value_enum, default_value_t, hide_possible_values = true, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    let settings = arguments.settings.read()?;
    let set = match compile(&arguments.mappings, &settings, &arguments.pipelines)? {
        Ok((set, _)) => set,
        Err(report) => {
            complain(&report.render(style(&std::io::stderr())));
            return Ok(Ended::NotRight);
        }
    };
    let events = events(arguments, &settings)?;
    if set.is_empty() {
        complain(&nothing_found(arguments.mappings.as_slice(), &settings));
    }
    let explanations = set.explain(&events);
    let plan = set.plan(&events);
    match arguments.output {
        Output::Json => {
            let actions: Vec<Value> = plan.actions.iter().map(planned).collect();
            let failures: Vec<Value> = plan.failures.iter().map(failure).collect();
            let events: Vec<Value> = events.iter().map(|event| event_json::tree(event)).collect();
            let shown =
                json!({"events": events, "mappings": explanations, "plan": actions, "failures": failures});
            print(&format!("{shown:#}\n"))?;
        }
        Output::Text => {
            let mut text = String::new();
            show_events(&mut text, &events);
            text.push_str("\nmappings:\n");
            let mut told = HashSet::new();
            for explanation in &explanations {
                let other =
                    matches!(&explanation.outcome, Outcome::NotFired { place, .. } if place == "events");
                if arguments.all || !other {
                    told.insert(explanation.mapping.as_str());
                    show_mapping(&mut text, explanation);
                }
            }
            match set.len().saturating_sub(told.len()) {
                0 => {}
                1 => text.push_str("  1 mapping is for other events (--all tells why)\n"),
                more => {
                    let _ = writeln!(text, "  {more} mappings are for other events (--all tells why)");
                }
            }
            if plan.actions.is_empty() {
                text.push_str("\nplan: nothing to do\n");
            } else {
                text.push_str("\nplan:\n");
                for action in &plan.actions {
                    show_action(&mut text, action);
                }
            }
            for error in &plan.failures {
                let _ = writeln!(
                    text,
                    "\nnot planned, so that the delivery would be refused (HTTP 422): {error}"
                );
            }
            print(&text)?;
        }
    }
    Ok(if plan.failures.is_empty() && !set.is_empty() { Ended::Well } else { Ended::NotRight })
}

fn events(arguments: &Arguments, settings: &Settings) -> anyhow::Result<Vec<Arc<Event>>> {
    let options: Options = settings.process.options();
    let received = jiff::Timestamp::now();
    let name = arguments.file.display();
    let body = std::fs::read(&arguments.file).with_context(|| format!("`{name}` cannot be read"))?;
    let known = arguments.source.as_deref().and_then(|name| settings.source(name));
    let (events, voucher) = if let (Some(SourceSpec::Generic(generic, _)), Some(source)) =
        (known, &arguments.source)
    {
        (vec![other(generic, arguments.event.as_deref(), body, received)?], source.clone())
    } else if let Some(event) = &arguments.event {
        let (forge, source) = sender(arguments, settings)?;
        let scope =
            settings.sources.iter().find(|known| known.name == source).map(|known| known.scope.clone());
        let options = Options { scope: scope.unwrap_or_default(), ..options };
        let webhook = Webhook {
            forge,
            event: event.clone(),
            delivery: NO_DELIVERY.to_owned(),
            body: body.into(),
            received,
        };
        let reading = vocabulary::read(&webhook, &options);
        let reading = reading.map_err(|error| BadInput(format!("`{name}`: {error}")))?;
        for Misfit { path, reason, costs } in &reading.misfits {
            let what = match costs {
                Cost::Field => "is left out",
                Cost::Event => "keeps all but the raw event from being told",
            };
            complain(&format!("note: `{path}` {what}: {reason}"));
        }
        (reading.events, source)
    } else {
        let event = event_json::decode(body.into()).map_err(|error| {
            BadInput(format!(
                "`{name}` is not a CloudEvent in JSON form ({error}); to read it as a webhook, name its --event"
            ))
        })?;
        let has_tokens = !settings.process.event_tokens.is_empty();
        let usual = if has_tokens { voucher::TOKEN } else { voucher::INSECURE };
        let voucher = arguments.source.clone().unwrap_or_else(|| usual.to_owned());
        (alias::events(event, &options, received), voucher)
    };
    let voucher: Arc<str> = voucher.into();
    Ok(events.into_iter().map(|event| Arc::new(event.vouched(Arc::clone(&voucher)))).collect())
}

/// The forge that a webhook comes from, and the name of the source that it comes to.
fn sender(arguments: &Arguments, settings: &Settings) -> anyhow::Result<(Forge, String)> {
    let parsed = |option: &str, text: &str| {
        text.parse::<Forge>().map_err(|error| BadInput(format!("`{option} {text}`: {error}")))
    };
    let source = arguments.source.as_deref();
    let forge = match (&arguments.forge, source) {
        (Some(forge), _) => parsed("--forge", forge)?,
        (None, None) => Forge::GitHub,
        (None, Some(name)) => {
            let of_settings = settings.sources.iter().find(|source| source.name == name);
            match of_settings.and_then(SourceDocument::forge) {
                Some(forge) => forge,
                None => name.parse().map_err(|_| {
                    BadInput(format!(
                        "`--source`: `{name}` is no source of the settings and no forge: name its `--forge`, one of {}",
                        Forge::names().join(", ")
                    ))
                })?,
            }
        }
    };
    Ok((forge, source.unwrap_or(forge.name()).to_owned()))
}

/// The event of a delivery to a source without a forge.
fn other(
    generic: &Generic,
    event: Option<&str>,
    body: Vec<u8>,
    received: jiff::Timestamp,
) -> anyhow::Result<Event> {
    let headers = generic.headers(event, NO_DELIVERY, &body).ok_or_else(|| {
        BadInput("this source has an `eventHeader`: name the --event that stands in it".to_owned())
    })?;
    let event = generic.event(&Sent(headers), &body.into(), received);
    Ok(event.map_err(|error| BadInput(error.to_string()))?)
}

/// The head of a request that nobody sent.
struct Sent(Vec<(String, Vec<u8>)>);

impl Headers for Sent {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).into()
    }
}

fn planned(action: &Action) -> Value {
    let mut shown = action_json(action);
    shown["origin"] = json!(action.origin());
    shown
}

fn failure(error: &PlanError) -> Value {
    json!({"mapping": error.mapping, "place": error.place, "reason": error.reason})
}

fn show_events(text: &mut String, events: &[Arc<Event>]) {
    text.push_str("events:\n");
    for event in events {
        let _ = writeln!(text, "  {}", event.ty());
        let _ = writeln!(text, "    id {}  source {}", event.id(), event.source());
        if let Some(subject) = event.subject() {
            let _ = writeln!(text, "    subject {subject}");
        }
    }
}

/// What would be done in a line, and the object or event in YAML below it.
fn show_action(text: &mut String, action: &Action) {
    let origin = action.origin();
    let by = format!("(mapping `{}`, action `{}`)", origin.mapping, origin.action);
    let shown = match action {
        Action::PipelineRun(run) => {
            let _ = writeln!(text, "  create PipelineRun {}/{} {by}", run.namespace, run.name);
            run.object.clone()
        }
        Action::Emit(emit) => {
            let to = match &emit.to {
                Destination::Sink(name) => format!("send to the sink `{name}`"),
                Destination::Reply => "answer the request with".to_owned(),
            };
            let _ = writeln!(text, "  {to}: {} {by}", emit.event.ty());
            event_json::tree(&emit.event)
        }
    };
    text.push_str(&yaml(&shown));
}

fn show_mapping(text: &mut String, explanation: &Explanation) {
    let what = format!("{} on {}", explanation.mapping, explanation.event_type);
    let _ = match &explanation.outcome {
        Outcome::Fired { vars, actions } => {
            let _ = writeln!(text, "  FIRED      {what}");
            for (name, value) in vars {
                let _ = writeln!(text, "               {name} = {value}");
            }
            for action in actions {
                let _ = match &action.outcome {
                    ActionOutcome::Planned { .. } => writeln!(text, "             + {}", action.action),
                    ActionOutcome::Duplicate { .. } => {
                        writeln!(text, "             = {}: the same as one above", action.action)
                    }
                    ActionOutcome::Skipped { reason } => {
                        writeln!(text, "             - {}: {reason}", action.action)
                    }
                };
            }
            Ok(())
        }
        Outcome::NotFired { place, reason } => {
            writeln!(text, "  not fired  {what}\n               {place}: {reason}")
        }
        Outcome::Failed { place, reason } => {
            writeln!(text, "  FAILED     {what}\n               {place}: {reason}")
        }
    };
}

fn yaml(value: &Value) -> String {
    let text = serde_saphyr::to_string(value).unwrap_or_else(|_| format!("{value:#}"));
    text.lines().fold(String::new(), |mut all, line| {
        let _ = writeln!(all, "    {line}");
        all
    })
}

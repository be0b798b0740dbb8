//! What the events at a sink tell of runs: one line for each object, and the whole of it for people to review.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::LazyLock;

use pipewright::event::Event;
use regex::Regex;
use serde_json::Value;

static TIMED_OUT_IN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"\\nPrevious status: [^"]*"#).unwrap());

/// One event about a run.
#[derive(Clone, Debug)]
pub struct Told {
    pub uid: String,
    /// The run's kind and, in a pipeline, its task.
    pub label: String,
    /// `queued`, `started` or `finished`, or what was done with an artifact.
    pub transition: String,
    pub event: String,
    pub data: Value,
}

/// What events tell of the runs of one mapping, in the order of their arrival.
pub fn told(events: &[Event], mapping: &str) -> Vec<Told> {
    events
        .iter()
        .filter(|event| event.tree().is_some_and(|data| data["customData"]["mapping"] == mapping))
        .filter_map(|event| Told::read(event, event.tree()?))
        .collect()
}

// === impl Told ===

impl Told {
    fn read(event: &Event, data: &Value) -> Option<Self> {
        let transition = event.ty().strip_prefix("dev.cdevents")?.split('.').nth(2)?;
        let run = &data["customData"]["tekton"];
        Some(Self {
            uid: run["uid"].as_str()?.to_owned(),
            label: label(run),
            transition: transition.to_owned(),
            event: event.id().to_owned(),
            data: data.clone(),
        })
    }

    /// Such as `TaskRun a started`, or `PipelineRun finished: failure, Failed`.
    pub fn line(&self) -> String {
        format!("{} {}", self.label, self.what())
    }

    fn what(&self) -> String {
        let mut text = self.transition.clone();
        if let Some(outcome) = self.data["subject"]["content"]["outcome"].as_str() {
            let reason = self.data["customData"]["tekton"]["reason"].as_str().unwrap_or("no reason");
            write!(text, " {outcome} {reason}").unwrap();
        }
        text
    }
}

/// The kind and, for a task of a pipeline, its name there; those of a matrix have a number.
fn label(run: &Value) -> String {
    let text = |name: &str| run[name].as_str().unwrap_or_default();
    let (kind, task) = (text("kind"), text("task"));
    if run.get("pipelineRun").is_none() {
        return kind.to_owned();
    }
    let (_, number) = text("name").rsplit_once('-').unwrap_or_default();
    let is_one_of_many = number != task && number.chars().all(|c| c.is_ascii_digit());
    if is_one_of_many { format!("{kind} {task}-{number}") } else { format!("{kind} {task}") }
}

/// One line for each object, sorted: its label and everything that was told of it, in the order of arrival.
pub fn lines(story: &[Told]) -> Vec<String> {
    let mut objects: BTreeMap<&str, String> = BTreeMap::new();
    for told in story {
        match objects.get_mut(told.uid.as_str()) {
            Some(line) => write!(line, ", {}", told.what()).unwrap(),
            None => drop(objects.insert(&told.uid, format!("{}: {}", told.label, told.what()))),
        }
    }
    let mut lines: Vec<String> = objects.into_values().collect();
    lines.sort();
    lines
}

/// All events of the runs of one mapping with what differs from run to run masked: ids are the names of the events.
pub fn masked(events: &[Event], mapping: &str, namespace: &str) -> String {
    let story = told(events, mapping);
    let mut names: HashMap<&str, String> = HashMap::new();
    let mut chains: HashMap<&str, String> = HashMap::new();
    for event in events {
        if event.ty().starts_with("dev.cdevents.change.") {
            let data = event.tree().unwrap();
            names.insert(event.id(), "the change".to_owned());
            chains.insert(data["context"]["chainId"].as_str().unwrap(), "of the change".to_owned());
        }
    }
    for told in &story {
        names.insert(&told.event, format!("{} {}", told.label, told.transition));
    }
    let mut texts: Vec<(&str, usize, String)> = story
        .iter()
        .map(|told| {
            let context = &told.data["context"];
            let links: Vec<String> =
                context["links"].as_array().into_iter().flatten().map(|link| named(link, &names)).collect();
            let chain = context["chainId"].as_str().unwrap();
            let chain = chains.get(chain).map_or("its own", String::as_str);
            let text = format!(
                "chain {chain}; {}\n{}\n{}\n",
                links.join("; "),
                told.data["subject"],
                told.data["customData"]
            );
            let (id, delivery) =
                (&told.data["customData"]["event"]["id"], &told.data["customData"]["delivery"]);
            let text = text.replace(id.as_str().unwrap_or("none"), "ID OF THE CHANGE");
            let text = text.replace(delivery.as_str().unwrap_or("none"), "DELIVERY");
            let run = &told.data["customData"]["tekton"];
            let run = run["pipelineRun"].as_str().or_else(|| run["name"].as_str()).unwrap();
            let text = text.replace(&told.uid, "UID").replace(namespace, "NAMESPACE").replace(run, "RUN");
            // Which state a timeout meets is a matter of how busy the machine is.
            let text = TIMED_OUT_IN.replace_all(&text, "");
            let order = ["queued", "started", "finished", "packaged", "published"];
            let place = order.iter().position(|name| *name == told.transition);
            (told.label.as_str(), place.unwrap(), format!("# {}\n{text}", told.line()))
        })
        .collect();
    texts.sort();
    texts.dedup();
    texts.into_iter().map(|(.., text)| text).collect::<Vec<_>>().join("\n")
}

fn named(link: &Value, names: &HashMap<&str, String>) -> String {
    let id = link.pointer("/from/contextId").or_else(|| link.pointer("/target/contextId")).unwrap();
    let name = names.get(id.as_str().unwrap()).map_or("an event that did not arrive", String::as_str);
    let kind = link["linkKind"].as_str().or_else(|| link["linkType"].as_str()).unwrap();
    format!("{kind} {name}")
}

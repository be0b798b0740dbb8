//! The documentation cannot drift: what can be generated is held to the program (`UPDATE_DOCS=1` writes it anew), what
//! can be compiled is compiled, and every link leads somewhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipewright::mapping::{Catalog, File, MappingSet};
use pipewright::settings::Settings;
use pipewright::telemetry::Metrics;
use pipewright::telemetry::metrics::{
    Answer, Authentication, ByCost, ByDoor, ByMapping, ByPort, ByRoute, BySink, ConnectionBound, Effect,
    EffectResult, OfSource, Port, Refused, Route, Send, Shed, ShedReason, Signature,
};
use pipewright::vocabulary::options::OPTIONAL;
use pipewright::vocabulary::outcome::{Outcome, Outcomes};
use pipewright::vocabulary::{Row, bitbucket, bitbucket_data_center, gitea, github, gitlab};

use serde_json::Value;

use crate::support::program::{PROJECT, run};

const COMMANDS: [&str; 9] =
    ["dev", "serve", "check", "test", "explain", "send", "cluster", "schema", "completions"];

fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(PROJECT);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|page| root.join(page)));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// Holds the part of a page between `<!-- begin NAME -->` and `<!-- end NAME -->` to `generated`.
fn hold(page: &str, name: &str, generated: &str) {
    let path = Path::new(PROJECT).join("docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let start = text.find(&begin).unwrap_or_else(|| panic!("{page} has no `{begin}`")) + begin.len();
    let stop = start + text[start..].find(&end).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{generated}{}", &text[..start], &text[stop..])).unwrap();
        return;
    }
    assert_eq!(&text[start..stop], generated, "docs/{page} is out of date: run the tests with UPDATE_DOCS=1");
}

#[test]
fn the_help_of_every_command_is_in_the_documentation() {
    let listed = run(&["--help"]);
    for command in COMMANDS {
        assert!(listed.out.contains(&format!("\n  {command} ")), "{}", listed.out);
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, 0);
        hold("commands.md", &format!("help {command}"), &format!("```text\n{}```\n", help.out));
    }
    let commands = listed.out.lines().skip_while(|line| *line != "Commands:").skip(1);
    let count = commands.take_while(|line| !line.is_empty()).filter(|line| !line.contains("  help ")).count();
    assert_eq!(count, COMMANDS.len(), "{}", listed.out);
}

#[test]
fn every_custom_type_is_in_the_documentation() {
    let mut table = "| type | says | subject | content |\n|---|---|---|---|\n".to_owned();
    for (ty, text) in pipewright::vocabulary::schema::SHIPPED {
        let schema: serde_json::Value = serde_json::from_str(text).unwrap();
        let subject = &schema["properties"]["subject"]["properties"];
        let content = &subject["content"];
        let required = content["required"].as_array().cloned().unwrap_or_default();
        let field = |name: &String| {
            if required.iter().any(|it| it == name) { format!("`{name}`") } else { format!("*`{name}`*") }
        };
        let fields: Vec<String> = content["properties"].as_object().unwrap().keys().map(field).collect();
        let (says, id) =
            (schema["description"].as_str().unwrap(), subject["id"]["description"].as_str().unwrap());
        let _ = writeln!(table, "| `{ty}` | {says} | {id} | {} |", fields.join(", "));
    }
    hold("events.md", "custom types", &table);
}

#[test]
fn every_metric_is_in_the_documentation() {
    let metrics = Metrics::new();
    let route = Route::webhook;
    drop(metrics.events_received.get_or_create(&ByRoute { route }));
    drop(metrics.answer_seconds.get_or_create(&ByRoute { route }));
    drop(metrics.answers.get_or_create(&Answer { route, code: 202 }));
    let result = EffectResult::created;
    drop(metrics.effects.get_or_create(&Effect { kind: "emit", mapping: "m".to_owned(), result }));
    drop(metrics.sends.get_or_create(&Send { sink: "s".to_owned(), result: "accepted" }));
    let by_sink = BySink { sink: "s".to_owned() };
    drop(metrics.dead_letters.get_or_create(&by_sink));
    drop(metrics.sink_in_flight.get_or_create(&by_sink));
    drop(metrics.sink_waiting.get_or_create(&by_sink));
    drop(metrics.sink_refusals.get_or_create(&by_sink));
    drop(metrics.signatures.get_or_create(&Signature { source: "s".to_owned(), secret: "0".to_owned() }));
    drop(metrics.events_authenticated.get_or_create(&Authentication { by: "token" }));
    drop(metrics.foreign.get_or_create(&OfSource { source: "s".to_owned() }));
    drop(metrics.misfits.get_or_create(&ByCost { forge: "github", costs: "field" }));
    let port = Port::public;
    drop(metrics.connections.get_or_create(&ByPort { port }));
    drop(metrics.connections_refused.get_or_create(&Refused { port, bound: ConnectionBound::head_time }));
    let by_mapping = ByMapping { mapping: "m".to_owned() };
    drop(metrics.plan_errors.get_or_create(&by_mapping));
    drop(metrics.transition_failures.get_or_create(&by_mapping));
    drop(metrics.transitions_refused.get_or_create(&by_mapping));
    drop(metrics.secrets_unreadable.get_or_create(&OfSource { source: "s".to_owned() }));
    let source = || "s".to_owned();
    drop(metrics.shed.get_or_create(&Shed { reason: ShedReason::memory, route, source: source() }));
    drop(metrics.in_flight.get_or_create(&ByDoor { route, source: source() }));
    drop(metrics.body_bytes.get_or_create(&ByDoor { route, source: source() }));

    let text = metrics.encode();
    let mut table = "| metric | type | labels | |\n|---|---|---|---|\n".to_owned();
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let shown = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let sample = text
            .lines()
            .find(|line| line.starts_with(name) && !line.starts_with(&format!("{name}_bucket")))
            .unwrap_or_else(|| panic!("`{name}` has labels: give it a series in this test"));
        let labels: Vec<String> = sample
            .split_once('{')
            .map(|(_, rest)| rest.split_once('}').unwrap().0)
            .into_iter()
            .flat_map(|labels| labels.split(','))
            .map(|label| format!("`{}`", label.split('=').next().unwrap()))
            .collect();
        let _ = writeln!(
            table,
            "| `{shown}` | {kind} | {} | {} |",
            labels.join(", "),
            help.trim_end_matches('.')
        );
    }
    hold("operations.md", "metrics", &table);

    // A metric with labels shows itself only once it has a series: none may be missing above.
    let source = std::fs::read_to_string(Path::new(PROJECT).join("adapter/telemetry/metrics.rs")).unwrap();
    // The macro itself has two.
    let registered = source.matches("metric!(").count() + source.matches("registry.register").count() - 2;
    assert_eq!(table.lines().count() - 2, registered, "{table}");
}

#[test]
fn what_a_delivery_becomes_is_in_the_documentation() {
    for (forge, rows) in [
        ("github", github::ROWS),
        ("gitea", gitea::ROWS),
        ("gitlab", gitlab::ROWS),
        ("bitbucket", bitbucket::ROWS),
        ("bitbucket-data-center", bitbucket_data_center::ROWS),
    ] {
        hold("events.md", forge, &table_of(rows));
    }
}

#[test]
fn what_words_and_reasons_mean_is_in_the_documentation() {
    for (name, title, words) in [
        ("outcomes", "a forge says", Outcomes::usual_words()),
        ("reasons", "Tekton says", Outcomes::usual_reasons()),
    ] {
        let mut table = format!("| {title} | `outcome` |\n|---|---|\n");
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Cancel, Outcome::Error] {
            let same = words.iter().filter(|(_, it)| *it == outcome);
            let same: Vec<String> = same.map(|(word, _)| format!("`{word}`")).collect();
            if !same.is_empty() {
                let _ = writeln!(table, "| {} | `{}` |", same.join(", "), outcome.as_str());
            }
        }
        hold("events.md", name, &table);
    }
}

#[test]
fn what_the_shipped_mappings_make_is_in_the_documentation() {
    let mut table = "| mapping | of | makes |\n|---|---|---|\n".to_owned();
    let mut files: Vec<_> =
        std::fs::read_dir(Path::new(PROJECT).join("mappings")).unwrap().flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files.iter().filter(|file| file.path().extension().is_some_and(|it| it == "yaml")) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        for document in text.split("\n---\n") {
            let mapping: Value = serde_saphyr::from_str(document).unwrap();
            let mut of = Vec::new();
            for entry in mapping["spec"]["events"].as_array().unwrap() {
                of.push(format!("`{}`", entry["type"].as_str().unwrap()));
            }
            let mut makes: Vec<String> = Vec::new();
            for action in mapping["spec"]["do"].as_array().unwrap() {
                let made = match action["emit"]["type"].as_str() {
                    Some(ty) => format!("`{ty}`"),
                    None => "a PipelineRun".to_owned(),
                };
                if !makes.contains(&made) {
                    makes.push(made);
                }
            }
            let name = mapping["metadata"]["name"].as_str().unwrap();
            let _ = writeln!(table, "| `{name}` | {} | {} |", of.join(", "), makes.join(", "));
        }
    }
    hold("events.md", "shipped", &table);
}

#[test]
fn the_optional_events_are_in_the_documentation() {
    let mut table = "| `optionalEvents` | |\n|---|---|\n".to_owned();
    for (_, name, meaning) in OPTIONAL {
        let _ = writeln!(table, "| `{name}` | {meaning} |");
    }
    hold("events.md", "optional", &table);
}

fn table_of(rows: &[Row]) -> String {
    let mut table = "| event | action | becomes | key of the id |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let becomes: Vec<String> = row.becomes.iter().map(|ty| format!("`{ty}`")).collect();
        let action = row.action.map_or_else(|| "–".to_owned(), |action| format!("`{action}`"));
        let name = |wanted| OPTIONAL.iter().find(|(optional, ..)| *optional == wanted).unwrap().1;
        let only = row.only.map(|wanted| format!(", with `{}`", name(wanted))).unwrap_or_default();
        let _ =
            writeln!(table, "| `{}` | {action} | {}{only} | {} |", row.event, becomes.join(", "), row.key);
    }
    table
}

#[test]
fn the_rights_of_the_manifests_are_in_the_documentation() {
    let mut table = "| in the namespace of | API group | resources | verbs |\n|---|---|---|---|\n".to_owned();
    for (place, file) in [("the runs", "runs"), ("the pods", "adapter")] {
        let path = Path::new(PROJECT).join(format!("deploy/base/{file}/roles.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let documents = text.split("---\n").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
        for rule in documents.flat_map(|it| it["rules"].as_array().cloned().unwrap_or_default()) {
            let list = |field: &str| {
                let words = rule[field].as_array().unwrap().iter();
                let named = words.map(|word| match word.as_str().unwrap() {
                    "" => "core".to_owned(),
                    word => format!("`{word}`"),
                });
                named.collect::<Vec<_>>().join(", ")
            };
            let name = rule["resourceNames"][0].as_str().map(|name| format!(" named `{name}`"));
            let resources = list("resources") + &name.unwrap_or_default();
            let _ = writeln!(table, "| {place} | {} | {resources} | {} |", list("apiGroups"), list("verbs"));
        }
    }
    hold("operations.md", "rights", &table);
}

/// The fenced blocks of a page in a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn documents_in_the_documentation_are_read_by_the_program() {
    let mut seen = 0;
    for (path, text) in pages() {
        for block in blocks(&text, "yaml") {
            seen += 1;
            let place = path.display().to_string();
            if block.contains("kind: Mapping") {
                let file = File { path: place.clone(), text: Arc::from(block) };
                match MappingSet::compile(&[file], &Catalog::default()) {
                    Ok((_, report)) => assert!(report.is_empty(), "{place}:\n{report}"),
                    Err(report) => panic!("{place}:\n{report}"),
                }
            } else {
                Settings::parse(&block).unwrap_or_else(|error| panic!("{place}: {error}\n{block}"));
            }
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn the_example_of_the_readme_holds() {
    let readme = std::fs::read_to_string(Path::new(PROJECT).join("README.md")).unwrap();
    let mapping = blocks(&readme, "yaml").into_iter().find(|block| block.contains("kind: Mapping")).unwrap();
    // It stands in `mappings/` in the reader's mind.
    let place = Path::new(PROJECT).join("mappings/readme.yaml").display().to_string();
    let files = [File { path: place, text: Arc::from(mapping) }];
    let (set, _) = MappingSet::compile(&files, &Catalog::default()).unwrap();
    let outcomes = set.run_examples(&pipewright::mapping::load::read_beside);
    assert!(!outcomes.is_empty());
    for outcome in outcomes {
        assert_eq!(outcome.result, pipewright::mapping::example::ExampleResult::Passed, "{outcome:?}");
    }
}

#[test]
fn relative_links_lead_somewhere() {
    let mut seen = 0;
    for (path, text) in pages() {
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{}: `{link}` leads nowhere", path.display());
            if !anchor.is_empty() {
                let target = std::fs::read_to_string(target).unwrap();
                let heading = target
                    .lines()
                    .filter_map(|line| line.strip_prefix('#'))
                    .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"));
                assert!(heading.into_iter().any(|it| it == anchor), "{}: `{link}`", path.display());
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn files_that_the_documentation_names_exist() {
    for (path, text) in pages() {
        for name in text.split('`').filter(|word| {
            ["adapter/", "config/", "deploy/", "tests/", "mappings/", "docs/"]
                .iter()
                .any(|folder| word.starts_with(folder))
                && !word.contains(['*', ' ', '{', '<'])
        }) {
            assert!(Path::new(PROJECT).join(name).exists(), "{}: `{name}`", path.display());
        }
        // Architecture names modules as they are below `adapter/`.
        for name in text.split('`').filter(|word| {
            Path::new(word).extension().is_some_and(|it| it == "rs") && !word.contains([' ', '\n'])
        }) {
            let places = [Path::new(PROJECT).join(name), Path::new(PROJECT).join("adapter").join(name)];
            let found = name == "foo.rs" || places.iter().any(|place| place.exists());
            assert!(found, "{}: `{name}`", path.display());
        }
        assert!(!text.contains("shared/"), "{}", path.display());
    }
}

#[test]
fn the_commented_settings_show_the_defaults() {
    let path = Path::new(PROJECT).join("config/pipewright.yaml");
    let settings = Settings::read(&path).unwrap();
    let defaults = Settings::default();
    // Relative to the file, whose folder is beside that of the mappings.
    let mut process = settings.process.clone();
    assert_eq!(process.mappings, [Path::new(PROJECT).join("config/../mappings")]);
    process.mappings.clone_from(&defaults.process.mappings);
    assert_eq!(format!("{process:?}"), format!("{:?}", defaults.process));
    assert_eq!(settings.sources.len(), 1);

    // What is commented out can be read too.
    let text = std::fs::read_to_string(&path).unwrap();
    let commented: Vec<Settings> = text
        .split("\n# ---\n")
        .skip(1)
        .map(|part| {
            let lines = part.lines().skip(1).map(|line| line.strip_prefix("# ").unwrap_or_default());
            Settings::parse(&lines.fold(String::new(), |all, line| all + line + "\n")).unwrap()
        })
        .collect();
    assert_eq!(commented[0].sinks[0].spec.delivery, pipewright::sink::Delivery::default());
    assert_eq!(commented[1].sources[0].name, "docker-hub");

    // Every field has its line, so that the file can serve as the list of them.
    let page = std::fs::read_to_string(Path::new(PROJECT).join("docs/operations.md")).unwrap();
    for field in [
        "listen",
        "adminListen",
        "namespace",
        "watchNamespace",
        "eventSource",
        "runUrl",
        "mappings",
        "schemas",
        "config",
        "announce",
        "announceProgress",
        "outcomes",
        "eventsListen",
        "probeListen",
        "adminTokens",
        "eventTokens",
        "eventOidc",
        "eventTls",
        "insecureEvents",
        "allowedOrigins",
        "limits",
        "webhookBody",
        "eventBody",
        "bodyMemory",
        "inFlight",
        "openShare",
        "sourceShare",
        "bodyDeadline",
        "webhookDeadline",
        "eventDeadline",
    ] {
        assert!(text.contains(&format!("{field}:")), "config/pipewright.yaml has no `{field}`");
        assert!(page.contains(&format!("`{field}`")), "docs/operations.md has no `{field}`");
    }
}

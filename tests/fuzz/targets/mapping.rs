//! The mapping loader: any text gives mappings or a report that can be shown; what compiles can be asked.

use std::sync::Arc;

use pipewright::diagnostic::{Report, Style};
use pipewright::event::Event;
use pipewright::mapping::{Catalog, File, MappingSet};
use serde_json::json;

const PAYLOAD: &str = r#"{"title": "t $(x)", "labels": ["a", "b"], "n": 1, "none": null,
    "customData": {"change": {"number": 7, "target": {"branch": "main"}}}, "list": [{"name": "x"}, {"name": "y"}]}"#;

/// The input is a mapping file.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let catalog = Catalog {
        sinks: vec!["audit".to_owned()],
        config: json!({"registry": "r.example.com"}),
        ..Catalog::default()
    };
    let file = File { path: "fuzz.yaml".to_owned(), text: Arc::from(text) };
    match MappingSet::compile(&[file], &catalog) {
        Ok((set, report)) => {
            show(&report);
            let events = ["dev.cdevents.change.created.0.4.0", "com.example.x"].map(|ty| {
                let event = Event::builder("1", "https://example.com/r", ty).subject("s").json(PAYLOAD);
                event.build().map(Arc::new)
            });
            let events: Vec<Arc<Event>> = events.into_iter().flatten().collect();
            let plan = set.plan(&events).complete().map(|plan| plan.actions.len());
            let scan = set.plan_by_scan(&events).complete().map(|plan| plan.actions.len());
            assert_eq!(plan, scan, "the index finds what a scan finds");
            let _ = set.explain(&events);
        }
        Err(report) => show(&report),
    }
}

fn show(report: &Report) {
    let _ = (report.render(Style::Plain), report.render(Style::Color), report.to_json().to_string());
    for finding in report.diagnostics() {
        assert!(!finding.message.is_empty());
        assert!(finding.file.is_none() || finding.to_string().starts_with("fuzz.yaml:"));
    }
}

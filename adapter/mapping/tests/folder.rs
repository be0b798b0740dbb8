//! Two teams' files in two namespaces.

use super::*;
use crate::mapping::Folder;

fn limited() -> Catalog {
    let folder = |path: &str, namespaces: &[&str]| {
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        Folder::new(path.into(), &namespaces)
    };
    let folders = vec![
        folder("teams", &["team-*"]),
        folder("teams/a", &["team-a-*", "team-a"]),
        folder("teams/wild", &["team-wild-*"]),
        folder("teams/wrong", &["elsewhere"]),
    ];
    Catalog { folders, ..Catalog::default() }
}

fn compiled(path: &str, metadata: &str) -> Result<MappingSet, Vec<&'static str>> {
    let text = format!(
        "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: m}}
spec:
  events: [{{type: com.example.x}}]
  do:
    - name: run
      pipelineRun: {{{metadata}spec: {{pipelineRef: {{name: build}}}}}}
"
    );
    let file = File { path: path.to_owned(), text: text.into() };
    let result = MappingSet::compile(&[file], &limited());
    result.map(|(set, _)| set).map_err(|report| report.errors().map(|it| it.code).collect())
}

#[test]
fn a_file_of_a_folder_creates_in_its_namespaces_only() {
    let event = Arc::new(Event::builder("1", "/s", "com.example.x").build().unwrap());
    let within = |namespace: &str| format!("metadata: {{namespace: {namespace}}}, ");
    for (path, metadata, namespace) in [
        ("common/m.yaml", String::new(), "default"),
        ("common/m.yaml", within("anywhere"), "anywhere"),
        ("teams/a/m.yaml", String::new(), "team-a"),
        ("teams/a/deep/m.yaml", within("team-a-test"), "team-a-test"),
        ("teams/m.yaml", within("team-b"), "team-b"),
        // A neighbour whose name begins alike is another folder.
        ("teams/ab/m.yaml", within("team-b"), "team-b"),
    ] {
        let set = compiled(path, &metadata).unwrap_or_else(|codes| panic!("{path} {metadata}: {codes:?}"));
        let planned = objects(&set, &event);
        assert_eq!(planned[0]["pipelineRun"]["metadata"]["namespace"], namespace, "{path} {metadata}");
    }
    for (path, metadata, code) in [
        ("teams/a/m.yaml", within("team-b"), "foreign-namespace"),
        ("teams/a/m.yaml", within("default"), "foreign-namespace"),
        ("teams/wild/m.yaml", String::new(), "missing-namespace"),
        ("teams/m.yaml", String::new(), "missing-namespace"),
        // Every folder that it lies in has to allow it.
        ("teams/wrong/m.yaml", String::new(), "foreign-namespace"),
    ] {
        assert_eq!(compiled(path, &metadata).unwrap_err(), [code], "{path} {metadata}");
    }
}

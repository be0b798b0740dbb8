//! Where in a run templates may stand, over all fields that Tekton's v1 has.

use super::*;

/// Values of fields of a PipelineRun's spec in which the sender's data is data.
const OPEN: [&str; 20] = [
    "pipelineRef: {name: b}, params: [{name: p, value: T}]",
    "pipelineRef: {name: b}, params: [{name: p, value: [a, T]}]",
    "pipelineRef: {name: b}, params: [{name: p, value: {a: T, unsafe: b}}]",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {env: [{name: E, value: T}]}}",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, podTemplate: {env: [{name: E, value: T}]}}]",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, metadata: {labels: {team: T}}}]",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, metadata: {annotations: {why: T}}}]",
    "pipelineSpec: {tasks: [{name: t, taskRef: {name: b}, params: [{name: p, value: T}]}]}",
    "pipelineSpec: {finally: [{name: t, taskRef: {name: b}, params: [{name: p, value: T}]}]}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {name: b}, matrix: {params: [{name: p, value: [T]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {name: b}, matrix: {include: [{params: [{name: p, value: T}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {metadata: {labels: {team: T}}}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {metadata: {annotations: {why: T}}}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, image: i, env: [{name: E, value: T}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {sidecars: [{name: s, image: i, env: [{name: E, value: T}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {stepTemplate: {env: [{name: E, value: T}]}}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, ref: {name: r}, params: [{name: p, value: T}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, pipelineSpec: {tasks: [{name: u, taskRef: {name: b}, params: [{name: p, value: T}]}]}}]}",
    "pipelineRef: {resolver: git, params: [{name: revision, value: T}]}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {resolver: git, params: [{name: revision, value: T}]}}]}",
];

/// The same where it would decide what is run, where, how long, or with whose rights.
const CLOSED: [&str; 78] = [
    "pipelineRef: {name: T}",
    "pipelineRef: {apiVersion: T}",
    "pipelineRef: {resolver: T}",
    "pipelineRef: {resolver: git, params: [{name: url, value: T}]}",
    "pipelineRef: {resolver: http, params: [{name: url, value: T}]}",
    "pipelineRef: {resolver: bundles, params: [{name: bundle, value: [T]}]}",
    "pipelineRef: {resolver: cluster, params: [{name: namespace, value: {a: T}}]}",
    "pipelineRef: {resolver: git, params: [{name: T, value: x}]}",
    "pipelineRef: {resolver: git, params: T}",
    "pipelineRef: {resolver: git, params: [{name: revision, value: [T]}]}",
    "pipelineRef: {resolver: git, params: [{name: revision, value: \"refs/heads/T\"}]}",
    "pipelineRef: T",
    "pipelineRef: {name: b}, params: T",
    "pipelineRef: {name: b}, params: [T]",
    "pipelineRef: {name: b}, params: [{name: T, value: x}]",
    "pipelineRef: {name: b}, status: T",
    "pipelineRef: {name: b}, managedBy: T",
    "pipelineRef: {name: b}, timeouts: {pipeline: T}",
    "pipelineRef: {name: b}, timeouts: {tasks: T}",
    "pipelineRef: {name: b}, taskRunTemplate: {serviceAccountName: T}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {hostNetwork: T}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {nodeSelector: {disk: T}}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {securityContext: {runAsUser: T}}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {imagePullSecrets: [{name: T}]}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {volumes: [{name: v, hostPath: {path: T}}]}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {volumes: [{name: v, secret: {secretName: T}}]}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {schedulerName: T, tolerations: [{key: x}]}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {env: [{name: T, value: x}]}}",
    "pipelineRef: {name: b}, taskRunTemplate: {podTemplate: {env: [{name: E, valueFrom: {secretKeyRef: {name: T, key: k}}}]}}",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: T}]",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, serviceAccountName: T}]",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, metadata: {labels: T}}]",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, computeResources: {limits: {cpu: T}}}]",
    "pipelineRef: {name: b}, taskRunSpecs: [{pipelineTaskName: t, stepSpecs: [{name: s, computeResources: {limits: {cpu: T}}}]}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, subPath: T}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, secret: {secretName: T}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, configMap: {name: T}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, persistentVolumeClaim: {claimName: T}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, projected: {sources: [{secret: {name: T}}]}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, csi: {driver: T}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, emptyDir: {medium: T}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, volumeClaimTemplate: {metadata: {annotations: {a: T}}}}]",
    "pipelineRef: {name: b}, workspaces: [{name: w, volumeClaimTemplate: {spec: {storageClassName: T}}}]",
    "pipelineSpec: T",
    "pipelineSpec: {description: T}",
    "pipelineSpec: {params: [{name: p, default: T}]}",
    "pipelineSpec: {results: [{name: r, value: T}]}",
    "pipelineSpec: {workspaces: [{name: T}]}",
    "pipelineSpec: {tasks: T}",
    "pipelineSpec: {tasks: [{name: T}]}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {name: T}}]}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {resolver: T}}]}",
    "pipelineSpec: {tasks: [{name: t, taskRef: {resolver: git, params: [{name: pathInRepo, value: T}]}}]}",
    "pipelineSpec: {tasks: [{name: t, pipelineRef: {name: T}}]}",
    "pipelineSpec: {tasks: [{name: t, when: [{input: T, operator: in, values: [x]}]}]}",
    "pipelineSpec: {tasks: [{name: t, when: [{input: x, operator: in, values: [T]}]}]}",
    "pipelineSpec: {tasks: [{name: t, when: [{cel: T}]}]}",
    "pipelineSpec: {tasks: [{name: t, runAfter: [T]}]}",
    "pipelineSpec: {tasks: [{name: t, timeout: T}]}",
    "pipelineSpec: {tasks: [{name: t, onError: T}]}",
    "pipelineSpec: {tasks: [{name: t, retries: T}]}",
    "pipelineSpec: {tasks: [{name: t, workspaces: [{name: w, workspace: T}]}]}",
    "pipelineSpec: {tasks: [{name: t, matrix: {params: [{name: T, value: [x]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {apiVersion: a, kind: k, spec: {params: [{name: p, value: T}]}}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, image: T}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, script: T}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, command: [T]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, args: [x, T]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, workingDir: T}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, securityContext: {privileged: T}}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, envFrom: [{secretRef: {name: T}}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, env: [{name: E, valueFrom: {secretKeyRef: {name: T, key: k}}}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, volumeMounts: [{name: v, mountPath: T}]}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, ref: {resolver: git, params: [{name: url, value: T}]}}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {steps: [{name: s, ref: {name: T}}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {sidecars: [{name: s, image: T}]}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {stepTemplate: {image: T}}}]}",
    "pipelineSpec: {tasks: [{name: t, taskSpec: {volumes: [{name: v, hostPath: {path: T}}]}}]}",
];

/// A mapping for every event with this spec, in which `T` stands for a template.
fn with_spec(spec: &str) -> String {
    let spec = spec.replace("\"refs/heads/T\"", "\"refs/heads/{{one}}\"");
    let spec = spec
        .replace(": T", ": \"{{one}}\"")
        .replace("[T]", "[\"{{one}}\"]")
        .replace(", T]", ", \"{{one}}\"]");
    mapping(&format!(
        "  events: [{{type: \"*\"}}]\n  let:\n    one: {{path: $.data.one, default: v}}\n  do:\n    - {{name: build, pipelineRun: {{spec: {{{spec}}}}}}}\n"
    ))
}

fn event(one: &str) -> Arc<Event> {
    Arc::new(Event::builder("1", "/s", "t").json(json!({"one": one}).to_string()).build().unwrap())
}

/// The spec of the planned run, where Tekton would take it; the report must not be about templates.
fn planned(text: &str, one: &str) -> Option<String> {
    let compiled = MappingSet::compile(&files(&[text]), &catalog());
    let report = match &compiled {
        Ok((_, report)) | Err(report) => report,
    };
    let about =
        |it: &crate::diagnostic::Diagnostic| ["forbidden-template", "needless-unsafe"].contains(&it.code);
    assert!(!report.diagnostics().iter().any(about), "{text}\n{}", report.render(Style::Plain));
    let plan = compiled.ok()?.0.plan(&[event(one)]);
    let Action::PipelineRun(run) = plan.actions.first()? else { return None };
    Some(run.object["spec"].to_string())
}

#[test]
fn templates_stand_where_data_is_data_and_nowhere_else() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let mut seen = 0;
    for spec in OPEN {
        if let Some(run) = planned(&with_spec(spec), commit) {
            assert!(run.contains(commit), "{spec}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
    for spec in CLOSED {
        let text = with_spec(spec);
        // What Tekton says of the rest of such a run stands beside it.
        let report = refused(&text);
        let finding = report.errors().find(|it| it.code == "forbidden-template");
        let hint = finding.unwrap_or_else(|| panic!("{spec}: {report}")).hint.clone().unwrap_or_default();
        assert!(hint.contains("`unsafe: true` beside `"), "{spec}: {hint}");
    }
}

/// Puts `unsafe: true` into the innermost map around the template.
fn permitted(text: &str) -> String {
    let at = text.find("{{one}}").unwrap();
    let mut depth = 0;
    let open = text[..at].char_indices().rev().find(|(_, c)| match c {
        '}' => {
            depth += 1;
            false
        }
        '{' if depth == 0 => true,
        '{' => {
            depth -= 1;
            false
        }
        _ => false,
    });
    let (open, _) = open.unwrap();
    format!("{}unsafe: true, {}", &text[..=open], &text[open + 1..])
}

#[test]
fn unsafe_in_the_same_map_permits_a_template_and_is_taken_out() {
    let mut seen = 0;
    for spec in CLOSED {
        if let Some(run) = planned(&permitted(&with_spec(spec)), "shown") {
            assert!(run.contains("shown") && !run.contains("unsafe"), "{spec}: {run}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn unsafe_in_a_map_further_out_permits_nothing() {
    let text = with_spec("pipelineRef: {unsafe: true, resolver: git, params: [{name: url, value: T}]}");
    let report = refused(&text);
    let codes: Vec<_> = report.diagnostics().iter().map(|one| one.code).collect();
    assert_eq!(codes, ["needless-unsafe", "forbidden-template"], "{report}");
    assert!(report.to_string().contains("only `revision` may be a template"), "{report}");
    let text = with_spec("pipelineRef: {name: b, unsafe: false}");
    assert_eq!(finding(&text).0, "wrong-value");
}

#[test]
fn a_revision_is_the_full_id_of_a_commit_or_the_mapping_fails() {
    let set = set(&with_spec("pipelineRef: {resolver: git, params: [{name: revision, value: T}]}"));
    for good in ["0123456789abcdef0123456789abcdef01234567".to_owned(), "0aB9".repeat(16)] {
        assert!(set.plan(&[event(&good)]).failures.is_empty(), "{good}");
    }
    let long = "0".repeat(41);
    for bad in ["main", "0123456", "v1.0", "", &long, "g123456789abcdef0123456789abcdef01234567"] {
        let error = &set.plan(&[event(bad)]).failures[0];
        assert_eq!(error.place, "do[0].pipelineRun.spec.pipelineRef.params[0].value");
        assert!(error.reason.contains(&format!("`{bad}` is not the full id of a commit")), "{error}");
    }
}

//! What is probably not meant is told, and what may be right is not.

use super::*;
use crate::vocabulary::options::Optional;

/// The warnings of mappings, each as `code: message (hint)`, with these settings.
fn told_with(catalog: &Catalog, texts: &[&str]) -> Vec<String> {
    match MappingSet::compile(&files(texts), catalog) {
        Ok((_, report)) => {
            let shown = |it: &Diagnostic| format!("{}: {it}", it.code);
            report.warnings().map(shown).collect()
        }
        Err(report) => panic!("{}", report.render(Style::Plain)),
    }
}

fn told(text: &str) -> Vec<String> {
    told_with(&catalog(), &[text])
}

/// All runs are watched.
fn watching() -> Catalog {
    Catalog { watched: "*".to_owned(), ..catalog() }
}

/// A mapping for these `events` with these other lines of `spec`.
fn of(events: &str, lines: &str) -> String {
    mapping(&format!(
        "  events: [{events}]\n{lines}  do:\n    - name: x\n      pipelineRun: {{spec: {{pipelineRef: {{name: x}}}}}}\n"
    ))
}

/// The only warning.
fn one(text: &str) -> String {
    let told = told(text);
    assert_eq!(told.len(), 1, "{text}\n{told:#?}");
    told[0].clone()
}

fn with(part: &str) -> String {
    of("{type: dev.cdevents.change.created}", part)
}

#[test]
fn types_that_nothing_sends_are_told_with_the_nearest() {
    for (ty, wanted) in [
        ("com.github.pull_requst.opened", "did you mean `com.github.pull_request.opened`?"),
        ("com.github.pull_request.opend", "did you mean `com.github.pull_request.opened`?"),
        ("com.GitHub.push", "did you mean `com.github.push`?"),
        ("com.github.pull_request", "write `com.github.pull_request.*`"),
        ("com.github.pull_requst", "did you mean `com.github.pull_request.*`?"),
        ("com.github.pull_request.merged", "`com.github.pull_request.closed` where"),
        ("com.github.push.created", "nothing follows the name of this event: write `com.github.push`"),
        ("com.github.issues.opened", "write `com.github.issue.*`"),
        ("com.github.release.done", "after `com.github.release` there is one of created, deleted"),
        ("com.gitlab.merge_request", "write `com.gitlab.merge_request.*`"),
        ("com.gitlab.merge_request.opened", "did you mean `com.gitlab.merge_request.open`?"),
        ("com.gitlab.build.success", "write `com.gitlab.job.*`"),
        ("com.gitea.pull_request.synchronize", "did you mean `com.gitea.pull_request.synchronized`?"),
        ("com.bitbucket.pullrequest:created", "did you mean `com.bitbucket.pullrequest.created`?"),
        ("com.bitbucket.pullrequst.*", "did you mean `com.bitbucket.pullrequest.*`?"),
        ("org.bitbucket.pullrequest.created", "did you mean `com.bitbucket.pullrequest.created`?"),
        ("com.githb.push", "did you mean `com.github.push`?"),
        ("github.pull_request.opened", "did you mean `com.github.pull_request.opened`?"),
        ("push", "did you mean `com.github.push`?"),
        ("pull_request", "did you mean `com.github.pull_request.*`?"),
        ("change.created", "did you mean `dev.cdevents.change.created`?"),
        ("dev.cdevents.change.create", "did you mean `dev.cdevents.change.created`?"),
        ("dev.cdevents.changes.*", "did you mean `dev.cdevents.change.*`?"),
        ("dev.cdevent.change.created", "did you mean `dev.cdevents.change.created`?"),
        ("dev.cdevents.change.created.0.1.2", "come as `dev.cdevents.change.created.0.4.0`"),
        ("dev.cdevents.change.created.0.5.1", "leave the version out: `dev.cdevents.change.created`"),
        ("dev.cdeventsx.git-ref.update", "did you mean `dev.cdeventsx.git-ref.updated`?"),
        ("dev.cdeventsx.git-ref.updated.0.2.0", "come as `dev.cdeventsx.git-ref.updated.0.1.0`"),
        ("dev.cdeventsx.forge-pull.opened", "docs/events.md"),
    ] {
        let told = one(&of(&format!("{{type: \"{ty}\"}}"), ""));
        assert!(told.starts_with("unknown-type: ") && told.contains(wanted), "{ty}: {told}");
    }
}

#[test]
fn types_that_somebody_may_send_are_not_told() {
    for ty in [
        "*",
        "dev.*",
        "com.*",
        "com.github.*",
        "com.github.pull_request.*",
        "com.github.pull_request.labeled",
        "com.github.pull_request*",
        "com.github.*.opened",
        "com.github.*.opend",
        "com.github.repository_dispatch.deploy",
        "com.github.discussion.answered",
        "com.github.check_run.completed",
        "com.gitlab.note.merge_request",
        "com.gitlab.job.failed",
        "com.forgejo.action_run_success",
        "com.bitbucket.pr.comment.added",
        "com.bitbucket.repo.refs_changed",
        "dev.cdevents.*",
        "dev.cdevents.*.created",
        "dev.cdevents.change.created",
        "dev.cdevents.change.created.0.4.0",
        "dev.cdevents.build.queued",
        "dev.cdeventsx.*",
        "dev.cdeventsx.acme-order.placed",
        "dev.cdeventsx.pipewright-build.requested",
        "dev.knative.source.github.pull_request",
        "dev.tekton.event.pipelinerun.successful.v1",
        "com.example.build.started",
        "com.example.t",
        "com.docker.hub.pusch",
        "harbor.artifact.pushed",
        "io.github.eiffel-community.*",
        "a.b",
        "t",
    ] {
        assert_eq!(told(&of(&format!("{{type: \"{ty}\"}}"), "")), [""; 0], "{ty}");
    }
    // What only comes as a CloudEvent may be anything.
    let outside = of("{type: com.github.pull_requst.opened, pipewrightsource: events:token}", "");
    assert_eq!(told(&outside), [""; 0]);
    // With and without an action.
    assert_eq!(told(&of("{type: com.gitlab.note}, {type: com.gitlab.note.*}", "")), [""; 0]);
}

#[test]
fn what_the_settings_and_other_mappings_send_is_known_and_near_misses_of_it_are_told() {
    let catalog = Catalog {
        source_types: vec![("com.docker.hub.push".to_owned(), false), ("com.acme.forge".to_owned(), true)],
        ..catalog()
    };
    let emits = "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {name: other}\nspec:\n  events: [{type: '*', source: /x}]\n  \
                 do:\n    - name: x\n      emit: {type: com.github.own.type, to: audit, source: /y, content: {}}\n";
    let told = |ty: &str| told_with(&catalog, &[&of(&format!("{{type: {ty}}}"), ""), emits]);
    for ty in [
        "com.docker.hub.push",
        "com.acme.forge.merged",
        "com.acme.forge.*",
        "com.github.own.type",
        "com.github.own.*",
    ] {
        assert_eq!(told(ty), [""; 0], "{ty}");
    }
    for (ty, near) in
        [("com.docker.hub.pusch", "com.docker.hub.push"), ("com.github.own.typo", "com.github.own.type")]
    {
        let told = told(ty);
        assert!(told.len() == 1 && told[0].contains(&format!("did you mean `{near}`?")), "{ty}: {told:?}");
    }
}

#[test]
fn types_that_a_setting_would_turn_on_are_told_with_it() {
    let comments = of("{type: dev.cdeventsx.forge-comment.created}", "");
    let told = one(&comments);
    assert!(told.starts_with("optional-event: ") && told.contains("`optionalEvents: [comments]`"), "{told}");
    for (events, setting) in [
        ("{type: dev.cdeventsx.forge-comment.*}", "optionalEvents: [comments]"),
        ("{type: dev.cdeventsx.forge-comment.created.0.1.0}", "optionalEvents: [comments]"),
        ("{type: dev.cdeventsx.forge-dispatch.requested}", "optionalEvents: [dispatches]"),
        ("{type: dev.cdeventsx.tekton-pipelinerun.progressed}", "announceProgress: true"),
    ] {
        let told = one(&of(events, ""));
        assert!(told.contains(setting), "{told}");
    }
    let mut with = catalog();
    with.options.optional = vec![Optional::Comments];
    assert_eq!(told_with(&with, &[&comments]), [""; 0]);
    let progress = of("{type: dev.cdeventsx.tekton-pipelinerun.progressed}", "");
    assert_eq!(told_with(&Catalog { with_progress: true, ..catalog() }, &[&progress]), [""; 0]);
    for events in [
        "{type: dev.cdeventsx.forge-*}",
        "{type: dev.cdevents.change.updated}",
        "{type: dev.cdevents.ticket.*}",
    ] {
        assert_eq!(told_with(&catalog(), &[&of(events, "")]), [""; 0], "{events}");
    }
}

#[test]
fn paths_that_no_event_of_the_mapping_has_are_told() {
    for (part, wanted) in [
        ("  filter: [{cel: \"'a' in event.data.customData.change.lables\"}]\n", "did you mean `labels`?"),
        (
            "  filter: [{cel: \"event.data.customData['change']['lables'].size() > 0\"}]\n",
            "did you mean `labels`?",
        ),
        (
            "  filter: [{cel: \"event.data.customData.change.lables.exists(l, l == 'x')\"}]\n",
            "did you mean `labels`?",
        ),
        ("  filter: [{any: [{cel: event.data.customData.change.drft}]}]\n", "did you mean `draft`?"),
        ("  let: {a: {path: $.data.customData.change.source.commit}}\n", "there are: before, branch, fork"),
        ("  let: {a: {path: $.data.customData.chnage.title}}\n", "did you mean `change`?"),
        ("  let: {a: {path: $.data.customData.push.after}}\n", "there are: change, forge"),
        ("  let: {a: {path: \"$.data.customData.change.lables[*]\"}}\n", "did you mean `labels`?"),
        ("  let: {a: {path: $.data.customData.change.lables, default: []}}\n", "did you mean `labels`?"),
        ("  let: {a: {path: $.data.subject.content.repo.id}}\n", "description, repository"),
        ("  let: {a: {path: $.data.subject.content.repository.name}}\n", "there are: id, source"),
        ("  let: {a: {path: $.data.context.chainid}}\n", "did you mean `chainId`?"),
        (
            "  let: {a: {path: $.data.pull_request.number}}\n",
            "the forge's payload is the data of the raw event",
        ),
        ("  let: {a: {path: $.customData.push.after}}\n", "write `event.data.customData.push.after`"),
        ("  let: {a: {path: $.change.sourceBranch}}\n", ""),
        ("  let: {a: {path: $.body.head}}\n", "write `event.data.head`"),
        ("  let: {a: {path: $.head_commit.id}}\n", "`event.data.head_commit.id`"),
        ("  let: {a: {path: $.subjct}}\n", "did you mean `subject`?"),
        ("  let: {a: {cel: event.dta.x}}\n", "did you mean `data`?"),
        ("  let: {c: {path: $.data.customData.change}, a: {cel: vars.c.lables}}\n", "did you mean `labels`?"),
        (
            "  let: {c: {cel: event.data.customData.change}, a: {template: \"{{c.source.shaa}}\"}}\n",
            "did you mean `sha`?",
        ),
        (
            "  let: {a: {template: \"{{event.data.customData.repository.clonUrl}}\"}}\n",
            "did you mean `cloneUrl`?",
        ),
    ] {
        if wanted.is_empty() {
            // `change` may be an extension of somebody's.
            assert_eq!(told(&with(part)), [""; 0], "{part}");
            continue;
        }
        let told = one(&with(part));
        assert!(told.starts_with("unknown-path: ") && told.contains(wanted), "{part}: {told}");
    }
    for (events, path, wanted) in [
        (
            "{type: dev.cdeventsx.git-ref.updated}",
            "$.data.subject.content.branch",
            "there are: after, before, ref, repository",
        ),
        ("{type: dev.cdevents.change.*}", "$.data.customData.change.boddy", "there are: author"),
        ("{type: com.github.push}", "$.data.customData.push.after", "listen to the CDEvent"),
        ("{type: com.github.push}", "$.data.head_comit.id", "did you mean `head_commit`?"),
        ("{type: com.github.pull_request.*}", "$.data.pull_request.head.shaa", "did you mean `sha`?"),
        (
            "{type: com.gitlab.merge_request.*}",
            "$.data.object_atributes.iid",
            "did you mean `object_attributes`?",
        ),
        ("{type: com.forgejo.push}", "$.data.comits", "did you mean `commits`?"),
        ("{type: com.bitbucket.pullrequest.created}", "$.data.pullrequest.titel", "did you mean `title`?"),
        (
            "{type: dev.cdevents.pipelinerun.finished}",
            "$.data.customData.tekton.mapping",
            "there are: kind, message",
        ),
        (
            "{type: dev.cdevents.pipelinerun.finished}",
            "$.data.subject.content.outcom",
            "did you mean `outcome`?",
        ),
        ("{type: com.example.x}", "$.data_bas64", "did you mean `data_base64`?"),
    ] {
        let told = one(&of(events, &format!("  let: {{a: {{path: {path}}}}}\n")));
        assert!(told.contains(wanted), "{path}: {told}");
    }
    for events in ["{typ: x}", "{type: com.example.x, sourc: /a}"] {
        assert!(one(&of(events, "")).starts_with("unknown-attribute: "), "{events}");
    }
}

#[test]
fn paths_that_may_be_there_or_are_asked_for_are_not_told() {
    for part in [
        "  filter: [{cel: \"has(event.data.customData.change.lables)\"}]\n",
        "  filter: [{cel: \"has(event.data.customData.mine) && event.data.customData.mine.x == 'y'\"}]\n",
        "  filter: [{cel: \"event.data.?customData.?mine.orValue('') == 'y'\"}]\n",
        "  filter: [{cel: \"event.data.customData.change.?lables.orValue([]).size() > 0\"}]\n",
        "  filter: [{cel: has(event.data.pull_request)}]\n  let: {a: {path: $.data.pull_request.number}}\n",
        "  let: {a: {path: $.data.customData.keptn.stage}}\n",
        "  let: {a: {path: $.data.customData.change.milestones, default: none}}\n",
        "  let: {a: {template: \"{{default event.data.customData.change.lables 'x'}}\"}}\n",
        "  let: {a: {template: \"{{#if event.data.customData.change.lables}}{{event.data.customData.change.lables}}{{/if}}\"}}\n",
        "  let: {a: {path: $.traceparent}, b: {path: $.myextension}, c: {path: $.knativearrivaltime}}\n",
        "  let: {a: {path: \"$..lables\"}, b: {path: \"$.data.customData.change.labels[0]\"}}\n",
        "  let: {a: {path: $.data.customData.original.type}, b: {path: $.data.customData.change.labels.x}}\n",
        "  let: {a: {cel: \"['x'].exists(event, event == 'y')\"}}\n",
    ] {
        assert_eq!(told(&with(part)), [""; 0], "{part}");
    }
    for (events, path) in [
        ("{type: com.example.x}", "$.data.lables"),
        ("{type: com.github.push}", "$.data.head_commit.id"),
        ("{type: com.github.push}", "$.data.something.new"),
        ("{type: com.github.pull_request.opened}", "$.data.pull_request.labels"),
        ("{type: com.github.pull_request.*}, {type: com.gitlab.merge_request.*}", "$.data.user.username"),
        ("{type: com.github.*}", "$.data.pull_request.base.repo.ful_name"),
        ("{type: '*'}", "$.data.customData.change.lables"),
        ("{type: dev.cdevents.*}", "$.data.customData.push.after"),
        (
            "{type: dev.cdevents.change.created}, {type: dev.cdeventsx.git-ref.updated}",
            "$.data.customData.push.after",
        ),
        ("{type: dev.cdevents.change.created}, {type: com.example.x}", "$.data.customData.change.lables"),
        ("{type: dev.cdeventsx.acme-order.placed}", "$.data.subject.content.total"),
        ("{type: dev.cdeventsx.acme-*}", "$.data.customData.change.lables"),
        (
            "{type: dev.cdevents.change.created, pipewrightsource: events:token}",
            "$.data.customData.change.lables",
        ),
        ("{type: dev.cdevents.pipelinerun.finished}", "$.data.customData.tekton.results.digest"),
        ("{type: dev.cdevents.pipelinerun.finished}", "$.data.customData.event.id"),
        ("{type: dev.cdevents.artifact.published}", "$.data.customData.package.image"),
    ] {
        assert_eq!(
            told(&of(events, &format!("  let: {{a: {{path: \"{path}\"}}}}\n"))),
            [""; 0],
            "{events} {path}"
        );
    }
    // A mapping emits this type with members of its own.
    let emits = "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {name: other}\nspec:\n  events: [{type: com.example.x}]\n  \
                 do:\n    - name: x\n      emit:\n        type: dev.cdevents.change.created.0.4.0\n        to: audit\n        extensions: {sourc: a}\n        \
                 customData: {change: {lables: []}}\n";
    let reads = with("  let: {a: {path: $.data.customData.change.lables}, b: {path: $.sourc}}\n");
    assert_eq!(told_with(&catalog(), &[&reads, emits]), [""; 0]);
}

#[test]
fn a_type_is_compared_with_its_version() {
    for filter in [
        "{exact: {type: dev.cdevents.change.created}}",
        "{not: {any: [{exact: {type: dev.cdevents.change.created}}]}}",
        "{cel: event.type == 'dev.cdevents.change.created'}",
        "{cel: \"event.type in ['dev.cdevents.change.created', 'com.example.x']\"}",
        "{cel: event.type != 'dev.cdevents.change.created.0.3.0'}",
    ] {
        let told = one(&of("{type: dev.cdevents.*}", &format!("  filter: [{filter}]\n")));
        assert!(told.contains("`dev.cdevents.change.created.0.4.0` is sent"), "{filter}: {told}");
    }
    for filter in [
        "{exact: {type: dev.cdevents.change.created.0.4.0}}",
        "{prefix: {type: dev.cdevents.change.created}}",
        "{cel: event.type.startsWith('dev.cdevents.change.created')}",
        "{cel: event.type == 'com.github.push' || event.type == 'com.example.x'}",
    ] {
        assert_eq!(
            told(&of("{type: '*', source: /x}", &format!("  filter: [{filter}]\n"))),
            [""; 0],
            "{filter}"
        );
    }
}

/// The code of what is said of mappings, and whether it is an error.
fn circles(texts: &[&str]) -> Vec<(String, bool)> {
    let report = match MappingSet::compile(&files(texts), &watching()) {
        Ok((_, report)) | Err(report) => report,
    };
    let shown = |it: &Diagnostic| (it.to_string(), it.severity == crate::diagnostic::Severity::Error);
    report.diagnostics().iter().inspect(|it| assert_eq!(it.code, "event-loop", "{it}")).map(shown).collect()
}

/// A mapping of a name for a type that emits another, with these other lines of `spec` and of the action.
fn link(name: &str, ty: &str, emits: &str, spec: &str, action: &str) -> String {
    format!(
        "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: {name}}}\nspec:\n  events: [{{type: {ty}}}]\n{spec}  \
         do:\n    - name: x\n{action}      emit: {{type: {emits}, content: {{kind: made}}}}\n"
    )
}

#[test]
fn mappings_that_trigger_each_other_for_certain_are_an_error_and_else_a_warning() {
    let (a, b) = (link("a", "t.a", "t.b", "", ""), link("b", "t.b", "t.a", "", ""));
    let found = circles(&[&a, &b]);
    let [(told, true)] = &found[..] else { panic!("{found:?}") };
    assert!(told.starts_with("m1.yaml:7:"), "{told}");
    assert!(told.contains("`a` emits `t.b`, for which `b` is; `b` emits `t.a`, for which `a` is"), "{told}");
    assert!(told.contains("`- not: {exact: {source: …}}`"), "{told}");
    let three = [&*a, &link("b", "\"t.b*\"", "t.c", "", ""), &link("c", "t.c", "t.a", "", "")];
    let found = circles(&three);
    assert!(matches!(&found[..], [(told, true)] if told.contains("`c` emits `t.a`")), "{found:?}");

    for (spec, action) in [
        ("  filter: [{cel: event.data.n > 3.0}]\n", ""),
        ("  filter: [{exact: {other: x}}]\n", ""),
        ("", "      when: event.data.kind.size() > 3\n"),
    ] {
        let found = circles(&[&a, &link("b", "t.b", "t.a", spec, action)]);
        let of_payload = spec.contains("data.n");
        // The payload that `a` sends has no `n`.
        assert_eq!(found.len(), usize::from(!of_payload), "{spec}{action}: {found:?}");
        assert!(found.iter().all(|(told, is_error)| !is_error && told.contains("may trigger")), "{found:?}");
    }
    // What goes to a sink of its own may never come back.
    let named = a.replace("content:", "to: audit, content:");
    assert!(matches!(&circles(&[&named, &b])[..], [(_, false)]));
}

#[test]
fn a_circle_that_is_broken_is_not_told() {
    let a = link("a", "t.a", "t.b", "", "");
    for (spec, action) in [
        ("  filter: [{not: {exact: {source: /pipewright/test}}}]\n", ""),
        ("  filter: [{prefix: {source: https://}}]\n", ""),
        ("  filter: [{cel: event.source != '/pipewright/test'}]\n", ""),
        ("  filter: [{cel: \"!(event.source in ['/x', '/pipewright/test'])\"}]\n", ""),
        ("  filter: [{not: {cel: has(event.causationid)}}]\n", ""),
        ("  filter: [{cel: event.data.kind == 'asked'}]\n", ""),
        ("  filter: [{all: [{cel: has(event.data.kind)}, {cel: has(event.data.other)}]}]\n", ""),
        ("  filter: [{cel: event.data.other.x}]\n", ""),
        ("", "      when: event.data.kind != 'made' && event.subject == 'x'\n"),
    ] {
        let found = circles(&[&a, &link("b", "t.b", "t.a", spec, action)]);
        assert!(found.is_empty(), "{spec}{action}: {found:?}");
    }
    let sourced = a.replace("content:", "source: /own, content:");
    let found =
        circles(&[&sourced, &link("b", "t.b", "t.a", "  filter: [{not: {exact: {source: /own}}}]\n", "")]);
    assert!(found.is_empty(), "{found:?}");
    let found = circles(&[&a, &link("b", "t.b, pipewrightsource: github", "t.a", "", "")]);
    assert!(found.is_empty(), "{found:?}");
    let found = circles(&[&a, &link("b", "t.b", "t.c", "", ""), &link("c", "t.d", "t.a", "", "")]);
    assert!(found.is_empty(), "{found:?}");
}

/// A mapping `m` that creates a run for these events, with these other lines of `spec`.
fn runs(events: &str, spec: &str) -> String {
    mapping(&format!(
        "  events: [{events}]\n{spec}  do:\n    - name: next\n      pipelineRun: {{spec: {{pipelineRef: {{name: deploy}}}}}}\n"
    ))
}

#[test]
fn a_run_that_starts_itself_again_is_told() {
    for ty in [
        "dev.cdevents.pipelinerun.finished",
        "dev.cdevents.pipelinerun.*",
        "dev.cdevents.taskrun.started",
        "dev.cdevents.*",
    ] {
        let found = circles(&[&runs(&format!("{{type: {ty}}}"), "")]);
        let [(told, true)] = &found[..] else { panic!("{ty}: {found:?}") };
        assert!(told.contains("`- not: {cel: event.data.customData.mapping == 'm'}`"), "{told}");
    }
    let finished = "{type: dev.cdevents.pipelinerun.finished}";
    for filter in
        ["{cel: event.data.subject.content.outcome == 'success'}", "{cel: has(event.data.customData.tekton)}"]
    {
        let found = circles(&[&runs(finished, &format!("  filter: [{filter}]\n"))]);
        let is_certain = filter.contains("tekton");
        assert!(matches!(&found[..], [(_, error)] if *error == is_certain), "{filter}: {found:?}");
    }
    // Who asks for everything may not have thought of runs.
    let found = circles(&[&runs("{type: '*'}", "")]);
    assert!(matches!(&found[..], [(_, false)]), "{found:?}");
    // Through an event between.
    let tells = link("tells", "dev.cdevents.pipelinerun.finished", "t.ended", "", "");
    let found = circles(&[&runs("{type: t.ended}", ""), &tells]);
    assert!(
        matches!(&found[..], [(told, true)] if told.contains("`tells` emits `t.ended`, for which `m` is")),
        "{found:?}"
    );
}

#[test]
fn a_run_that_is_told_from_those_it_is_for_is_not() {
    let finished = "{type: dev.cdevents.pipelinerun.finished}";
    for filter in [
        "{not: {cel: event.data.customData.mapping == 'm'}}",
        "{cel: event.data.customData.mapping == 'build'}",
        "{cel: event.data.customData.tekton.pipeline == 'build'}",
        "{cel: event.data.subject.content.pipelineName == 'build' && event.data.subject.content.outcome == 'success'}",
        "{cel: event.data.customData.forge.name == 'github'}",
        "{not: {cel: has(event.data.customData.tekton)}}",
        "{cel: event.subject.startsWith('ci/build-')}",
        "{prefix: {subject: ci/build-}}",
        "{not: {exact: {source: /pipewright/test}}}",
        "{cel: has(event.data.customData.tekton.results.digest)}",
    ] {
        let found = circles(&[&runs(finished, &format!("  filter: [{filter}]\n"))]);
        assert!(found.is_empty(), "{filter}: {found:?}");
    }
    for events in [
        "{type: dev.cdevents.pipelinerun.finished, pipewrightsource: github}",
        "{type: dev.cdevents.pipelinerun.finished, source: https://github.com/*}",
        "{type: dev.cdevents.pipelinerun.finished, subject: ci/*}",
        "{type: dev.cdevents.change.*}",
        "{type: dev.cdevents.artifact.published}",
    ] {
        let found = circles(&[&runs(events, "")]);
        assert!(found.is_empty(), "{events}: {found:?}");
    }
    let text = runs(finished, "");
    // Runs of another namespace are not watched.
    let elsewhere = Catalog { watched: "other".to_owned(), ..catalog() };
    assert!(MappingSet::compile(&files(&[&text]), &elsewhere).is_ok());
    let here = Catalog { watched: "ci".to_owned(), ..catalog() };
    assert!(MappingSet::compile(&files(&[&text]), &here).is_err());
    // A tell-tale of runs, and the runs of others.
    let announce = link("announce", "dev.cdevents.pipelinerun.finished", "t.ended", "", "");
    assert!(circles(&[&announce, &runs("{type: dev.cdevents.change.created}", "")]).is_empty());
}

#[test]
fn a_run_with_a_wrong_template_is_held_to_tektons_rules_too() {
    for spec in [
        "{pipelineRef: {name: b}, params: {a: \"{{nope}}\"}}",
        "{pipelineRef: {name: b}, params: [{name: a, value: \"{{nope}}\"}, {vlaue: x, name: b, value: y}]}",
        "{pipelineRef: {name: b}, timeouts: {pipeline: 1 hour}, params: [{name: a, value: \"{{body.x}}\"}]}",
        "{pipelineSpec: {tasks: [{name: T_1, taskRef: {name: \"{{one}}\"}}]}}",
    ] {
        let text = mapping(&format!(
            "  events: [{{type: \"*\"}}]\n  let:\n    one: {{path: $.id}}\n  do:\n    - name: build\n      pipelineRun:\n        spec: {spec}\n"
        ));
        let report = refused(&text);
        let codes: Vec<&str> = report.errors().map(|it| it.code).collect();
        assert!(codes.len() >= 2, "{spec}: {report}");
        assert!(
            codes.iter().any(|it| ["unknown-variable", "forbidden-template"].contains(it)),
            "{spec}: {codes:?}"
        );
    }
}

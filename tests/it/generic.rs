//! Webhooks of senders without a parser, over HTTP: what they may send, how they prove who they are, and what a mapping
//! makes of it.

use std::process::{Command, Stdio};

use bytes::Bytes;
use pipewright::event::{Data, Event, http};
use pipewright::settings::Announce;
use pipewright::sink::DEFAULT;
use pipewright::source::signature::sign;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::program::Folder;
use crate::support::service::{Answer, Receiver, SECRET, Service, Setup};
use crate::support::skip;

const PUSH: &str = r#"{"push_data": {"pushed_at": 1700000000, "pusher": "robot", "tag": "v1"},
    "repository": {"name": "shop", "namespace": "acme", "repo_name": "acme/shop"}}"#;
const BEARER: (&str, &str) = ("authorization", "Bearer It's a Secret to Everybody");
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const XML: (&str, &str) = ("content-type", "text/xml; charset=utf-8");

/// A service with one source `it` whose raw events reach the capturing sink.
async fn service(generic: &str, secrets: &[&str]) -> Service {
    Setup::new()
        .with(|settings| settings.process.announce = Announce::All)
        .generic("it", generic, secrets)
        .start()
        .await
}

async fn post(service: &Service, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    service.send("POST", "/webhooks/it", headers, body).await
}

/// The one event that came of the last delivery.
#[track_caller]
fn one(service: &Service) -> Event {
    let mut events = service.events.take();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_forms_and_xml_become_one_event_with_json_in_it() {
    let service = service("{type: com.example.told, source: /it}", &[SECRET]).await;
    for (media_type, body, data) in [
        (JSON, r#" {"a": [1, "ü"]} "#, json!({"a": [1, "ü"]})),
        (("content-type", "application/vnd.example+json"), "[{}]", json!([{}])),
        (FORM, "rev=7&path=%2Fa+b&path=c", json!({"rev": "7", "path": ["/a b", "c"]})),
        (
            XML,
            "<commit rev='7'><path>/a &amp; b</path></commit>",
            json!({"commit": {"@rev": "7", "path": "/a & b"}}),
        ),
    ] {
        post(&service, &[BEARER, media_type], body).await.accepted("sent");
        let event = one(&service);
        assert_eq!((event.ty(), event.source()), ("com.example.told", "/it"));
        assert_eq!(event.tree(), Some(&data), "{body}");
        assert!(event.time().is_some());
        // The same again is the same event; another one is not.
        post(&service, &[BEARER, media_type], body).await.accepted("sent");
        assert_eq!(one(&service).id(), event.id());
        post(&service, &[BEARER, JSON], "{\"other\": true}").await.accepted("sent");
        assert_ne!(one(&service).id(), event.id());
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_may_hold_the_json_in_a_field_and_headers_may_say_what_it_is() {
    let generic =
        "{type: com.example, source: /it, payloadField: payload, eventHeader: X-Event, idHeader: X-Id}";
    let service = service(generic, &[SECRET]).await;
    let event = ("x-event", "Build_Finished");
    post(&service, &[BEARER, FORM, event, ("x-id", "7")], "v=1&payload=%7B%22a%22%3A+1%7D")
        .await
        .accepted("sent");
    let told = one(&service);
    assert_eq!((told.ty(), told.id()), ("com.example.build_finished", "7"));
    assert_eq!(told.tree(), Some(&json!({"a": 1})));
    // JSON as it is needs no form.
    post(&service, &[BEARER, JSON, event, ("x-id", "8")], "{\"b\": 2}").await.accepted("sent");
    assert_eq!(one(&service).tree(), Some(&json!({"b": 2})));

    for (headers, body, reason) in [
        (&[BEARER, FORM, event, ("x-id", "7")][..], "v=1", "the form must have one field `payload`"),
        (&[BEARER, FORM, event, ("x-id", "7")], "payload=x", "the field `payload` is not well-formed JSON"),
        (
            &[BEARER, FORM, event, ("x-id", "7")],
            "payload=7",
            "the field `payload` must be a JSON object or array",
        ),
        (&[BEARER, JSON, event], "{}", "header `X-Id` is missing or empty; the sender must set it"),
        (
            &[BEARER, JSON, event, ("x-id", "a b")],
            "{}",
            "header `X-Id` must have 1 to 256 visible characters",
        ),
        (
            &[BEARER, JSON, ("x-id", "7")],
            "{}",
            "header `X-Event` is missing or empty; the sender must set it",
        ),
        (
            &[BEARER, JSON, ("x-event", "a/b"), ("x-id", "7")],
            "{}",
            "header `X-Event` must have 1 to 64 letters",
        ),
        (
            &[BEARER, JSON, ("x-event", &"e".repeat(65)), ("x-id", "7")],
            "{}",
            "header `X-Event` must have 1 to 64",
        ),
    ] {
        post(&service, headers, body).await.refused(400, reason);
    }
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_repeats_itself_is_another_event_each_time_when_the_source_says_so() {
    let service = service("{type: io.quay.push, source: /it, repeats: true}", &[SECRET]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        post(&service, &[BEARER, JSON], "{\"updated_tags\": [\"latest\"]}").await.accepted("sent");
        ids.push(one(&service).id().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_a_body_before_its_sender_is_known() {
    let service = Setup::new()
        .generic("token", "{type: t, source: /s}", &["next", SECRET])
        .generic("header", "{type: t, source: /s, tokenHeader: X-Auth-Token}", &["next", SECRET])
        .generic("signed", "{type: t, source: /s, signatureHeader: X-Signature}", &["next", SECRET])
        .start()
        .await;
    // No JSON, no media type, and nobody gets to know.
    let body = "{";
    let other = sign(b"other", body.as_bytes());
    let old = sign(SECRET.as_bytes(), b"another body");
    for (path, headers, reason) in [
        ("token", &[][..], "send one of this source's secrets as `Authorization: Bearer"),
        ("token", &[("authorization", "Bearer wrong")], "send one of this source's secrets"),
        (
            "token",
            &[("authorization", "Basic It's a Secret to Everybody")],
            "send one of this source's secrets",
        ),
        ("token?access_token=wrong", &[], "send one of this source's secrets"),
        ("token?access_token=", &[], "send one of this source's secrets"),
        ("header", &[], "header `X-Auth-Token` is missing or empty: set this source's secret"),
        ("header", &[("x-auth-token", "")], "header `X-Auth-Token` is missing or empty"),
        (
            "header",
            &[("x-auth-token", "wrong")],
            "header `X-Auth-Token` matches none of this source's secrets",
        ),
        ("header", &[BEARER], "header `X-Auth-Token` is missing"),
        ("signed", &[], "header `X-Signature` is missing or empty: set this source's secret"),
        ("signed", &[("x-signature", "sha256=")], "header `X-Signature` must be 64 hexadecimal digits"),
        ("signed", &[("x-signature", "sha1=00")], "header `X-Signature` must be 64 hexadecimal digits"),
        (
            "signed",
            &[("x-signature", other.as_str())],
            "header `X-Signature` matches none of this source's secrets",
        ),
        (
            "signed",
            &[("x-signature", old.as_str())],
            "header `X-Signature` matches none of this source's secrets",
        ),
    ] {
        let answer = service.send("POST", &format!("/webhooks/{path}"), headers, body).await;
        answer.refused(401, reason);
        assert!(!answer.text.contains("JSON"), "{answer:?}");
    }

    let signature = sign(SECRET.as_bytes(), b"{}");
    for (path, headers) in [
        ("token", &[BEARER, JSON][..]),
        ("token?access_token=It%27s%20a%20Secret%20to%20Everybody", &[JSON]),
        ("header", &[("X-AUTH-TOKEN", SECRET), JSON]),
        ("signed", &[("x-signature", signature.as_str()), JSON]),
        ("signed", &[("x-signature", signature.trim_start_matches("sha256=")), JSON]),
    ] {
        let answer = service.send("POST", &format!("/webhooks/{path}"), headers, "{}").await;
        answer.accepted("ignored");
        let private = if path.contains('?') { "private" } else { "" };
        assert_eq!(answer.header("cache-control"), private, "{path}");
    }
    let metrics = service.get("/metrics").await.text;
    for (name, count) in [("token", 2), ("header", 1), ("signed", 2)] {
        let counted = format!("pipewright_signatures_total{{source=\"{name}\",secret=\"1\"}} {count}");
        assert!(metrics.contains(&counted), "{counted} is not in {metrics}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insecure_source_takes_everything_that_can_be_read() {
    let service = service("{type: t, source: /s}", &[]).await;
    post(&service, &[JSON], "{}").await.accepted("sent");
    assert_eq!(one(&service).ty(), "t");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_with_what_to_do() {
    let service = service("{type: t, source: /s}", &[SECRET]).await;
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>"#;
    let outside = r#"<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>"#;
    let deep_json = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    let deep_xml = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
    let wide_xml = format!("<a>{}</a>", "<b/>".repeat(100_000));
    let wide_form = "a&".repeat(10_001);
    for (media_type, body, status, reason) in [
        (JSON, "{", 400, "the body is not well-formed JSON: EOF"),
        (JSON, "", 400, "the body is not well-formed JSON"),
        (JSON, "7", 400, "the body must be a JSON object or array"),
        (JSON, "\"text\"", 400, "the body must be a JSON object or array"),
        (JSON, r#"{"a": 1e999}"#, 400, "number out of range"),
        (JSON, r#"{"a": "\ud800"}"#, 400, "the body is not well-formed JSON"),
        (JSON, &deep_json, 400, "recursion limit exceeded"),
        (FORM, "a=%2", 400, "the body is not well-formed as a form: a `%` starts no escape"),
        (FORM, "a=%ff", 400, "a field is not UTF-8"),
        (FORM, "a=%01", 400, "it has control characters"),
        (XML, "<a>\u{1}</a>", 400, "it has control characters"),
        (FORM, &wide_form, 400, "it has more than 10000 fields"),
        (XML, "<a>", 400, "the body is not well-formed XML: an element has no end"),
        (XML, bomb, 400, "a document type definition is not accepted"),
        (XML, outside, 400, "a document type definition is not accepted"),
        (XML, "<x>&b;</x>", 400, "an entity is not one of XML's own five"),
        (XML, &deep_xml, 400, "elements are nested deeper than 63"),
        (XML, &wide_xml, 400, "there are more than 100000 elements and attributes"),
        (("content-type", "text/plain"), "a", 415, "header `content-type` must be that of JSON"),
        (("content-type", "multipart/form-data; boundary=b"), "--b--", 415, "header `content-type` must be"),
        (("x-nothing", "x"), "{}", 415, "header `content-type` must be that of JSON"),
    ] {
        let answer = post(&service, &[BEARER, media_type], body.to_owned()).await;
        answer.refused(status, reason);
        assert!(answer.text.len() < 1024, "{answer:?}");
    }
    post(&service, &[BEARER, JSON, ("content-encoding", "gzip")], "{}")
        .await
        .refused(415, "without compression");
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_docker_hub_is_a_published_artifact_and_once_however_often_it_is_told() {
    let receiver = Receiver::start().await;
    let service = Setup::new()
        .shipped("docker-hub")
        .sink(DEFAULT, receiver.spec())
        .generic("docker-hub", "{type: com.docker.hub.push, source: https://hub.docker.com}", &["t0k+n"])
        .start()
        .await;
    let deliver = async |body: String| {
        let answer = service.send("POST", "/webhooks/docker-hub?access_token=t0k%2Bn", &[JSON], body).await;
        answer.accepted("sent");
        assert_eq!(answer.header("cache-control"), "private");
        let mut requests = receiver.take();
        assert_eq!(requests.len(), 1);
        let (headers, body) = requests.remove(0);
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        http::decode(headers, body).unwrap().remove(0)
    };
    let first = deliver(PUSH.to_owned()).await;
    assert_eq!(first.ty(), "dev.cdevents.artifact.published.0.3.0");
    let Some(tree) = first.tree() else { panic!("{first:?}") };
    assert_eq!(tree["subject"]["id"], "pkg:docker/acme/shop@v1");
    assert_eq!(tree["subject"]["content"]["user"], "robot");

    // The same again, and the same in other words: a hook's history has a button for the first.
    let callback = PUSH.replacen('{', "{\"callback_url\": \"https://registry.example.com/2\", ", 1);
    for again in [PUSH.to_owned(), callback] {
        assert_eq!(deliver(again).await.id(), first.id());
    }
    let later = PUSH.replace("1700000000", "1700000001");
    assert_ne!(deliver(later).await.id(), first.id(), "the tag was pushed anew");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subversion_hook_tells_with_the_line_that_the_mapping_shows() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("no curl: the line of a Subversion hook");
    }
    let service = Setup::new()
        .shipped("subversion")
        .generic(
            "subversion",
            "{type: org.apache.subversion.commit, source: https://svn.example.com}",
            &["t0ken"],
        )
        .start()
        .await;
    // The command of the comment, in a shell as a hook has it; what asks the repository is played.
    let text = include_str!("../../mappings/subversion.yaml");
    let lines = text.lines().filter_map(|line| line.strip_prefix("#   "));
    let command: Vec<&str> = lines.skip_while(|line| !line.starts_with("curl ")).collect();
    assert!(command.len() > 2 && command[..command.len() - 1].iter().all(|line| line.ends_with('\\')));
    let folder = Folder::new("subversion");
    let svnlook = "#!/bin/sh\ncase $1 in author) echo mallory ;; *) printf 'U   trunk/a & b.c\\nA   trunk/ü.c\\n' ;; esac\n";
    std::fs::write(folder.path("svnlook"), svnlook).unwrap();
    assert!(Command::new("chmod").args(["+x", &folder.path("svnlook")]).status().unwrap().success());
    let hook = |token: &'static str| {
        let path = format!("{}:{}", folder.path(""), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", &command.join("\n"), "post-commit", "/srv/svn/shop", "42"]);
        shell.env("PATH", path).env("PIPEWRIGHT", service.url("")).env("TOKEN", token).env("no_proxy", "*");
        tokio::task::spawn_blocking(move || shell.output().unwrap())
    };
    let mut ids = Vec::new();
    for _ in 0..2 {
        let output = hook("t0ken").await.unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
        let event = one(&service);
        assert_eq!(event.ty(), "dev.cdeventsx.subversion-repository.committed.0.1.0");
        let subject = &event.tree().unwrap()["subject"];
        assert_eq!(subject["id"], "https://svn.example.com/shop@42");
        assert_eq!(subject["content"]["author"], "mallory");
        assert_eq!(subject["content"]["trunk"], true);
        ids.push(event.id().to_owned());
    }
    assert_eq!(ids[0], ids[1], "a hook that was run again");

    // The one who commits sees what is wrong.
    let output = hook("wrong").await.unwrap();
    assert_eq!(output.status.code(), Some(22), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("401"), "{output:?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_of_jenkins_is_a_run_from_its_queue_to_its_end() {
    let service = Setup::new()
        .shipped("jenkins")
        .generic("jenkins", "{type: io.jenkins.build, source: https://jenkins.example.com}", &["t0ken"])
        .start()
        .await;
    let url = "https://jenkins.example.com/job/shop/7/";
    let mut seen = Vec::new();
    for (phase, status) in [
        ("QUEUED", None),
        ("STARTED", Some("SUCCESS")),
        ("COMPLETED", Some("FAILURE")),
        ("FINALIZED", Some("FAILURE")),
    ] {
        let build = json!({"full_url": url, "number": 7, "phase": phase, "status": status});
        let body = json!({"name": "shop", "build": build}).to_string();
        let answer = service.send("POST", "/webhooks/jenkins?access_token=t0ken", &[JSON], body).await;
        answer.accepted(if phase == "COMPLETED" { "ignored" } else { "sent" });
        for event in service.events.take() {
            let subject = event.tree().unwrap()["subject"].clone();
            assert_eq!(subject["id"], url);
            seen.push((event.ty().to_owned(), subject["content"]["outcome"].clone()));
        }
    }
    let run = |predicate: &str| format!("dev.cdevents.pipelinerun.{predicate}.0.3.0");
    assert_eq!(
        seen,
        [(run("queued"), Value::Null), (run("started"), Value::Null), (run("finished"), json!("failure"))]
    );
    service.stop().await;
}

/// Scraps of all formats, as the body of any.
fn scraps() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let json = "[\\[\\]{}:,\"a1 \\\\ud80e.-]{0,80}";
    let form = "[a-c=&%+0-9f\u{e4}]{0,80}";
    let xml = "(<[ab]( [ab]='[a&;<\u{1}]{0,3}')?/?>|</[ab]>|[a-c&;#x0-9]|&amp;|&#[0-9]{1,7};|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?|<!DOCTYPE){0,30}";
    let text = prop_oneof![json, form, xml].prop_map(String::into_bytes);
    (0..4_usize, prop_oneof![4 => text, 1 => proptest::collection::vec(any::<u8>(), 0..80)])
}

/// Well-formed bodies of any depth.
fn nests() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let leaf = "(null|true|-?[0-9]{1,3}(e[0-9]{1,4})?|\"[a-z\u{e4}]{0,3}\")";
    (0..5_usize, 0..140_usize, leaf).prop_map(|(shape, depth, leaf)| {
        let nest = |open: &str, leaf: &str, close: &str| open.repeat(depth) + leaf + &close.repeat(depth);
        let (kind, text) = match shape {
            0 => (0, nest("[", &leaf, "]")),
            1 => (0, nest("{\"a\": ", &leaf, "}")),
            2 => (2, nest("<a>", "x", "</a>")),
            // A twin before each element makes a list of the two.
            3 => (2, format!("<a>{}</a>", nest("<a b=''/><a b=''>", &leaf, "</a>"))),
            _ => (3, format!("payload={}", nest("%5B", &leaf, "%5D"))),
        };
        (kind, text.into_bytes())
    })
}

/// The same, with one byte that is another.
fn bodies() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let broken =
        (nests(), any::<proptest::sample::Index>(), any::<u8>()).prop_map(|((kind, mut body), at, byte)| {
            let at = at.index(body.len());
            body[at] = byte;
            (kind, body)
        });
    prop_oneof![scraps(), nests(), broken]
}

proptest! {
    #[test]
    fn no_body_panics_or_becomes_an_event_that_cannot_be_written((kind, body) in bodies()) {
        crate::fuzz::targets::generic::hold(kind, &body);
    }

    #[test]
    fn every_tree_of_elements_becomes_the_json_of_its_leaves(leaves in proptest::collection::vec("[a-z]{1,3}", 1..6)) {
        let text = format!("<tree><leaf>{}</leaf></tree>", leaves.join("</leaf><leaf>"));
        let event = crate::fuzz::targets::generic::read(2, text.as_bytes()).unwrap();
        let data = match event.data() {
            Data::Json(json) => serde_json::from_slice::<Value>(json).unwrap(),
            other => panic!("{other:?}"),
        };
        let expected = if leaves.len() == 1 { json!(leaves[0]) } else { json!(leaves) };
        prop_assert_eq!(&data["tree"]["leaf"], &expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_messages_of_openci_come_in_by_a_webhook_in_both_of_their_forms() {
    let service = Setup::new()
        .with(|settings| settings.process.announce = Announce::Nothing)
        .shipped("openci")
        .shipped("openci-out")
        .generic("openci", "{type: org.openci.event, source: https://jenkins.example.org}", &[SECRET])
        .start()
        .await;
    let send = async |body: Value| {
        service.send("POST", "/webhooks/openci", &[BEARER, JSON], body.to_string()).await.accepted("sent");
        let mut told: Vec<Event> = service.events.take();
        told.sort_by(|a, b| a.ty().cmp(b.ty()));
        told
    };
    let variables = json!({
        "EVENT_ID": "D10EFFE9-2BC0-4C58-AC38-3D331A195C47", "EVENT_TIME": "12:34:56UTC",
        "BUILD_URL": "https://jenkins.example.org/job/autorelease/17/", "PROJECT_BRANCH": "master",
        "ARTIFACT_URL": "https://nexus.example.org/content/odl-1.2.3.tar.gz", "AUTORELEASE": "SUCCESS",
    });
    let camel_case = json!({
        "eventId": "D10EFFE9-2BC0-4C58-AC38-3D331A195C47", "eventTime": "12:34:56UTC",
        "buildUrl": "https://jenkins.example.org/job/autorelease/17/", "projectBranch": "master",
        "artifactUrl": "https://nexus.example.org/content/odl-1.2.3.tar.gz",
        "confidenceLevel": {"AUTORELEASE": "SUCCESS"},
    });
    let first = send(variables).await;
    let types: Vec<&str> = first.iter().map(Event::ty).collect();
    assert_eq!(
        types,
        [
            "dev.cdevents.artifact.packaged.0.3.0",
            "dev.cdevents.artifact.published.0.3.0",
            "dev.cdeventsx.openci-confidencelevel.modified.0.1.0",
        ],
        "and nothing goes back out"
    );
    assert_eq!(first[0].id(), "D10EFFE9-2BC0-4C58-AC38-3D331A195C47");
    // There is no date in it: it is that of the receipt, or of the day before when the hour is still to come.
    let time = first[0].time().unwrap();
    assert!(time.ends_with("T12:34:56Z"), "{time}");
    let ids = |events: &[Event]| events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&send(camel_case).await), ids(&first), "the same in other words");
    service.stop().await;
}

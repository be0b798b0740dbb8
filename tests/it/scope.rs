//! For what a source may speak: real payloads keep to it, and what does not is refused at the edge.

use pipewright::event::Event;
use pipewright::settings::{Settings, SourceDocument, SourceSpec};
use pipewright::source::secret::Secret;
use pipewright::source::{Auth, Options, sending};
use pipewright::vocabulary::scope::Scope;
use pipewright::vocabulary::{Forge, PayloadError, Webhook, events_with};
use serde_json::{Value, json};

use crate::support::corpus;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::service::{Answer, Receiver, SECRET, Service, Setup, literal};
use crate::vocabulary_forges::{payloads, webhook};

on_both_clusters! {
    what_another_forge_says_of_a_repository_is_refused_or_takes_nobodys_place,
    what_comes_as_an_event_takes_no_webhooks_place,
}

/// Builds each push once, whatever tells of it.
const BUILD: &str = "\
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build-push}
spec:
  events: [{type: dev.cdeventsx.git-ref.updated}]
  let:
    repo: {path: $.data.customData.repository.url, required: true}
    clone: {path: $.data.customData.repository.cloneUrl, default: none}
    commit: {path: $.data.customData.push.after, required: true}
    by: {path: $.pipewrightsource, required: true}
  dedupeBy: [repo, commit]
  do:
    - name: build
      pipelineRun:
        spec:
          pipelineRef: {name: build}
          params:
            - {name: repo-url, value: \"{{clone}}\"}
            - {name: by, value: \"{{by}}\"}
";

const BEFORE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const AFTER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// GitHub's push to `myorg/shop`, or what claims to be it.
fn push(clone: &str) -> Value {
    json!({"ref": "refs/heads/main", "before": BEFORE, "after": AFTER, "commits": [],
        "repository": {"id": 7, "full_name": "myorg/shop", "name": "shop", "owner": {"login": "myorg"},
            "html_url": "https://github.com/myorg/shop", "url": "https://github.com/myorg/shop", "clone_url": clone,
            "default_branch": "main", "pushed_at": 1_700_000_000, "updated_at": "2026-01-02T03:04:05Z"},
        "sender": {"login": "ann"}})
}

const TRUE: &str = "https://github.com/myorg/shop.git";
const EVIL: &str = "https://evil.example/x.git";

/// Sources of two forges with one secret each, `gitea` with these hosts.
fn two_forges(ground: &Ground, hosts: &[&str]) -> Setup {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    Setup::over(ground).mapping("build", BUILD).with(|settings| {
        for (forge, secret, scope) in [
            (Forge::GitHub, SECRET, Scope::new(&["github.com".to_owned()], &[]).unwrap()),
            (Forge::Gitea, "another secret", Scope::new(&hosts, &[]).unwrap()),
        ] {
            let spec = SourceSpec::Forge(forge, Auth::Signed(vec![literal(secret)]));
            settings.sources.push(SourceDocument { name: forge.name().to_owned(), scope, spec });
        }
    })
}

async fn send(service: &Service, forge: Forge, secret: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let delivery = uuid::Uuid::new_v4().to_string();
    let secret = Secret::literal(secret).unwrap();
    let headers = sending::headers(forge, "push", &delivery, Some(&secret), body.as_bytes());
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, std::str::from_utf8(value).unwrap())).collect();
    service.send("POST", &format!("/webhooks/{}", forge.name()), &headers, body).await
}

/// The values of a param of all runs, in their order.
async fn params(service: &Service, name: &str) -> Vec<String> {
    let mut values: Vec<String> = service
        .runs()
        .await
        .iter()
        .map(|run| {
            let params = run.data["spec"]["params"].as_array().unwrap();
            let param = params.iter().find(|param| param["name"] == name).unwrap();
            param["value"].as_str().unwrap().to_owned()
        })
        .collect();
    values.sort();
    values
}

async fn what_another_forge_says_of_a_repository_is_refused_or_takes_nobodys_place(ground: Ground) {
    let service = two_forges(&ground, &["gitea.example.com"]).start().await;
    let forged = send(&service, Forge::Gitea, "another secret", &push(EVIL)).await;
    forged.refused(403, "and this source speaks for `gitea.example.com` only");
    assert_eq!(service.runs().await.len(), 0);
    let metrics = service.get("/metrics").await.text;
    assert!(metrics.contains("pipewright_foreign_deliveries_total{source=\"gitea\"} 1"), "{metrics}");
    // The signature comes first: who has no secret learns nothing.
    let unsigned = send(&service, Forge::Gitea, "no secret", &push(EVIL)).await;
    assert_eq!(unsigned.status, 401, "{unsigned:?}");
    // A clone address elsewhere is refused however good the rest is, of the forge's own source too.
    send(&service, Forge::GitHub, SECRET, &push(EVIL)).await.refused(403, "`repository.clone_url`");
    send(&service, Forge::GitHub, SECRET, &push(TRUE)).await.accepted("created");
    assert_eq!(params(&service, "repo-url").await, [TRUE]);
    service.stop().await;

    let service = two_forges(&ground.another().await, &[]).start().await;
    send(&service, Forge::Gitea, "another secret", &push(EVIL)).await.accepted("created");
    send(&service, Forge::GitHub, SECRET, &push(TRUE)).await.accepted("created");
    send(&service, Forge::GitHub, SECRET, &push(TRUE)).await.accepted("duplicate");
    assert_eq!(params(&service, "by").await, ["gitea", "github"]);
    assert_eq!(params(&service, "repo-url").await, [EVIL, TRUE]);
    service.stop().await;
}

async fn what_comes_as_an_event_takes_no_webhooks_place(ground: Ground) {
    let service = two_forges(&ground, &["gitea.example.com"]).start().await;
    // The event that the forge's webhook becomes, with its id, its source and the name of its source.
    let options = Options::default();
    let delivery = webhook(Forge::GitHub, "push", "d-1", push(EVIL).to_string());
    let told = events_with(&delivery, &options).unwrap().remove(1);
    let data: Value = serde_json::from_slice(match told.data() {
        pipewright::event::Data::Json(bytes) => bytes,
        other => panic!("{other:?}"),
    })
    .unwrap();
    let cdevent = json!({"specversion": "1.0", "id": told.id(), "source": told.source(), "type": told.ty(),
        "datacontenttype": "application/json", "pipewrightsource": "github", "data": data});
    let knative = json!({"specversion": "1.0", "id": "d-1", "source": "https://github.com/myorg/shop",
        "type": "dev.knative.source.github.push", "datacontenttype": "application/json", "pipewrightsource": "github",
        "data": push(EVIL)});
    for forged in [&cdevent, &knative] {
        let headers = [("content-type", "application/cloudevents+json"), ("ce-pipewrightsource", "github")];
        let answer = service.send("POST", "/events", &headers, forged.to_string()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", told.id()),
        ("ce-source", told.source()),
        ("ce-type", told.ty()),
        ("ce-pipewrightsource", "github"),
    ];
    service.send("POST", "/", &binary, data.to_string()).await.accepted("duplicate");
    assert_eq!(params(&service, "by").await, ["events:insecure"]);
    send(&service, Forge::GitHub, SECRET, &push(TRUE)).await.accepted("created");
    assert_eq!(params(&service, "by").await, ["events:insecure", "github"]);
    assert_eq!(params(&service, "repo-url").await, [EVIL, TRUE]);
    service.stop().await;
}

/// What is forwarded and announced is as it came: who vouched for it is for mappings only.
#[tokio::test(flavor = "multi_thread")]
async fn who_vouched_is_not_sent_on() {
    let forward = "\
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: forward}
spec:
  events: [{type: com.example.*, pipewrightsource: 'events:*'}]
  do:
    - name: forward
      emit: {to: other, forward: true}
";
    let other = Receiver::start().await;
    let setup = Setup::new().mapping("forward", forward).sink("other", other.spec());
    let service = setup.start().await;
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.a"});
    let headers = [("content-type", "application/cloudevents+json")];
    service.send("POST", "/events", &headers, event.to_string()).await.accepted("sent");
    let sent = other.take();
    assert_eq!(sent.len(), 1);
    let (headers, body) = &sent[0];
    assert!(headers.get("ce-pipewrightsource").is_none(), "{headers:?}");
    assert!(!String::from_utf8_lossy(body).contains("pipewrightsource"), "{body:?}");
    service.stop().await;
}

#[test]
fn where_nothing_is_said_a_forge_that_is_in_one_place_is_there() {
    let source = |spec: &str| {
        let document = format!(
            "apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {{name: it}}\nspec: {{{spec}, secrets: [{{file: /s}}]}}\n"
        );
        Settings::parse(&document).map(|mut settings| settings.sources.remove(0))
    };
    for (spec, has_hosts) in [
        ("forge: github", true),
        ("forge: gitlab", true),
        ("forge: bitbucket", true),
        ("forge: gitea", false),
        ("forge: forgejo", false),
        ("forge: bitbucket-data-center", false),
        ("forge: gitea, hosts: [git.example.com]", true),
    ] {
        let source = source(spec).unwrap();
        assert_eq!(source.scope.has_hosts(), has_hosts, "{spec}");
        assert_eq!(source.warning().is_none(), has_hosts, "{spec}");
    }
    for (spec, reason) in [
        ("forge: github, hosts: []", "has an empty list of `hosts`"),
        ("forge: github, repositories: []", "has an empty list of `repositories`"),
        ("forge: github, hosts: ['https://github.com']", "write the host alone"),
        ("forge: github, repositories: [shop]", "write one such as `myorg/shop`"),
        ("generic: {type: t, source: /s}, hosts: [h]", "which are for forges"),
    ] {
        let error = source(spec).unwrap_err();
        assert!(error.contains(reason), "{spec}: {error}");
    }
}

/// Every recorded payload of every forge.
fn deliveries() -> Option<Vec<(String, Webhook)>> {
    let root = corpus::root()?;
    let mut all: Vec<(String, Webhook)> = payloads(&root)
        .into_iter()
        .map(|it| (it.name, webhook(it.forge, &it.event, "d-1", it.body)))
        .collect();
    for payload in corpus::github(&root) {
        all.push((payload.name, webhook(Forge::GitHub, &payload.event, "d-1", payload.body)));
    }
    for path in corpus::json_files(&root.join("forge/gitea-live")) {
        let recorded = corpus::json(&path);
        let headers = recorded["request"]["headers"].as_array().unwrap();
        let event = headers.iter().find(|header| header[0] == "X-Gitea-Event").unwrap()[1].as_str().unwrap();
        // A form holds the same again.
        if recorded["body"].is_object() {
            let name = path.display().to_string();
            all.push((name, webhook(Forge::Gitea, event, "d-1", recorded["body"].to_string())));
        }
    }
    Some(all)
}

fn told(webhook: &Webhook, hosts: &[&str], repositories: &[&str]) -> Result<Vec<Event>, PayloadError> {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let scope = Scope::new(&owned(hosts), &owned(repositories)).unwrap();
    events_with(webhook, &Options { scope, ..Options::default() })
}

/// No real delivery contradicts itself, and none says where it is in a way that is not understood.
#[test]
fn every_recorded_payload_keeps_to_any_host_and_any_repository() {
    let Some(deliveries) = deliveries() else { return };
    let (mut left_out, mut refused) = (Vec::new(), Vec::new());
    for (name, webhook) in &deliveries {
        let free = told(webhook, &[], &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let hosted = told(webhook, &["*"], &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(free, hosted, "{name}");
        let bound = match told(webhook, &["*"], &["*"]) {
            Ok(events) => events,
            Err(error) => {
                refused.push(format!("{name}: {error}"));
                continue;
            }
        };
        if free != bound {
            left_out.push(format!("{} of {}", free.len() - bound.len(), name));
        }
    }
    assert!(deliveries.len() > 200, "{}", deliveries.len());
    // Some were put together by hand from the payloads of two repositories: the owner is another than `full_name` says.
    let of_two = [
        "pull_request_review/dismissed.payload.json: `source` is `https://api.github.com/repos/hellomouse/GNS/",
        "repository_vulnerability_alert/create.with-organization.payload.json: `repository.name` is `Octocoders/",
        "repository_vulnerability_alert/dismiss.payload.json: `repository.name` is `Octocoders/",
        "workflow_job/completed.success.with-organization.payload.json: `repository.name` is `Octocoders/",
        "workflow_job/queued.payload.json: `repository.name` is `Octocoders/",
    ];
    let is_of_two = |it: &&String| of_two.iter().any(|known| it.starts_with(known));
    assert_eq!(refused.iter().filter(|it| !is_of_two(it)).count(), 0, "{refused:#?}");
    // Only what is told of the fork that somebody made.
    assert!(left_out.iter().all(|it| it.contains("fork")), "{left_out:#?}");
}

/// And none of them is taken for what is another's.
#[test]
fn no_recorded_payload_is_of_another_host_or_repository() {
    let Some(deliveries) = deliveries() else { return };
    let mut taken = Vec::new();
    for (name, webhook) in &deliveries {
        for (hosts, repositories) in [(&["elsewhere.example"][..], &[][..]), (&[], &["somebody/else"])] {
            match told(webhook, hosts, repositories) {
                Err(PayloadError::Foreign(_)) => {}
                Err(error) => panic!("{name}: {error}"),
                Ok(events) => taken.push(format!("{name}: {}", events[0].source())),
            }
        }
    }
    // A ping of an App, and payloads that do not say on which host they are.
    let is_about_nobody = |it: &&String| {
        it.starts_with("ping/")
            || it.starts_with("security_advisory/")
            || it.contains(": /")
            || it.contains(": bitbucket")
    };
    let others: Vec<&String> = taken.iter().filter(|it| !is_about_nobody(it)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

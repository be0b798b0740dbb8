//! A developer, a real Gitea, and the real control plane: what was done with git and on the pages of the forge is what the
//! sink has got, in order and each once, and what was to be built is a run.

use std::collections::HashSet;

use pipewright::event::Event;
use pipewright::settings::{SourceDocument, SourceSpec};
use pipewright::source::Auth;
use pipewright::vocabulary::Forge;
use pipewright::vocabulary::scope::Scope;
use serde_json::{Value, json};

use crate::support::BUILD_PIPELINE;
use crate::support::gitea::{Gitea, User};
use crate::support::ground::Ground;
use crate::support::service::{Directory, Service, Setup, literal};

const SECRET: &str = "the secret of the hooks";

/// What the sink has got from the forge.
struct Inbox<'a> {
    service: &'a Service,
    forge: &'a str,
    /// All of it; an event that came twice is there twice.
    all: Vec<Event>,
}

// === impl Inbox ===

impl Inbox<'_> {
    /// Waits until an event of this type and subject is there, beginning with those that came after the first `after`;
    /// how many are there then.
    async fn until(&mut self, after: usize, ty: &str, subject: &str) -> usize {
        let (service, forge, all) = (self.service, self.forge, &mut self.all);
        let what = format!("{ty} of {subject}");
        service
            .until(&what, async || {
                all.extend(service.events.take().into_iter().filter(|it| it.source().starts_with(forge)));
                all[after..].iter().any(|it| it.ty().starts_with(ty) && it.subject() == Some(subject))
            })
            .await;
        self.all.len()
    }

    /// Each occurrence once, in the order of arrival.
    fn occurrences(&self) -> Vec<&Event> {
        let mut seen = HashSet::new();
        self.all.iter().filter(|it| seen.insert((it.source(), it.id()))).collect()
    }
}

fn custom<'e>(event: &'e Event, pointer: &str) -> &'e Value {
    event.tree().unwrap()["customData"].pointer(pointer).unwrap_or(&Value::Null)
}

fn short(event: &Event) -> String {
    let ty = event.ty().trim_start_matches("dev.cdevents.").trim_start_matches("dev.cdeventsx.");
    let name: Vec<&str> = ty.split('.').take(2).collect();
    format!("{} {}", name.join("."), event.subject().unwrap())
}

#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_developer_did_on_a_real_forge_is_what_the_sink_got_and_what_ran() {
    let Some(ground) = Ground::real().await else { return };
    let Ground::Real(real) = &ground else { unreachable!("asked for") };
    let Some(gitea) = Gitea::beside(&real.cluster) else { return };
    ground.create(BUILD_PIPELINE).await;
    let service = Setup::over(&ground)
        .shipped("pull-request-build")
        .shipped("push-build")
        .with(|settings| {
            let spec = SourceSpec::Forge(Forge::Gitea, Auth::Signed(vec![literal(SECRET)]));
            settings.sources.push(SourceDocument { name: "gitea".to_owned(), scope: Scope::default(), spec });
        })
        .start()
        .await;
    let hook = service.url("/webhooks/gitea");
    let mut inbox = Inbox { service: &service, forge: &gitea.url, all: Vec::new() };

    // Two people, an organisation with a repository, a fork. Both hooks of the first tell everything twice.
    let tag = &real.namespace;
    let [alice, bob] = [gitea.user(&format!("alice-{tag}")).await, gitea.user(&format!("bob-{tag}")).await];
    let org = format!("acme-{tag}");
    gitea.call(&alice, "POST", "/orgs", json!({"username": org})).await;
    gitea.hook(&alice, &format!("/orgs/{org}"), &hook, SECRET).await;
    let repository = json!({"name": "widgets", "auto_init": true, "default_branch": "main"});
    gitea.call(&alice, "POST", &format!("/orgs/{org}/repos"), repository).await;
    let (home, widgets) = (format!("/repos/{org}/widgets"), format!("{org}/widgets"));
    gitea.hook(&alice, &home, &hook, SECRET).await;
    let mut at = inbox.until(0, "dev.cdevents.repository.created", &widgets).await;

    let work = Directory::new();
    let clone = async |user: &User, owner: &str, name: &str| {
        let folder = work.path().join(name);
        user.git(work.path(), &["clone", "-q", &format!("{}/{owner}/widgets.git", gitea.url), name]).await;
        folder
    };
    let mine = clone(&alice, &org, "alice").await;

    // A commit on the main branch, and a new branch that goes again.
    let first = alice.commit(&mine, "größe.txt", "1").await;
    alice.git(&mine, &["push", "-q", "origin", "main"]).await;
    at = inbox.until(at, "dev.cdeventsx.git-ref.updated", "main").await;
    alice.git(&mine, &["push", "-q", "origin", "HEAD:refs/heads/feature/größe"]).await;
    at = inbox.until(at, "dev.cdevents.branch.created", "feature/größe").await;
    alice.git(&mine, &["push", "-q", "origin", ":refs/heads/feature/größe"]).await;
    at = inbox.until(at, "dev.cdevents.branch.deleted", "feature/größe").await;

    // A fork, with a hook of its own, so that its pushes are told as well.
    gitea.call(&bob, "POST", &format!("{home}/forks"), json!({})).await;
    at = inbox.until(at, "dev.cdevents.repository.created", &format!("{}/widgets", bob.name)).await;
    gitea.hook(&bob, &format!("/repos/{}/widgets", bob.name), &hook, SECRET).await;
    let theirs = clone(&bob, &bob.name, "bob").await;
    bob.git(&theirs, &["checkout", "-q", "-b", "bob-patch"]).await;
    let offered = bob.commit(&theirs, "patch.txt", "1").await;
    bob.git(&theirs, &["push", "-q", "origin", "bob-patch"]).await;
    at = inbox.until(at, "dev.cdevents.branch.created", "bob-patch").await;

    // The pull request: opened, talked about, pushed to, approved, merged.
    let opened = json!({"title": "Patch $(params.x) by bob", "head": format!("{}:bob-patch", bob.name), "base": "main"});
    let number = gitea.call(&bob, "POST", &format!("{home}/pulls"), opened).await["number"].as_u64().unwrap();
    let (pull, change) = (format!("{home}/pulls/{number}"), format!("pull/{number}"));
    at = inbox.until(at, "dev.cdevents.change.created", &change).await;
    let comment = json!({"body": "/test"});
    gitea.call(&alice, "POST", &format!("{home}/issues/{number}/comments"), comment).await;
    let improved = bob.commit(&theirs, "patch.txt", "2").await;
    bob.git(&theirs, &["push", "-q", "origin", "bob-patch"]).await;
    at = inbox.until(at, "dev.cdevents.change.updated", &change).await;
    let review = json!({"event": "APPROVED", "body": "Good.", "commit_id": improved});
    gitea.call(&alice, "POST", &format!("{pull}/reviews"), review).await;
    at = inbox.until(at, "dev.cdevents.change.reviewed", &change).await;
    // It tells of nothing while it still checks for conflicts.
    service
        .until("it can be merged", async || {
            gitea.call(&alice, "GET", &pull, Value::Null).await["mergeable"] == true
        })
        .await;
    let merge = json!({"Do": "merge", "head_commit_id": improved});
    gitea.call(&alice, "POST", &format!("{pull}/merge"), merge).await;
    // Either may come first.
    inbox.until(at, "dev.cdevents.change.merged", &change).await;
    at = inbox.until(at, "dev.cdeventsx.git-ref.updated", "main").await;

    // A tag, and a release of it.
    alice.git(&mine, &["pull", "-q", "origin", "main"]).await;
    let merged = alice.git(&mine, &["rev-parse", "HEAD"]).await;
    alice.git(&mine, &["tag", "-a", "-m", "First.", "v1.0.0"]).await;
    alice.git(&mine, &["push", "-q", "origin", "v1.0.0"]).await;
    at = inbox.until(at, "dev.cdeventsx.git-tag.created", "v1.0.0").await;
    let release = json!({"tag_name": "v1.0.0", "name": "One"});
    gitea.call(&alice, "POST", &format!("{home}/releases"), release).await;
    let artifact = format!("pkg:gitea/{widgets}@v1.0.0");
    at = inbox.until(at, "dev.cdevents.artifact.published", &artifact).await;
    // The last delivery, behind which nothing more comes.
    let status = json!({"state": "success", "context": "end"});
    gitea.call(&alice, "POST", &format!("{home}/statuses/{merged}"), status).await;
    let end = format!("{merged}/statuses/end");
    inbox.until(at, "dev.cdevents.taskrun.finished", &end).await;

    let found = inbox.occurrences();
    // A pull request opened soon after its push may be told as pushed to once more, with the same commit.
    let told: Vec<String> = found
        .iter()
        .filter(|it| {
            !it.ty().contains("change.updated") || custom(it, "/change/source/sha") != offered.as_str()
        })
        .map(|it| short(it))
        .collect();
    let expected = [
        // Its first branch and commit, which the forge makes, have no delivery.
        format!("repository.created {widgets}"),
        "git-ref.updated main".to_owned(),
        "branch.created feature/größe".to_owned(),
        "branch.deleted feature/größe".to_owned(),
        format!("repository.created {}/widgets", bob.name),
        "branch.created bob-patch".to_owned(),
        format!("change.created {change}"),
        "git-ref.updated bob-patch".to_owned(),
        format!("change.updated {change}"),
        format!("change.reviewed {change}"),
        format!("change.merged {change}"),
        "git-ref.updated main".to_owned(),
        "git-tag.created v1.0.0".to_owned(),
        format!("artifact.published {artifact}"),
        format!("taskrun.finished {end}"),
    ];
    println!("{} events of {} occurrences:\n{}", inbox.all.len(), found.len(), told.join("\n"));
    // In order for each subject; what happens to two of them at once may come in either order.
    let subjects: HashSet<&str> = expected.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    for subject in subjects {
        let of = |lines: &[String]| -> Vec<String> {
            let mine = lines.iter().filter(|line| line.split_once(' ').unwrap().1 == subject);
            mine.cloned().collect()
        };
        assert_eq!(of(&told), of(&expected));
    }
    let (mut told, mut expected) = (told, expected.to_vec());
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    assert!(inbox.all.len() > found.len() + 8, "both hooks, and `create` beside `push`, told the same");

    // The change in the words of whoever looks at the sink.
    let of_change = |ty: &str| *found.iter().find(|it| it.ty().starts_with(ty)).unwrap();
    let created = of_change("dev.cdevents.change.created");
    assert_eq!(custom(created, "/change/source/fork"), true);
    assert_eq!(custom(created, "/change/source/sha"), offered.as_str());
    assert_eq!(custom(of_change("dev.cdevents.change.reviewed"), "/review/state"), "approved");
    assert_eq!(custom(of_change("dev.cdevents.change.merged"), "/change/mergeCommit"), merged.as_str());
    let parents: HashSet<_> = found
        .iter()
        .filter(|it| it.subject() == Some(&change) && it.id() != created.id())
        .map(|it| it.attribute("causationid").unwrap().into_owned())
        .collect();
    assert_eq!(parents, HashSet::from([created.id().to_owned()]), "all follow from the beginning");

    // What was built: each commit of the main branch once, and nothing of the fork of somebody who may not write.
    let runs = service.runs().await;
    let parameter = |run: &kube::api::DynamicObject, name: &str| {
        let all = run.data["spec"]["params"].as_array().unwrap();
        let one = all.iter().find(|it| it["name"] == name).unwrap();
        one["value"].as_str().unwrap().to_owned()
    };
    let mut built: Vec<(String, String)> =
        runs.iter().map(|run| (parameter(run, "title"), parameter(run, "revision"))).collect();
    built.sort();
    let push = "Push to main".to_owned();
    let mut wanted = vec![(push.clone(), first), (push, merged)];
    wanted.sort();
    assert_eq!(built, wanted);
    service.stop().await;
}

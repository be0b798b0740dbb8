use serde_json::{Value, json};

use crate::vocabulary::options::Options;
use crate::vocabulary::testing::{A, B, webhook};
use crate::vocabulary::{Forge, events_with};

use super::Scope;

fn scope(hosts: &[&str], repositories: &[&str]) -> Scope {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Scope::new(&owned(hosts), &owned(repositories)).unwrap()
}

/// What a source of this scope makes of a delivery: the types of its events, or why it is refused.
fn told(forge: Forge, event: &str, body: &Value, scope: &Scope) -> Result<Vec<String>, String> {
    let options = Options { scope: scope.clone(), ..Options::default() };
    match events_with(&webhook(forge, event, body), &options) {
        Ok(events) => Ok(events.iter().map(|event| event.ty().to_owned()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// A push of each forge, with the address of its host and the full name of the repository.
fn push(forge: Forge, host: &str, name: &str) -> (&'static str, Value) {
    let (owner, repository) = name.rsplit_once('/').unwrap_or(("", name));
    let page = format!("https://{host}/{name}");
    let clone = format!("{page}.git");
    let ssh = format!("git@{}:{name}.git", host.split([':', '/']).next().unwrap_or_default());
    match forge {
        Forge::GitHub | Forge::Gitea | Forge::Forgejo => (
            "push",
            json!({"ref": "refs/heads/main", "before": A, "after": B, "commits": [], "repository": {
                "id": 7, "full_name": name, "name": repository, "owner": {"login": owner}, "html_url": page, "url": page,
                "clone_url": clone, "ssh_url": ssh, "pushed_at": 1_700_000_000, "updated_at": "2026-01-02T03:04:05Z"}}),
        ),
        Forge::GitLab => (
            "Push Hook",
            json!({"object_kind": "push", "ref": "refs/heads/main", "before": A, "after": B,
                "project": {"id": 7, "path_with_namespace": name, "web_url": page, "git_http_url": clone, "git_ssh_url": ssh},
                "repository": {"homepage": page, "git_http_url": clone, "git_ssh_url": ssh, "url": ssh}}),
        ),
        Forge::Bitbucket => (
            "repo:push",
            json!({"repository": {"uuid": "{7}", "full_name": name, "links": {"html": {"href": page}}}, "push": {"changes": [
                {"old": {"type": "branch", "name": "main", "target": {"hash": A}},
                 "new": {"type": "branch", "name": "main", "target": {"hash": B}}}]}}),
        ),
        Forge::BitbucketDataCenter => (
            "repo:refs_changed",
            json!({"date": "2026-01-02T03:04:05+0000", "repository": {"id": 7, "slug": repository, "project": {"key": owner},
                "links": {"self": [{"href": format!("https://{host}/projects/{owner}/repos/{repository}/browse")}],
                    "clone": [{"name": "http", "href": format!("https://{host}/scm/{name}.git")},
                              {"name": "ssh", "href": format!("ssh://git@{host}/{name}.git")}]}},
                "changes": [{"refId": "refs/heads/main", "fromHash": A, "toHash": B, "type": "UPDATE"}]}),
        ),
    }
}

fn forges() -> Vec<Forge> {
    Forge::names().iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn a_source_speaks_for_its_hosts_only() {
    for forge in forges() {
        let (event, body) = push(forge, "git.example.com", "team/shop");
        assert_eq!(told(forge, event, &body, &Scope::default()).unwrap().len(), 2, "{forge:?}");
        for hosts in
            [&["git.example.com"][..], &["other.example", "GIT.example.com"], &["*.example.com"], &["*"]]
        {
            assert_eq!(
                told(forge, event, &body, &scope(hosts, &[])).unwrap().len(),
                2,
                "{forge:?} {hosts:?}"
            );
        }
        for hosts in
            [&["github.com"][..], &["example.com"], &["git.example.com.evil"], &["git.example.com:8443"]]
        {
            let error = told(forge, event, &body, &scope(hosts, &[])).unwrap_err();
            let said = format!("and this source speaks for `{}` only", hosts[0]);
            assert!(
                error.contains("git.example.com") && error.contains(&said),
                "{forge:?} {hosts:?}: {error}"
            );
        }
    }
}

#[test]
fn a_source_speaks_for_its_repositories_only() {
    for forge in forges() {
        let (event, body) = push(forge, "git.example.com", "team/shop");
        for names in [&["team/shop"][..], &["TEAM/Shop"], &["x/y", "team/*"], &["*/shop"], &["*"]] {
            for hosts in [&[][..], &["git.example.com"]] {
                let found = told(forge, event, &body, &scope(hosts, names));
                assert_eq!(found.map(|types| types.len()), Ok(2), "{forge:?} {names:?}");
            }
        }
        for names in [&["team/shops"][..], &["eam/shop"], &["myorg/*"], &["*/other"]] {
            let error = told(forge, event, &body, &scope(&[], names)).unwrap_err();
            let said = format!("`team/shop`, and this source speaks for `{}` only", names[0]);
            assert!(error.contains(&said), "{forge:?} {names:?}: {error}");
        }
    }
}

#[test]
fn a_base_path_belongs_to_the_host() {
    for forge in forges() {
        let (event, mut body) = push(forge, "example.com/forge", "team/shop");
        let text = body.to_string().replace("ssh://git@example.com/forge/", "ssh://git@example.com/");
        body = serde_json::from_str(&text).unwrap();
        let found = told(forge, event, &body, &scope(&["example.com/forge"], &["team/*"]));
        assert_eq!(found.map(|types| types.len()), Ok(2), "{forge:?}");
        // Without it `forge` is an owner.
        told(forge, event, &body, &scope(&["example.com"], &["team/*"])).unwrap_err();
    }
}

/// Every string of a value, with a way to it.
fn strings(value: &Value, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((pointer.to_owned(), text.clone())),
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| strings(value, &format!("{pointer}/{name}"), found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, value)| strings(value, &format!("{pointer}/{at}"), found));
        }
        _ => {}
    }
}

/// Each address and name alone is enough for a delivery to be refused, however good the rest of it is.
#[test]
fn no_single_field_leads_elsewhere() {
    for forge in forges() {
        let (event, body) = push(forge, "git.example.com", "team/shop");
        let scope = scope(&["git.example.com"], &["team/*"]);
        let mut all = Vec::new();
        strings(&body, "", &mut all);
        let mut tried = 0;
        for (pointer, text) in all {
            for (from, to) in [
                ("git.example.com", "evil.example"),
                ("git.example.com", "git.example.com@evil.example"),
                ("git.example.com", "evil.example\\@git.example.com"),
                ("team/shop", "other/shop"),
                ("team/shop", "team/../other/shop"),
                ("team/shop", "team/shop/../../other/shop"),
                ("team/shop", "other/team/shop"),
                ("team/shop", "team%2f..%2fother/shop"),
            ] {
                // GitHub's raw event has this as its source; elsewhere it is not read.
                if !text.contains(from) || (pointer == "/repository/url" && forge != Forge::GitHub) {
                    continue;
                }
                let mut forged = body.clone();
                *forged.pointer_mut(&pointer).unwrap() = Value::from(text.replace(from, to));
                let found = told(forge, event, &forged, &scope);
                assert!(found.is_err(), "{forge:?} {pointer}: {} gave {found:?}", text.replace(from, to));
                tried += 1;
            }
        }
        assert!(tried >= 8, "{forge:?}: {tried}");
    }
}

#[test]
fn the_fork_that_a_change_comes_from_is_on_the_same_host() {
    let change = |head: &str| {
        json!({"action": "opened", "number": 5, "repository": {"id": 7, "full_name": "team/shop", "name": "shop",
            "owner": {"login": "team"}, "html_url": "https://github.com/team/shop", "clone_url": "https://github.com/team/shop.git"},
            "pull_request": {"number": 5, "title": "t", "created_at": "2026-01-02T03:04:05Z",
                "head": {"ref": "x", "sha": A, "repo": {"id": 7, "clone_url": head}},
                "base": {"ref": "main", "sha": B, "repo": {"id": 7, "full_name": "team/shop"}}}})
    };
    let scope = scope(&["github.com"], &["team/*"]);
    for head in ["https://github.com/team/shop.git", "https://github.com/eve/shop.git"] {
        assert_eq!(told(Forge::GitHub, "pull_request", &change(head), &scope).unwrap().len(), 2, "{head}");
    }
    for head in ["https://evil.example/team/shop.git", "ext::sh -c x", "/srv/git/shop.git"] {
        let error = told(Forge::GitHub, "pull_request", &change(head), &scope).unwrap_err();
        assert!(error.contains("pull_request.head.repo.clone_url"), "{error}");
    }
}

#[test]
fn what_is_told_of_a_fork_that_somebody_made_is_left_out_where_it_is_nobodys_business() {
    let fork = json!({"repository": {"id": 7, "full_name": "team/shop", "name": "shop", "owner": {"login": "team"},
            "html_url": "https://github.com/team/shop"},
        "forkee": {"id": 8, "full_name": "eve/shop", "name": "shop", "owner": {"login": "eve"},
            "html_url": "https://github.com/eve/shop", "created_at": "2026-01-02T03:04:05Z"}});
    let all = told(Forge::GitHub, "fork", &fork, &scope(&["github.com"], &[])).unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(told(Forge::GitHub, "fork", &fork, &scope(&[], &["team/*"])).unwrap(), ["com.github.fork"]);
}

#[test]
fn what_is_about_an_account_needs_a_pattern_for_all_that_it_has() {
    let organization = json!({"action": "member_added", "organization": {"login": "Team", "url":
        "https://api.github.com/orgs/Team"}, "membership": {"user": {"login": "ann"}}, "sender": {"login": "ann"}});
    let group =
        json!({"event_name": "user_add_to_group", "group_name": "Team", "group_path": "team", "group_id": 3});
    for (forge, event, body) in
        [(Forge::GitHub, "organization", &organization), (Forge::GitLab, "Member Hook", &group)]
    {
        for names in [&["team/*"][..], &["team*"], &["*"], &["*/*"]] {
            let found = told(forge, event, body, &scope(&["github.com"], names));
            assert_eq!(found.map(|types| types.len()), Ok(1), "{forge:?} {names:?}");
        }
        for names in [&["team/shop"][..], &["team/s*"], &["other/*"]] {
            told(forge, event, body, &scope(&[], names)).unwrap_err();
        }
    }
}

#[test]
fn what_is_about_nobody_is_taken_only_where_everything_is_and_so_is_a_ping() {
    let body = json!({"action": "purchased", "marketplace_purchase": {"x": 1}});
    let error = told(Forge::GitHub, "marketplace_purchase", &body, &scope(&[], &["team/*"])).unwrap_err();
    assert!(error.contains("neither a repository nor an owner"), "{error}");
    told(Forge::GitHub, "marketplace_purchase", &body, &scope(&[], &["*"])).unwrap();
    told(Forge::GitHub, "ping", &json!({"zen": "x", "hook": {"type": "App"}}), &scope(&[], &["team/*"]))
        .unwrap();
    let test = json!({"test": true});
    told(Forge::BitbucketDataCenter, "diagnostics:ping", &test, &scope(&["bb.example.com"], &["team/*"]))
        .unwrap();
}

#[test]
fn what_can_match_nothing_is_refused_when_it_is_read() {
    for name in ["shop", "https://github.com/team/shop", "team//shop", "team/shop x", "/team/shop", ""] {
        let error = Scope::new(&[], &[name.to_owned()]).unwrap_err();
        assert!(error.contains("write one such as `myorg/shop` or `myorg/*`"), "{name}: {error}");
    }
}

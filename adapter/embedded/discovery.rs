//! What a client finds out before its first request: groups, resources, version, and an `OpenAPI` document that is as
//! small as `kubectl` allows.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::ACCEPT;
use http::request::Parts;
use serde_json::{Value, json};

use super::failure::Failure;
use super::resource::{Id, RESOURCES, Resource};

/// A document and its media type.
#[derive(Debug)]
pub struct Document {
    /// The HTTP status.
    pub code: StatusCode,
    /// `Content-Type`.
    pub media: &'static str,
    /// The body.
    pub body: String,
}

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const STATUS_VERBS: &[&str] = &["get", "patch", "update"];
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// The version of Kubernetes whose behaviour is followed.
const KUBERNETES: &str = "v1.36.3";

/// Answers a path that names no object.
pub fn answer(parts: &Parts) -> Result<Document, Failure> {
    let path: Vec<&str> = parts.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let accept = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let aggregated =
        accept.contains("v=v2;as=APIGroupDiscoveryList") || accept.contains("as=APIGroupDiscoveryList;v=v2");
    let value = match path.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => {
            return Ok(plain(StatusCode::OK, "ok"));
        }
        ["version"] => version(),
        ["api"] if aggregated => return Ok(aggregate(true)),
        ["apis"] if aggregated => return Ok(aggregate(false)),
        ["api"] => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": groups().into_iter().filter(|(name, _)| !name.is_empty()).map(|(name, versions)| group(name, &versions)).collect::<Vec<_>>(),
        }),
        ["apis", name] => {
            let groups = groups();
            let Some(versions) = groups.get(name).filter(|_| !name.is_empty()) else {
                return not_found(parts);
            };
            let mut value = group(name, versions);
            value["kind"] = json!("APIGroup");
            value["apiVersion"] = json!("v1");
            value
        }
        ["api", version] => resources("", version)?,
        ["apis", group, version] => match resources(group, version) {
            Ok(resources) => resources,
            Err(_) => return not_found(parts),
        },
        ["openapi", "v3"] => openapi_index(),
        ["openapi", "v3", rest @ ..] => openapi(rest)?,
        ["openapi", "v2"] if !accept.contains("protobuf") => json!({
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": KUBERNETES},
            "paths": {},
            "definitions": {},
        }),
        [] => json!({"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}),
        _ => return not_found(parts),
    };
    Ok(Document { code: StatusCode::OK, media: "application/json", body: value.to_string() })
}

/// Answers a path that is not there: in JSON below the groups that are built in, and in plain text elsewhere, where the
/// real server asks one delegate after the other and the last one knows nothing of Kubernetes.
pub fn not_found(parts: &Parts) -> Result<Document, Failure> {
    let path: Vec<&str> = parts.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let is_builtin = match path.as_slice() {
        ["api" | "openapi", ..] => true,
        ["apis", group, version, ..] => of(group, version).any(|resource| !resource.is_custom()),
        _ => false,
    };
    if is_builtin {
        return Err(Failure::no_such_path());
    }
    Ok(plain(StatusCode::NOT_FOUND, "404 page not found\n"))
}

fn plain(code: StatusCode, text: &str) -> Document {
    Document { code, media: "text/plain; charset=utf-8", body: text.to_owned() }
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": format!("{KUBERNETES}+pipewright-embedded"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "embedded",
    })
}

/// Groups with their versions, the preferred one first.
fn groups() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for resource in RESOURCES {
        let versions = groups.entry(resource.group).or_default();
        if !versions.contains(&resource.version) {
            versions.push(resource.version);
        }
    }
    groups
}

fn group(name: &str, versions: &[&str]) -> Value {
    let entry = |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({
        "name": name,
        "versions": versions.iter().map(entry).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(entry),
    })
}

fn of<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Resource> + use<'a> {
    Id::all().map(Id::get).filter(move |resource| resource.group == group && resource.version == version)
}

fn resources(group: &str, version: &str) -> Result<Value, Failure> {
    let mut list = Vec::new();
    for resource in of(group, version) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.is_namespaced(),
            "kind": resource.kind,
            "verbs": VERBS,
        });
        if !resource.short.is_empty() {
            entry["shortNames"] = json!(resource.short);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        list.push(entry);
        if resource.has_status() {
            list.push(json!({
                "name": format!("{}/status", resource.plural),
                "singularName": "",
                "namespaced": resource.is_namespaced(),
                "kind": resource.kind,
                "verbs": STATUS_VERBS,
            }));
        }
    }
    if list.is_empty() {
        return Err(Failure::no_such_path());
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}),
    )
}

fn aggregate(core: bool) -> Document {
    let items: Vec<Value> = groups()
        .into_iter()
        .filter(|(name, _)| name.is_empty() == core)
        .map(|(name, versions)| {
            let versions: Vec<Value> = versions
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> = of(name, version).map(aggregated_resource).collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            let mut item = json!({"metadata": {}, "versions": versions});
            if !name.is_empty() {
                item["metadata"]["name"] = json!(name);
            }
            item
        })
        .collect();
    let body = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    Document { code: StatusCode::OK, media: AGGREGATED, body: body.to_string() }
}

fn aggregated_resource(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.is_namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": VERBS,
        "shortNames": resource.short,
        "categories": resource.categories,
    });
    if resource.has_status() {
        entry["subresources"] =
            json!([{"subresource": "status", "responseKind": kind, "verbs": STATUS_VERBS}]);
    }
    entry
}

fn openapi_index() -> Value {
    let mut paths = serde_json::Map::new();
    for (group, versions) in groups() {
        for version in versions {
            let path =
                if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let url = format!("/openapi/v3/{path}?hash=0");
            paths.insert(path, json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

/// The document of one group version. It declares no schemas; what `kubectl` looks for is whether PATCH of a kind takes
/// `fieldValidation`, because then it leaves validation to the server.
fn openapi(path: &[&str]) -> Result<Value, Failure> {
    let (group, version, prefix) = match path {
        ["api", version] => ("", *version, format!("/api/{version}")),
        ["apis", group, version] => (*group, *version, format!("/apis/{group}/{version}")),
        _ => return Err(Failure::no_such_path()),
    };
    let mut paths = serde_json::Map::new();
    for resource in of(group, version) {
        let scope = if resource.is_namespaced() { "/namespaces/{namespace}" } else { "" };
        let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .iter()
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}))
            .collect();
        let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
        let operation = json!({
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": kind,
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
        });
        paths.insert(format!("{prefix}{scope}/{}/{{name}}", resource.plural), json!({ "patch": operation }));
    }
    if paths.is_empty() {
        return Err(Failure::no_such_path());
    }
    Ok(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": KUBERNETES},
        "paths": paths,
        "components": {"schemas": {}},
    }))
}

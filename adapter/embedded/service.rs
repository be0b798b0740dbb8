//! The API as a function from requests to responses; both ways in, `kube::Client` and HTTP, end here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use serde_json::{Value, json};
use tower::BoxError;

use super::api::{Api, DeleteOptions, Patch};
use super::collect::Propagation;
use super::discovery;
use super::failure::{Cause, Failure};
use super::faults::{Fault, Faults, Way};
use super::fields::OnConflict;
use super::object::{self, Object};
use super::present::{self, Include, Style};
use super::request::{self, Form, Media, Query, Sub, Target};
use super::resource::Id;
use super::resource::Key;
use super::selector::Selector;
use super::store::{Compacted, Page};
use super::update::Written;
use super::watch::{self, Bookmarks, EndMark, Watch};
use super::write::{Clock, Effect, Part, Validation, WriteOptions};

/// The largest request body (apiserver, `MaxRequestBodyBytes`).
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// How long a watch lasts that says nothing of it.
const WATCH_TIMEOUT: Duration = Duration::from_mins(30);

/// The body of a response.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Everything that a request needs; cheap to clone.
#[derive(Clone)]
pub struct Service {
    /// The API.
    pub api: Arc<Api>,
    /// The faults that requests meet.
    pub faults: Faults,
    /// Which way requests come in.
    pub way: Way,
    /// The time.
    pub clock: Clock,
    /// The distance of bookmarks.
    pub bookmarks: Duration,
}

/// What comes of a request.
enum Answer {
    Text(StatusCode, &'static str, Bytes),
    Watch(Box<Watch>),
}

/// What clients are warned of while a request is answered.
type Warnings = Arc<Mutex<Vec<String>>>;

// === impl Service ===

impl Service {
    /// Answers one request. An error means that the connection is to end without an answer.
    pub async fn call<B>(self, request: Request<B>) -> Result<Response<Body>, BoxError>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let is_watch = parts.method == Method::GET && query.is_true("watch");
        let fault = self.faults.meet(&parts.method, self.way, is_watch);
        match fault {
            Some(Fault::Status(code, after)) => return Ok(refuse(&Failure::unavailable(code, after))),
            Some(Fault::ResetBefore) => return Err("the connection was reset".into()),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::ResetAfter | Fault::Late(_) | Fault::Stall(_)) | None => {}
        }
        let (api, cuts) = (self.api.clone(), self.faults.cuts(self.way));
        let warnings = Warnings::default();
        let answer = match read(body).await? {
            Ok(body) => match fault {
                Some(Fault::Late(time)) => self.answer_late(parts, query, body, time).await?,
                _ => self.answer(&parts, &query, &body, &warnings),
            },
            Err(failure) => Err(failure),
        };
        match fault {
            Some(Fault::ResetAfter) => return Err("the connection was reset".into()),
            Some(Fault::Stall(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let mut response = match answer {
            Ok(Answer::Text(code, media, body)) => respond(code, media, full(body)),
            Ok(Answer::Watch(watch)) => {
                let lines = watch::open(api, *watch, cuts);
                let frames = futures::StreamExt::map(lines, |line| line.map(http_body::Frame::data));
                respond(StatusCode::OK, "application/json", StreamBody::new(frames).boxed_unsync())
            }
            Err(failure) => refuse(&failure),
        };
        for warning in warnings.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // 299: "miscellaneous persistent warning" (RFC 7234, 5.5.7).
            if let Ok(value) = HeaderValue::from_str(&format!("299 - {warning:?}")) {
                response.headers_mut().append(WARNING, value);
            }
        }
        Ok(response)
    }

    /// Answers after a while, in a task of its own: the client may be gone by then.
    async fn answer_late(
        self,
        parts: Parts,
        query: Query,
        body: Bytes,
        time: Duration,
    ) -> Result<Result<Answer, Failure>, BoxError> {
        let late = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            self.answer(&parts, &query, &body, &Warnings::default())
        });
        Ok(late.await?)
    }

    fn answer(
        &self,
        parts: &Parts,
        query: &Query,
        body: &Bytes,
        warnings: &Warnings,
    ) -> Result<Answer, Failure> {
        let Some(target) = Target::parse(parts.uri.path()) else {
            return discovery::not_found(parts).map(page);
        };
        match target {
            Target::Other if parts.method == Method::GET => Ok(page(discovery::answer(parts)?)),
            Target::Other => Err(Failure::method_not_allowed()),
            Target::NoPart(key) => Err(Failure::not_found(key.id, &key.name)),
            Target::Collection(id, namespace) => {
                self.collection(id, &namespace, parts, query, body, warnings)
            }
            Target::Object(key, sub) => self.object(&key, sub, parts, query, body, warnings),
        }
    }

    fn style(&self, id: Id, parts: &Parts, query: &Query) -> Result<Style, Failure> {
        let form = Form::parse(id, parts)?;
        let include = match form {
            Form::Table => Include::parse(query.get("includeObject"))?,
            _ => Include::Metadata,
        };
        Ok(Style { form, include, now: (self.clock)() })
    }

    fn collection(
        &self,
        id: Id,
        namespace: &str,
        parts: &Parts,
        query: &Query,
        body: &Bytes,
        warnings: &Warnings,
    ) -> Result<Answer, Failure> {
        let style = self.style(id, parts, query)?;
        match parts.method {
            Method::GET => {
                list_options(query)?;
                let selector = Selector::parse(id, query.get("labelSelector"), query.get("fieldSelector"))?;
                if query.is_true("watch") {
                    return self.watch(id, namespace, selector, query, style);
                }
                self.list(id, namespace, &selector, query, style)
            }
            Method::POST if id.get().is_namespaced() && namespace.is_empty() => {
                Err(Failure::method_not_allowed())
            }
            Method::POST => {
                let value = request::parse_object(id, Media::parse(&parts.headers)?, body)?;
                let options = write_options("CreateOptions", Part::Main, parts, query, warnings)?;
                Ok(written(id, &self.api.create(id, namespace, value, &options)?, style))
            }
            Method::DELETE if id == Id::NAMESPACES => Err(Failure::method_not_allowed()),
            Method::DELETE => {
                let selector = Selector::parse(id, query.get("labelSelector"), query.get("fieldSelector"))?;
                let (options, effect) = delete_options(parts, query, body)?;
                let gone = self.api.delete_collection(id, namespace, &selector, &options, effect)?;
                let meta = json!({ "resourceVersion": self.api.store().version().to_string() });
                let list = present::list(id, gone.iter().map(AsRef::as_ref), &meta, style);
                Ok(Answer::Text(StatusCode::OK, "application/json", list))
            }
            _ => Err(Failure::method_not_allowed()),
        }
    }

    fn object(
        &self,
        key: &Key,
        sub: Sub,
        parts: &Parts,
        query: &Query,
        body: &Bytes,
        warnings: &Warnings,
    ) -> Result<Answer, Failure> {
        let id = key.id;
        let style = self.style(id, parts, query)?;
        let part = if sub == Sub::Status { Part::Status } else { Part::Main };
        match parts.method {
            Method::GET => {
                let asked = version_param(query).map_err(Failure::bad_version)?;
                let store = self.api.store();
                if let Some(asked) = asked.filter(|asked| *asked > store.version()) {
                    return Err(Failure::too_large_version(asked, store.version()));
                }
                let found = store.get(key).ok_or_else(|| Failure::not_found(id, &key.name))?;
                drop(store);
                Ok(text(id, StatusCode::OK, &found, style))
            }
            Method::PUT => {
                let value = request::parse_object(id, Media::parse(&parts.headers)?, body)?;
                let options = write_options("UpdateOptions", part, parts, query, warnings)?;
                Ok(written(id, &self.api.update(key, value, &options)?, style))
            }
            Method::PATCH => {
                let patch = patch(id, parts, query, body)?;
                let options = write_options("PatchOptions", part, parts, query, warnings)?;
                Ok(written(id, &self.api.patch(key, &patch, &options)?, style))
            }
            Method::DELETE if sub == Sub::Main => {
                let (options, effect) = delete_options(parts, query, body)?;
                match self.api.delete(key, &options, effect)? {
                    // Their storage says so, and nobody else's.
                    Written::Removed(object) if id.get().kind == "ServiceAccount" => {
                        Ok(text(id, StatusCode::OK, &object, style))
                    }
                    Written::Removed(object) => Ok(deleted(id, &object)),
                    Written::Updated(object) | Written::Created(object) => {
                        Ok(text(id, StatusCode::OK, &object, style))
                    }
                }
            }
            _ if sub == Sub::Status => {
                let verb = match parts.method {
                    Method::POST => "create",
                    Method::DELETE => "delete",
                    _ => return Err(Failure::method_not_allowed()),
                };
                Err(Failure::unsupported_verb(id, verb))
            }
            _ => Err(Failure::method_not_allowed()),
        }
    }

    fn list(
        &self,
        id: Id,
        namespace: &str,
        selector: &Selector,
        query: &Query,
        style: Style,
    ) -> Result<Answer, Failure> {
        // A list at any version is answered from memory, where pages cost more than they spare.
        let limit = query.number("limit")?.filter(|limit| *limit > 0 && query.get("resourceVersion") != "0");
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let asked = version_param(query)
            .map_err(|why| Failure::bad_request(format!("invalid resource version: {why}")))?;
        let token = query.get("continue");
        let store = self.api.store();
        let present = store.version();
        let mut after = None;
        let mut version = present;
        if !token.is_empty() && asked.is_some() {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Failure::bad_request(message));
        }
        if !token.is_empty() {
            let (at, key) = read_token(token)?;
            version = at;
            after = Some(key);
        } else if let Some(asked) = asked {
            if asked > present {
                return Err(Failure::too_large_version(asked, present));
            }
            if query.get("resourceVersionMatch") == "Exact" {
                version = asked;
            }
        }
        let page = Page { id, namespace, after: after.as_ref(), version, limit, selector };
        let (objects, more) = store.list(&page).map_err(|Compacted(_)| {
            Failure::expired(if token.is_empty() {
                "The resourceVersion for the provided list is too old."
            } else {
                "The provided continue parameter is too old to display a consistent list result. \
                 You must start a new list without the continue parameter."
            })
        })?;
        let mut meta = json!({ "resourceVersion": version.to_string() });
        // The lists of custom resources have the field always.
        if id.get().is_custom() && style.form == Form::Full {
            meta["continue"] = json!("");
        }
        if let Some(last) = objects.last().filter(|_| more) {
            meta["continue"] = json!(write_token(version, &last.value));
            if selector.is_empty() {
                let rest = store.count_after(&page, last, usize::MAX);
                meta["remainingItemCount"] = json!(rest.unwrap_or_default());
            }
        }
        drop(store);
        let list = present::list(id, objects.iter().map(AsRef::as_ref), &meta, style);
        Ok(Answer::Text(StatusCode::OK, "application/json", list))
    }

    fn watch(
        &self,
        id: Id,
        namespace: &str,
        selector: Selector,
        query: &Query,
        style: Style,
    ) -> Result<Answer, Failure> {
        let timeout = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        let timeout = timeout.map_or(WATCH_TIMEOUT, Duration::from_secs);
        let asked = version_param(query).map_err(Failure::bad_version)?;
        let initial = match query.get("sendInitialEvents") {
            "" => None,
            "true" | "1" => Some(true),
            _ => Some(false),
        };
        let bookmarks = query.is_true("allowWatchBookmarks");
        let from = match (initial, asked) {
            (Some(true), Some(asked)) if asked > self.api.store().version() => watch::From::Future(asked),
            (Some(true), _) => {
                watch::From::Present { end: if bookmarks { EndMark::Bookmark } else { EndMark::None } }
            }
            (Some(false), None) => watch::From::Version(self.api.store().version()),
            (None, None) => watch::From::Present { end: EndMark::None },
            // Nothing is kept from the beginning of time.
            (_, Some(version)) if self.faults.is_expired(version, self.way) => watch::From::Version(0),
            (_, Some(version)) => watch::From::Version(version),
        };
        Ok(Answer::Watch(Box::new(Watch {
            id,
            namespace: namespace.to_owned(),
            selector,
            from,
            bookmarks: if bookmarks { Bookmarks::Every(self.bookmarks) } else { Bookmarks::Never },
            timeout,
            style,
        })))
    }
}

// === impl tower::Service ===

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.clone().call(request))
    }
}

/// Reads a body up to the limit; a body that breaks off is an error of the connection.
async fn read<B>(body: B) -> Result<Result<Bytes, Failure>, BoxError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => Ok(Ok(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(Err(Failure::too_large(BODY_LIMIT))),
        Err(error) => Err(error),
    }
}

/// The longest name of a manager (apimachinery, `validation.FieldManagerMaxLength`).
const MANAGER_LIMIT: usize = 128;

/// `resourceVersion`; absent, empty and `0` ask for nothing in particular.
fn version_param(query: &Query) -> Result<Option<u64>, String> {
    match query.get("resourceVersion") {
        "" | "0" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")
        }),
    }
}

/// Refuses combinations of parameters that mean nothing (apimachinery, `ValidateListOptions`).
fn list_options(query: &Query) -> Result<(), Failure> {
    let (wanted, version) = (query.get("resourceVersionMatch"), query.get("resourceVersion"));
    let (initial, is_watch) = (!query.get("sendInitialEvents").is_empty(), query.is_true("watch"));
    let mut causes = Vec::new();
    let mut forbid = |field: &str, why: &str| causes.push(Cause::forbidden(field, why));
    let continues = !query.get("continue").is_empty();
    if is_watch {
        if initial && wanted != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            forbid("resourceVersionMatch", why);
        }
        if !wanted.is_empty() && !initial {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            forbid("resourceVersionMatch", why);
        }
        if !matches!(wanted, "" | "NotOlderThan") {
            causes.push(Cause::unsupported("resourceVersionMatch", &json!(wanted), &["NotOlderThan"]));
        }
        if continues {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(Cause::forbidden("resourceVersionMatch", why));
        }
    } else {
        if !wanted.is_empty() && version.is_empty() {
            forbid(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            );
        }
        if !wanted.is_empty() && continues {
            forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided");
        }
        if !matches!(wanted, "" | "Exact" | "NotOlderThan") {
            let supported = ["Exact", "NotOlderThan", ""];
            causes.push(Cause::unsupported("resourceVersionMatch", &json!(wanted), &supported));
        } else if wanted == "Exact" && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            forbid("resourceVersionMatch", why);
        }
        if initial {
            causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::options("ListOptions", &causes)) }
}

fn write_options(
    kind: &str,
    part: Part,
    parts: &Parts,
    query: &Query,
    warnings: &Warnings,
) -> Result<WriteOptions, Failure> {
    let mut causes = Vec::new();
    let validation = match query.get("fieldValidation") {
        "" | "Warn" => Validation::Warn,
        "Strict" => Validation::Strict,
        "Ignore" => Validation::Ignore,
        other => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            causes.push(Cause::unsupported("fieldValidation", &json!(other), &supported));
            Validation::Warn
        }
    };
    let manager = request::manager(parts, query);
    if query.get("fieldManager").len() > MANAGER_LIMIT {
        causes.push(Cause::too_long("fieldManager", MANAGER_LIMIT));
    }
    let effect = effect(query.get("dryRun"), &mut causes);
    if !causes.is_empty() {
        return Err(Failure::options(kind, &causes));
    }
    Ok(WriteOptions { part, effect, manager, validation, warnings: warnings.clone() })
}

fn effect(dry_run: &str, causes: &mut Vec<Cause>) -> Effect {
    match dry_run {
        "" => return Effect::Store,
        "All" => {}
        other => causes.push(Cause::unsupported("dryRun", &json!([other]), &["All"])),
    }
    Effect::DryRun
}

fn patch(id: Id, parts: &Parts, query: &Query, body: &Bytes) -> Result<Patch, Failure> {
    let is_patch = |media: &Media| !matches!(media, Media::Json | Media::Yaml | Media::Protobuf);
    let media = Media::parse(&parts.headers).ok().filter(is_patch);
    let media = media.filter(|media| *media != Media::StrategicPatch || !id.get().is_custom());
    let media = media.ok_or_else(|| Failure::unsupported_patch(id))?;
    if media != Media::Apply && !query.get("force").is_empty() {
        let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
        return Err(Failure::options("PatchOptions", &[cause]));
    }
    let value = match media {
        Media::Apply => request::parse_body(media, body)?,
        media => request::parse_patch(media, body)?,
    };
    Ok(match media {
        Media::JsonPatch => Patch::Json(value),
        Media::StrategicPatch => Patch::Strategic(value),
        Media::Apply => {
            if query.get("fieldManager").is_empty() {
                let cause = Cause::required("fieldManager", "is required for apply patch");
                return Err(Failure::options("PatchOptions", &[cause]));
            }
            let force = if query.is_true("force") { OnConflict::Force } else { OnConflict::Refuse };
            Patch::Apply(value, force)
        }
        Media::MergePatch | Media::Json | Media::Yaml | Media::Protobuf => Patch::Merge(value),
    })
}

fn delete_options(parts: &Parts, query: &Query, body: &Bytes) -> Result<(DeleteOptions, Effect), Failure> {
    let body =
        if body.is_empty() { Value::Null } else { request::parse_body(Media::parse(&parts.headers)?, body)? };
    let (version, kind) = (object::text(&body, &["apiVersion"]), object::text(&body, &["kind"]));
    if !kind.is_empty() && kind != "DeleteOptions" {
        return Err(Failure::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    let mut causes = Vec::new();
    let policy = match object::text(&body, &["propagationPolicy"]) {
        "" => query.get("propagationPolicy"),
        policy => policy,
    };
    let propagation = match policy {
        "" if body["orphanDependents"] == true || query.is_true("orphanDependents") => Propagation::Orphan,
        "" | "Background" => Propagation::Background,
        "Foreground" => Propagation::Foreground,
        "Orphan" => Propagation::Orphan,
        other => {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            causes.push(Cause::unsupported("propagationPolicy", &json!(other), &supported));
            Propagation::Background
        }
    };
    if !policy.is_empty() && body["orphanDependents"].is_boolean() {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        causes.insert(0, Cause::invalid("propagationPolicy", &json!(policy), why));
    }
    let precondition = |key| {
        let text = object::text(&body, &["preconditions", key]);
        (!text.is_empty()).then(|| text.to_owned())
    };
    let options =
        DeleteOptions { propagation, uid: precondition("uid"), version: precondition("resourceVersion") };
    let dry_run = body["dryRun"].as_array().and_then(|list| list.first()).and_then(Value::as_str);
    let effect = effect(dry_run.unwrap_or_else(|| query.get("dryRun")), &mut causes);
    if causes.is_empty() { Ok((options, effect)) } else { Err(Failure::options("DeleteOptions", &causes)) }
}

/// Where the next page begins: the version of the first page and the last key (apiserver, `continue.go`).
fn write_token(version: u64, last: &Value) -> String {
    let start = format!("{}/{}\0", object::namespace(last), object::name(last));
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": start}).to_string())
}

fn read_token(token: &str) -> Result<(u64, (String, String)), Failure> {
    let invalid = |why: String| {
        Failure::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|error| invalid(error.to_string()))?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|error| {
        let first = bytes.first().copied().unwrap_or_default();
        invalid(match first {
            b'{' => error.to_string(),
            other if other.is_ascii_graphic() => {
                format!("invalid character '{}' looking for beginning of value", char::from(other))
            }
            other => format!("invalid character '\\u{other:04x}' looking for beginning of value"),
        })
    })?;
    let start = object::text(&token, &["start"]).trim_end_matches('\0').split_once('/');
    let (namespace, name) = start.ok_or_else(|| invalid("continue token is not valid".to_owned()))?;
    let version = token["rv"].as_u64().unwrap_or_default();
    Ok((version, (namespace.to_owned(), name.to_owned())))
}

fn page(document: discovery::Document) -> Answer {
    Answer::Text(document.code, document.media, document.body.into())
}

fn text(id: Id, code: StatusCode, object: &Object, style: Style) -> Answer {
    Answer::Text(code, "application/json", present::one(id, object, style))
}

fn written(id: Id, written: &Written, style: Style) -> Answer {
    match written {
        Written::Created(object) => text(id, StatusCode::CREATED, object, style),
        Written::Updated(object) | Written::Removed(object) => text(id, StatusCode::OK, object, style),
    }
}

fn deleted(id: Id, object: &Object) -> Answer {
    let resource = id.get();
    let mut details = json!({
        "name": object::name(&object.value),
        "kind": resource.plural,
        "uid": object::uid(&object.value),
    });
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "details": details,
    });
    Answer::Text(StatusCode::OK, "application/json", status.to_string().into())
}

fn refuse(failure: &Failure) -> Response<Body> {
    let mut response = respond(failure.code, "application/json", full(failure.to_value().to_string().into()));
    if let Some(seconds) = failure.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn respond(code: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

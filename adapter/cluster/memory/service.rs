//! The API as a function from requests to responses; both ways in, `kube::Client` and HTTP, end here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use serde_json::{Value, json};
use tower::BoxError;

use super::api::{Api, Clock, DeleteOptions, Effect, Part, Patch, WriteOptions, Written};
use super::collect::Propagation;
use super::discovery;
use super::failure::Failure;
use super::faults::{Fault, Faults, Way};
use super::fields::OnConflict;
use super::object::{self, Object};
use super::present::{self, Include, Style};
use super::request::{self, Form, Media, Query, Sub, Target};
use super::resource::Id;
use super::selector::Selector;
use super::store::{Compacted, Key, Page};
use super::watch::{self, Bookmarks, EndMark, Watch};

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
        let answer = match read(body).await? {
            Ok(body) => match fault {
                Some(Fault::Late(time)) => self.answer_late(parts, query, body, time).await?,
                _ => self.answer(&parts, &query, &body),
            },
            Err(failure) => Err(failure),
        };
        match fault {
            Some(Fault::ResetAfter) => return Err("the connection was reset".into()),
            Some(Fault::Stall(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        match answer {
            Ok(Answer::Text(code, media, body)) => Ok(respond(code, media, full(body))),
            Ok(Answer::Watch(watch)) => {
                let lines = watch::open(api, *watch, cuts);
                let frames = futures::StreamExt::map(lines, |line| line.map(http_body::Frame::data));
                Ok(respond(StatusCode::OK, "application/json", StreamBody::new(frames).boxed_unsync()))
            }
            Err(failure) => Ok(refuse(&failure)),
        }
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
            self.answer(&parts, &query, &body)
        });
        Ok(late.await?)
    }

    fn answer(&self, parts: &Parts, query: &Query, body: &Bytes) -> Result<Answer, Failure> {
        match Target::parse(parts.uri.path()).ok_or_else(Failure::no_such_path)? {
            Target::Other if parts.method == Method::GET => {
                let document = discovery::answer(parts)?;
                Ok(Answer::Text(StatusCode::OK, document.media, document.body.into()))
            }
            Target::Other => Err(Failure::method_not_allowed()),
            Target::Collection(id, namespace) => self.collection(id, &namespace, parts, query, body),
            Target::Object(key, sub) => self.object(&key, sub, parts, query, body),
        }
    }

    fn style(&self, parts: &Parts, query: &Query) -> Result<Style, Failure> {
        Ok(Style {
            form: Form::parse(&parts.headers)?,
            include: Include::parse(query.get("includeObject")),
            now: (self.clock)(),
        })
    }

    fn collection(
        &self,
        id: Id,
        namespace: &str,
        parts: &Parts,
        query: &Query,
        body: &Bytes,
    ) -> Result<Answer, Failure> {
        let style = self.style(parts, query)?;
        match parts.method {
            Method::GET => {
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
                let value = request::parse_body(Media::parse(&parts.headers)?, body)?;
                let options = write_options(Part::Main, parts, query)?;
                Ok(written(id, &self.api.create(id, namespace, value, &options)?, style))
            }
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
    ) -> Result<Answer, Failure> {
        let id = key.id;
        let style = self.style(parts, query)?;
        let part = if sub == Sub::Status { Part::Status } else { Part::Main };
        match parts.method {
            Method::GET if query.is_true("watch") => {
                let field = format!("metadata.name={}", key.name);
                self.watch(id, &key.namespace, Selector::parse(id, "", &field)?, query, style)
            }
            Method::GET => {
                let asked = self.version_param(query)?;
                let store = self.api.store();
                if let Some(asked) = asked.filter(|asked| *asked > store.version()) {
                    return Err(Failure::too_large_version(asked, store.version()));
                }
                let found = store.get(key).ok_or_else(|| Failure::not_found(id, &key.name))?;
                drop(store);
                Ok(text(id, StatusCode::OK, &found, style))
            }
            Method::PUT => {
                let value = request::parse_body(Media::parse(&parts.headers)?, body)?;
                let options = write_options(part, parts, query)?;
                Ok(written(id, &self.api.update(key, value, &options)?, style))
            }
            Method::PATCH => {
                let patch = patch(parts, query, body)?;
                let options = write_options(part, parts, query)?;
                Ok(written(id, &self.api.patch(key, &patch, &options)?, style))
            }
            Method::DELETE if sub == Sub::Main => {
                let (options, effect) = delete_options(parts, query, body)?;
                match self.api.delete(key, &options, effect)? {
                    Written::Removed(object) => Ok(deleted(id, &object)),
                    Written::Updated(object) | Written::Created(object) => {
                        Ok(text(id, StatusCode::OK, &object, style))
                    }
                }
            }
            _ => Err(Failure::method_not_allowed()),
        }
    }

    /// `resourceVersion`; absent, empty and `0` ask for nothing in particular.
    #[expect(clippy::unused_self, reason = "reads better beside its callers")]
    fn version_param(&self, query: &Query) -> Result<Option<u64>, Failure> {
        match query.get("resourceVersion") {
            "" | "0" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Failure::bad_request(format!(
                    "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            }),
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
        let limit = query.number("limit")?.filter(|limit| *limit > 0);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let asked = self.version_param(query)?;
        let token = query.get("continue");
        let store = self.api.store();
        let present = store.version();
        let mut after = None;
        let mut version = present;
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
        drop(store);
        let mut meta = json!({ "resourceVersion": version.to_string() });
        if let Some(last) = objects.last().filter(|_| more) {
            meta["continue"] = json!(write_token(version, &last.value));
        }
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
        let asked = self.version_param(query)?;
        let initial = match query.get("sendInitialEvents") {
            "" => None,
            "true" | "1" => Some(true),
            _ => Some(false),
        };
        let bookmarks = query.is_true("allowWatchBookmarks");
        if initial == Some(true) && query.get("resourceVersionMatch") != "NotOlderThan" {
            return Err(Failure::bad_request(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        let from = match (initial, asked) {
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

fn write_options(part: Part, parts: &Parts, query: &Query) -> Result<WriteOptions, Failure> {
    match query.get("fieldValidation") {
        "" | "Strict" | "Warn" | "Ignore" => {}
        other => {
            let message =
                format!("Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\"");
            return Err(Failure::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Invalid",
                format!("fieldValidation: {message}"),
            ));
        }
    }
    Ok(WriteOptions { part, effect: effect(query.get("dryRun"))?, manager: request::manager(parts, query) })
}

fn effect(dry_run: &str) -> Result<Effect, Failure> {
    match dry_run {
        "" => Ok(Effect::Store),
        "All" => Ok(Effect::DryRun),
        other => {
            let message = format!("dryRun: Unsupported value: [{other:?}]: supported values: \"All\"");
            Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message))
        }
    }
}

fn patch(parts: &Parts, query: &Query, body: &Bytes) -> Result<Patch, Failure> {
    let media = Media::parse(&parts.headers);
    let accepted = "application/json-patch+json, application/merge-patch+json, \
                    application/strategic-merge-patch+json, application/apply-patch+yaml";
    let media = media.ok().filter(|media| !matches!(media, Media::Json | Media::Yaml | Media::Protobuf));
    let media = media.ok_or_else(|| Failure::unsupported_media_type(accepted))?;
    let value = request::parse_body(media, body)?;
    Ok(match media {
        Media::JsonPatch => Patch::Json(value),
        Media::StrategicPatch => Patch::Strategic(value),
        Media::Apply => {
            if query.get("fieldManager").is_empty() {
                let message = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: \
                               is required for apply patch";
                return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message));
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
            let message = format!(
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {other:?}: \
                 supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
            );
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message));
        }
    };
    let precondition = |key| {
        let text = object::text(&body, &["preconditions", key]);
        (!text.is_empty()).then(|| text.to_owned())
    };
    let options =
        DeleteOptions { propagation, uid: precondition("uid"), version: precondition("resourceVersion") };
    let dry_run = body["dryRun"].as_array().and_then(|list| list.first()).and_then(Value::as_str);
    Ok((options, effect(dry_run.unwrap_or_else(|| query.get("dryRun")))?))
}

/// Where the next page begins: the version of the first page and the last key.
fn write_token(version: u64, last: &Value) -> String {
    format!("{version}.{}.{}", object::namespace(last), object::name(last))
}

fn read_token(token: &str) -> Result<(u64, (String, String)), Failure> {
    let read = || {
        let mut parts = token.splitn(3, '.');
        let version = parts.next()?.parse().ok()?;
        Some((version, (parts.next()?.to_owned(), parts.next()?.to_owned())))
    };
    read().ok_or_else(|| {
        Failure::bad_request("continue key is not valid: encoded continue token is not understood")
    })
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

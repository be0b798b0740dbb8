//! Answers: which status tells which sender what (`docs/http.md` has the table).
//!
//! Knative turns a 2xx whose body is not a CloudEvent into a failure, so acceptance has no body; and nobody retries
//! a 500 reliably, so what may work later is 503 with `Retry-After`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};

use super::Routes;
use crate::event::Event;
use crate::event::attribute::shown;
use crate::event::http::encode_structured;
use crate::pipeline::Outcome;

/// Seconds that a sender is asked to wait when nothing better is known.
const RETRY_SECONDS: u64 = 1;
/// What became of the event, for people: `created`, `duplicate`, `sent` or `ignored`.
const RESULT: HeaderName = HeaderName::from_static("x-pipewright-result");

/// The answer to one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Every effect exists.
    Accepted {
        /// What became of it.
        result: Effects,
        /// The event that answers it.
        reply: Option<Arc<Event>>,
    },
    /// The request is at fault: sending it again cannot help.
    Refused {
        /// 4xx.
        status: StatusCode,
        /// What is wrong, and what to do.
        text: String,
    },
    /// Try again later.
    Later {
        /// 429 or 503.
        status: StatusCode,
        /// Why.
        text: String,
        /// When.
        after: Duration,
    },
}

/// What an accepted request brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    /// At least one run is new.
    Created,
    /// Every run existed already.
    Duplicate,
    /// No run was wanted; events were sent.
    Sent,
    /// Nothing was wanted.
    Ignored,
}

// === impl Answer ===

impl Answer {
    /// 4xx with a text.
    pub fn refused(status: StatusCode, text: impl Into<String>) -> Self {
        Self::Refused { status, text: text.into() }
    }

    /// 503: a transient fault of ours or behind us.
    pub fn unavailable(text: impl Into<String>, after: Option<Duration>) -> Self {
        Self::Later {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: text.into(),
            after: after.unwrap_or(Duration::from_secs(RETRY_SECONDS)),
        }
    }

    /// 503: a bug of ours, so that the sender keeps its event.
    pub fn bug() -> Self {
        Self::unavailable("internal error; the event is not accepted", None)
    }

    /// 429: we are asked for more than we can do.
    pub fn overloaded(text: impl Into<String>, after: Duration) -> Self {
        Self::Later { status: StatusCode::TOO_MANY_REQUESTS, text: text.into(), after }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Accepted { reply: None, .. } => StatusCode::ACCEPTED,
            Self::Accepted { reply: Some(_), .. } => StatusCode::OK,
            Self::Refused { status, .. } | Self::Later { status, .. } => *status,
        }
    }

    /// The reason of a refusal; empty for acceptance.
    pub fn text(&self) -> &str {
        match self {
            Self::Accepted { .. } => "",
            Self::Refused { text, .. } | Self::Later { text, .. } => text,
        }
    }

    /// The HTTP response.
    pub fn into_response(self) -> HttpResponse {
        let status = self.status();
        let mut response = HttpResponse::build(status);
        match self {
            Self::Accepted { result, reply } => {
                let result = match result {
                    Effects::Created => "created",
                    Effects::Duplicate => "duplicate",
                    Effects::Sent => "sent",
                    Effects::Ignored => "ignored",
                };
                response.insert_header((RESULT, HeaderValue::from_static(result)));
                match reply {
                    None => response.finish(),
                    Some(event) => {
                        let (headers, body) = encode_structured(&event);
                        for (name, value) in headers {
                            response.insert_header((&*name, value));
                        }
                        response.body(body)
                    }
                }
            }
            Self::Refused { text, .. } => plain(&mut response, text),
            Self::Later { text, after, .. } => {
                // Rounded up: an earlier try would be refused again.
                let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
                response.insert_header((RETRY_AFTER, seconds.max(1)));
                plain(&mut response, text)
            }
        }
    }
}

// === impl Effects ===

impl Effects {
    /// Sums up what a plan brought about.
    pub fn of(outcome: &Outcome) -> Self {
        if outcome.created() > 0 {
            Self::Created
        } else if outcome.existed() > 0 {
            Self::Duplicate
        } else if outcome.sent() > 0 || outcome.reply.is_some() {
            Self::Sent
        } else {
            Self::Ignored
        }
    }
}

/// Acceptance when every effect exists. Else what failed: 503 when any of it may work later, since whoever tries again
/// then loses nothing, and 422 when nothing would.
impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome.fault() {
            None => Self::Accepted { result: Effects::of(&outcome), reply: outcome.reply },
            Some(fault) if fault.is_transient() => Self::unavailable(fault.to_string(), fault.retry_after()),
            Some(fault) => Self::refused(StatusCode::UNPROCESSABLE_ENTITY, fault.to_string()),
        }
    }
}

/// 405 with the methods that are allowed.
pub fn wrong_method(allow: &'static str) -> HttpResponse {
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((ALLOW, allow));
    plain(&mut response, format!("this method is not allowed here; use {allow}"))
}

/// 410: senders such as Knative try a 404 again, but no route of ours appears later.
pub fn no_such_path(request: &HttpRequest, served: Routes, base: &str) -> HttpResponse {
    let below = if base.is_empty() { String::new() } else { format!(", each also below `{base}`") };
    let send = match served {
        Routes::All => "send CloudEvents to `/` or `/events`, webhooks to `/webhooks/{source}`",
        Routes::Webhooks => {
            "send webhooks to `/webhooks/{source}`; CloudEvents have an address of their own, `eventsListen` of the settings"
        }
        Routes::Events => "send CloudEvents to `/` or `/events`; webhooks have another address",
    };
    plain(
        &mut HttpResponse::Gone(),
        format!("nothing is served at `{}`; {send}{below}", shown(request.path())),
    )
}

/// 400: a protocol that is not spoken here, after which the end of the body cannot be known.
pub fn no_upgrade() -> HttpResponse {
    let text = "header `upgrade`: only HTTP/1.1 is spoken here; send the request without it";
    plain(&mut HttpResponse::BadRequest(), text.into())
}

/// Keeps the answer to a token in a URL out of shared caches (RFC 6750, section 2.3).
pub fn keep_private(request: &HttpRequest, response: &mut HttpResponse) {
    if response.status().is_success() && request.query_string().contains("access_token=") {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

/// A request header as text; `None` when absent or not visible ASCII.
pub fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn plain(response: &mut actix_web::HttpResponseBuilder, text: String) -> HttpResponse {
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"));
    response.body(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fault::Fault;
    use crate::event::identity::Key;
    use crate::pipeline::{Done, Effect, Receipt, RunReference, Target};

    fn run() -> RunReference {
        RunReference { namespace: "ci".into(), name: "a".into(), uid: "u".into() }
    }

    fn outcome(results: Vec<Done>) -> Outcome {
        let effect = |result| {
            let target = Target::PipelineRun { namespace: "ci".into(), name: "a".into() };
            Effect { key: Key::of("test", &[]), origin: None, target, result }
        };
        Outcome { effects: results.into_iter().map(effect).collect(), ..Outcome::default() }
    }

    #[test]
    fn the_result_speaks_of_runs_first() {
        let (new, old) = (|| Done::Created(run()), || Done::Existed(run()));
        let sent = || {
            let elapsed = Duration::ZERO;
            let receipt = Receipt { attempts: 1, status: 202, elapsed, dead_letter: None };
            Done::Sent(Box::new(receipt))
        };
        let result = |results| Effects::of(&outcome(results));
        assert_eq!(result(vec![sent(), old(), new()]), Effects::Created);
        // A redelivery sends its events again, with the same ids: that is nothing new.
        assert_eq!(result(vec![old(), sent()]), Effects::Duplicate);
        assert_eq!(result(vec![sent()]), Effects::Sent);
        assert_eq!(result(vec![]), Effects::Ignored);
    }

    #[test]
    fn a_sender_is_asked_to_come_again_while_anything_may_work_later() {
        let refused = || Done::Failed(Fault::permanent("no"));
        let late = || Done::Failed(Fault::transient("late", Some(Duration::from_secs(9))));
        let answer = Answer::from(outcome(vec![Done::Created(run()), refused(), late()]));
        assert_eq!((answer.status().as_u16(), answer.text()), (503, "no; late"));
        assert!(matches!(answer, Answer::Later { after, .. } if after == Duration::from_secs(9)));
        let answer = Answer::from(outcome(vec![Done::Created(run()), refused()]));
        assert_eq!((answer.status().as_u16(), answer.text()), (422, "no"));
    }
}

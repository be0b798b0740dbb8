//! The abuse protection of webhooks (CloudEvents `http-webhook.md`, section 4): who may send here, and how much.

use std::num::NonZeroU32;

/// The origins that may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Everyone.
    Any,
    /// These DNS names, in any case of letters.
    These(Vec<String>),
}

/// The answer to a validation request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The sender may send; answer 200 with these headers.
    Granted(Vec<(&'static str, String)>),
    /// The sender may not, or did not say who it is; answer 405 with `Allow: POST` and none of the headers that
    /// would grant.
    Refused,
}

/// Answers an `OPTIONS` request.
///
/// `rate` is the most requests a minute that a sender may make; `None` is no limit. A callback URL is not called:
/// the answer is given at once, and calling a URL from a request would let anyone make us call anything.
pub fn handshake<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    allowed: &AllowedOrigins,
    rate: Option<NonZeroU32>,
) -> Handshake {
    let mut origins = headers
        .into_iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("webhook-request-origin"))
        .map(|(_, value)| value.trim_ascii());
    // Two origins are as good as none: which of them would be granted?
    let (Some(origin), None) = (origins.next(), origins.next()) else { return Handshake::Refused };
    if origin.is_empty() {
        return Handshake::Refused;
    }
    let granted = match allowed {
        AllowedOrigins::Any => "*",
        // The configured spelling goes out, never the sender's bytes.
        AllowedOrigins::These(names) => {
            match names.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(origin)) {
                Some(name) => name,
                None => return Handshake::Refused,
            }
        }
    };
    Handshake::Granted(vec![
        ("Allow", "POST, OPTIONS".to_owned()),
        ("WebHook-Allowed-Origin", granted.to_owned()),
        // A must when a rate was requested, and allowed when not.
        ("WebHook-Allowed-Rate", rate.map_or_else(|| "*".to_owned(), |rate| rate.to_string())),
    ])
}

// === impl Handshake ===

impl Handshake {
    /// The status code of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Granted(_) => 200,
            Self::Refused => 405,
        }
    }

    /// The headers of the answer.
    pub fn headers(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Granted(headers) => headers,
            Self::Refused => vec![("Allow", "POST".to_owned())],
        }
    }
}

//! The abuse protection of webhooks (CloudEvents `http-webhook.md`, section 4): who may send here, and how much.

/// The origins that may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Everyone.
    Any,
    /// These DNS names, in any case of letters.
    These(Vec<String>),
}

/// What a validation request says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeRequest<'a> {
    /// `WebHook-Request-Origin`: who wants to send; required.
    pub origin: Option<&'a str>,
    /// `WebHook-Request-Rate`: how many requests a minute.
    pub rate: Option<&'a str>,
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
/// No rate is promised below `*`: who sends more than we can take gets 429 with `Retry-After`. A callback URL is not
/// called: the answer is given at once, and calling a URL from a request would let anyone make us call anything.
pub fn handshake(request: &HandshakeRequest<'_>, allowed: &AllowedOrigins) -> Handshake {
    let Some(origin) = request.origin.map(str::trim).filter(|origin| !origin.is_empty()) else {
        return Handshake::Refused;
    };
    let granted = match allowed {
        AllowedOrigins::Any => "*",
        // The configured spelling goes out, never the sender's bytes.
        AllowedOrigins::These(names) => match names.iter().find(|name| name.eq_ignore_ascii_case(origin)) {
            Some(name) => name,
            None => return Handshake::Refused,
        },
    };
    let mut headers =
        vec![("Allow", "POST, OPTIONS".to_owned()), ("WebHook-Allowed-Origin", granted.to_owned())];
    if request.rate.is_some() {
        headers.push(("WebHook-Allowed-Rate", "*".to_owned()));
    }
    Handshake::Granted(headers)
}

// === impl AllowedOrigins ===

impl AllowedOrigins {
    /// From a list of names, in which `*` stands for everyone. An empty list allows nobody.
    pub fn new(names: &[String]) -> Self {
        if names.iter().any(|name| name == "*") { Self::Any } else { Self::These(names.to_vec()) }
    }
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

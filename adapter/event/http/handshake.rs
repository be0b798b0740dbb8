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

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: HandshakeRequest<'_> =
        HandshakeRequest { origin: Some("eventemitter.example.com"), rate: Some("1000") };

    #[test]
    fn an_allowed_origin_is_granted_and_a_requested_rate_answered() {
        let these = AllowedOrigins::new(&["EventEmitter.example.com".into()]);
        let answer = handshake(&WISH, &these);
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.headers(),
            [
                ("Allow", "POST, OPTIONS".to_owned()),
                ("WebHook-Allowed-Origin", "EventEmitter.example.com".to_owned()),
                ("WebHook-Allowed-Rate", "*".to_owned()),
            ]
        );
        let any = AllowedOrigins::new(&["a.example.com".into(), "*".into()]);
        let answer = handshake(&HandshakeRequest { rate: None, ..WISH }, &any);
        assert_eq!(answer.headers()[1..], [("WebHook-Allowed-Origin", "*".to_owned())]);
    }

    #[test]
    fn other_origins_are_refused_without_any_granting_header() {
        let refused = |origin: Option<&str>, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|&it| it.to_owned()).collect();
            let answer = handshake(&HandshakeRequest { origin, rate: None }, &AllowedOrigins::new(&allowed));
            assert_eq!(answer.status(), 405);
            assert_eq!(answer.headers(), [("Allow", "POST".to_owned())]);
        };
        refused(WISH.origin, &["other.example.com"]);
        refused(WISH.origin, &[]);
        refused(None, &["*"]);
        refused(Some(" "), &["*"]);
    }
}

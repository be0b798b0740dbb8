//! Who may send CloudEvents: each way of the settings that holds lets an event in, and nothing else does.

use super::oidc::{Oidc, OidcError, allows};
use super::token::{TokenAuth, bearer};
use super::{Field, Voucher};

/// How a sender of CloudEvents can prove who it is. Without any way the route is closed.
#[derive(Debug, Default)]
pub struct EventAuth {
    /// `eventTokens`.
    pub tokens: Option<TokenAuth>,
    /// `eventOidc`.
    pub oidc: Option<Oidc>,
    /// `eventTls`: whose certificates count; a list of none is everybody's whom the CA knows.
    pub certificates: Option<Vec<String>>,
    /// `insecureEvents`: everybody.
    pub insecure: bool,
}

/// What came with a request.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The `Authorization` header.
    pub authorization: Field<'a>,
    /// What follows the `?` in the address.
    pub query: &'a str,
    /// The subject of the client's certificate, which the connection has checked against the CA.
    pub certificate: Option<&'a str>,
}

/// Why a request is not let in. The texts repeat nothing that the sender sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No way is open.
    #[error(
        "the route for CloudEvents is closed: say who may send in the settings, with `eventTokens`, `eventOidc` or \
         `eventTls`, or open it to everybody with `insecureEvents: true`"
    )]
    Closed,
    /// The proof is missing or wrong.
    #[error("{0}")]
    Unproved(String),
    /// The sender is known, and may not send.
    #[error("{0}")]
    Forbidden(String),
    /// Whether the proof is good cannot be told at present.
    #[error("{0}")]
    Later(String),
}

// === impl EventAuth ===

impl EventAuth {
    /// Who vouches for the events of a request.
    ///
    /// # Errors
    /// Why nobody does.
    pub async fn admit(&self, credentials: &Credentials<'_>) -> Result<Voucher, Denied> {
        let Credentials { authorization, query, certificate } = *credentials;
        // Somebody on the way may have read another one than we would.
        if authorization == Field::Repeated {
            return Err(Denied::Unproved("header `authorization` appears twice: send it once".to_owned()));
        }
        let mut denied = None;
        if let (Some(subjects), Some(subject)) = (&self.certificates, certificate) {
            if allows(subjects, subject) {
                return Ok(Voucher::Mtls { subject: subject.to_owned() });
            }
            denied = Some(Denied::Forbidden(
                "the subject of the client's certificate is not one of `eventTls.subjects`".to_owned(),
            ));
        }
        if let Some(tokens) = &self.tokens
            && tokens.allows(authorization, query)
        {
            return Ok(Voucher::Token);
        }
        if let Some(oidc) = &self.oidc
            && let Some(token) = authorization.bytes().and_then(bearer)
        {
            let verified = match std::str::from_utf8(token) {
                Ok(token) => oidc.verify(token).await,
                Err(_) => Err(OidcError::Malformed),
            };
            match verified {
                Ok(subject) => return Ok(Voucher::Oidc { subject }),
                Err(error) => denied = Some(Denied::of(&error)),
            }
        }
        if self.insecure {
            return Ok(Voucher::Insecure);
        }
        if self.is_closed() {
            return Err(Denied::Closed);
        }
        Err(denied.unwrap_or_else(|| Denied::Unproved(self.missing())))
    }

    /// Whether nobody may send.
    pub fn is_closed(&self) -> bool {
        self.tokens.is_none() && self.oidc.is_none() && self.certificates.is_none() && !self.insecure
    }

    /// Which ways are open, for people.
    pub fn ways(&self) -> String {
        let mut ways = Vec::new();
        if self.tokens.is_some() {
            ways.push("a token of `eventTokens`".to_owned());
        }
        if let Some(oidc) = &self.oidc {
            ways.push(oidc.describe());
        }
        if let Some(subjects) = &self.certificates {
            let whose = if subjects.is_empty() { "any subject" } else { "one of `subjects`" };
            ways.push(format!("a client certificate of the CA in `eventTls` ({whose})"));
        }
        if self.insecure {
            ways.push("no proof at all (`insecureEvents: true`)".to_owned());
        }
        if ways.is_empty() {
            return Denied::Closed.to_string();
        }
        format!("CloudEvents are taken with {}", ways.join(", or "))
    }

    /// What to send.
    fn missing(&self) -> String {
        let bearer =
            if self.oidc.is_some() { "a valid token or a JWT of the issuer" } else { "a valid token" };
        let mut wanted = Vec::new();
        if self.tokens.is_some() {
            wanted.push(format!("{bearer} as `Authorization: Bearer …` or `?access_token=…`"));
        } else if self.oidc.is_some() {
            wanted.push("a JWT of the issuer as `Authorization: Bearer …`".to_owned());
        }
        if self.certificates.is_some() {
            wanted.push("a client certificate".to_owned());
        }
        format!("send {}", wanted.join(", or "))
    }
}

// === impl Denied ===

impl Denied {
    fn of(error: &OidcError) -> Self {
        match error {
            OidcError::Subject => Self::Forbidden(error.to_string()),
            OidcError::Keys(_) => Self::Later(error.to_string()),
            _ => Self::Unproved(error.to_string()),
        }
    }
}

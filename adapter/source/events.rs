//! Who may send CloudEvents: each way of the settings that holds lets an event in, and nothing else does.

use super::token::TokenAuth;
use super::{Field, Voucher};

/// How a sender of CloudEvents can prove who it is. Without any way the route is closed.
#[derive(Debug, Default)]
pub struct EventAuth {
    /// `eventTokens`.
    pub tokens: Option<TokenAuth>,
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
}

// === impl EventAuth ===

impl EventAuth {
    /// Who vouches for the events of a request.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn admit(&self, credentials: &Credentials<'_>) -> Result<Voucher, Denied> {
        let Credentials { authorization, query } = *credentials;
        // Somebody on the way may have read another one than we would.
        if authorization == Field::Repeated {
            return Err(Denied::Unproved("header `authorization` appears twice: send it once".to_owned()));
        }
        if let Some(tokens) = &self.tokens
            && tokens.allows(authorization, query)
        {
            return Ok(Voucher::Token);
        }
        if self.insecure {
            return Ok(Voucher::Insecure);
        }
        if self.is_closed() {
            return Err(Denied::Closed);
        }
        Err(Denied::Unproved(
            "send a valid token as `Authorization: Bearer …` or `?access_token=…`".to_owned(),
        ))
    }

    /// Whether nobody may send.
    pub fn is_closed(&self) -> bool {
        self.tokens.is_none() && !self.insecure
    }

    /// Which ways are open, for people.
    pub fn ways(&self) -> String {
        let mut ways = Vec::new();
        if self.tokens.is_some() {
            ways.push("a token of `eventTokens`".to_owned());
        }
        if self.insecure {
            ways.push("no proof at all (`insecureEvents: true`)".to_owned());
        }
        if ways.is_empty() {
            return Denied::Closed.to_string();
        }
        format!("CloudEvents are taken with {}", ways.join(", or "))
    }
}

// === impl Denied ===

impl Denied {
    /// The status code of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Closed => 403,
            Self::Unproved(_) => 401,
        }
    }
}

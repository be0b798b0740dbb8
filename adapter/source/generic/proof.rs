//! How senders that have no parser show that they know a secret of the source.

use crate::source::secret::{Secret, Secrets};
use crate::source::signature::{CHANGED, NotDigits, PREFIX, sign, signed_by};
use crate::source::{Authenticated, Field, Headers, token};

/// What a sender shows of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The secret as a token: `Authorization: Bearer …`, or `?access_token=…` where a sender can set no header.
    Token,
    /// The secret itself, in this header.
    Header(String),
    /// An HMAC-SHA256 of the body with the secret, in this header: 64 hexadecimal digits, with or without `sha256=`
    /// before them.
    Signature(String),
}

/// How a source knows its sender; `S` are the secrets, or where they are.
#[derive(Clone, Debug)]
pub enum Auth<S = Secrets> {
    /// It shows one of these secrets.
    Proof(Proof, S),
    /// Not at all.
    Insecure,
}

/// Why a delivery is not authentic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No token, or a wrong one.
    #[error(
        "send one of this source's secrets as `Authorization: Bearer …`, or as `?access_token=…` where the sender can set \
         no header"
    )]
    Token,
    /// No header.
    #[error(
        "header `{0}` is missing or empty: set this source's secret in the webhook's settings at the sender"
    )]
    Missing(String),
    /// A header with something else.
    #[error("header `{0}` must be 64 hexadecimal digits, with or without `{PREFIX}` before them")]
    Malformed(String),
    /// A header with another secret.
    #[error("header `{0}` matches none of this source's secrets")]
    Mismatch(String),
    /// A signature with another secret, or of another body.
    #[error("header `{0}` matches none of this source's secrets{CHANGED}")]
    Changed(String),
    /// A header that stands more than once.
    #[error("header `{0}` stands more than once: send one")]
    Repeated(String),
}

// === impl Auth ===

impl Auth {
    /// What the delivery was authenticated by; the time it takes does not say how wrong a proof is.
    ///
    /// # Errors
    /// It was not.
    pub fn check(&self, headers: &impl Headers, body: &[u8]) -> Result<Authenticated, ProofError> {
        match self {
            Self::Insecure => Ok(Authenticated::Insecure),
            Self::Proof(proof, secrets) => proof.place(secrets, headers, body).map(Authenticated::Secret),
        }
    }
}

// === impl Proof ===

impl Proof {
    /// The header by which a sender shows that it knows `secret`.
    pub fn header(&self, secret: &Secret, body: &[u8]) -> (String, Vec<u8>) {
        match self {
            Self::Token => ("authorization".to_owned(), [b"Bearer ", secret.bytes()].concat()),
            Self::Header(name) => (name.clone(), secret.bytes().to_vec()),
            Self::Signature(name) => (name.clone(), sign(secret.bytes(), body).into_bytes()),
        }
    }

    /// The place of the secret that was shown.
    fn place(&self, secrets: &Secrets, headers: &impl Headers, body: &[u8]) -> Result<usize, ProofError> {
        let given = |name: &String| match headers.get(name) {
            Field::Absent | Field::Value(b"") => Err(ProofError::Missing(name.clone())),
            Field::Value(value) => Ok(value),
            Field::Repeated => Err(ProofError::Repeated(name.clone())),
        };
        match self {
            Self::Token => {
                token::find(secrets, headers.get("authorization"), headers.query()).ok_or(ProofError::Token)
            }
            Self::Header(name) => {
                let value = given(name)?;
                token::place_of(secrets, value).ok_or_else(|| ProofError::Mismatch(name.clone()))
            }
            Self::Signature(name) => {
                let value = given(name)?;
                let digits = value.strip_prefix(PREFIX.as_bytes()).unwrap_or(value);
                match signed_by(secrets, digits, body) {
                    Ok(Some(place)) => Ok(place),
                    Ok(None) => Err(ProofError::Changed(name.clone())),
                    Err(NotDigits) => Err(ProofError::Malformed(name.clone())),
                }
            }
        }
    }
}

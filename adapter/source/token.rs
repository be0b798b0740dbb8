//! Bearer tokens of the CloudEvents route (CloudEvents `http-webhook.md`, section 3: a target supports the header and
//! the query parameter), and of sources without a forge.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::Field;
use super::secret::Secrets;
use crate::event::http::percent_decode;

/// Who may send events: anyone with one of these tokens.
#[derive(Clone, Debug)]
pub struct TokenAuth(Secrets);

// === impl TokenAuth ===

impl TokenAuth {
    /// Takes the tokens.
    pub fn new(tokens: Secrets) -> Self {
        Self(tokens)
    }

    /// Whether the `Authorization` header, or without one `access_token` in the query, holds one of the tokens.
    pub fn allows(&self, authorization: Field<'_>, query: &str) -> bool {
        self.find(authorization, query).is_some()
    }

    /// The place of the token that was given.
    pub fn find(&self, authorization: Field<'_>, query: &str) -> Option<usize> {
        find(&self.0, authorization, query)
    }
}

/// The place of the secret that was given as a token, in the header or in the query.
pub(super) fn find(secrets: &Secrets, authorization: Field<'_>, query: &str) -> Option<usize> {
    match authorization {
        Field::Value(header) => place_of(secrets, bearer(header)?),
        Field::Repeated => None,
        Field::Absent => place_of(secrets, &access_token(query)?),
    }
}

/// The place of the secret that was given as it is.
pub(super) fn place_of(secrets: &Secrets, given: &[u8]) -> Option<usize> {
    // Digests have one length, so that the time does not tell the secret's.
    let given = digest(&SHA256, given);
    secrets.find(|it| it.digest.ct_eq(given.as_ref()).into())
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1).
pub(super) fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii_start())
}

/// The one `access_token` of a query (RFC 6750, section 2.3). A `+` stays one: no token has a space, and many senders
/// put base64 there as it is.
fn access_token(query: &str) -> Option<Vec<u8>> {
    let mut tokens = query.split('&').filter_map(|field| field.strip_prefix("access_token="));
    let token = tokens.next()?;
    if tokens.next().is_some() { None } else { percent_decode(token.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::secret::Secret;

    fn auth() -> TokenAuth {
        let tokens = ["old-token", "new/+token="].map(|it| Secret::literal(it).unwrap());
        TokenAuth::new(Secrets::literal(tokens).unwrap())
    }

    #[test]
    fn a_token_in_the_header_is_enough() {
        assert_eq!(auth().find(Some("Bearer old-token").into(), ""), Some(0));
        assert_eq!(auth().find(Some("bearer  new/+token=").into(), ""), Some(1));
        assert!(auth().allows(Some("Bearer old-token").into(), "access_token=wrong"));
    }

    #[test]
    fn a_token_in_the_query_is_enough() {
        for query in ["access_token=old-token", "a=b&access_token=old%2Dtoken&c", "access_token=new/+token="]
        {
            assert!(auth().allows(Field::Absent, query), "{query}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for header in
            ["", "Bearer", "Bearer ", "Bearer old-toke", "Bearer old-token2", "Basic old-token", "old-token"]
        {
            assert!(!auth().allows(Some(header).into(), ""), "{header}");
        }
        for query in [
            "",
            "access_token=",
            "access_token=wrong",
            "access_token",
            "xaccess_token=old-token",
            "access_token=%zz",
            "access_token=old-token&access_token=old-token",
        ] {
            assert!(!auth().allows(Field::Absent, query), "{query}");
        }
        assert!(
            !auth().allows(Some("Basic x").into(), "access_token=old-token"),
            "the header decides where there is one"
        );
    }
}

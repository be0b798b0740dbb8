//! JWTs of an `OpenID` Connect issuer, such as Knative sends with every event to a subscriber that has an audience.

mod crypto;
mod fetch;
mod keys;

use std::path::PathBuf;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use kube::Client;
use serde::Deserialize;

use self::fetch::Origin;
use self::keys::Keys;

/// By how much clocks may differ, in seconds.
const LEEWAY: u64 = 30;
/// The longest subject; it becomes an attribute of events.
const MAX_SUBJECT: usize = 256;

/// `eventOidc` of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// `iss` of the tokens, and where the issuer says where its keys are.
    pub issuer: String,
    /// What `aud` of a token must name: us.
    pub audience: String,
    /// Where the keys are; absent: where the issuer says.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// PEM certificates by which the issuer's server is known; absent: those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Which `sub` may send; a `*` at the end stands for anything. Empty: whoever the issuer gives a token.
    #[serde(default)]
    pub subjects: Vec<String>,
}

/// Checks tokens of one issuer.
#[derive(Debug)]
pub struct Oidc {
    issuer: String,
    audience: String,
    subjects: Vec<String>,
    keys: Keys,
}

/// Why a token is refused; the texts repeat nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// It is none that we could check.
    #[error("the token is not a JWT signed with RS256 or ES256")]
    Malformed,
    /// The issuer has no such key.
    #[error("the issuer in `eventOidc` has no key with the token's `kid`")]
    UnknownKey,
    /// The signature is wrong, or the token was changed.
    #[error("the token's signature fits no key of the issuer in `eventOidc`")]
    Signature,
    /// A claim is not what it has to be.
    #[error("the token's `{0}` {1}")]
    Claim(&'static str, &'static str),
    /// The sender is known, and is none of those who may send.
    #[error("the token's `sub` is not one of `eventOidc.subjects`")]
    Subject,
    /// It cannot be told at present.
    #[error("the keys of the issuer in `eventOidc` cannot be read at present: {0}")]
    Keys(String),
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

// === impl Document ===

impl Document {
    /// Checks what can be checked without asking anybody.
    ///
    /// # Errors
    /// The field, what is wrong with it, and what to write.
    pub fn check(&self) -> Result<(), String> {
        let url = |field: &str, text: &str| {
            fetch::url(text).map(drop).map_err(|reason| format!("`eventOidc.{field}: {text}` {reason}"))
        };
        url("issuer", &self.issuer)?;
        if let Some(uri) = &self.jwks_uri {
            url("jwksUri", uri)?;
        }
        if self.audience.trim().is_empty() {
            return Err("`eventOidc.audience` is empty: write the audience that senders ask their tokens for, such as \
                        `pipewright`"
                .to_owned());
        }
        match self.subjects.iter().find(|it| it.trim_end_matches('*').contains('*') || it.trim().is_empty()) {
            Some(wrong) => Err(format!(
                "`eventOidc.subjects` has `{wrong}`: write a whole subject, or its beginning with a `*` at the end, such as \
                 `system:serviceaccount:ci:*`"
            )),
            None => Ok(()),
        }
    }
}

// === impl Oidc ===

impl Oidc {
    /// An issuer by what the settings say; `client` leads to the cluster, which may be the issuer itself.
    pub fn new(document: &Document, client: Client) -> Self {
        crypto::install();
        let Document { issuer, audience, jwks_uri, ca_file, subjects } = document.clone();
        let origin = Origin { issuer: issuer.clone(), jwks_uri, ca_file, client };
        Self { issuer, audience, subjects, keys: Keys::new(origin) }
    }

    /// Reads the keys now and then, for ever.
    pub async fn refresh(&self) {
        self.keys.refresh().await;
    }

    /// What keeps the keys from being read, if anything does.
    pub fn trouble(&self) -> Option<String> {
        self.keys.trouble()
    }

    /// Whose tokens are taken, for people.
    pub fn describe(&self) -> String {
        let whose = if self.subjects.is_empty() { "any subject" } else { "one of `subjects`" };
        format!("a JWT of {} for `{}` ({whose})", self.issuer, self.audience)
    }

    /// The subject of a token that is good.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn verify(&self, token: &str) -> Result<String, OidcError> {
        let header = decode_header(token).map_err(|_| OidcError::Malformed)?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(OidcError::Malformed);
        }
        let validation = self.validation(header.alg);
        let mut refused = OidcError::Signature;
        for key in self.keys.find(header.kid.as_deref(), header.alg).await? {
            match decode::<Claims>(token, &key, &validation) {
                Ok(token) => return self.subject(token.claims.sub),
                Err(error) => refused = why(error.kind()),
            }
            // A token without a `kid` may be signed with any key of its kind.
            if refused != OidcError::Signature {
                break;
            }
        }
        Err(refused)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation
    }

    fn subject(&self, subject: String) -> Result<String, OidcError> {
        if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
            return Err(OidcError::Claim("sub", "is not a name of 1 to 256 printable characters"));
        }
        if allows(&self.subjects, &subject) { Ok(subject) } else { Err(OidcError::Subject) }
    }
}

/// Whether a subject is on a list; a list of none has everybody on it.
pub fn allows(subjects: &[String], subject: &str) -> bool {
    let fits = |allowed: &String| match allowed.strip_suffix('*') {
        Some(beginning) => subject.starts_with(beginning),
        None => allowed == subject,
    };
    subjects.is_empty() || subjects.iter().any(fits)
}

fn why(error: &ErrorKind) -> OidcError {
    let named = |claim: &str| {
        ["iss", "aud", "exp", "nbf", "sub"].into_iter().find(|name| *name == claim).unwrap_or("payload")
    };
    match error {
        ErrorKind::InvalidSignature => OidcError::Signature,
        ErrorKind::MissingRequiredClaim(claim) => OidcError::Claim(named(claim), "is missing"),
        ErrorKind::InvalidClaimFormat(claim) => OidcError::Claim(named(claim), "is of a wrong type"),
        ErrorKind::ExpiredSignature => OidcError::Claim("exp", "is over"),
        ErrorKind::ImmatureSignature => OidcError::Claim("nbf", "has not come yet"),
        ErrorKind::InvalidIssuer => OidcError::Claim("iss", "is not `eventOidc.issuer`"),
        ErrorKind::InvalidAudience => OidcError::Claim("aud", "does not name `eventOidc.audience`"),
        _ => OidcError::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_on_the_list_as_a_whole_or_by_its_beginning() {
        let list = ["system:serviceaccount:ci:*".to_owned(), "builds".to_owned()];
        for (subject, expected) in [
            ("builds", true),
            ("system:serviceaccount:ci:trigger", true),
            ("builds2", false),
            ("build", false),
            ("system:serviceaccount:ci-evil:trigger", false),
            ("", false),
            ("*", false),
        ] {
            assert_eq!(allows(&list, subject), expected, "{subject}");
        }
        assert!(allows(&[], "anybody"));
    }

    #[test]
    fn settings_that_prove_nothing_are_refused_with_the_field() {
        let document = |changes: &[(&str, &str)]| {
            let mut value = serde_json::json!({"issuer": "https://issuer.example", "audience": "pipewright"});
            for (name, text) in changes {
                value[*name] = serde_json::from_str(text).unwrap();
            }
            serde_json::from_value::<Document>(value).unwrap().check()
        };
        for good in [
            &[][..],
            &[("issuer", r#""http://127.0.0.1:8000""#)],
            &[("issuer", r#""http://[::1]:8000/""#), ("jwksUri", r#""http://localhost/keys""#)],
            &[("subjects", r#"["system:serviceaccount:ci:*", "a"]"#)],
        ] {
            assert_eq!(document(good), Ok(()), "{good:?}");
        }
        for (field, text, reason) in [
            (
                "issuer",
                r#""http://issuer.example""#,
                "`eventOidc.issuer: http://issuer.example` is not an `https` URL",
            ),
            ("issuer", r#""issuer""#, "is not a URL"),
            ("jwksUri", r#""file:///keys""#, "`eventOidc.jwksUri: file:///keys` is not an `https` URL"),
            ("audience", r#"" ""#, "`eventOidc.audience` is empty"),
            ("subjects", r#"["a*b"]"#, "`a*b`"),
            ("subjects", r#"[""]"#, "`eventOidc.subjects`"),
        ] {
            let error = document(&[(field, text)]).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}

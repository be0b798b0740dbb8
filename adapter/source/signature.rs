//! Signatures of webhooks: HMAC-SHA256 in hexadecimal (GitHub, "Validating webhook deliveries").

use ring::hmac;

use super::Field;
use super::secret::Secrets;

/// The header that carries the signature. The older one with SHA-1 is not looked at.
pub const HEADER: &str = "x-hub-signature-256";

pub(super) const PREFIX: &str = "sha256=";

/// What else than the secret may be why a signature does not match.
pub(super) const CHANGED: &str =
    ": the sender has another secret, or the body was changed on the way, as by a proxy that writes it anew";

/// Where a forge puts its signature, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The header.
    pub header: &'static str,
    /// What stands before the digits.
    pub prefix: &'static str,
}

/// GitHub's way.
pub const GITHUB: Scheme = Scheme { header: "X-Hub-Signature-256", prefix: PREFIX };
/// Gitea's way.
pub const GITEA: Scheme = Scheme { header: "X-Gitea-Signature", prefix: "" };
/// The way of both Bitbuckets.
pub const BITBUCKET: Scheme = Scheme { header: "X-Hub-Signature", prefix: PREFIX };
/// GitLab's way, which is no signature: the secret itself.
pub const GITLAB_TOKEN: Scheme = Scheme { header: "X-Gitlab-Token", prefix: "" };
/// GitLab's other way, of Standard Webhooks: in base64, over the id and the time of the delivery and the body.
pub const GITLAB: Scheme = Scheme { header: "webhook-signature", prefix: "v1," };
/// Forgejo's way.
pub const FORGEJO: Scheme = Scheme { header: "X-Forgejo-Signature", prefix: "" };

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header.
    #[error("header `{header}` is missing: set this source's secret in the webhook's settings at the forge", header = .0.header)]
    Missing(Scheme),
    /// A header without a signature.
    #[error(
        "header `{header}` has no signature, since the webhook has no secret: set this source's in the webhook's settings at the forge",
        header = .0.header
    )]
    Empty(Scheme),
    /// A header in another form.
    #[error("header `{header}` must be {form}64 hexadecimal digits", header = .0.header, form = form(.0))]
    Malformed(Scheme),
    /// A signature with another secret, or of another body.
    #[error("header `{header}` matches none of this source's secrets{why}", header = .0.header, why = why(.0))]
    Mismatch(Scheme),
    /// A header that stands more than once, so that nobody can say which line was meant.
    #[error("header `{header}` stands more than once: send one", header = .0.header)]
    Repeated(Scheme),
}

fn form(scheme: &Scheme) -> String {
    if scheme.prefix.is_empty() { String::new() } else { format!("`{}` and ", scheme.prefix) }
}

/// A token is no signature: nothing of the body is in it.
fn why(scheme: &Scheme) -> &'static str {
    if *scheme == GITLAB_TOKEN { "" } else { CHANGED }
}

/// The place of the secret that `signed` was signed with.
///
/// # Errors
/// When there is no such secret. The comparison takes the same time for every wrong signature, and all secrets are
/// tried.
pub fn verify(
    secrets: &Secrets,
    scheme: Scheme,
    field: Field<'_>,
    signed: &[u8],
) -> Result<usize, SignatureError> {
    let value = match field {
        Field::Absent => return Err(SignatureError::Missing(scheme)),
        Field::Repeated => return Err(SignatureError::Repeated(scheme)),
        Field::Value(value) => value,
    };
    if value.is_empty() || value == scheme.prefix.as_bytes() {
        return Err(SignatureError::Empty(scheme));
    }
    let tag = parse(value, scheme.prefix).ok_or(SignatureError::Malformed(scheme))?;
    secrets.find(|it| hmac::verify(&it.key, signed, &tag).is_ok()).ok_or(SignatureError::Mismatch(scheme))
}

/// The place of the secret that made the digits of a signature over `signed`; `Err` when they are no signature.
pub(super) fn signed_by(secrets: &Secrets, digits: &[u8], signed: &[u8]) -> Result<Option<usize>, NotDigits> {
    let tag = parse(digits, "").ok_or(NotDigits)?;
    Ok(secrets.find(|it| hmac::verify(&it.key, signed, &tag).is_ok()))
}

/// What is no signature.
pub(super) struct NotDigits;

/// The header value that signs `body`.
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    use std::fmt::Write as _;

    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    let mut value = PREFIX.to_owned();
    for byte in tag.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(value, "{byte:02x}");
    }
    value
}

fn parse(value: &[u8], prefix: &str) -> Option<[u8; 32]> {
    let digits = value.strip_prefix(prefix.as_bytes())?;
    let mut tag = [0; 32];
    if digits.len() != 2 * tag.len() {
        return None;
    }
    for (byte, pair) in tag.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::secret::Secret;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::literal(values.iter().map(|it| Secret::literal(it).unwrap())).unwrap()
    }

    #[test]
    fn the_vector_of_the_documentation_verifies_and_is_what_we_sign() {
        assert_eq!(sign(SECRET.as_bytes(), BODY), SIGNATURE);
        assert_eq!(verify(&secrets(&[SECRET]), GITHUB, Some(SIGNATURE).into(), BODY), Ok(0));
    }

    #[test]
    fn any_of_several_secrets_may_have_signed_and_its_place_is_told() {
        for (values, place) in [(["new", SECRET], 1), ([SECRET, "old"], 0), ([SECRET, SECRET], 0)] {
            assert_eq!(verify(&secrets(&values), GITHUB, Some(SIGNATURE).into(), BODY), Ok(place));
        }
        assert_eq!(
            verify(&secrets(&["a", "b"]), GITHUB, Some(SIGNATURE).into(), BODY),
            Err(SignatureError::Mismatch(GITHUB))
        );
    }

    #[test]
    fn upper_case_digits_are_digits() {
        let upper = format!("sha256={}", SIGNATURE[7..].to_uppercase());
        assert_eq!(verify(&secrets(&[SECRET]), GITHUB, Some(&upper).into(), BODY), Ok(0));
    }

    #[test]
    fn a_changed_body_or_signature_does_not_match() {
        let secrets = secrets(&[SECRET]);
        assert_eq!(
            verify(&secrets, GITHUB, Some(SIGNATURE).into(), b"Hello, World?"),
            Err(SignatureError::Mismatch(GITHUB))
        );
        assert_eq!(
            verify(&secrets, GITHUB, Some(SIGNATURE).into(), b""),
            Err(SignatureError::Mismatch(GITHUB))
        );
        let other = SIGNATURE.replace("7571", "7572");
        assert_eq!(
            verify(&secrets, GITHUB, Some(&other).into(), BODY),
            Err(SignatureError::Mismatch(GITHUB))
        );
    }

    #[test]
    fn other_forms_are_refused() {
        let secrets = secrets(&[SECRET]);
        assert_eq!(verify(&secrets, GITHUB, Field::Absent, BODY), Err(SignatureError::Missing(GITHUB)));
        for form in [
            &SIGNATURE[7..],
            &SIGNATURE[..70],
            &format!("{SIGNATURE}00"),
            &SIGNATURE.replace("sha256", "sha1"),
            &SIGNATURE.replace("sha256", "SHA256"),
            &SIGNATURE.replace('e', "g"),
            &SIGNATURE.replace("75", "ü"),
            &SIGNATURE.replace("75", "+5"),
        ] {
            assert_eq!(
                verify(&secrets, GITHUB, Some(form).into(), BODY),
                Err(SignatureError::Malformed(GITHUB)),
                "{form}"
            );
        }
    }

    #[test]
    fn a_header_of_a_webhook_without_a_secret_is_refused_whatever_the_secrets_are() {
        let secrets = secrets(&["a"]);
        for (scheme, value) in [(GITHUB, "sha256="), (GITHUB, ""), (GITEA, ""), (GITEA, " "), (FORGEJO, "")] {
            let error = verify(&secrets, scheme, Some(value).into(), BODY).unwrap_err();
            assert_eq!(error, SignatureError::Empty(scheme), "{value:?}");
            assert!(error.to_string().contains("the webhook has no secret"), "{error}");
        }
    }

    #[test]
    fn the_digits_of_gitea_stand_alone() {
        let secrets = secrets(&[SECRET]);
        assert_eq!(verify(&secrets, GITEA, Some(&SIGNATURE[7..]).into(), BODY), Ok(0));
        let error = verify(&secrets, GITEA, Some(SIGNATURE).into(), BODY).unwrap_err();
        assert_eq!(error.to_string(), "header `X-Gitea-Signature` must be 64 hexadecimal digits");
    }
}

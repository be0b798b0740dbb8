//! Signatures of webhooks: HMAC-SHA256 over the raw body, in hexadecimal (GitHub, "Validating webhook deliveries").

use ring::hmac;

use super::secret::Secrets;

/// The header that carries the signature. The older one with SHA-1 is not looked at.
pub const HEADER: &str = "x-hub-signature-256";

const PREFIX: &str = "sha256=";

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header.
    #[error(
        "header `X-Hub-Signature-256` is missing: set this source's secret in the webhook's settings at the forge"
    )]
    Missing,
    /// A header in another form.
    #[error("header `X-Hub-Signature-256` must be `sha256=` and 64 hexadecimal digits")]
    Malformed,
    /// A signature with another secret, or of another body.
    #[error("header `X-Hub-Signature-256` matches none of this source's secrets")]
    Mismatch,
}

/// The place of the secret that `body` was signed with.
///
/// # Errors
/// When there is no such secret. The comparison takes the same time for every wrong signature, and all secrets are
/// tried.
pub fn verify(secrets: &Secrets, header: Option<&str>, body: &[u8]) -> Result<usize, SignatureError> {
    let tag = parse(header.ok_or(SignatureError::Missing)?).ok_or(SignatureError::Malformed)?;
    secrets.find(|it| hmac::verify(&it.key, body, &tag).is_ok()).ok_or(SignatureError::Mismatch)
}

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

fn parse(header: &str) -> Option<[u8; 32]> {
    let digits = header.trim().strip_prefix(PREFIX)?.as_bytes();
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
        assert_eq!(verify(&secrets(&[SECRET]), Some(SIGNATURE), BODY), Ok(0));
    }

    #[test]
    fn any_of_several_secrets_may_have_signed_and_its_place_is_told() {
        for (values, place) in [(["new", SECRET], 1), ([SECRET, "old"], 0), ([SECRET, SECRET], 0)] {
            assert_eq!(verify(&secrets(&values), Some(SIGNATURE), BODY), Ok(place));
        }
        assert_eq!(verify(&secrets(&["a", "b"]), Some(SIGNATURE), BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn upper_case_digits_are_digits() {
        let upper = format!("sha256={}", SIGNATURE[7..].to_uppercase());
        assert_eq!(verify(&secrets(&[SECRET]), Some(&upper), BODY), Ok(0));
    }

    #[test]
    fn a_changed_body_or_signature_does_not_match() {
        let secrets = secrets(&[SECRET]);
        assert_eq!(verify(&secrets, Some(SIGNATURE), b"Hello, World?"), Err(SignatureError::Mismatch));
        assert_eq!(verify(&secrets, Some(SIGNATURE), b""), Err(SignatureError::Mismatch));
        let other = SIGNATURE.replace("7571", "7572");
        assert_eq!(verify(&secrets, Some(&other), BODY), Err(SignatureError::Mismatch));
    }

    #[test]
    fn other_forms_are_refused() {
        let secrets = secrets(&[SECRET]);
        assert_eq!(verify(&secrets, None, BODY), Err(SignatureError::Missing));
        for form in [
            "",
            "sha256=",
            &SIGNATURE[7..],
            &SIGNATURE[..70],
            &format!("{SIGNATURE}00"),
            &SIGNATURE.replace("sha256", "sha1"),
            &SIGNATURE.replace("sha256", "SHA256"),
            &SIGNATURE.replace('e', "g"),
            &SIGNATURE.replace("75", "ü"),
            &SIGNATURE.replace("75", "+5"),
        ] {
            assert_eq!(verify(&secrets, Some(form), BODY), Err(SignatureError::Malformed), "{form}");
        }
    }
}

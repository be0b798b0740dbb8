//! What is wrong with a secret that can be used all the same.

use super::{Secret, SecretReference};

/// The fewest bytes that nobody finds by trying.
const LEAST: usize = 16;
/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a value is what is left of a file that was meant to have a secret.
pub(super) fn is_blank(value: &[u8]) -> bool {
    let value = value.strip_prefix(BYTE_ORDER_MARK).unwrap_or(value);
    value.iter().all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
}

/// Says in the log what its administrator should know of a secret. A value that is at hand is somebody's who tries.
pub(super) fn warn(place: &SecretReference, secret: &Secret) {
    if matches!(place, SecretReference::Literal(_)) {
        return;
    }
    for weakness in of(&secret.0) {
        tracing::warn!(%place, "this secret {weakness}");
    }
}

fn of(secret: &[u8]) -> impl Iterator<Item = &'static str> {
    let blank = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    let weaknesses = [
        (secret.len() < LEAST, "is shorter than 16 bytes, so that it can be guessed"),
        (
            secret.starts_with(BYTE_ORDER_MARK),
            "begins with a byte order mark, which is part of it and which no sender has: write the file without",
        ),
        (
            blank(secret.first()) || blank(secret.last()),
            "begins or ends with a blank, which is part of it and which no header can carry",
        ),
        (
            secret.iter().any(u8::is_ascii_control) && !blank(secret.last()),
            "has a control character, which no header can carry",
        ),
    ];
    weaknesses.into_iter().filter_map(|(is_so, weakness)| is_so.then_some(weakness))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_administrator_should_know_of_a_secret_is_said() {
        let found = |secret: &[u8]| of(secret).map(|text| &text[..16]).collect::<Vec<_>>();
        for good in [&b"0123456789abcdef"[..], "dév☃ with enough".as_bytes(), &[0xff; 16]] {
            assert_eq!(found(good), [""; 0]);
        }
        assert_eq!(found(b"dev"), ["is shorter than "]);
        assert_eq!(found(b"\xef\xbb\xbf0123456789abcdef"), ["begins with a by"]);
        assert_eq!(found(b"0123456789abcdef "), ["begins or ends w"]);
        assert_eq!(found(b"\t0123456789abcdef"), ["begins or ends w", "has a control ch"]);
        assert_eq!(found(b"0123456789\0abcdef"), ["has a control ch"]);
    }

    #[test]
    fn blanks_alone_are_blank_whatever_they_are() {
        for blank in [&b" "[..], b"\t", b"\0", b"\n ", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r", b"\x7f"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        assert!(!is_blank(b" x "));
    }
}

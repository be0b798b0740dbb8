//! Text functions that templates and CEL share, under the names that users of Kabanero and Tekton Triggers know.

use ring::digest::{SHA256, digest};

use crate::event::name::is_dns_label;

/// The longest domain name.
const MAX_DOMAIN_NAME: usize = 253;
/// The longest value of a Kubernetes label.
const MAX_LABEL: usize = 63;

/// Kabanero's `toDomainName`: lower case; what cannot stand in a domain name becomes `.`, several `.` become one,
/// a `0` is put before a first and after a last character that is no letter or digit; at most 253 characters.
///
/// A `-` beside a `.` is dropped as well, since a DNS-1123 subdomain may not have one there.
pub(crate) fn to_domain_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.to_lowercase().chars() {
        match c {
            '-' if name.ends_with('.') => {}
            'a'..='z' | '0'..='9' | '-' => name.push(c),
            _ => {
                while name.ends_with('-') && name.len() > 1 {
                    name.pop();
                }
                if !name.ends_with('.') {
                    name.push('.');
                }
            }
        }
    }
    pad(name, MAX_DOMAIN_NAME)
}

/// Kabanero's `toLabel`: what cannot stand in the value of a label becomes `.`, a `0` is put before a first and
/// after a last character that is no letter or digit; at most 63 characters.
pub(crate) fn to_label(text: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    pad(text.chars().map(|c| if legal(c) { c } else { '.' }).collect(), MAX_LABEL)
}

/// Makes an ASCII text begin and end with a letter or digit and fit into `limit`.
fn pad(mut text: String, limit: usize) -> String {
    if text.is_empty() {
        return text;
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        text.insert(0, '0');
    }
    text.truncate(limit);
    if !text.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        if text.len() == limit {
            text.pop();
        }
        text.push('0');
    }
    text
}

/// Whether `text` may be the value of a label: empty, or at most 63 letters, digits, `-`, `_` and `.` with a letter
/// or digit first and last.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= MAX_LABEL && is_qualified(text))
}

/// Whether `text` may be the key of a label or annotation: a name, or a domain name, `/` and a name.
pub(crate) fn is_label_key(text: &str) -> bool {
    let name_ok = |name: &str| !name.is_empty() && name.len() <= MAX_LABEL && is_qualified(name);
    match text.split_once('/') {
        None => name_ok(text),
        Some((domain, name)) => {
            name_ok(name) && domain.len() <= MAX_DOMAIN_NAME && domain.split('.').all(is_dns_label)
        }
    }
}

fn is_qualified(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// The first `count` characters; Tekton's counts bytes and can cut a character in two.
pub(crate) fn truncate(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// The characters from `start` up to, not including, `end`; what lies outside the text is left out.
pub(crate) fn substring(text: &str, start: usize, end: Option<usize>) -> &str {
    let from = text.char_indices().nth(start).map_or(text.len(), |(at, _)| at);
    let rest = &text[from..];
    end.map_or(rest, |end| truncate(rest, end.saturating_sub(start)))
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        for digit in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_names_follow_kabanero() {
        for (text, name) in [
            ("MyOrg/My_Repo", "myorg.my.repo"),
            ("a//b", "a.b"),
            ("", ""),
            ("_x", "0.x"),
            ("x_", "x.0"),
            ("-x-", "0-x-0"),
            ("a-/b", "a.b"),
            ("ÄB", "0.b"),
        ] {
            assert_eq!(to_domain_name(text), name, "{text}");
        }
        assert_eq!(to_domain_name(&"a".repeat(300)).len(), 253);
        assert_eq!(to_domain_name(&format!("{}_", "a".repeat(252))).len(), 253);
    }

    #[test]
    fn labels_are_always_valid() {
        assert_eq!(to_label("feature/x y"), "feature.x.y");
        assert_eq!(to_label("/x/"), "0.x.0");
        for text in ["", "ä", "---", &"x/".repeat(60), "a".repeat(64).as_str(), "v1.0+build"] {
            assert!(is_label_value(&to_label(text)), "{text}: {}", to_label(text));
        }
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(truncate("äöü", 2), "äö");
        assert_eq!(truncate("ä", 9), "ä");
        assert_eq!(substring("äöüß", 1, Some(3)), "öü");
        assert_eq!(substring("ab", 5, Some(3)), "");
        assert_eq!(substring("ab", 1, None), "b");
    }

    #[test]
    fn sha256_is_written_in_hexadecimal_digits() {
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn label_keys_have_an_optional_domain() {
        assert!(is_label_key("app"));
        assert!(is_label_key("example.com/app_1"));
        for bad in ["", "/x", "a/", "a b", "Example.com/x", "a/b/c"] {
            assert!(!is_label_key(bad), "{bad}");
        }
    }
}

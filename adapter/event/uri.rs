//! What may stand in a `source` or a `uri`: the syntax of RFC 3986.

pub(crate) mod grammar;

use self::grammar::{COLON, consists_of, is_path_to_fragment, scheme, split_authority};

/// Whether `text` is a URI with a scheme (RFC 3986, section 3).
pub fn is_absolute(text: &str) -> bool {
    scheme(text).is_some_and(|(_, rest)| is_hierarchical(rest))
}

/// Whether `text` is a URI-reference (RFC 3986, section 4.1) of at least one character.
pub fn is_reference(text: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    if is_absolute(text) {
        return true;
    }
    // Without a scheme, the first segment of a path must not hold a colon.
    let first = text.split(['/', '?', '#']).next().unwrap_or_default();
    !first.contains(':') && is_hierarchical(text)
}

/// `https://host[:port]` of an absolute http(s) URL, and the path after it.
pub fn split_origin(url: &str) -> Option<(&str, &str)> {
    let start = url.find("://")? + 3;
    if !matches!(&url[..start], "https://" | "http://") || !is_absolute(url) {
        return None;
    }
    let (authority, _) = split_authority(&url[start..]);
    (!authority.is_empty() && !authority.contains('@')).then(|| url.split_at(start + authority.len()))
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub fn encode(text: &str, out: &mut String) {
    use std::fmt::Write;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// What follows the scheme: authority, path, query and fragment.
fn is_hierarchical(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix("//") else { return is_path_to_fragment(rest) };
    let (authority, rest) = split_authority(rest);
    is_authority(authority) && is_path_to_fragment(rest)
}

/// `[user@]host[:port]`.
pub fn is_authority(authority: &str) -> bool {
    // Mostly it is a host alone.
    if consists_of(authority, 0) {
        return true;
    }
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(u, h)| (u, h));
    let (host, port) = match host.strip_prefix('[') {
        // An address in brackets; what is in them is not looked at closely.
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)) => {
                if !address.contains(':') || address.parse::<std::net::Ipv6Addr>().is_err() {
                    return false;
                }
                ("", port.strip_prefix(':').unwrap_or(if port.is_empty() { "" } else { "x" }))
            }
            _ => return false,
        },
        None => host.split_once(':').map_or((host, ""), |(h, p)| (h, p)),
    };
    consists_of(user, COLON)
        && consists_of(host, 0)
        && port.len() <= 5
        && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_uris_have_a_scheme() {
        for good in ["https://github.com/o/r", "urn:x:y", "http://[::1]:8080/a?b=c#d", "pkg:github/o/r@1"] {
            assert!(is_absolute(good), "{good}");
        }
        for bad in ["", "/a", "a b", "https://a b", "1a:b", "https://h/%zz", "https://h/ü", "http://[::1"] {
            assert!(!is_absolute(bad), "{bad}");
        }
    }

    #[test]
    fn references_may_be_relative_but_not_empty() {
        for good in ["/event/source/123", "github.com", "a/b:c", "?x", "https://ghe.example.com:8443/o/r"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", " ", "1:a", "a\nb", "<x>", "a[b]", "//[x"] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn origins_are_split_off() {
        assert_eq!(
            split_origin("https://ghe.example.com:8443/o/r"),
            Some(("https://ghe.example.com:8443", "/o/r"))
        );
        assert_eq!(split_origin("https://github.com"), Some(("https://github.com", "")));
        for bad in ["ssh://git@h/o", "https://", "https://u@h/x", "/o/r"] {
            assert_eq!(split_origin(bad), None, "{bad}");
        }
    }
}

//! The grammar of URIs and relative references (RFC 3986, appendix A), as a yes or no.

/// Whether `text` is a URI: it has a scheme.
pub(super) fn is_uri(text: &str) -> bool {
    scheme(text).is_some_and(|(_, rest)| is_after_scheme(rest, FirstSegment::AnyColon))
}

/// Whether `text` is a URI-reference: a URI, or relative to one.
pub(super) fn is_reference(text: &str) -> bool {
    is_uri(text) || is_after_scheme(text, FirstSegment::NoColon)
}

/// A relative reference may have no colon in its first segment, or the part before it would read as a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstSegment {
    AnyColon,
    NoColon,
}

/// `scheme ":"` and what follows it.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then_some((scheme, rest))
}

/// `hier-part` or `relative-part`, then `[ "?" query ] [ "#" fragment ]`.
fn is_after_scheme(text: &str, first: FirstSegment) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    if !consists_of(fragment, is_query_char) || !consists_of(query, is_query_char) {
        return false;
    }
    if let Some(rest) = text.strip_prefix("//") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        return is_authority(authority) && is_path(path);
    }
    let segment = text.split('/').next().unwrap_or_default();
    is_path(text) && (first == FirstSegment::AnyColon || !segment.contains(':'))
}

fn is_path(text: &str) -> bool {
    consists_of(text, |b| is_path_char(b) || b == b'/')
}

/// `[ userinfo "@" ] host [ ":" port ]`.
fn is_authority(text: &str) -> bool {
    let (user, host_port) = text.rsplit_once('@').unwrap_or(("", text));
    let (host, port) = match host_port.strip_prefix('[') {
        Some(literal) => {
            let Some((address, rest)) = literal.split_once(']') else { return false };
            if !is_ip_literal(address) {
                return false;
            }
            match rest.strip_prefix(':') {
                Some(port) => ("", port),
                None if rest.is_empty() => ("", ""),
                None => return false,
            }
        }
        None => host_port.split_once(':').unwrap_or((host_port, "")),
    };
    consists_of(user, |b| is_name_char(b) || b == b':')
        && consists_of(host, is_name_char)
        && port.bytes().all(|b| b.is_ascii_digit())
}

/// An IPv6 address, or `v<hex>.<characters>` for versions to come.
fn is_ip_literal(text: &str) -> bool {
    let future = text.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
    match future {
        Some((version, address)) => {
            !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(|b| is_name_char(b) || b == b':')
        }
        None => text.parse::<std::net::Ipv6Addr>().is_ok(),
    }
}

/// Every byte is allowed, or stands in a `%` with two hexadecimal digits.
fn consists_of(text: &str, allowed: fn(u8) -> bool) -> bool {
    let mut bytes = text.as_bytes();
    loop {
        bytes = match bytes {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if allowed(*byte) => rest,
            _ => return false,
        };
    }
}

/// `unreserved` and `sub-delims`.
fn is_name_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// `pchar`.
fn is_path_char(byte: u8) -> bool {
    is_name_char(byte) || matches!(byte, b':' | b'@')
}

/// `query` and `fragment`.
fn is_query_char(byte: u8) -> bool {
    is_path_char(byte) || matches!(byte, b'/' | b'?')
}

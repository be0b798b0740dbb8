//! The grammar of URIs and relative references (RFC 3986, appendix A), as a yes or no.

/// Whether `text` is a URI: it has a scheme.
pub(crate) fn is_uri(text: &str) -> bool {
    scheme(text).is_some_and(|(_, rest)| is_after_scheme(rest, FirstSegment::AnyColon))
}

/// Whether `text` is a URI-reference: a URI, or relative to one.
pub(crate) fn is_reference(text: &str) -> bool {
    is_uri(text) || is_after_scheme(text, FirstSegment::NoColon)
}

/// A relative reference may have no colon in its first segment, or the part before it would read as a scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstSegment {
    AnyColon,
    NoColon,
}

/// `scheme ":"` and what follows it.
pub(crate) fn scheme(text: &str) -> Option<(&str, &str)> {
    let is_of_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let (scheme, rest) = text.split_at(text.bytes().position(|b| !is_of_scheme(b))?);
    let rest = rest.strip_prefix(':')?;
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()).then_some((scheme, rest))
}

/// What follows `//`, taken apart: the authority, and what comes after it.
pub(crate) fn split_authority(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(text.len()))
}

/// `hier-part` or `relative-part`, then `[ "?" query ] [ "#" fragment ]`.
fn is_after_scheme(text: &str, first: FirstSegment) -> bool {
    if let Some(rest) = text.strip_prefix("//") {
        let (authority, rest) = split_authority(rest);
        return is_authority(authority) && is_path_to_fragment(rest);
    }
    let (segment, _) = split_authority(text);
    is_path_to_fragment(text) && (first == FirstSegment::AnyColon || !segment.contains(':'))
}

/// `path [ "?" query ] [ "#" fragment ]`.
pub(crate) fn is_path_to_fragment(text: &str) -> bool {
    // Only the path may have no `?`, which begins the query.
    const ALL: u8 = SLASH | QUESTION | COLON | AT;
    match after(text.as_bytes(), ALL) {
        [] => true,
        [b'#', fragment @ ..] => after(fragment, ALL).is_empty(),
        _ => false,
    }
}

/// `[ userinfo "@" ] host [ ":" port ]`.
fn is_authority(text: &str) -> bool {
    // Mostly it is a host alone.
    if consists_of(text, 0) {
        return true;
    }
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
    consists_of(user, COLON) && consists_of(host, 0) && port.bytes().all(|b| b.is_ascii_digit())
}

/// An IPv6 address, or `v<hex>.<characters>` for versions to come.
fn is_ip_literal(text: &str) -> bool {
    let future = text.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
    match future {
        Some((version, address)) => {
            !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_hexdigit())
                && !address.is_empty()
                && !address.contains('%')
                && consists_of(address, COLON)
        }
        None => text.parse::<std::net::Ipv6Addr>().is_ok(),
    }
}

/// `unreserved` and `sub-delims`.
const NAME: u8 = 1;
const SLASH: u8 = 2;
const QUESTION: u8 = 4;
pub(crate) const COLON: u8 = 8;
const AT: u8 = 16;

/// Which of these a byte is; none for those that stand in no URI, and for those with a meaning of their own.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'/' => SLASH,
            b'?' => QUESTION,
            b':' => COLON,
            b'@' => AT,
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=' => NAME,
            _ if byte.is_ascii_alphanumeric() => NAME,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Whether every byte is of a name, or of `more`, or stands in a `%` with two hexadecimal digits.
pub(crate) fn consists_of(text: &str, more: u8) -> bool {
    after(text.as_bytes(), more).is_empty()
}

/// What follows all such bytes.
fn after(mut bytes: &[u8], more: u8) -> &[u8] {
    loop {
        bytes = match bytes {
            [byte, rest @ ..] if CLASSES[usize::from(*byte)] & (NAME | more) != 0 => rest,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            _ => return bytes,
        };
    }
}

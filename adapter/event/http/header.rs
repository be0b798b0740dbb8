//! The values of `ce-` headers (HTTP protocol binding, section 3.1.3.2).

/// The attribute that a header value stands for; `None` when it is not Unicode.
///
/// Double quotes are taken off and one round of percent-decoding follows, as the specification says. But the SDKs of
/// Go and Java do not encode (cloudevents/spec#1397), so raw UTF-8 is taken as it is, and so is a value in which
/// some `%` starts no escape: such a value was never encoded.
pub(super) fn decode(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let text = unquote(text).unwrap_or_else(|| text.to_owned());
    match percent_decode(text.as_bytes()) {
        Some(bytes) => String::from_utf8(bytes).ok(),
        None => Some(text),
    }
}

/// The header value of an attribute: everything outside U+0021 to U+007E, the space, `"` and `%` become escapes in
/// upper-case hexadecimal.
pub(super) fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// What is inside a quoted string (RFC 7230, section 3.2.6); `None` when `text` as a whole is none.
fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut unquoted = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => unquoted.push(chars.next()?),
            c => unquoted.push(c),
        }
    }
    Some(unquoted)
}

/// The bytes that `text` stands for; `None` when some `%` is not followed by two hexadecimal digits.
pub(crate) fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'%', high, low, rest @ ..] => {
                bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                rest
            }
            [b'%', ..] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

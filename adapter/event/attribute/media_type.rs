//! Media types (RFC 2046; the grammar is that of RFC 9110, section 8.3.1), as far as events need to look into them.

/// A media type, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    ty: &'a str,
    subtype: &'a str,
    charset: Option<&'a str>,
}

// === impl MediaType ===

impl<'a> MediaType<'a> {
    /// Takes `text` apart; `None` when it is no media type.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (essence, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (ty, subtype) = essence.trim_matches([' ', '\t']).split_once('/')?;
        if !is_token(ty) || !is_token(subtype) {
            return None;
        }
        let mut charset = None;
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start_matches([' ', '\t']);
            // RFC 9110 lets a parameter be left out: `application/json;`.
            if after.is_empty() || after.starts_with(';') {
                rest = after;
                continue;
            }
            let (name, value) = after.split_once('=')?;
            let (value, end) = parameter_value(value)?;
            if !is_token(name) {
                return None;
            }
            if name.eq_ignore_ascii_case("charset") {
                charset.get_or_insert(value);
            }
            rest = end.trim_start_matches([' ', '\t']);
        }
        rest.is_empty().then_some(Self { ty, subtype, charset })
    }

    /// Whether a payload of this `datacontenttype` is JSON; an absent one is, by the JSON event format, section 3.1.
    pub fn declares_json(datacontenttype: Option<&str>) -> bool {
        datacontenttype.is_none_or(|text| MediaType::parse(text).is_some_and(|it| it.is_json()))
    }

    /// Whether the subtype is `json` or ends with `+json`, in any case of letters.
    pub fn is_json(&self) -> bool {
        self.has_subtype("json", "+json")
    }

    /// Whether a payload is text in UTF-8, as far as the media type says.
    pub fn is_utf8_text(&self) -> bool {
        (self.ty.eq_ignore_ascii_case("text") || self.has_subtype("xml", "+xml")) && self.charset_is_utf8()
    }

    /// Whether `charset` is absent or a subset of UTF-8.
    pub fn charset_is_utf8(&self) -> bool {
        self.charset
            .is_none_or(|it| ["utf-8", "utf8", "us-ascii"].iter().any(|known| it.eq_ignore_ascii_case(known)))
    }

    /// Whether type and subtype are `essence`, in any case of letters.
    pub fn is(&self, essence: &str) -> bool {
        essence.split_once('/').is_some_and(|(ty, subtype)| {
            self.ty.eq_ignore_ascii_case(ty) && self.subtype.eq_ignore_ascii_case(subtype)
        })
    }

    fn has_subtype(&self, exact: &str, suffix: &str) -> bool {
        let subtype = self.subtype.as_bytes();
        self.subtype.eq_ignore_ascii_case(exact)
            || subtype
                .len()
                .checked_sub(suffix.len())
                .is_some_and(|start| subtype[start..].eq_ignore_ascii_case(suffix.as_bytes()))
    }
}

/// A token or a quoted string, without its quotes, and what follows it.
fn parameter_value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        return is_token(&text[..end]).then(|| text.split_at(end));
    };
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        // A header could not carry anything else, and in the binary content mode one must.
        if !(b' '..=b'~').contains(&byte) {
            return None;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&quoted[..at], &quoted[at + 1..])),
            _ => {}
        }
    }
    None
}

/// One or more `tchar` (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

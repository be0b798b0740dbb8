//! The head of a request, as far as it says who sent it and what came.

/// The head of a request; names of headers are looked up in any case of letters.
pub trait Headers {
    /// What there is of a header.
    fn get(&self, name: &str) -> Field<'_>;

    /// What follows the `?` in the address; empty where there is none.
    #[expect(clippy::unnecessary_literal_bound, reason = "that of a request is a part of it")]
    fn query(&self) -> &str {
        ""
    }
}

/// What a request has of one header. That a value is there and cannot be used is another thing than that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// Nothing.
    Absent,
    /// One value, without the blanks around it: bytes, which need not be text.
    Value(&'a [u8]),
    /// More than one, of which the sender or somebody on the way could have meant any.
    Repeated,
}

// === impl Field ===

impl<'a> Field<'a> {
    /// The field of all lines that have its name.
    pub fn of(mut lines: impl Iterator<Item = &'a [u8]>) -> Self {
        match (lines.next(), lines.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Value(value.trim_ascii()),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }

    /// Whether there is no such header.
    pub fn is_absent(self) -> bool {
        self == Self::Absent
    }

    /// The bytes of the one value.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Value(bytes) => Some(bytes),
            Self::Absent | Self::Repeated => None,
        }
    }

    /// The one value, where it is text.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> From<Option<&'a T>> for Field<'a> {
    fn from(value: Option<&'a T>) -> Self {
        Self::of(value.map(AsRef::as_ref).into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_text_is_there_all_the_same() {
        let field = |lines: &'static [&'static [u8]]| Field::of(lines.iter().copied());
        assert_eq!(field(&[]), Field::Absent);
        assert_eq!(field(&[b" d\xc3\xa9v\t"]).text(), Some("dév"));
        assert_eq!(field(&[b"d\xe9v"]).bytes(), Some(&b"d\xe9v"[..]));
        assert_eq!(field(&[b"d\xe9v"]).text(), None);
        assert!(!field(&[b"\xff"]).is_absent());
    }

    #[test]
    fn of_a_header_that_stands_twice_no_line_counts() {
        let lines: [&[u8]; 2] = [b"a", b"a"];
        let field = Field::of(lines.into_iter());
        assert_eq!((field, field.bytes(), field.is_absent()), (Field::Repeated, None, false));
    }
}

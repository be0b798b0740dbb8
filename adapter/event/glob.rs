//! A text in which `*` stands for any characters, as mappings and settings have them.

/// A text in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    source: String,
    /// Whether there is no `*`, found out once.
    literal: bool,
}

// === impl Glob ===

impl Glob {
    /// The pattern that is written like this.
    pub fn new(source: impl Into<String>) -> Self {
        let source = source.into();
        Self { literal: !source.contains('*'), source }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether there is no `*` in it.
    pub fn is_literal(&self) -> bool {
        self.literal
    }

    /// Whether the whole of `text` is as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        if self.literal {
            return self.source == text;
        }
        let mut parts = self.source.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.len() >= last.len() && rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (glob, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("ab*ba", "aba", false),
            ("https://github.com/o/*", "https://github.com/o/r", true),
            ("**", "x", true),
        ] {
            assert_eq!(Glob::new(glob).matches(text), matches, "{glob} {text}");
        }
    }
}

//! Patterns as RE2 reads them, which Tekton Triggers uses, in the words of the crate `regex`.
//!
//! The two differ in what `\d`, `\w`, `\s` and `\b` are (ASCII in RE2, all of Unicode in the crate) and in what is special inside
//! brackets: sets of sets are the crate's alone.

/// The pattern in the words of the crate.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escaped(after, false, &mut out),
            '[' => brackets(after, &mut out),
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// What stands behind a backslash; the rest after it.
fn escaped<'p>(rest: &'p str, in_brackets: bool, out: &mut String) -> &'p str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[c.len_utf8()..];
    let set = match c.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => r"\t\n\f\r\x20",
        _ => "",
    };
    match c {
        'd' | 'w' | 's' if in_brackets => out.push_str(set),
        'd' | 'w' | 's' => out.extend(["[", set, "]"]),
        'D' | 'W' | 'S' => out.extend(["[^", set, "]"]),
        'b' | 'B' if !in_brackets => {
            out.push_str(r"(?-u:\");
            out.push(c);
            out.push(')');
        }
        'Q' if !in_brackets => {
            let (quoted, after) = after.split_once(r"\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(quoted));
            return after;
        }
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
    after
}

/// What stands behind a `[` up to its `]`; the rest after it.
fn brackets<'p>(rest: &'p str, out: &mut String) -> &'p str {
    out.push('[');
    let mut rest = rest;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // First in the brackets it stands for itself.
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str(r"\]");
        rest = after;
    }
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escaped(after, true, out),
            ']' => {
                out.push(']');
                return after;
            }
            '[' => match rest.split_once(":]") {
                Some((name, after)) if rest.starts_with("[:") && !name.contains(']') => {
                    out.extend([name, ":]"]);
                    after
                }
                _ => {
                    out.push_str(r"\[");
                    after
                }
            },
            '&' | '~' => {
                out.push('\\');
                out.push(c);
                after
            }
            '-' if after.starts_with('-') => {
                out.push_str(r"-\-");
                &after[1..]
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::translate;

    /// Wanted are the answers of Go's `regexp`.
    #[test]
    fn classes_are_those_of_re2() {
        for (pattern, text, wanted) in [
            (r"^\w+$", "abc_1", true),
            (r"^\w+$", "äbc", false),
            (r"^\W$", "ä", true),
            (r"^\d+$", "123", true),
            (r"^\d+$", "١٢٣", false),
            (r"^[\d.]+$", "1.2", true),
            (r"^[\d.]+$", "١.2", false),
            (r"^[^\d]$", "١", true),
            (r"^[\D]$", "١", true),
            (r"^[\D]$", "1", false),
            (r"^[\w-]+$", "a-b", true),
            (r"^[^\w]+$", "ä", true),
            (r"a\sb", "a b", true),
            (r"a\sb", "a\u{a0}b", false),
            (r"a\sb", "a\u{b}b", false),
            (r"^\S$", "\u{a0}", true),
            (r"\bb", "äb", true),
            (r"\bb", "ab", false),
            (r"\Bb", "ab", true),
            (r"^[[a]$", "[", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[a~~b]+$", "~", true),
            (r"^[+--]+$", "+,-", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]$", "b", true),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^[[:alpha:]]+$", "ä", false),
            (r"^[[:^alpha:]]$", "ä", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"^\pL+$", "ä", true),
            (r"^.$", "ä", true),
            (r"^(?i)ÄB$", "äb", true),
            (r"^\x{e4}$", "ä", true),
            (r"^\.$", ".", true),
        ] {
            let regex = regex::Regex::new(&translate(pattern));
            let found = regex.map(|regex| regex.is_match(text)).map_err(|error| error.to_string());
            assert_eq!(found, Ok(wanted), "{pattern} on {text}: {}", translate(pattern));
        }
    }
}

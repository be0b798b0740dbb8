//! What RFC 9535 refuses and the library's parser lets pass: blanks inside names, numbers and functions' names, and control
//! characters in quotes.

/// The place of the first such mistake and what it is.
pub(super) fn check(source: &str) -> Result<(), (usize, String)> {
    let mut chars = source.char_indices().peekable();
    // The text of the token before the place, and whether a blank stands between.
    let mut before = Token::Start;
    let mut blank = None;
    while let Some((at, c)) = chars.next() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            blank.get_or_insert(at);
            continue;
        }
        if let Some(gap) = blank.take()
            && let Some(reason) = before.refuses_blank_before(c)
        {
            return Err((gap, reason.to_owned()));
        }
        before = match c {
            '\'' | '"' => {
                quoted(&mut chars, c)?;
                Token::Other(c)
            }
            _ if is_word(c) => {
                let is_number = match before {
                    Token::Number => true,
                    Token::Word | Token::Other('.') => false,
                    _ => c.is_ascii_digit(),
                };
                if is_number { Token::Number } else { Token::Word }
            }
            // A part of a number such as `1.5` or `1e-5`, if it stands right behind it.
            '.' if matches!(before, Token::Number)
                && chars.peek().is_some_and(|(_, c)| c.is_ascii_digit()) =>
            {
                Token::Number
            }
            '+' | '-' => Token::Sign,
            _ => Token::Other(c),
        };
    }
    match blank {
        Some(at) => Err((at, "a path ends without blanks".to_owned())),
        None => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Token {
    Start,
    /// A name, or what stands in its place.
    Word,
    Number,
    /// Of a number.
    Sign,
    Other(char),
}

// === impl Token ===

impl Token {
    /// Why no blank may stand between this and `next`.
    fn refuses_blank_before(self, next: char) -> Option<&'static str> {
        match (self, next) {
            (Self::Start, _) => Some("a path begins without blanks"),
            (Self::Other('.'), _) => Some("no blank may stand behind a `.`"),
            (Self::Word, next) if is_word(next) => Some("a name with a blank stands in quotes"),
            (Self::Word, '(') => Some("no blank may stand before the `(` of a function"),
            (Self::Number, next) if is_word(next) || matches!(next, '.' | '-' | '+') => {
                Some("no blank may stand in a number")
            }
            (Self::Sign, _) => Some("no blank may stand in a number"),
            _ => None,
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// Passes over a text in quotes.
fn quoted(
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
    quote: char,
) -> Result<(), (usize, String)> {
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok(()),
            '\0'..='\u{1f}' => {
                let written =
                    format!("a control character in quotes is written as `\\u{:04x}`", u32::from(c));
                return Err((at, written));
            }
            '\\' => {
                let escape = chars.next().map(|(_, c)| c);
                let mut hex = || (0..4).all(|_| chars.next().is_some_and(|(_, c)| c.is_ascii_hexdigit()));
                let is_known = match escape {
                    Some('u') => hex(),
                    Some(c) => c == quote || "bfnrt/\\".contains(c),
                    None => false,
                };
                if !is_known {
                    let message =
                        "behind a `\\` stands one of `b f n r t / \\`, `u` with four digits, or the quote";
                    return Err((at, message.to_owned()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

//! The parser of label selectors: token by token as apimachinery's `labels.Parse`, so that it refuses in the same words.

use super::super::failure::Failure;
use super::super::validate;
use super::Requirement;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Word,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    Open,
    Close,
    Comma,
    In,
    NotIn,
    End,
}

/// Whether `in` and `notin` are words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Values,
    Operator,
}

struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    at: usize,
}

/// Parses a selector.
pub fn parse(text: &str) -> Result<Vec<(String, Requirement)>, Failure> {
    let mut parser = Parser { tokens: scan(text), at: 0 };
    parser.selector().map_err(Failure::bad_request)
}

fn scan(text: &str) -> Vec<(Token, &str)> {
    let is_special = |c: char| "=!(),><".contains(c);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_special(first) {
            let two = ["!=", "=="].iter().any(|symbol| rest.starts_with(symbol));
            if two { 2 } else { 1 }
        } else {
            rest.find(|c: char| is_special(c) || c.is_whitespace()).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(length);
        let token = match word {
            "=" | "==" => Token::Equals,
            "!=" => Token::NotEquals,
            "!" => Token::Not,
            "(" => Token::Open,
            ")" => Token::Close,
            "," => Token::Comma,
            ">" => Token::Greater,
            "<" => Token::Less,
            "in" => Token::In,
            "notin" => Token::NotIn,
            _ => Token::Word,
        };
        tokens.push((token, word));
        rest = after.trim_start();
    }
    tokens
}

// === impl Parser ===

impl<'a> Parser<'a> {
    fn look(&self, context: Context) -> (Token, &'a str) {
        let (token, word) = self.tokens.get(self.at).copied().unwrap_or((Token::End, ""));
        let is_word = context == Context::Values && matches!(token, Token::In | Token::NotIn);
        (if is_word { Token::Word } else { token }, word)
    }

    fn take(&mut self, context: Context) -> (Token, &'a str) {
        let token = self.look(context);
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<(String, Requirement)>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.look(Context::Values) {
                (Token::Word | Token::Not, _) => {
                    let requirement = self.requirement();
                    requirements
                        .push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
                    match self.take(Context::Values) {
                        (Token::End, _) => return Ok(requirements),
                        (Token::Comma, _) => {
                            let (token, word) = self.look(Context::Values);
                            if !matches!(token, Token::Word | Token::Not) {
                                return Err(format!("found '{word}', expected: identifier after ','"));
                            }
                        }
                        (_, word) => return Err(format!("found '{word}', expected: ',' or 'end of string'")),
                    }
                }
                (Token::End, _) => return Ok(requirements),
                (_, word) => {
                    return Err(format!("found '{word}', expected: !, identifier, or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<(String, Requirement), String> {
        let (mut token, mut key) = self.take(Context::Values);
        let absent = token == Token::Not;
        if absent {
            (token, key) = self.take(Context::Values);
        }
        if token != Token::Word {
            return Err(format!("found '{key}', expected: identifier"));
        }
        validate::qualified_name(key)
            .map_err(|errors| format!("<nil>: Invalid value: {key:?}: {}", errors.join("; ")))?;
        let key = key.to_owned();
        if absent {
            return Ok((key, Requirement::Absent));
        }
        if matches!(self.look(Context::Values).0, Token::End | Token::Comma) {
            return Ok((key, Requirement::Exists));
        }
        let (operator, word) = self.take(Context::Operator);
        let values = match operator {
            Token::In | Token::NotIn => self.values()?,
            Token::Equals | Token::NotEquals | Token::Greater | Token::Less => vec![self.value()?],
            _ => return Err(format!("found '{word}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        let number = || {
            values.first().and_then(|value| value.parse().ok()).ok_or_else(|| {
                let value = values.first().map(String::as_str).unwrap_or_default();
                format!(
                    "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                )
            })
        };
        let requirement = match operator {
            Token::Greater => Requirement::Greater(number()?),
            Token::Less => Requirement::Less(number()?),
            _ => {
                for (at, value) in values.iter().enumerate() {
                    validate::label_value(value)
                        .map_err(|why| format!("values[{at}][{key}]: Invalid value: {value:?}: {why}"))?;
                }
                match operator {
                    Token::In | Token::Equals => Requirement::In(values),
                    _ => Requirement::NotIn(values),
                }
            }
        };
        Ok((key, requirement))
    }

    fn value(&mut self) -> Result<String, String> {
        if matches!(self.look(Context::Values).0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.take(Context::Values) {
            (Token::Word, word) => Ok(word.to_owned()),
            (_, word) => Err(format!("found '{word}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let (token, word) = self.take(Context::Values);
        if token != Token::Open {
            return Err(format!("found '{word}' expected: '('"));
        }
        let mut values = Vec::new();
        loop {
            match self.take(Context::Values) {
                (Token::Word, word) => {
                    values.push(word.to_owned());
                    match self.take(Context::Values) {
                        (Token::Comma, _) if self.look(Context::Values).0 == Token::Close => {
                            values.push(String::new());
                        }
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, word) => return Err(format!("found '{word}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => values.push(String::new()),
                (Token::Close, _) => {
                    if values.is_empty() {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                (_, word) => return Err(format!("found '{word}', expected: ',', ')' or identifier")),
            }
        }
    }
}

//! Links as somebody writes them: the JSON form of embedded links (`CDEvents` 0.5.1, links.md).

use serde_json::{Map, Value};

use super::Link;

/// Reads a list such as `[{"linkType": "PATH", "from": {"contextId": "1"}}]`.
///
/// # Errors
/// Every problem, each with its place below `links`, such as `` `links[0].from.contextId` is required ``.
pub fn read(links: &Value) -> Result<Vec<Link>, Vec<String>> {
    let Value::Array(links) = links else {
        return Err(vec![
            "`links` must be a list of links such as `{linkType: PATH, from: {contextId: …}}`".to_owned(),
        ]);
    };
    let mut problems = Vec::new();
    let read = links.iter().enumerate().filter_map(|(index, link)| {
        let mut reader = Reader { place: format!("links[{index}]"), problems: &mut problems };
        match link {
            Value::Object(link) => reader.link(link),
            _ => reader.refuse("", "must be an object"),
        }
    });
    let read: Vec<Link> = read.collect();
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

struct Reader<'a> {
    place: String,
    problems: &'a mut Vec<String>,
}

// === impl Reader ===

impl Reader<'_> {
    fn link(&mut self, link: &Map<String, Value>) -> Option<Link> {
        match link.get("linkType").and_then(Value::as_str) {
            Some("PATH") => {
                self.known(link, &["linkType", "from"]);
                Some(Link::Path { from: self.context(link, "from")? })
            }
            Some("RELATION") => {
                self.known(link, &["linkType", "linkKind", "target"]);
                let kind = self.text(link, "linkKind", "linkKind");
                let target = self.context(link, "target");
                Some(Link::Relation { kind: kind?, target: target? })
            }
            Some("END") => {
                self.known(link, &["linkType", "from"]);
                let from = link.contains_key("from").then(|| self.context(link, "from"));
                match from {
                    Some(from) => Some(Link::End { from: Some(from?) }),
                    None => Some(Link::End { from: None }),
                }
            }
            Some("START") => {
                self.refuse(".linkType", "cannot be `START`: the first event of a chain implies it")
            }
            _ => self.refuse(".linkType", "must be `PATH`, `RELATION` or `END`"),
        }
    }

    fn known(&mut self, link: &Map<String, Value>, known: &[&str]) {
        for name in link.keys().filter(|name| !known.contains(&name.as_str())) {
            let reason = format!("is not a field of such a link; its fields: {}", known.join(", "));
            self.refuse::<()>(&format!(".{name}"), &reason);
        }
    }

    /// `{contextId: …}`.
    fn context(&mut self, link: &Map<String, Value>, end: &str) -> Option<String> {
        match link.get(end) {
            Some(Value::Object(context)) => self.text(context, "contextId", &format!("{end}.contextId")),
            Some(_) => self.refuse(&format!(".{end}"), "must be an object with `contextId`"),
            None => self.refuse(&format!(".{end}"), "is required"),
        }
    }

    fn text(&mut self, members: &Map<String, Value>, name: &str, place: &str) -> Option<String> {
        match members.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(_) => self.refuse(&format!(".{place}"), "must be a non-empty string"),
            None => self.refuse(&format!(".{place}"), "is required"),
        }
    }

    fn refuse<T>(&mut self, place: &str, reason: &str) -> Option<T> {
        self.problems.push(format!("`{}{place}` {reason}", self.place));
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_three_embedded_links_are_read() {
        let links = json!([
            {"linkType": "PATH", "from": {"contextId": "a"}},
            {"linkType": "RELATION", "linkKind": "TRIGGER", "target": {"contextId": "b"}},
            {"linkType": "END"},
            {"linkType": "END", "from": {"contextId": "c"}},
        ]);
        assert_eq!(
            read(&links).unwrap(),
            [
                Link::Path { from: "a".into() },
                Link::Relation { kind: "TRIGGER".into(), target: "b".into() },
                Link::End { from: None },
                Link::End { from: Some("c".into()) },
            ]
        );
        assert_eq!(read(&json!([])).unwrap(), []);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let links = json!([
            {"linkType": "PATH"},
            {"linkType": "PATH", "from": {"contextId": ""}, "tags": {}},
            {"linkType": "RELATION", "target": "x"},
            {"linkType": "START"},
            {"from": {}},
            "x",
            {"linkType": "END", "from": {}},
        ]);
        assert_eq!(
            read(&links).unwrap_err(),
            [
                "`links[0].from` is required",
                "`links[1].tags` is not a field of such a link; its fields: linkType, from",
                "`links[1].from.contextId` must be a non-empty string",
                "`links[2].linkKind` is required",
                "`links[2].target` must be an object with `contextId`",
                "`links[3].linkType` cannot be `START`: the first event of a chain implies it",
                "`links[4].linkType` must be `PATH`, `RELATION` or `END`",
                "`links[5]` must be an object",
                "`links[6].from.contextId` is required",
            ]
        );
        assert!(read(&json!({})).unwrap_err()[0].starts_with("`links` must be a list"));
    }
}

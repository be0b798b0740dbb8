//! XML as JSON, for senders that have nothing else.
//!
//! An element without attributes and children is a string; any other one is an object, in which attributes have `@` before
//! their names and text is `#text`. Elements of one name side by side are an array. Prefixes of namespaces stay.

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value};

use crate::event::json::weight::MAX_XML;

/// Levels of elements. Each is an object in an array at most, so that the JSON has fewer levels than the 128 that none may
/// have.
const MAX_DEPTH: usize = 63;
/// Elements and attributes in all.
const MAX_VALUES: usize = MAX_XML;

#[derive(Default)]
struct Element {
    name: String,
    fields: Map<String, Value>,
    text: String,
}

/// The document as an object with one field, the root element.
///
/// # Errors
/// What is wrong with it, and where. A document type definition is refused: nothing is fetched or expanded.
pub fn to_json(text: &str) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = Map::new();
    let mut values = 0;
    loop {
        let at = reader.buffer_position();
        let wrong = |reason: &str| format!("{reason} (byte {at})");
        match reader.read_event().map_err(|error| wrong(said(&error)))? {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH {
                    return Err(wrong(&format!("elements are nested deeper than {MAX_DEPTH}")));
                }
                open.push(element(&start, &mut values).map_err(|reason| wrong(&reason))?);
            }
            Event::Empty(start) => {
                let empty = element(&start, &mut values).map_err(|reason| wrong(&reason))?;
                close(empty, &mut open, &mut root).map_err(|reason| wrong(&reason))?;
            }
            Event::End(_) => {
                // The reader has checked that there is one, by name.
                let ended = open.pop().unwrap_or_default();
                close(ended, &mut open, &mut root).map_err(|reason| wrong(&reason))?;
            }
            Event::Text(text) => add(&mut open, &text.xml_content(XmlVersion::Implicit1_0)).map_err(wrong)?,
            Event::CData(text) => {
                add(&mut open, &text.xml_content(XmlVersion::Implicit1_0)).map_err(wrong)?;
            }
            Event::GeneralRef(name) => {
                let character = name
                    .resolve_char_ref()
                    .map_err(|_| wrong("a character reference is none of a character"))?;
                match (character, resolve_predefined_entity(&name)) {
                    (Some(character), _) => {
                        add(&mut open, character.encode_utf8(&mut [0; 4])).map_err(wrong)?;
                    }
                    (None, Some(text)) => add(&mut open, text).map_err(wrong)?,
                    (None, None) => return Err(wrong("an entity is not one of XML's own five")),
                }
            }
            Event::DocType(_) => return Err(wrong("a document type definition is not accepted")),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match (open.last(), root.is_empty()) {
        (Some(_), _) => Err("an element has no end".to_owned()),
        (None, true) => Err("there is no element".to_owned()),
        (None, false) => Ok(Value::Object(root)),
    }
}

/// What is wrong, without what the sender sent: an error of the reader repeats whole names.
fn said(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::Syntax(_) => "a tag, a comment or a section has no end",
        quick_xml::Error::IllFormed(_) => "an element ends that did not begin, or ends in another's place",
        _ => "it cannot be read",
    }
}

fn element(start: &BytesStart<'_>, values: &mut usize) -> Result<Element, String> {
    let mut element = Element { name: start.name().into_inner().to_owned(), ..Element::default() };
    count(values)?;
    for attribute in start.attributes() {
        count(values)?;
        let attribute = attribute.map_err(|_| "an attribute is not `name=\"value\"`, or is there twice")?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| "an entity in an attribute is not one of XML's own five")?;
        element.fields.insert(format!("@{}", attribute.key.into_inner()), Value::String(value.into_owned()));
    }
    Ok(element)
}

fn count(values: &mut usize) -> Result<(), String> {
    *values += 1;
    if *values > MAX_VALUES {
        return Err(format!("there are more than {MAX_VALUES} elements and attributes"));
    }
    Ok(())
}

/// Text belongs to the innermost element; around the root there is only white space.
fn add(open: &mut [Element], text: &str) -> Result<(), &'static str> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("there is text outside of the root element"),
    }
    Ok(())
}

fn close(ended: Element, open: &mut [Element], root: &mut Map<String, Value>) -> Result<(), String> {
    let Element { name, mut fields, text } = ended;
    let trimmed = text.trim();
    let value = if fields.is_empty() {
        // Spaces at the ends are kept where the text is all there is.
        Value::String(if trimmed.is_empty() { String::new() } else { text })
    } else {
        if !trimmed.is_empty() {
            fields.insert("#text".to_owned(), Value::String(trimmed.to_owned()));
        }
        Value::Object(fields)
    };
    let Some(parent) = open.last_mut() else {
        if !root.is_empty() {
            return Err("there is a second root element".to_owned());
        }
        root.insert(name, value);
        return Ok(());
    };
    match parent.fields.get_mut(&name) {
        None => {
            parent.fields.insert(name, value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_attributes_and_text_become_fields() {
        let text = "<?xml version=\"1.0\"?>\n<!-- c --><commit rev='7' xmlns:x=\"urn:x\">\n  <path>/a &amp; b</path>\n  \
                    <path x:kind=\"dir\">c<![CDATA[<d>]]></path><empty/>&#252;</commit>\n";
        assert_eq!(
            to_json(text).unwrap(),
            json!({"commit": {
                "@rev": "7", "@xmlns:x": "urn:x", "#text": "ü", "empty": "",
                "path": ["/a & b", {"@x:kind": "dir", "#text": "c<d>"}],
            }})
        );
    }

    #[test]
    fn the_deepest_document_is_json_that_is_not_too_deep() {
        // A twin before each element makes an array of the two.
        let open = "<a b=''/><a b=''>".repeat(62);
        let text = format!("<a>{open}{}</a>", "</a>".repeat(62));
        let json = to_json(&text).unwrap().to_string();
        crate::event::json::well_formed(json.as_bytes()).unwrap();
        let deeper = format!("<a>{text}</a>");
        assert!(to_json(&deeper).unwrap_err().contains("deeper than 63"));
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_place() {
        for (text, reason) in [
            ("", "there is no element"),
            ("<a>", "an element has no end"),
            ("<a", "has no end (byte 0)"),
            ("<a></b>", "(byte 3)"),
            ("<a/><b/>", "a second root element (byte 4)"),
            ("x<a/>", "text outside of the root element"),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "document type definition"),
            ("<a>&b;</a>", "not one of XML's own five"),
            ("<a b='1' b='2'/>", "(byte 0)"),
            (&"<a>".repeat(64), "deeper than 63"),
            (&format!("<a>{}</a>", "<b/>".repeat(100_001)), "more than 100000"),
        ] {
            let error = to_json(text).unwrap_err();
            assert!(error.contains(reason), "{text:.40}: {error}");
        }
        // Nothing of what the sender sent comes back.
        let name = "hunter".repeat(1_000);
        for text in [
            format!("<{name}"),
            format!("<{name}>"),
            format!("<a></{name}>"),
            format!("<a {name}/>"),
            format!("<a b='&{name};'/>"),
            format!("<a>&{name};</a>"),
            format!("<a>&#{name};</a>"),
        ] {
            let error = to_json(&text).unwrap_err();
            assert!(error.len() < 120 && !error.contains("hunter"), "{error}");
        }
    }
}

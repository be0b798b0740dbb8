use proptest::prelude::*;

use super::*;
use crate::event::{Data, Event};

fn text<E: std::fmt::Display>(result: Result<impl Sized, E>) -> String {
    result.err().expect("refused").to_string()
}

#[test]
fn required_attributes_are_not_empty() {
    for (id, source, ty, name) in [("", "/s", "t", "id"), ("1", "", "t", "source"), ("1", "/s", "", "type")] {
        assert_eq!(
            text(Event::builder(id, source, ty).build()),
            format!("attribute `{name}` must be a non-empty string")
        );
    }
    assert_eq!(
        text(Event::builder("1", "/s", "t").subject("").build()),
        "attribute `subject` must be a non-empty string"
    );
}

#[test]
fn extension_names_are_lower_case_letters_and_digits() {
    for name in ["", "Bad", "bad_name", "bad-name", "ünï", "a b"] {
        assert_eq!(
            text(check_extension(name, &"x".into())),
            format!("attribute name `{name}` must consist of the characters a-z and 0-9 only")
        );
    }
    assert!(check_extension("knativearrivaltime", &"x".into()).is_ok());
    assert!(check_extension("0", &"".into()).is_ok(), "an extension may be empty and start with a digit");
}

#[test]
fn extensions_cannot_take_the_names_of_context_attributes_or_of_the_payload() {
    for name in RESERVED {
        assert_eq!(
            text(check_extension(name, &true.into())),
            format!("`{name}` cannot be an extension attribute: the name is taken")
        );
    }
}

#[test]
fn a_refused_name_is_shown_printable_and_short() {
    let message = text(check_extension(&"\n\u{7}x".repeat(100), &true.into()));
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.contains('…') && message.len() < 800, "{message}");
}

#[test]
fn control_characters_and_noncharacters_are_refused() {
    for c in [
        '\0',
        '\n',
        '\u{1f}',
        '\u{7f}',
        '\u{9f}',
        '\u{fdd0}',
        '\u{fdef}',
        '\u{ffff}',
        '\u{1fffe}',
        '\u{10ffff}',
    ] {
        for result in [
            Event::builder(format!("a{c}"), "/s", "t").build().map(drop),
            Event::builder("1", "/s", format!("{c}t")).build().map(drop),
            Event::builder("1", "/s", "t").subject(format!("a{c}b")).build().map(drop),
        ] {
            let message = text(result);
            assert!(
                message.contains(&format!("must not contain the character U+{:04X}", u32::from(c))),
                "{message}"
            );
        }
        assert!(check_extension("ext", &format!("a{c}").into()).is_err());
    }
    for fine in ["fëature/ünï", "👍", "\u{a0}", "\u{fdcf}\u{fdf0}\u{fffd}", "a b"] {
        assert!(check_required("subject", fine).is_ok(), "{fine}");
    }
}

#[test]
fn source_is_a_uri_reference() {
    for fine in [
        "/apis///namespaces/ci//fail",
        "https://github.com/octo/repo",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "1-555-123-4567",
        "//host",
        "///path",
        "a/b:c?d=e:f/?#g/?",
        "#fragment",
        "?query",
        "http://user:pw@[::1]:8080/%E2%82%AC",
        "http://[v1.x:y]/",
        "/a%2fb",
        "http://host:/",
    ] {
        assert!(check_source(fine).is_ok(), "{fine}");
    }
    for bad in [
        "a b",
        "/a\\b",
        "/\"",
        "<x>",
        "/%",
        "/%2",
        "/%zz",
        "1a:b",
        ":x",
        "http://[::1",
        "http://[x]/",
        "http://[::1]x/",
        "http://a:b/",
        "http://a@b@c/",
        "/a#b#c",
        "/ünï",
        "/a^b",
        "/{x}",
        "/a|b",
        "/[x]",
    ] {
        assert_eq!(
            text(check_source(bad)),
            "attribute `source` must be a URI-reference (RFC 3986, section 4.1)",
            "{bad}"
        );
    }
}

#[test]
fn dataschema_is_a_uri_with_a_scheme() {
    assert!(check_dataschema("https://cdevents.dev/0.5.1/schema/change-merged-event").is_ok());
    assert!(check_dataschema("urn:x").is_ok());
    for bad in ["/relative", "schema.json", "http://a b/", "//host/x"] {
        assert_eq!(
            text(check_dataschema(bad)),
            "attribute `dataschema` must be a URI with a scheme (RFC 3986, section 3)",
            "{bad}"
        );
    }
    assert_eq!(text(check_dataschema("")), "attribute `dataschema` must be a non-empty string");
}

#[test]
fn time_is_rfc_3339_and_nothing_more() {
    for fine in [
        "2026-11-20T02:08:42.40539306Z",
        "1985-04-12T23:20:50.52Z",
        "1996-12-19t16:39:57-08:00",
        "1990-12-31T23:59:60z",
        "2024-02-29T00:00:00+23:59",
        "0000-01-01T00:00:00-00:00",
        "2026-01-01T00:00:00.123456789012345Z",
    ] {
        assert!(check_time(fine).is_ok(), "{fine}");
    }
    for bad in [
        "",
        "2026",
        "2026-01-31",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00Z[UTC]",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00+0100",
        "2026-02-30T12:00:00Z",
        "2025-02-29T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00,5Z",
        "20260131T120000Z",
        "+002026-01-31T12:00:00Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00Z ",
        "2026-13-01T00:00:00Z",
        "２026-01-31T12:00:00Z",
    ] {
        assert_eq!(
            text(check_time(bad)),
            "attribute `time` must be an RFC 3339 timestamp such as `2026-01-31T12:00:00Z`",
            "{bad}"
        );
    }
}

#[test]
fn datacontenttype_is_a_media_type_with_parameters() {
    for fine in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/CloudEvents+JSON;Charset=\"UTF-8\"",
        "multipart/form-data; boundary=\"a;b \\\" c\" ; x=y",
        "text/plain;",
        "application/vnd.github.v3+json",
    ] {
        assert!(check_datacontenttype(fine).is_ok(), "{fine}");
    }
    for bad in [
        "json",
        "application/",
        "/json",
        "a/b c",
        "a/b;x",
        "a/b;x=",
        "a/b;x=\"y",
        "a b/c",
        "a/b;x=\"y\"z",
        "a/b/c",
        "text/plain; ü=1",
        "text/plain; x=\"ü\"",
        "a/b,c/d",
    ] {
        assert_eq!(
            text(check_datacontenttype(bad)),
            "attribute `datacontenttype` must be a media type such as `application/json` (RFC 2046)",
            "{bad}"
        );
    }
}

#[test]
fn json_is_declared_by_the_subtype_alone() {
    for json in [None, Some("application/json"), Some("text/JSON; x=y"), Some("application/vnd.a.b+Json")] {
        assert!(MediaType::declares_json(json), "{json:?}");
    }
    for other in ["application/jsonx", "json/application", "text/plain; x=json", "application/json-seq"] {
        assert!(!MediaType::declares_json(Some(other)), "{other}");
    }
}

#[test]
fn text_cannot_be_the_payload_of_a_json_content_type() {
    for event in [
        Event::builder("1", "/s", "t").data(Data::Text("x".into())),
        Event::builder("1", "/s", "t").datacontenttype("application/json").data(Data::Text("x".into())),
    ] {
        assert_eq!(
            text(event.build()),
            "attribute `datacontenttype` must be a media type that is not JSON where the payload is text"
        );
    }
}

proptest! {
    #[test]
    fn what_jiff_prints_is_a_time(seconds in -62_000_000_000_i64..253_000_000_000, nanos in 0..1_000_000_000_i32) {
        let time = jiff::Timestamp::new(seconds, if seconds < 0 { -nanos } else { nanos }).unwrap();
        prop_assert!(check_time(&time.to_string()).is_ok(), "{time}");
    }

    #[test]
    fn an_accepted_time_is_one_that_jiff_reads(text in "[0-9]{4}-[0-1][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:?[0-6][0-9])?") {
        // The ends of the calendar do not fit a timestamp with every offset.
        if check_time(&text).is_ok() && !text.starts_with("9999") && !text.starts_with("0000") {
            prop_assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
        }
    }

    #[test]
    fn an_accepted_source_is_printable_ascii_without_spaces(text in "\\PC{0,12}") {
        if check_source(&text).is_ok() {
            prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
        }
    }

    #[test]
    fn a_source_that_the_url_standard_prints_is_accepted(
        host in "[a-z]{1,8}(\\.[a-z]{2,3})?", path in "(/[a-z0-9 ü%~.-]{0,6}){0,4}", query in "[a-z=& ü]{0,8}",
    ) {
        let uri = url::Url::parse(&format!("https://{host}{path}?{query}"));
        if let Ok(uri) = uri && !uri.path().contains('%') {
            prop_assert!(check_source(uri.as_str()).is_ok(), "{uri}");
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,40}") {
        let _ = (check_source(&text), check_dataschema(&text), check_time(&text), check_datacontenttype(&text));
    }
}

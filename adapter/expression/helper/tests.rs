//! The functions that templates may call: what they give, and that the documentation names them and no other.

use serde_json::json;

#[test]
fn what_is_encoded_stands_in_a_url_as_one_part_of_it() {
    let encoded =
        |text: &str| super::engine().render_template("{{urlencode x}}", &json!({"x": text})).unwrap();
    assert_eq!(encoded("aZ09-._~"), "aZ09-._~");
    assert_eq!(encoded("acme/shop:v1 +&=%?#@ü\n"), "acme%2Fshop%3Av1%20%2B%26%3D%25%3F%23%40%C3%BC%0A");
    assert_eq!(encoded(""), "");
    let number = super::engine().render_template("{{urlencode x}}", &json!({"x": 7})).unwrap();
    assert_eq!(number, "7");
    super::engine().render_template("{{urlencode x}}", &json!({"x": [1]})).unwrap_err();
    let longest = "\u{e4}".repeat(super::MAX_TEXT / 6);
    assert_eq!(encoded(&longest).len(), longest.len() * 3);
    let longer = format!("{longest}abcdef");
    super::engine().render_template("{{urlencode x}}", &json!({"x": longer})).unwrap_err();
}

#[test]
fn every_function_is_in_the_documentation() {
    let page = include_str!("../../../docs/mappings.md");
    let part = |name: &str| {
        let begin = format!("<!-- begin {name} functions -->");
        let rest = &page[page.find(&begin).unwrap()..];
        &rest[..rest.find(&format!("<!-- end {name} functions -->")).unwrap()]
    };
    let cel = part("cel");
    for name in crate::expression::cel::known_functions() {
        assert!(
            cel.contains(&format!("`{name}`")),
            "docs/mappings.md does not name the CEL function `{name}`"
        );
    }
    let documented =
        cel.lines().skip(3).filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split('`'));
    for name in documented.filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic())) {
        let known = crate::expression::cel::known_functions().contains(&name) || name == "filter";
        assert!(known, "docs/mappings.md names `{name}`");
    }
    let templates = part("template");
    for name in super::INLINE.iter().map(|signature| signature.name) {
        let named = [format!("{{{{{name} "), format!("({name} ")].iter().any(|call| templates.contains(call));
        assert!(named, "docs/mappings.md does not name the template function `{name}`");
    }
    for name in super::BLOCK {
        assert!(
            templates.contains(&format!("{{{{#{name} ")),
            "docs/mappings.md does not name the block `{name}`"
        );
    }
}

#[test]
fn numbers_are_equal_when_their_values_are() {
    use serde_json::json;
    for (one, two, wanted) in [
        (json!(1.0), json!(1), true),
        (json!(1), json!(1), true),
        (json!(1.5), json!(1), false),
        (json!("1"), json!(1), false),
        (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), false),
        (json!([1]), json!([1]), true),
    ] {
        assert_eq!(super::equal(&one, &two), wanted, "{one} {two}");
    }
}

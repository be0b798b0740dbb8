//! The documentation names every function that mappings may call, and no other.

#[test]
fn every_function_is_in_the_documentation() {
    let page = include_str!("../../../docs/mappings.md");
    let part = |name: &str| {
        let begin = format!("<!-- begin {name} functions -->");
        let rest = &page[page.find(&begin).unwrap()..];
        &rest[..rest.find(&format!("<!-- end {name} functions -->")).unwrap()]
    };
    let cel = part("cel");
    for name in crate::mapping::cel::known_functions() {
        assert!(
            cel.contains(&format!("`{name}`")),
            "docs/mappings.md does not name the CEL function `{name}`"
        );
    }
    let documented =
        cel.lines().skip(3).filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split('`'));
    for name in documented.filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic())) {
        let known = crate::mapping::cel::known_functions().contains(&name) || name == "filter";
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

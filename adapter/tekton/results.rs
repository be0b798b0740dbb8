//! Plausible results for tasks that nobody runs: by the type that the task declares, and by the name of the result.

use serde_json::{Map, Value, json};

use super::view::{list, map, text};

/// The results that a task declares, with values that its consumers can go on with. The same seed gives the same values.
pub fn plausible(task: &Value, seed: &str) -> Vec<Value> {
    list(task, "results")
        .iter()
        .map(|result| {
            let name = text(result, "name");
            let properties = map(result, "properties");
            let ty = match text(result, "type") {
                "" if properties.is_some() => "object",
                "" => "string",
                ty => ty,
            };
            let value = match ty {
                "array" => json!([one(&format!("{name}-1"), seed), one(&format!("{name}-2"), seed)]),
                "object" => properties
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| (key.clone(), Value::String(one(key, &format!("{seed}/{name}")))))
                    .collect::<Map<_, _>>()
                    .into(),
                _ => Value::String(one(name, seed)),
            };
            json!({"name": name, "type": ty, "value": value})
        })
        .collect()
}

/// A text that looks like what its name says.
fn one(name: &str, seed: &str) -> String {
    let lower = name.to_lowercase().replace(['_', '.'], "-");
    let has = |word: &str| lower.split('-').any(|part| part == word) || lower.ends_with(word);
    let hex = |length: usize| -> String {
        let mut hex = String::new();
        while hex.len() < length {
            let part = format!("{seed}/{name}/{}", hex.len());
            hex += &uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, part.as_bytes()).simple().to_string();
        }
        hex.truncate(length);
        hex
    };
    if has("digest") {
        format!("sha256:{}", hex(64))
    } else if has("commit") || has("sha") || has("revision") {
        hex(40)
    } else if has("image") || lower.ends_with("image-url") || lower.ends_with("image-ref") {
        "registry.example.com/played/image:latest".to_owned()
    } else if has("url") || has("uri") {
        format!("https://example.com/played/{}", hex(8))
    } else if has("tag") || has("version") {
        "1.0.0".to_owned()
    } else if has("branch") {
        "main".to_owned()
    } else if has("committer-date") || has("timestamp") || has("time") || has("date") {
        "2026-01-01T00:00:00Z".to_owned()
    } else if has("count") || has("number") || has("total") {
        "1".to_owned()
    } else {
        format!("{name}-{}", hex(8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_look_like_what_they_are_called_and_are_the_same_each_time() {
        let task = json!({"results": [
            {"name": "IMAGE_DIGEST"}, {"name": "commit"}, {"name": "image-url"},
            {"name": "files", "type": "array"},
            {"name": "image", "properties": {"url": {}, "digest": {}}},
        ]});
        let results = plausible(&task, "run/build");
        assert_eq!(results, plausible(&task, "run/build"));
        assert_ne!(results, plausible(&task, "run/test"));
        let value = |at: usize| results[at]["value"].as_str().unwrap_or_default();
        assert!(value(0).starts_with("sha256:") && value(0).len() == 71);
        assert_eq!(value(1).len(), 40);
        assert!(value(2).contains("example.com"));
        assert!(results[3]["value"].as_array().is_some_and(|items| items.iter().all(Value::is_string)));
        assert_eq!(results[4]["type"], "object");
        assert!(results[4]["value"]["digest"].as_str().is_some_and(|text| text.starts_with("sha256:")));
    }
}

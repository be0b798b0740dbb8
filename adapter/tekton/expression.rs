//! References such as `$(params.x)` and `$(tasks.t.results.r)` in texts, found as Tekton finds them
//! (tektoncd/pipeline, `pkg/substitution` and `resultref`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::fields::FieldErrors;

/// Names of variables.
pub type Names<'a> = BTreeSet<&'a str>;

/// A reference to a result of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRef<'a> {
    /// The task.
    pub task: &'a str,
    /// The result, without an index.
    pub result: String,
}

/// A prefix of variables, compiled.
pub struct Prefix(Option<Patterns>);

struct Patterns {
    /// Any reference.
    any: Regex,
    /// The whole text is a reference to all of an array or object.
    whole: Regex,
    name: String,
}

macro_rules! prefixes {
    ($($name:ident = $pattern:literal;)*) => {
        $(
            #[doc = concat!("`", $pattern, "`.")]
            pub static $name: LazyLock<Prefix> = LazyLock::new(|| Prefix::new($pattern));
        )*
    };
}

prefixes! {
    PARAMS = "params";
    PIPELINE_RUN = r"context\.pipelineRun";
    PIPELINE = r"context\.pipeline";
    PIPELINE_TASK = r"context\.pipelineTask";
    TASK_RUN = r"context\.taskRun";
    TASK = r"context\.task";
    RESULTS = "results";
    STEP_RESULTS = "step.results";
}

// === impl Prefix ===

impl Prefix {
    /// Compiles a prefix, which is a pattern itself. One that is none matches nothing.
    pub fn new(prefix: &str) -> Self {
        let braces = |name: &str| {
            format!(
                r#"\$\({prefix}(?:\.(?P<dot>{name})|\["(?P<double>{name})"\]|\['(?P<single>{name})'\])\)"#
            )
        };
        let any = Regex::new(&braces(r".*?(?:\[\*\])?"));
        let whole = Regex::new(&format!("^{}$", braces(r"[_a-zA-Z0-9.-]+\[\*\]")));
        Self(any.ok().zip(whole.ok()).map(|(any, whole)| Patterns { any, whole, name: prefix.to_owned() }))
    }

    fn patterns<'a>(&'a self, text: &str) -> Option<&'a Patterns> {
        self.0.as_ref().filter(|_| text.contains("$("))
    }

    /// The variables of a text: the first part of each name.
    fn variables<'t>(&self, text: &'t str) -> Result<Vec<&'t str>, String> {
        let Some(patterns) = self.patterns(text) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for captures in patterns.any.captures_iter(text) {
            let dotted = captures.name("dot").map_or("", |name| name.as_str());
            if dotted.contains('.') {
                if dotted.split('.').count() > 2 {
                    return Err(format!(
                        "Invalid referencing of parameters in \"{text}\"! Only two dot-separated components after the \
                         prefix \"{}\" are allowed.",
                        patterns.name
                    ));
                }
                found.push(dotted.split('.').next().unwrap_or_default());
                continue;
            }
            let name = [captures.name("dot"), captures.name("double"), captures.name("single")]
                .into_iter()
                .flatten()
                .map(|name| name.as_str())
                .find(|name| !name.is_empty());
            found.push(name.unwrap_or_default());
        }
        Ok(found)
    }

    /// Reports a reference to a variable that is not in `known`.
    pub fn known(&self, text: &str, known: &Names<'_>, path: &str, errors: &mut FieldErrors) {
        match self.variables(text) {
            Err(message) => errors.add(message, path),
            Ok(found) => {
                if found.iter().any(|name| !known.contains(without_index(name).as_str())) {
                    errors.add(format!("non-existent variable in {text:?}"), path);
                }
            }
        }
    }

    /// Reports a reference to a variable that is in `forbidden`, but for one of its items.
    pub fn not(&self, text: &str, forbidden: &Names<'_>, path: &str, errors: &mut FieldErrors) {
        match self.variables(text) {
            Err(message) => errors.add(message, path),
            Ok(found) => {
                if found.iter().any(|name| forbidden.contains(without_star(name))) {
                    errors.add(format!("variable type invalid in {text:?}"), path);
                }
            }
        }
    }

    /// Reports a reference to the whole of a variable that is in `forbidden`.
    pub fn not_whole(&self, text: &str, forbidden: &Names<'_>, path: &str, errors: &mut FieldErrors) {
        let Some(patterns) = self.patterns(text) else { return };
        let is_forbidden = patterns.any.captures_iter(text).any(|captures| {
            let name = [captures.name("dot"), captures.name("double"), captures.name("single")]
                .into_iter()
                .flatten()
                .map(|name| name.as_str())
                .find(|name| !name.is_empty());
            forbidden.contains(without_star(name.unwrap_or_default()))
        });
        if is_forbidden {
            errors.add(format!("variable type invalid in {text:?}"), path);
        }
    }

    /// Reports a reference to a variable in `names` that does not stand alone.
    pub fn alone(&self, text: &str, names: &Names<'_>, path: &str, errors: &mut FieldErrors) {
        match self.variables(text) {
            Err(message) => errors.add(message, path),
            Ok(found) => {
                let first = self.patterns(text).and_then(|it| it.any.find(text)).map_or(0, |it| it.len());
                if first != text.len() && found.iter().any(|name| names.contains(without_star(name))) {
                    errors.add(format!("variable is not properly isolated in {text:?}"), path);
                }
            }
        }
    }

    /// Whether a text is a reference to the whole of an array or object and nothing else.
    pub fn is_whole(&self, text: &str) -> bool {
        self.patterns(text).is_some_and(|patterns| patterns.whole.is_match(text))
    }
}

fn without_star(name: &str) -> &str {
    name.strip_suffix("[*]").unwrap_or(name)
}

/// A name without `[1]` and `[*]`.
pub fn without_index(name: &str) -> String {
    static INDEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[([0-9])*\*?\]").ok());
    match INDEX.as_ref() {
        Some(index) if name.contains('[') => index.replace_all(name, "").into_owned(),
        _ => name.to_owned(),
    }
}

/// What stands between `$(` and `)` in a text, for every reference in it.
pub fn all(text: &str) -> Vec<&str> {
    static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\$\([_a-zA-Z0-9.-]+(?:\.[_a-zA-Z0-9.-]+)*(?:\[(?:[0-9]+|\*)\])?\)").ok()
    });
    match ANY.as_ref() {
        Some(any) if text.contains("$(") => {
            any.find_iter(text).map(|found| &found.as_str()[2..found.len() - 1]).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether an expression looks like a reference to a result.
pub fn is_result(expression: &str) -> bool {
    let parts: Vec<&str> = expression.split('.').collect();
    parts.len() >= 4 && matches!(parts[0], "tasks" | "finally") && parts[2] == "results"
}

/// An expression as a reference to a result.
pub fn result(expression: &str) -> Option<ResultRef<'_>> {
    if !is_result(expression) {
        return None;
    }
    match expression.split('.').collect::<Vec<_>>()[..] {
        [_, task, _, result] => Some(ResultRef { task, result: without_index(result) }),
        [_, task, _, result, _] => Some(ResultRef { task, result: result.to_owned() }),
        _ => None,
    }
}

/// Whether a text refers to a result of a step.
pub fn has_step_result(text: &str) -> bool {
    static STEP: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\(steps\..*?\.results\..*?\)").ok());
    text.contains("$(steps.") && STEP.as_ref().is_some_and(|step| step.is_match(text))
}

/// Whether a text refers to artifacts of a task.
pub fn has_task_artifact(text: &str) -> bool {
    static ARTIFACT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\(tasks\.([^.]+)\.(?:inputs|outputs)\.([^.)]+)\)").ok());
    text.contains("$(tasks.") && ARTIFACT.as_ref().is_some_and(|it| it.is_match(text))
}

/// Whether a text refers to artifacts of a step.
pub fn has_step_artifact(text: &str) -> bool {
    static ARTIFACT: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\(steps\.([^.]+)\.(?:inputs|outputs)\.([^.)]+)\)").ok());
    text.contains("$(step.artifacts.path)")
        || text.contains("$(steps.") && ARTIFACT.as_ref().is_some_and(|it| it.is_match(text))
}

/// Whether a text refers to artifacts of a step or of the task.
pub fn has_artifact(text: &str) -> bool {
    has_step_artifact(text) || has_task_artifact(text) || text.contains("$(artifacts.path)")
}

/// The step and the result of `$(steps.<step>.results.<result>)`.
pub fn step_result(text: &str) -> Option<(String, String)> {
    static STEP: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\(steps\.(.*?)\.results\.(.*?)\)").ok());
    let captures = STEP.as_ref()?.captures(text)?;
    Some((captures[1].to_owned(), captures[2].to_owned()))
}

/// Params by what they are: all of them, the arrays, and the keys of the objects.
#[derive(Debug, Default)]
pub struct Declared<'a> {
    /// The names of all.
    pub all: Names<'a>,
    /// The names of the arrays.
    pub arrays: Names<'a>,
    /// The keys of the objects that have some.
    pub objects: BTreeMap<&'a str, Names<'a>>,
}

// === impl Declared ===

impl Declared<'_> {
    /// Reports what is wrong with the references to params in a text.
    pub fn in_text(&self, text: &str, path: &str, errors: &mut FieldErrors) {
        if text.contains("$(") {
            PARAMS.known(text, &self.all, path, errors);
            self.in_objects(text, path, errors);
            PARAMS.not(text, &self.arrays, path, errors);
        }
    }

    /// The same in an item of an array, where an array may stand alone.
    pub fn in_item(&self, text: &str, path: &str, errors: &mut FieldErrors) {
        if text.contains("$(") {
            PARAMS.known(text, &self.all, path, errors);
            self.in_objects(text, path, errors);
            PARAMS.alone(text, &self.arrays, path, errors);
        }
    }

    fn in_objects(&self, text: &str, path: &str, errors: &mut FieldErrors) {
        for (name, keys) in &self.objects {
            Prefix::new(&format!(r"params\.{name}")).known(text, keys, path, errors);
        }
        let names: Names<'_> = self.objects.keys().copied().collect();
        PARAMS.not_whole(text, &names, path, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(check: impl FnOnce(&mut FieldErrors)) -> String {
        let mut errors = FieldErrors::default();
        check(&mut errors);
        errors.text()
    }

    #[test]
    fn variables_are_found_in_every_spelling() {
        let known = Names::from(["a", "b.c"]);
        for text in [
            "$(params.a)",
            "$(params.a[1])",
            "x$(params['b.c'])y",
            "$(params[\"a\"][*])",
            "$(other.z)",
            "$(params.a.k)",
        ] {
            assert_eq!(wrong(|errors| PARAMS.known(text, &known, "p", errors)), "", "{text}");
        }
        for text in ["$(params.z)", "$(params['z'])", "$(params.a) $(params.z)", "$(params.a.b.c)"] {
            assert_ne!(wrong(|errors| PARAMS.known(text, &known, "p", errors)), "", "{text}");
        }
    }

    #[test]
    fn results_are_references_with_a_task_and_a_name() {
        assert_eq!(all("x $(tasks.a.results.b[0]) $(params.c) $(no"), ["tasks.a.results.b[0]", "params.c"]);
        assert_eq!(result("tasks.a.results.b[0]"), Some(ResultRef { task: "a", result: "b".to_owned() }));
        assert_eq!(result("tasks.a.results.b.c.d"), None);
        assert_eq!(result("tasks.a.status"), None);
    }

    #[test]
    fn an_array_stands_alone() {
        let arrays = Names::from(["list"]);
        assert_eq!(wrong(|errors| PARAMS.alone("$(params.list[*])", &arrays, "p", errors)), "");
        assert_ne!(wrong(|errors| PARAMS.alone("x$(params.list[*])", &arrays, "p", errors)), "");
        assert_ne!(wrong(|errors| PARAMS.not("$(params.list[*])", &arrays, "p", errors)), "");
        assert_eq!(wrong(|errors| PARAMS.not("$(params.list[0])", &arrays, "p", errors)), "");
    }
}

//! Params: how they are declared, and what their declarations have to hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::expression::{Declared, Names};
use super::fields::{FieldErrors, join};
use super::name;
use super::shape::is_untyped;
use super::view::{list, map, text, type_of};

/// A declared param, with the defaults that the webhook fills in.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// `string`, `array` or `object`, or whatever its author wrote.
    pub ty: String,
    /// The types of an object's keys.
    pub properties: Option<BTreeMap<String, String>>,
    /// The value where none is given.
    pub default: Option<Value>,
    /// The only values.
    pub allowed: Vec<String>,
}

/// The params that a pipeline or task declares.
pub fn specs(owner: &Value) -> Vec<ParamSpec> {
    list(owner, "params").iter().map(ParamSpec::read).collect()
}

// === impl ParamSpec ===

impl ParamSpec {
    fn read(param: &Value) -> Self {
        let properties = map(param, "properties").map(|properties| {
            let ty = |property: &Value| match text(property, "type") {
                "" => "string".to_owned(),
                ty => ty.to_owned(),
            };
            properties.iter().map(|(key, property)| (key.clone(), ty(property))).collect::<BTreeMap<_, _>>()
        });
        let default = param.get("default").cloned();
        let ty = match text(param, "type") {
            "" if properties.is_some() => "object",
            "" => default.as_ref().map_or("string", type_of),
            ty => ty,
        };
        Self {
            name: text(param, "name").to_owned(),
            ty: ty.to_owned(),
            // What is empty is gone when the webhook has written the object.
            properties: properties.filter(|properties| !properties.is_empty()),
            default,
            allowed: list(param, "enum").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// What a given value says of a param that need not be declared.
    pub fn given(name: &str, value: &Value, declared: &[ParamSpec]) -> Self {
        if is_untyped(value) {
            let known = declared.iter().find(|spec| spec.name == name);
            return Self {
                name: name.to_owned(),
                ty: known.map_or("string", |spec| &spec.ty).to_owned(),
                properties: known.and_then(|spec| spec.properties.clone()),
                default: None,
                allowed: Vec::new(),
            };
        }
        let members = |members: &Map<String, Value>| {
            members.keys().map(|key| (key.clone(), "string".to_owned())).collect()
        };
        Self {
            name: name.to_owned(),
            ty: type_of(value).to_owned(),
            properties: value.as_object().map(members),
            default: Some(value.clone()),
            allowed: Vec::new(),
        }
    }

    fn check_type(&self, path: &str, errors: &mut FieldErrors) {
        let place = join(path, &self.name);
        if !["string", "array", "object"].contains(&self.ty.as_str()) {
            errors.add(format!("invalid value: {}", self.ty), join(&place, "type"));
            return;
        }
        if let Some(default) = &self.default
            && type_of(default) != self.ty
            && !is_untyped(default)
        {
            let message =
                format!("\"{}\" type does not match default value's type: \"{}\"", self.ty, type_of(default));
            errors.about(&message, &[join(&place, "type"), join(&place, "default.type")]);
            return;
        }
        let wrong: Vec<&str> = self
            .properties
            .iter()
            .flatten()
            .filter(|(_, ty)| *ty != "string")
            .map(|(key, _)| key.as_str())
            .collect();
        if !wrong.is_empty() {
            let message = format!("The value type specified for these keys [{}] is invalid", wrong.join(" "));
            errors.add(message, join(&place, "properties"));
        }
    }
}

/// Types and defaults of declared params.
pub fn check_types(specs: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    for spec in specs {
        spec.check_type(path, errors);
    }
}

/// No name comes twice.
pub fn check_unique(specs: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    for name in twice(specs.iter().map(|spec| spec.name.as_str())) {
        errors.add("parameter appears more than once", join(path, &format!("params[{name}]")));
    }
}

/// Lists of allowed values.
pub fn check_enums(specs: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    for spec in specs.iter().filter(|spec| !spec.allowed.is_empty()) {
        let place = format!("{path}[{}]", spec.name);
        errors.gated(
            "enable-param-enum",
            "feature flag `enable-param-enum` should be set to true to use Enum",
            &place,
        );
        if spec.ty != "string" {
            errors.add("enum can only be set with string type param", &place);
        }
        for value in twice(spec.allowed.iter().map(String::as_str)) {
            errors.add(format!("parameter enum value {value} appears more than once"), &place);
        }
        if let Some(default) = spec.default.as_ref().and_then(Value::as_str).filter(|text| !text.is_empty())
            && !spec.allowed.iter().any(|allowed| allowed == default)
        {
            errors.add(format!("param default value {default} not in the enum list"), &place);
        }
    }
}

/// What the names may consist of.
pub fn check_names(specs: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    let (objects, others): (Vec<&ParamSpec>, Vec<&ParamSpec>) =
        specs.iter().partition(|spec| spec.ty == "object");
    let names: BTreeSet<&str> =
        others.iter().map(|spec| spec.name.as_str()).filter(|name| !name::is_variable(name)).collect();
    if !names.is_empty() {
        let names: Vec<&str> = names.into_iter().collect();
        errors.detailed(
            format!("The format of following array and string variable names is invalid: [{}]", names.join(" ")),
            join(path, "params"),
            "String/Array Names: \nMust only contain alphanumeric characters, hyphens (-), underscores (_), and dots \
             (.)\nMust begin with a letter or an underscore (_)",
        );
    }
    let mut wrong = Vec::new();
    for spec in objects {
        let keys: Vec<&str> = spec
            .properties
            .iter()
            .flat_map(BTreeMap::keys)
            .map(String::as_str)
            .filter(|key| !name::is_object(key))
            .collect();
        if !name::is_object(&spec.name) || !keys.is_empty() {
            wrong.push(format!("{}:[{}]", spec.name, keys.join(" ")));
        }
    }
    if !wrong.is_empty() {
        errors.detailed(
            format!("Object param name and key name format is invalid: map[{}]", wrong.join(" ")),
            join(path, "params"),
            "Object Names: \nMust only contain alphanumeric characters, hyphens (-), underscores (_) \nMust begin with \
             a letter or an underscore (_)",
        );
    }
}

/// Objects say which keys they have.
pub fn check_properties(specs: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    for spec in specs.iter().filter(|spec| spec.ty == "object" && spec.properties.is_none()) {
        errors.add("missing field(s)", join(path, &format!("{}.properties", spec.name)));
    }
}

/// The names of the arrays.
pub fn arrays(specs: &[ParamSpec]) -> Names<'_> {
    specs.iter().filter(|spec| spec.ty == "array").map(|spec| spec.name.as_str()).collect()
}

/// What references to params may name.
pub fn declared(specs: &[ParamSpec]) -> Declared<'_> {
    let has_keys = |spec: &ParamSpec| spec.properties.as_ref().is_some_and(|keys| !keys.is_empty());
    Declared {
        all: specs.iter().map(|spec| spec.name.as_str()).collect(),
        arrays: arrays(specs),
        objects: specs
            .iter()
            .filter(|spec| spec.ty == "object" && has_keys(spec))
            .map(|spec| {
                let names = spec.properties.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
                (spec.name.as_str(), names)
            })
            .collect(),
    }
}

/// Given params: no name comes twice, as a run and a resolver see it (in any case).
pub fn check_given(params: &[Value], path: &str, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for param in params {
        let name = text(param, "name");
        if !seen.insert(name.to_lowercase()) {
            errors.add("expected exactly one, got both", format!("{path}[{name}].name"));
        }
    }
}

/// Given params of a task: no name comes twice.
pub fn check_passed(params: &[Value], path: &str, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (at, param) in params.iter().enumerate() {
        let name = text(param, "name");
        if !seen.insert(name) {
            errors.add(
                format!("parameter names must be unique, the parameter \"{name}\" is also defined at"),
                format!("{path}[{at}].name"),
            );
        }
    }
}

/// What comes more than once.
pub fn twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

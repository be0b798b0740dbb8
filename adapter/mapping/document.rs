//! The mapping document as its author wrote it: every field read and placed, nothing compiled yet.

pub(crate) mod reader;
pub(crate) mod tree;

use std::ops::{Deref, Range};

use serde_json::Value;

use self::tree::{Key, Kind, Node};

/// `apiVersion` of every document.
pub const API_VERSION: &str = "pipewright.dev/v1alpha1";
/// `kind` of a mapping document.
pub const KIND: &str = "Mapping";

/// One `Mapping`.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The place of the file in the list that was loaded.
    pub(crate) file: usize,
    pub(crate) name: Text,
    pub(crate) events: Vec<Pattern>,
    pub(crate) filter: Vec<Filter>,
    pub(crate) lets: Vec<Let>,
    pub(crate) actions: Vec<Action>,
    pub(crate) dedupe_by: Vec<Text>,
    pub(crate) examples: Vec<Example>,
}

/// A string of the document with its place; never of another kind.
#[derive(Clone, Debug)]
pub(crate) struct Text(Node);

/// One entry of `events`: every attribute must match; `*` stands for any characters.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) attributes: Vec<(String, Text)>,
}

/// One clause of `filter`, in one of Knative's dialects or CEL.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Exact(Vec<(String, Text)>),
    Prefix(Vec<(String, Text)>),
    Suffix(Vec<(String, Text)>),
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Cel(Text),
}

/// One entry of `let`.
#[derive(Clone, Debug)]
pub(crate) struct Let {
    pub(crate) name: Key,
    pub(crate) source: LetSource,
    pub(crate) presence: Presence,
}

/// How a `let` item gets its value.
#[derive(Clone, Debug)]
pub(crate) enum LetSource {
    Path(Text),
    Cel(Text),
    Template(Text),
}

/// What happens when a `let` item has no value.
#[derive(Clone, Debug)]
pub(crate) enum Presence {
    /// It is null.
    Optional,
    /// The plan cannot be computed.
    Required,
    /// It is this value.
    Default(Value),
}

/// One entry of `do`.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) name: Text,
    pub(crate) when: Option<Text>,
    pub(crate) kind: ActionKind,
}

/// What an action does.
#[derive(Clone, Debug)]
pub(crate) enum ActionKind {
    PipelineRun(Node),
    Emit(Box<Emit>),
    Forward { to: Text, span: Range<usize> },
}

/// An `emit` that makes a new event.
#[derive(Clone, Debug)]
pub(crate) struct Emit {
    pub(crate) ty: Text,
    /// The sink; `default` where the author names none.
    pub(crate) to: Option<Text>,
    pub(crate) subject: Option<Text>,
    pub(crate) source: Option<Text>,
    pub(crate) id: Option<Text>,
    pub(crate) time: Option<Text>,
    pub(crate) chain_id: Option<Text>,
    pub(crate) links: Option<Node>,
    pub(crate) extensions: Vec<(String, Text)>,
    pub(crate) content: Option<Node>,
    pub(crate) custom_data: Option<Node>,
}

/// One entry of `examples`.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) name: Text,
    pub(crate) given: Given,
    /// What the plan must hold, in order; each is `{action, pipelineRun | emit}`.
    pub(crate) expect: Vec<Value>,
}

/// What an example starts from.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// A webhook delivery: the source, its forge where the name of the source is not that, the forge's name of the event,
    /// and the file of the body.
    Webhook { source: Text, forge: Option<Text>, event: Text, body: Text },
    /// A file that holds a CloudEvent in its JSON form, and who vouches for it.
    File { source: Option<Text>, file: Text },
    /// A CloudEvent in its JSON form, and who vouches for it.
    Inline { source: Option<Text>, event: Value },
}

// === impl Text ===

impl Text {
    /// `None` when the node is not a string.
    pub(crate) fn new(node: &Node) -> Option<Self> {
        node.as_str().is_some().then(|| Self(node.clone()))
    }

    pub(crate) fn span(&self) -> Range<usize> {
        self.0.span.clone()
    }

    /// The place in the file's `text` of byte `offset` of this string.
    pub(crate) fn place(&self, text: &str, offset: usize) -> usize {
        self.0.place(text, offset)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0.kind {
            Kind::String(text) => text,
            _ => "",
        }
    }
}

//! The `emit` of an action, and the refusal of an event that would trigger its own mapping.

use std::ops::Range;

use super::{Compiler, Shape};
use crate::action::Destination;
use crate::expression::cel::Fact;
use crate::expression::filter;
use crate::expression::filter::{Certainty, Clause};
use crate::expression::pattern::{Pattern, is_cdevent, without_version};
use crate::expression::template::context::Uses;
use crate::expression::template::{Dollar, is_template};
use crate::mapping::document::{self, Text};
use crate::mapping::known;
use crate::vocabulary::cdevent::links;
use crate::vocabulary::types::Type;

/// A compiled `emit`.
#[derive(Debug)]
pub(crate) struct Emit {
    pub(crate) to: Destination,
    pub(crate) body: EmitBody,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum EmitBody {
    /// The event that came, unchanged.
    Forward,
    /// A new event.
    New(Box<NewEvent>),
}

/// A new event.
#[derive(Debug)]
pub(crate) struct NewEvent {
    pub(crate) ty: String,
    pub(crate) subject: Option<Shape>,
    pub(crate) source: Option<Shape>,
    pub(crate) id: Option<Shape>,
    pub(crate) time: Option<Shape>,
    pub(crate) chain_id: Option<Shape>,
    /// In place of the `PATH` link to the event that came.
    pub(crate) links: Option<Shape>,
    pub(crate) extensions: Vec<(String, Shape)>,
    pub(crate) content: Option<Shape>,
    pub(crate) custom_data: Option<Shape>,
    pub(crate) uses: Uses,
}

impl Compiler<'_> {
    pub(super) fn emit(
        &mut self,
        emit: &document::Emit,
        patterns: &[Pattern],
        filter: &[Clause],
    ) -> Option<Emit> {
        self.emitted_type(emit);
        let to = emit
            .to
            .as_ref()
            .map_or_else(|| Destination::Sink("default".to_owned()), |to| self.destination(to));
        let mut uses = Uses::default();
        let subject = emit.subject.as_ref().map(|text| self.text(text, &mut uses));
        let source = emit.source.as_ref().map(|text| self.text(text, &mut uses));
        let id = emit.id.as_ref().map(|text| self.text(text, &mut uses));
        let time = emit.time.as_ref().map(|text| self.text(text, &mut uses));
        let chain_id = emit.chain_id.as_ref().map(|text| self.text(text, &mut uses));
        let links = emit.links.as_ref().map(|node| self.content(node, &mut uses));
        let mut extensions = Vec::new();
        for (name, text) in &emit.extensions {
            extensions.push((name.clone(), self.text(text, &mut uses)));
        }
        let content = emit.content.as_ref().map(|node| self.content(node, &mut uses));
        let custom_data = emit.custom_data.as_ref().map(|node| self.content(node, &mut uses));
        if !is_cdevent(&emit.ty) {
            self.refuse_fields_of_cdevents(emit);
        }
        self.refuse_wrong_literals(emit, time.as_ref(), links.as_ref());
        self.refuse_loop(emit, patterns, filter);
        Some(Emit {
            to,
            body: EmitBody::New(Box::new(NewEvent {
                ty: emit.ty.to_string(),
                subject: flatten(subject)?,
                source: flatten(source)?,
                id: flatten(id)?,
                time: flatten(time)?,
                chain_id: flatten(chain_id)?,
                links: flatten(links)?,
                extensions: extensions
                    .into_iter()
                    .map(|(name, shape)| shape.map(|shape| (name, shape)))
                    .collect::<Option<_>>()?,
                content: flatten(content)?,
                custom_data: flatten(custom_data)?,
                uses,
            })),
        })
    }

    /// An answer has room for one event. Two conditions may exclude each other; one alone cannot.
    pub(super) fn refuse_two_replies(&mut self, actions: &[document::Action]) {
        let mut replies = actions.iter().filter(|action| match &action.kind {
            document::ActionKind::Emit(emit) => emit.to.as_ref().is_some_and(|to| &**to == "reply"),
            document::ActionKind::PipelineRun(_) | document::ActionKind::Forward { .. } => false,
        });
        let Some(first) = replies.next() else { return };
        for other in replies {
            if first.when.is_some() && other.when.is_some() {
                continue;
            }
            let message = format!(
                "`{}` and `{}` both answer the request, which takes one event",
                &*first.name, &*other.name
            );
            let hint = "send one of them to a sink, or give each a `when` that excludes the other";
            self.error("two-replies", other.name.span(), message, hint);
        }
    }

    /// What no event can make right is told at load.
    fn refuse_wrong_literals(
        &mut self,
        emit: &document::Emit,
        time: Option<&Option<Shape>>,
        links: Option<&Option<Shape>>,
    ) {
        if let (Some(text), Some(Some(Shape::Literal(_)))) = (&emit.time, time)
            && text.parse::<jiff::Timestamp>().is_err()
        {
            let hint = "write one such as `2026-01-31T12:00:00Z` (RFC 3339), or a template that gives one";
            self.error("invalid-time", text.span(), format!("`{}` is no time", &**text), hint);
        }
        if let (Some(node), Some(Some(Shape::Literal(value)))) = (&emit.links, links)
            && let Err(problems) = links::read(value)
        {
            let hint = "such as `[{linkType: PATH, from: {contextId: \"{{event.id}}\"}}]`";
            self.error("invalid-links", node.span.clone(), problems.join("; "), hint);
        }
    }

    fn refuse_fields_of_cdevents(&mut self, emit: &document::Emit) {
        let payload = "put everything into `content`: it is the whole payload of other events";
        let extension = "put it into `extensions` or `content`, as its receivers want it";
        for (name, span, hint) in [
            ("customData", emit.custom_data.as_ref().map(|node| node.span.clone()), payload),
            ("chainId", emit.chain_id.as_ref().map(Text::span), extension),
            ("links", emit.links.as_ref().map(|node| node.span.clone()), extension),
        ] {
            if let Some(span) = span {
                self.error("not-supported", span, format!("only CDEvents have `{name}`"), hint);
            }
        }
    }

    pub(super) fn forward(&mut self, to: &Text, span: &Range<usize>) -> Option<Emit> {
        let to_broker = ["default", "reply"].contains(&&**to);
        if to_broker {
            self.error(
                "event-loop",
                to.span(),
                format!("an event cannot be forwarded to `{}`, where it probably came from", &**to),
                "name another sink",
            );
            return None;
        }
        let _ = span;
        Some(Emit { to: self.destination(to), body: EmitBody::Forward })
    }

    fn destination(&mut self, to: &Text) -> Destination {
        if is_template(to) {
            let message = "a sink is named, not computed: a template cannot stand in `to`";
            self.error(
                "forbidden-template",
                to.span(),
                message,
                "write one action for each sink, with `when`",
            );
        } else {
            self.sink(to);
        }
        match &**to {
            "reply" => Destination::Reply,
            name => Destination::Sink(name.to_owned()),
        }
    }

    fn text(&mut self, text: &Text, uses: &mut Uses) -> Option<Shape> {
        self.warn_of_variables(text);
        if is_template(text) {
            self.leaf(text, Dollar::Keep, uses).map(|leaf| Shape::Leaf(Box::new(leaf)))
        } else {
            Some(Shape::Literal(text.to_string().into()))
        }
    }

    fn emitted_type(&mut self, emit: &document::Emit) {
        let ty = &emit.ty;
        if is_template(ty) {
            let message = "a template cannot stand in the `type` of an event";
            self.error(
                "forbidden-template",
                ty.span(),
                message,
                "write one action for each type, with `when`",
            );
            return;
        }
        if ty.contains('*') || ty.chars().any(char::is_whitespace) {
            self.error("invalid-type", ty.span(), format!("`{}` is not an event type", &**ty), "");
            return;
        }
        if !is_cdevent(ty) {
            return;
        }
        let Some(bare) = without_version(ty) else {
            let message = format!("`{}` has no version", &**ty);
            self.error("invalid-type", ty.span(), message, &format!("write `{}.0.1.0`", &**ty));
            return;
        };
        if ty.starts_with("dev.cdevents.") && !known::known_type(bare) {
            let hint = known::nearest_type(bare).map_or_else(
                || "custom types look like `dev.cdeventsx.<vendor>-<subject>.<predicate>.0.1.0`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.error("unknown-type", ty.span(), format!("`{bare}` is not a CDEvents type"), &hint);
        } else if let Err(error) = Type::parse(ty) {
            let hint = "custom types look like `dev.cdeventsx.<tool>-<subject>.<predicate>.0.1.0`, each version one digit";
            self.error("invalid-type", ty.span(), error.to_string(), hint);
        }
    }

    /// Refuses an event that the mapping itself would answer, as far as that is known without its data.
    fn refuse_loop(&mut self, emit: &document::Emit, patterns: &[Pattern], filter: &[Clause]) {
        let source = match &emit.source {
            Some(text) if is_template(text) => None,
            Some(text) => Some(text.to_string()),
            None => Some(self.catalog.event_source.clone()),
        };
        let subject = emit.subject.as_ref().filter(|text| !is_template(text)).map(|text| text.to_string());
        let known = |path: &[&str]| {
            let text = match path {
                ["type"] => Some(emit.ty.to_string()),
                ["source"] => source.clone(),
                ["subject"] => subject.clone(),
                ["specversion"] => Some("1.0".to_owned()),
                _ => None,
            };
            text.map_or(Fact::Unknown, |text| Fact::Is(text.into()))
        };
        let listens = patterns.iter().any(|pattern| pattern.certainty(&known) != Certainty::Never);
        let passes = filter::all(filter.iter().map(|clause| clause.certainty(&known))) != Certainty::Never;
        if listens && passes {
            self.error(
                "event-loop",
                emit.ty.span(),
                format!("this event would trigger its own mapping: `{}` matches its `events`", &*emit.ty),
                "emit another type, or exclude it in `events` or with `- not: {exact: {type: …}}`",
            );
        }
    }
}

/// `None` outside when the shape has a mistake.
#[expect(clippy::option_option, reason = "absent and broken are told apart")]
fn flatten(shape: Option<Option<Shape>>) -> Option<Option<Shape>> {
    match shape {
        None => Some(None),
        Some(shape) => shape.map(Some),
    }
}

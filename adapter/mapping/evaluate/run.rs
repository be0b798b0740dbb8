//! The PipelineRun of an action for one event.

use handlebars::Context;
use serde_json::{Map, Value, json};

use super::Basis;
use crate::action::{Action, CreateRun, Origin};
use crate::event::{Event, annotation};
use crate::expression::helper;
use crate::expression::template::size;
use crate::expression::words;
use crate::mapping::PlanError;
use crate::mapping::compile::{Run, Shape};
use crate::mapping::params;
use pipewright_tekton::{self as tekton, known};

/// The most bytes of one object: etcd refuses more than 1.5 MiB.
const MAX_OBJECT: usize = 1024 * 1024;
/// The most bytes of all annotations of one object, as Kubernetes has it.
const MAX_ANNOTATIONS: usize = 256 * 1024;
/// The most characters of what Tekton says: it quotes the values.
const MAX_QUOTED: usize = 500;

impl Basis<'_> {
    pub(super) fn run(&self, run: &Run, origin: Origin, place: &str) -> Result<Action, PlanError> {
        let context = run.uses.context(self.event, self.vars, &self.catalog.config);
        let place = format!("{place}.pipelineRun");
        let mut spec = run
            .spec
            .render(&context, &format!("{place}.spec"))
            .map_err(|(place, error)| self.error(place, &error))?;
        params::to_texts(&mut spec);
        // What holds no template was looked at when it was loaded.
        if !matches!(run.spec, Shape::Literal(_)) {
            self.check_rendered(&spec, &place)?;
        }
        let labels = self.labels(run, &origin, &context, &place)?;
        let annotations = self.annotations(run, &origin, &context, &place)?;
        let namespace = run.namespace.clone().unwrap_or_else(|| self.catalog.namespace.clone());
        if let Some(folder) = self.catalog.forbids(&self.mapping.file, &namespace) {
            let reason = format!("it may not create in `{namespace}`: mappings of {}", folder.shown());
            return Err(self.error(place, &reason));
        }
        let name = origin.key.object_name(&format!("{}-{}", origin.mapping, origin.action));
        let object = json!({
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations},
            "spec": spec,
        });
        if size(&object) > MAX_OBJECT {
            return Err(self.error(place, &format!("the rendered object is larger than {MAX_OBJECT} bytes")));
        }
        Ok(Action::PipelineRun(CreateRun { origin, namespace, name, object }))
    }

    /// Refuses what Tekton would refuse, or would let fail at its start.
    fn check_rendered(&self, spec: &Value, place: &str) -> Result<(), PlanError> {
        let verdict = tekton::pipeline_run(spec);
        if let Some(wrong) = verdict.errors.iter().find(|error| error.gate.is_none()) {
            let at = wrong.paths.first().copied().unwrap_or("spec");
            let text = wrong.text();
            let reason = format!("Tekton refuses this run: {}", words::truncate(&text, MAX_QUOTED));
            return Err(self.error(format!("{place}.{}", words::truncate(at, MAX_QUOTED)), &reason));
        }
        if let Some(pipeline) = self.catalog.objects.pipeline_of(spec)
            && let Some(wrong) = known::mismatches(spec, pipeline).into_iter().next()
        {
            let message = words::truncate(&wrong.message, MAX_QUOTED);
            let reason = format!("Tekton fails this run at once ({}): {message}", wrong.reason);
            return Err(self.error(format!("{place}.spec.params"), &reason));
        }
        Ok(())
    }

    fn labels(
        &self,
        run: &Run,
        origin: &Origin,
        context: &Context,
        place: &str,
    ) -> Result<Map<String, Value>, PlanError> {
        let mut labels = self.texts(&run.labels, context, &format!("{place}.metadata.labels"))?;
        for (key, value) in &labels {
            let text = value.as_str().unwrap_or_default();
            if !words::is_label_value(text) {
                let shown = words::truncate(text, 80);
                let reason = format!("`{shown}` cannot be the value of a label; write `{{{{toLabel …}}}}`");
                return Err(self.error(format!("{place}.metadata.labels.{key}"), &reason));
            }
        }
        for (key, value) in [
            (annotation::MAPPING, origin.mapping.as_str()),
            (annotation::ACTION, origin.action.as_str()),
            (annotation::MANAGED_BY, annotation::MANAGER),
        ] {
            labels.insert(key.to_owned(), value.into());
        }
        Ok(labels)
    }

    fn annotations(
        &self,
        run: &Run,
        origin: &Origin,
        context: &Context,
        place: &str,
    ) -> Result<Map<String, Value>, PlanError> {
        let place = format!("{place}.metadata.annotations");
        let mut annotations = self.texts(&run.annotations, context, &place)?;
        let delivery = self.event.tree().and_then(|data| data.pointer("/customData/forge/delivery"));
        let key = origin.key.to_string();
        let change = change(self.event);
        for (name, value) in [
            (annotation::EFFECT_KEY, Some(key.as_str())),
            (annotation::EVENT_ID, Some(origin.event_id.as_str())),
            (annotation::EVENT_SOURCE, Some(origin.event_source.as_str())),
            (annotation::EVENT_TYPE, Some(origin.event_type.as_str())),
            (annotation::SOURCE, self.event.voucher()),
            (annotation::CHAIN_ID, self.chain.as_deref()),
            (annotation::DELIVERY, delivery.and_then(Value::as_str)),
            (annotation::CHANGE_ID, change.as_ref().map(|(id, _)| *id)),
            (annotation::CHANGE_SOURCE, change.as_ref().map(|(_, source)| *source)),
        ] {
            if let Some(value) = value {
                annotations.insert(name.to_owned(), value.into());
            }
        }
        let total: usize = annotations.iter().map(|(name, value)| name.len() + size(value)).sum();
        if total > MAX_ANNOTATIONS {
            return Err(
                self.error(place, &format!("the annotations are larger than {MAX_ANNOTATIONS} bytes"))
            );
        }
        Ok(annotations)
    }

    /// Labels and annotations are strings, whatever type an expression has.
    fn texts(
        &self,
        pairs: &[(String, Shape)],
        context: &Context,
        place: &str,
    ) -> Result<Map<String, Value>, PlanError> {
        let mut texts = Map::new();
        for (key, shape) in pairs {
            let place = format!("{place}.{key}");
            let value = shape.render(context, &place).map_err(|(place, error)| self.error(place, &error))?;
            let text = helper::text(&value).map_err(|reason| self.error(place, &reason))?;
            texts.insert(key.clone(), Value::String(text));
        }
        Ok(texts)
    }
}

/// The change that an event is about, and where it is: that of a change's own event, or the commit that was pushed.
fn change(event: &Event) -> Option<(&str, &str)> {
    let data = event.tree()?;
    if event.ty().starts_with("dev.cdevents.change.") {
        let source = data.pointer("/subject/source").and_then(Value::as_str);
        return Some((event.subject()?, source.unwrap_or(event.source())));
    }
    // What an annotated tag points to is no commit.
    let push = data.pointer("/customData/push")?;
    let commit = push.get("commit").or_else(|| push.get("after"))?.as_str()?;
    Some((commit, event.source()))
}

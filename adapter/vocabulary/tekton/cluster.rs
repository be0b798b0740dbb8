//! The cluster whose runs are told of: the source of their events, and where people look at a run.

use super::RunKind;
use super::object::Object;
use crate::event::uri;
use crate::vocabulary::outcome::Outcomes;

/// Which cluster the objects are of, and where people look at them.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(super) source: String,
    run_url: Option<String>,
    api: String,
    pub(super) outcomes: Outcomes,
    pub(super) progress: bool,
}

/// Why a cluster's settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The source of the events.
    #[error("the source `{0}` must be a URI-reference")]
    Source(String),
    /// The address of a run's page.
    #[error(
        "the run URL `{0}` must be an absolute URI; it may contain `{{namespace}}`, `{{name}}`, `{{kind}}` and `{{uid}}`"
    )]
    RunUrl(String),
    /// The address of the API server.
    #[error(
        "`{0}`, with which the addresses of runs begin, must be an http or https URL, or the run URL be given"
    )]
    Api(String),
}

// === impl Cluster ===

impl Cluster {
    /// `source` is the `source` of the events, such as `https://tekton.example.com/prod`; `run_url` the page of a run
    /// with `{namespace}`, `{name}`, `{kind}` (`pipelineruns`, `taskruns`, `customruns`) and `{uid}` in it; `api` the
    /// URL of the API server, whose address of the object serves where there is no `run_url`.
    ///
    /// # Errors
    /// One of them cannot be the beginning of what it is for.
    pub fn new(
        source: impl Into<String>,
        run_url: Option<&str>,
        api: impl Into<String>,
    ) -> Result<Self, ClusterError> {
        let (source, api) = (source.into(), api.into());
        if !uri::is_reference(&source) {
            return Err(ClusterError::Source(source));
        }
        let api = api.trim_end_matches('/').to_owned();
        if run_url.is_none() && uri::split_origin(&api).is_none() {
            return Err(ClusterError::Api(api));
        }
        if let Some(url) = run_url
            && !uri::is_absolute(&fill(url, "ns", "name", RunKind::PipelineRun, "uid"))
        {
            return Err(ClusterError::RunUrl(url.to_owned()));
        }
        Ok(Self {
            source,
            run_url: run_url.map(str::to_owned),
            api,
            outcomes: Outcomes::default(),
            progress: false,
        })
    }

    /// Replaces the table of outcomes.
    #[must_use]
    pub fn outcomes(mut self, outcomes: Outcomes) -> Self {
        self.outcomes = outcomes;
        self
    }

    /// Whether a pipeline's run also says how far it has come.
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// `source` of the events.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The absolute address of a run.
    pub(super) fn url(&self, run: &Object<'_>) -> String {
        match &self.run_url {
            Some(template) => fill(template, run.namespace, run.name, run.kind, run.uid),
            None => fill(
                &format!(
                    "{}/apis/{}/namespaces/{{namespace}}/{{kind}}/{{name}}",
                    self.api,
                    run.kind.api_version()
                ),
                run.namespace,
                run.name,
                run.kind,
                run.uid,
            ),
        }
    }
}

fn fill(template: &str, namespace: &str, name: &str, kind: RunKind, uid: &str) -> String {
    let encoded = |text: &str| {
        let mut out = String::new();
        uri::encode(text, &mut out);
        out
    };
    template
        .replace("{namespace}", &encoded(namespace))
        .replace("{name}", &encoded(name))
        .replace("{kind}", kind.plural())
        .replace("{uid}", &encoded(uid))
}

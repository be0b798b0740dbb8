//! What several commands read: mapping files, and the settings that mappings refer to.

use std::path::PathBuf;

use anyhow::Context;

use super::BadInput;

use crate::diagnostic::{Report, Style};
use crate::mapping::objects::Objects;
use crate::mapping::{Catalog, MappingSet, load};
use crate::settings::{MappingPath, Process, Settings, SourceDocument, read_schemas};
use crate::vocabulary::schema::Schemas;

/// Mapping files and their settings.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MappingArguments {
    /// Files and folders of mappings [default: those of the settings, or `mappings`]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    pipelines: PipelineArguments,
}

/// Pipelines and Tasks against which runs are held.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PipelineArguments {
    /// Files and folders of Tekton Pipelines and Tasks, whose params the runs have to fit
    #[arg(long, value_name = "PATH")]
    pub pipelines: Vec<PathBuf>,
}

/// The settings file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct SettingsArguments {
    /// The settings file: names of sinks, `config`, the namespace
    #[arg(long, env = "PIPEWRIGHT_SETTINGS", hide_env_values = true, value_name = "FILE")]
    pub settings: Option<PathBuf>,
}

// === impl MappingArguments ===

impl MappingArguments {
    /// What to say where no mapping was found.
    pub(super) fn nothing_found(&self) -> anyhow::Result<String> {
        Ok(nothing_found(&self.paths, &self.settings.read()?))
    }

    /// Reads and compiles; the report has the warnings of a good set, or everything about a bad one.
    pub(super) fn compile(&self) -> anyhow::Result<Result<(MappingSet, Report), Report>> {
        let settings = self.settings.read()?;
        let mut compiled = compile(&self.paths, &settings, &self.pipelines)?;
        let (Ok((_, report)) | Err(report)) = &mut compiled;
        settings.sources.iter().filter_map(SourceDocument::warning).for_each(|warning| report.push(warning));
        Ok(compiled)
    }
}

// === impl PipelineArguments ===

impl PipelineArguments {
    fn read(&self, report: &mut Report) -> anyhow::Result<Objects> {
        if self.pipelines.is_empty() {
            return Ok(Objects::default());
        }
        for path in &self.pipelines {
            std::fs::metadata(path).with_context(|| format!("no Pipelines at `{}`", path.display()))?;
        }
        let files = load::read(&self.pipelines, report);
        Ok(Objects::read(&files, report))
    }
}

// === impl SettingsArguments ===

impl SettingsArguments {
    /// The settings, or the defaults where no file is named.
    pub(super) fn read(&self) -> anyhow::Result<Settings> {
        let Some(path) = &self.settings else { return Ok(Settings::default()) };
        Ok(Settings::read(path)?)
    }
}

/// The paths of a flag. One that the settings limit to namespaces stays limited.
pub(super) fn limited(paths: &[PathBuf], process: &Process) -> Vec<MappingPath> {
    let known = |path: &PathBuf| process.mappings.iter().find(|known| known.path == *path).cloned();
    paths.iter().map(|path| known(path).unwrap_or_else(|| path.clone().into())).collect()
}

/// The schemas of custom types: ours, and those that the settings name.
pub(super) fn schemas(settings: &Settings) -> anyhow::Result<Schemas> {
    Ok(read_schemas(&settings.process.schemas).map_err(|error| BadInput(error.to_string()))?)
}

/// Compiles the mappings under `paths`, or those that the settings name.
pub(super) fn compile(
    paths: &[PathBuf],
    settings: &Settings,
    pipelines: &PipelineArguments,
) -> anyhow::Result<Result<(MappingSet, Report), Report>> {
    let of_settings: Vec<PathBuf> = settings.process.mappings.iter().map(|it| it.path.clone()).collect();
    let paths = if paths.is_empty() { &of_settings } else { paths };
    for path in paths {
        std::fs::metadata(path).with_context(|| {
            format!("no mappings at `{}` (name a file or a folder of them)", path.display())
        })?;
    }
    let mut report = Report::default();
    let files = load::read(paths, &mut report);
    let mut catalog = catalog(settings, schemas(settings)?);
    catalog.objects = pipelines.read(&mut report)?;
    let result = MappingSet::compile(&files, &catalog);
    Ok(match result {
        Ok((set, warnings)) => {
            report.extend(warnings);
            if report.has_errors() { Err(report) } else { Ok((set, report)) }
        }
        Err(errors) => {
            report.extend(errors);
            Err(report)
        }
    })
}

/// What to say where no mapping was found.
pub(super) fn nothing_found(paths: &[PathBuf], settings: &Settings) -> String {
    let of_settings: Vec<PathBuf> = settings.process.mappings.iter().map(|it| it.path.clone()).collect();
    let paths = if paths.is_empty() { &of_settings } else { paths };
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    format!(
        "there are no mappings in {}: name another file or folder (of a folder *.yaml and *.yml are read)",
        shown.join(", ")
    )
}

/// What mappings may refer to.
fn catalog(settings: &Settings, schemas: Schemas) -> Catalog {
    let Process { config, namespace, event_source, .. } = &settings.process;
    Catalog {
        sinks: settings.sinks.iter().map(|sink| sink.name.clone()).collect(),
        config: config.clone().into(),
        namespace: namespace.clone(),
        event_source: event_source.clone(),
        options: settings.process.options(),
        with_progress: settings.process.announce_progress,
        watched: settings.process.watch_namespace.clone(),
        source_types: settings.source_types(),
        schemas,
        objects: Objects::default(),
        folders: settings.process.mappings.iter().filter_map(MappingPath::folder).collect(),
    }
}

/// Colour only for a terminal, and not where `NO_COLOR` is set.
pub(super) fn style(stream: &impl std::io::IsTerminal) -> Style {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && stream.is_terminal() { Style::Color } else { Style::Plain }
}

//! Structured logs on standard error, with a level that can be changed while the process runs.

mod line;
mod writer;

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use writer::Lines;

/// How long the end of the process waits for its last lines to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// The lines of this process, once it logs.
static LINES: OnceLock<Lines> = OnceLock::new();

/// How a line of log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people; coloured on a terminal.
    Text,
}

/// Changes the level of the running process (`PUT /log-level`).
#[derive(Clone, Debug)]
pub struct LogControl {
    handle: reload::Handle<EnvFilter, Registry>,
}

/// Why a log level was refused.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The text is not a list of `[target=]level` directives.
    #[error("`{directives}` is not a log level: {reason}; try `info` or `info,pipewright=debug`")]
    Directives {
        /// What was given.
        directives: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process already has another logger.
    #[error("logging cannot be set up: {0}")]
    Setup(String),
}

/// Starts logging, on a thread of its own. `directives` has the syntax of `RUST_LOG`, such as `info,pipewright=debug`.
pub fn init(directives: &str, format: LogFormat) -> Result<LogControl, LogError> {
    let (filter, handle) = reload::Layer::new(parse(directives)?);
    let setup = |reason: String| LogError::Setup(reason);
    let lines = Lines::start(std::io::stderr(), format).map_err(|error| setup(error.to_string()))?;
    let layer = match format {
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(lines.clone()).boxed()
        }
        LogFormat::Text => fmt::layer()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(lines.clone())
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init()
        .map_err(|error| setup(error.to_string()))?;
    let _ = LINES.set(lines);
    // What the standard hook writes, it writes at once, and waits for a reader that may have stalled.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(%panic, "a bug");
        flush();
    }));
    Ok(LogControl { handle })
}

/// Waits until the lines of the log are written, for a second at most.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH);
    }
}

// === impl LogControl ===

impl LogControl {
    /// Replaces the level.
    pub fn set(&self, directives: &str) -> Result<(), LogError> {
        let filter = parse(directives)?;
        self.handle.reload(filter).map_err(|error| LogError::Setup(error.to_string()))
    }

    /// Whether [`Self::set`] would take it.
    pub fn check(&self, directives: &str) -> Result<(), LogError> {
        parse(directives).map(drop)
    }

    /// Lines that could not be written, or not in time.
    pub fn dropped(&self) -> u64 {
        LINES.get().map_or(0, Lines::dropped)
    }

    /// The level in force.
    pub fn current(&self) -> String {
        self.handle.with_current(ToString::to_string).unwrap_or_default()
    }
}

fn parse(directives: &str) -> Result<EnvFilter, LogError> {
    let directives = directives.trim();
    let refused = |reason: String| LogError::Directives { directives: directives.to_owned(), reason };
    if directives.is_empty() {
        return Err(refused("it is empty".into()));
    }
    // A lone word that is no level would be a target, and everything else would fall silent: `debgu` is a slip.
    let lone = |word: &&str| !word.contains('=') && word.parse::<LevelFilter>().is_err();
    // A span's fields may hold commas; who writes spans knows the syntax.
    if !directives.contains('[')
        && let Some(word) = directives.split(',').find(lone)
    {
        return Err(refused(format!("`{word}` is no level, and a target needs one, as in `{word}=debug`")));
    }
    EnvFilter::builder().parse(directives).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_level_is_refused_and_not_taken_for_a_target() {
        for good in ["info", "WARN", "off", "3", "info,pipewright=debug", "info,kube=off", "[request]=debug"]
        {
            parse(good).unwrap();
        }
        for (slip, word) in [("debgu", "debgu"), ("info,pipewright", "pipewright"), ("a::b", "a::b")] {
            let error = parse(slip).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "`{slip}` is not a log level: `{word}` is no level, and a target needs one, as in \
                     `{word}=debug`; try `info` or `info,pipewright=debug`"
                )
            );
        }
        assert!(parse(" ").is_err() && parse("info,pipewright=loud").is_err());
    }
}

//! The command line: what was typed, and which command it means.
//!
//! Exit codes: 0 done; 1 what was checked is not right, or what was sent was refused; 2 wrong usage; 3 the command
//! could not start, for want of a file, a port or a cluster. Results go to standard output, everything else to
//! standard error.

mod check;
mod cluster;
mod dev;
mod explain;
mod inputs;
mod schema;
mod send;
mod serve;
mod test;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use crate::telemetry::LogFormat;

/// Turns events into Tekton runs, and Tekton runs into events.
#[derive(Debug, Parser)]
#[command(name = "pipewright", version, about, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  what was checked is not right, or what was sent was refused
  2  wrong usage
  3  the command could not start: a file, a port or the cluster is missing";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything here, on an embedded cluster: for trying, and for writing mappings
    Dev(dev::Arguments),
    /// Run the service against a Kubernetes cluster
    Serve(serve::Arguments),
    /// Check mapping files and report every mistake in them
    Check(check::Arguments),
    /// Run the examples inside mapping files
    Test(test::Arguments),
    /// Show what one delivery or event would do, without doing it
    Explain(explain::Arguments),
    /// Send a payload file as a signed webhook, or as a CloudEvent
    Send(send::Arguments),
    /// Run only the embedded cluster, for kubectl and for a `serve` beside it
    Cluster(cluster::Arguments),
    /// Print the JSON Schema of mapping files, for editors, or of a custom event type
    Schema(schema::Arguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How results are written. The values have no doc comments: with them clap prints help in its long form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    // For people.
    #[default]
    Text,
    // For programs.
    Json,
}

/// Logging flags of the commands that run on.
#[derive(Clone, Debug, clap::Args)]
struct LogArguments {
    /// Log level: `info`, or directives such as `info,pipewright=debug`
    #[arg(
        long,
        env = "PIPEWRIGHT_LOG",
        hide_env_values = true,
        default_value = "info",
        value_name = "LEVEL"
    )]
    log_level: String,
    /// Log format, `text` or `json`; by default text on a terminal and JSON elsewhere
    #[arg(
        long,
        env = "PIPEWRIGHT_LOG_FORMAT",
        hide_env_values = true,
        value_enum,
        hide_possible_values = true,
        value_name = "FORMAT"
    )]
    log_format: Option<LogStyle>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogStyle {
    Text,
    Json,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Done.
    Well,
    /// What was checked is not right.
    NotRight,
}

/// What was given can be read, and is not right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(String);

/// Runs the program.
pub fn main() -> ExitCode {
    // Both our clients (Kubernetes and sinks) use the process's default provider of cryptography.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match Arguments::parse().command {
        Command::Dev(arguments) => dev::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Cluster(arguments) => cluster::run(arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "pipewright", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    };
    crate::telemetry::log::flush();
    match result {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::NotRight) => ExitCode::from(1),
        Err(error) => {
            complain(&format!("error: {}", chain(&error)));
            ExitCode::from(if error.is::<BadInput>() { 1 } else { 3 })
        }
    }
}

// === impl LogArguments ===

impl LogArguments {
    fn format(&self) -> LogFormat {
        use std::io::IsTerminal;
        match self.log_format {
            Some(LogStyle::Text) => LogFormat::Text,
            None if std::io::stderr().is_terminal() => LogFormat::Text,
            Some(LogStyle::Json) | None => LogFormat::Json,
        }
    }
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<Ended> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Ended::Well),
    }
}

/// An error with its causes, of which those are left out that it has told already.
fn chain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

/// Writes a line to standard error.
fn complain(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A runtime for the commands that need one.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

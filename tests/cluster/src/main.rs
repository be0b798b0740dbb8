//! `pipewright-cluster`: a real control plane for tests and for people.

use std::process::ExitCode;

use clap::Parser as _;
use pipewright_cluster::commands::{self, Arguments};

fn main() -> ExitCode {
    match commands::main(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

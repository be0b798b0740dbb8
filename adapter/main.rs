//! The `pipewright` program: everything but the exit code is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipewright::cli::main()
}

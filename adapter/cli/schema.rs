//! `pipewright schema`.

use super::{Ended, print};
use crate::mapping::schema;

/// Flags of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> anyhow::Result<Ended> {
    print(&format!("{:#}\n", schema::mapping()))
}

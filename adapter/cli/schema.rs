//! `pipewright schema`: of mapping files, or of the events of a custom type.

use super::inputs::{SettingsArguments, schemas};
use super::{BadInput, Ended, print};
use crate::mapping::schema;
use crate::vocabulary::types::Type;

/// Flags of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A custom event type, with or without its version [default: none, the schema of mapping files]
    #[arg(value_name = "TYPE", conflicts_with = "list")]
    ty: Option<String>,
    /// List the custom types that have a schema
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    settings: SettingsArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ended> {
    if arguments.ty.is_none() && !arguments.list {
        return print(&format!("{:#}\n", schema::mapping()));
    }
    let schemas = schemas(&arguments.settings.read()?)?;
    let Some(ty) = &arguments.ty else {
        return print(&schemas.types().fold(String::new(), |all, ty| all + ty + "\n"));
    };
    let is_base = |known: &&str| known.strip_prefix(ty.as_str()).is_some_and(|rest| rest.starts_with('.'));
    // Of several versions the newest.
    let known = schemas
        .types()
        .filter(|known| *known == ty)
        .last()
        .or_else(|| schemas.types().filter(is_base).last());
    if let Some(schema) = known.and_then(|ty| schemas.get(ty)) {
        return print(schema.text());
    }
    let hint = match Type::parse(ty) {
        Ok(ty @ Type::Standard(_)) => {
            format!("`{ty}` is of the specification; its schema is {}", ty.schema())
        }
        _ => format!("no schema of a type `{ty}` is known; `pipewright schema --list` names those that are"),
    };
    Err(BadInput(hint).into())
}

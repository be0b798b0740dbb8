//! The table that a run prints, and the same as JSON.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Everything that was measured.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub struct Table {
    rows: Vec<Row>,
}

/// One value; what does not apply is null.
#[derive(Serialize)]
pub struct Row {
    name: String,
    unit: &'static str,
    ours: f64,
    /// The same at the floor.
    floor: Option<f64>,
    /// The same at another program.
    peer: Option<f64>,
    /// What it should be: at most, or at least where more is better.
    goal: Option<f64>,
    met: Option<bool>,
}

// === impl Row ===

impl Row {
    /// A value without a goal.
    pub fn info(name: &str, unit: &'static str, ours: f64) -> Self {
        let ours = (ours * 100.0).round() / 100.0;
        Self { name: name.to_owned(), unit, ours, floor: None, peer: None, goal: None, met: None }
    }

    /// A value that should be at most `goal`.
    pub fn at_most(name: &str, unit: &'static str, ours: f64, goal: f64) -> Self {
        Self { goal: Some(goal), met: Some(ours <= goal), ..Self::info(name, unit, ours) }
    }

    /// A value that should be at least `goal`.
    pub fn at_least(name: &str, unit: &'static str, ours: f64, goal: f64) -> Self {
        Self { goal: Some(goal), met: Some(ours >= goal), ..Self::info(name, unit, ours) }
    }

    /// With the other program's value beside it.
    pub fn against(mut self, peer: f64) -> Self {
        self.peer = Some((peer * 100.0).round() / 100.0);
        self
    }

    /// With the floor's value beside it.
    pub fn beside(mut self, floor: f64) -> Self {
        self.floor = Some((floor * 100.0).round() / 100.0);
        self
    }
}

// === impl Table ===

impl Table {
    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Writes `bench/<name>` below cargo's target folder.
    pub fn write(&self, name: &str) -> anyhow::Result<PathBuf> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        std::fs::write(&path, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(path)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
        writeln!(f, "{:width$}  {:>9} {:>9} {:>7} {:>7}  {:5}", "", "ours", "floor", "peer", "goal", "unit")?;
        for row in &self.rows {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), shown);
            write!(f, "{:width$}  {:>9} {:>9}", row.name, shown(row.ours), number(row.floor))?;
            write!(f, " {:>7} {:>7}  {:5}", number(row.peer), number(row.goal), row.unit)?;
            writeln!(f, "{}", row.met.map_or("", |met| if met { "  met" } else { "  MISSED" }))?;
        }
        Ok(())
    }
}

fn shown(value: f64) -> String {
    match value {
        value if value.fract() == 0.0 || value.abs() >= 1000.0 => format!("{value:.0}"),
        value if value.abs() < 10.0 => format!("{value:.2}"),
        value => format!("{value:.1}"),
    }
}

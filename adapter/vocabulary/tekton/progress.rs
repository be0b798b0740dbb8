//! How far a pipeline's run has come, as a custom event.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::object::State;
use super::{Run, RunKind, Transition};
use crate::vocabulary::cdevent::{CdEventError, Link};
use crate::vocabulary::types::CustomType;

/// The type of the event.
pub const PROGRESSED: &str = "dev.cdeventsx.tekton-pipelinerun.progressed.0.1.0";

/// The names of these transitions begin with it.
const NAME: &str = "progressed/";

/// Tasks, counted by Tekton; `subject.content` (`config/schemas/tekton-pipelinerun.progressed.0.1.0.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Tasks that have ended in any way; those that failed or were cancelled are among them.
    completed: u64,
    failed: u64,
    cancelled: u64,
    /// Tasks that will not run.
    skipped: u64,
    /// Tasks that run or are still to run.
    incomplete: u64,
    total: u64,
    /// How much of the total needs nothing more, rounded down.
    percent: u64,
}

/// Whether a transition of this name is progress, of which only the newest counts, and none once the run is finished.
pub fn is_progress(name: &str) -> bool {
    name.starts_with(NAME)
}

/// How many tasks need nothing more, by the name of such a transition: it never becomes less.
pub fn settled_tasks(name: &str) -> Option<u64> {
    let mut counts = name.strip_prefix(NAME)?.split('.').map(|count| count.parse::<u64>().ok());
    let (completed, skipped) = (counts.next()??, counts.nth(2)??);
    completed.checked_add(skipped)
}

// === impl Progress ===

impl Progress {
    /// Reads the message of a condition that is `Unknown`; nothing else in the status holds the counts (tektoncd/pipeline,
    /// pkg/reconciler/pipelinerun/resources/pipelinerunstate.go, `GetPipelineConditionStatus`).
    fn read(message: &str) -> Option<Self> {
        let mut rest = message;
        let mut number = |before: &str| {
            let text = rest.strip_prefix(before)?;
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            rest = &text[end..];
            // Nine digits are enough for every pipeline, and for every sum.
            (end <= 9).then(|| text[..end].parse::<u64>().ok()).flatten()
        };
        let completed = number("Tasks Completed: ")?;
        let failed = number(" (Failed: ")?;
        let cancelled = number(", Cancelled ")?;
        let incomplete = number("), Incomplete: ")?;
        let skipped = number(", Skipped: ")?;
        let total = completed + incomplete + skipped;
        if !rest.is_empty() || total == 0 {
            return None;
        }
        let percent = (completed + skipped) * 100 / total;
        Some(Self { completed, failed, cancelled, skipped, incomplete, total, percent })
    }
}

// === impl Run ===

impl Run<'_> {
    /// How far the run has come, when that is asked for and known.
    pub(super) fn progress(&self, started: Option<&str>) -> Option<Transition> {
        if !self.cluster.progress || self.run.kind != RunKind::PipelineRun {
            return None;
        }
        let began = self.run.started_at()?;
        let progress = Progress::read(self.run.message()?)?;
        // As everywhere: an API server's object has nothing that could not be written.
        self.progressed(started?, self.run.changed_at().unwrap_or(began), progress).ok().flatten()
    }

    fn progressed(
        &self,
        started: &str,
        at: Timestamp,
        progress: Progress,
    ) -> Result<Option<Transition>, CdEventError> {
        let Ok(ty) = PROGRESSED.parse::<CustomType>() else { return Ok(None) };
        let Progress { completed, failed, cancelled, skipped, incomplete, .. } = progress;
        let counts = format!("{completed}.{failed}.{cancelled}.{skipped}.{incomplete}");
        let event = self
            .about(ty, &self.run.id(), &[self.run.uid, &counts], at)
            .link(Link::Path { from: started.to_owned() })
            .content(&progress)?
            .custom_data(&self.extract(State::Started))?;
        Ok(Some(Transition { name: Cow::Owned(format!("{NAME}{counts}")), event: event.build()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_read_as_tekton_writes_them() {
        let read = |message: &str| {
            let it = Progress::read(message)?;
            Some([it.completed, it.failed, it.cancelled, it.skipped, it.incomplete, it.total, it.percent])
        };
        let text = |numbers: [&str; 5]| {
            let [completed, failed, cancelled, incomplete, skipped] = numbers;
            format!(
                "Tasks Completed: {completed} (Failed: {failed}, Cancelled {cancelled}), Incomplete: {incomplete}, Skipped: {skipped}"
            )
        };
        assert_eq!(read(&text(["0", "0", "0", "3", "0"])), Some([0, 0, 0, 0, 3, 3, 0]));
        assert_eq!(read(&text(["3", "1", "1", "2", "1"])), Some([3, 1, 1, 1, 2, 6, 66]));
        assert_eq!(settled_tasks("progressed/3.1.1.2.1"), Some(5));
        for other in ["finished", "progressed/", "progressed/3.1.1", "progressed/x.0.0.1.0"] {
            assert_eq!(settled_tasks(other), None, "{other}");
        }
        for message in [
            "",
            "not ready",
            "Tasks Completed: 1 (Failed: 0, Cancelled 0), Skipped: 0",
            &text(["0", "0", "0", "0", "0"]),
            &text(["-1", "0", "0", "1", "0"]),
            &text(["1", "", "0", "1", "0"]),
            &text(["12345678901", "0", "0", "1", "0"]),
            &format!("{} and more", text(["0", "0", "0", "3", "0"])),
        ] {
            assert_eq!(read(message), None, "{message}");
        }
    }
}

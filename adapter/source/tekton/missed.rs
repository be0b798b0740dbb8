//! What the leader before noted of deleted runs, beside what of it was found again.

/// What became of looking for what was missed of a kind.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// The runs that were found deleted and not told.
    names: Vec<String>,
}

// === impl Missed ===

impl Missed {
    /// Adds a run, as it is shown.
    pub(super) fn add(&mut self, name: String) {
        self.names.push(name);
    }
}

/// What of a note of deleted runs was not found again: how many, and those of them that it names.
pub(super) fn lost(note: &str, missed: &[Missed]) -> (u64, String) {
    let (number, names) = note.split_once(' ').unwrap_or((note, ""));
    let Ok(number) = number.parse::<u64>() else { return (0, String::new()) };
    let names: Vec<&str> = names.split(", ").filter(|name| !name.is_empty()).collect();
    let found: Vec<&str> = missed.iter().flat_map(|it| &it.names).map(String::as_str).collect();
    // A note names all of few.
    let known = if number <= names.len() as u64 {
        found.iter().filter(|name| names.contains(name)).count()
    } else {
        found.len()
    };
    let left: Vec<&str> = names.into_iter().filter(|name| !found.contains(name)).collect();
    (number.saturating_sub(known as u64), left.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_and_not_found_again_is_lost() {
        let missed = |names: &[&str]| [Missed { names: names.iter().map(|&it| it.to_owned()).collect() }];
        let note = "2 PipelineRun ci/a, TaskRun ci/b";
        assert_eq!(lost(note, &[]), (2, "PipelineRun ci/a, TaskRun ci/b".to_owned()));
        assert_eq!(
            lost(note, &missed(&["PipelineRun ci/a", "PipelineRun ci/c"])),
            (1, "TaskRun ci/b".to_owned())
        );
        assert_eq!(lost(note, &missed(&["TaskRun ci/b", "PipelineRun ci/a"])), (0, String::new()));
        assert_eq!(lost("21 PipelineRun ci/a", &missed(&["x", "y"])).0, 19);
        assert_eq!(lost("rubbish", &[]), (0, String::new()));
    }
}

//! Lines of the log on their way to standard error: a thread of their own writes them, from a queue with a bound, so
//! that nobody waits for a reader that has stalled.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;
use super::line;

/// The most bytes that wait.
const MAX_WAITING: usize = 1024 * 1024;
/// How long lines are collected before they are written together.
const COLLECT: Duration = Duration::from_millis(1);
/// The wait before a writer that is not ready is asked again.
const NOT_READY: Duration = Duration::from_millis(20);

/// Takes lines; cloning shares the queue.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: Arc<Queue>,
    format: LogFormat,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Told when there is something to write.
    filled: Condvar,
    /// Told when everything is written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread has lines in its hands.
    writing: bool,
    /// Whether the thread sleeps, and wants to be told.
    asleep: bool,
    /// Lines that nobody will read.
    dropped: u64,
    /// Those of them that no line has told of yet.
    untold: u64,
}

// === impl Lines ===

impl Lines {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let of_thread = Arc::clone(&queue);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_to(output))?;
        Ok(Self { queue, format })
    }

    /// Lines that were not written, since the process began.
    pub(super) fn dropped(&self) -> u64 {
        self.queue.lock().dropped
    }

    /// Waits until all lines are written, or for so long.
    pub(super) fn flush(&self, longest: Duration) {
        let end = Instant::now() + longest;
        let mut state = self.queue.lock();
        while state.writing || !state.waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.queue.emptied.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// A call is a line, as the formatter of `tracing-subscriber` has it.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let bounded = match std::str::from_utf8(line) {
            Ok(text) => line::bounded(text, self.format),
            Err(_) => Cow::Borrowed(""),
        };
        self.queue.push(bounded.as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Queue ===

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + line.len() > MAX_WAITING {
            state.drop_lines(1);
        } else {
            state.waiting.extend_from_slice(line);
        }
        if state.asleep {
            state.asleep = false;
            self.filled.notify_one();
        }
    }

    fn write_to(&self, mut output: impl Write) {
        let mut lines = Vec::new();
        loop {
            {
                let mut state = self.lock();
                state.writing = false;
                while state.waiting.is_empty() {
                    self.emptied.notify_all();
                    state.asleep = true;
                    state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
            std::thread::sleep(COLLECT);
            {
                let mut state = self.lock();
                state.writing = true;
                std::mem::swap(&mut state.waiting, &mut lines);
            }
            let lost = write_all(&mut output, &lines);
            lines.clear();
            let untold = {
                let mut state = self.lock();
                state.drop_lines(lost);
                // A line about lines that could not be written is worth nothing where none can be written.
                if lost == 0 { std::mem::take(&mut state.untold) } else { 0 }
            };
            if untold > 0 {
                tracing::warn!(lines = untold, "lines of the log were dropped: they were not taken in time");
            }
        }
    }
}

// === impl State ===

impl State {
    fn drop_lines(&mut self, lines: u64) {
        self.dropped += lines;
        self.untold += lines;
    }
}

/// Writes all of it, however long that takes; gives how many lines could not be written.
fn write_all(output: &mut impl Write, mut lines: &[u8]) -> u64 {
    while !lines.is_empty() {
        match output.write(lines) {
            Ok(0) => break,
            Ok(written) => lines = lines.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(NOT_READY),
            // A closed pipe, a full disk: there may be room for the next ones.
            Err(_) => break,
        }
    }
    lines.split(|byte| *byte == b'\n').count() as u64 - 1
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a line for each permit.
    struct Stalling {
        permits: mpsc::Receiver<io::Result<()>>,
        taken: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Stalling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().unwrap_or(Ok(()))?;
            let _ = self.taken.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stalling() -> (Lines, mpsc::Sender<io::Result<()>>, mpsc::Receiver<Vec<u8>>) {
        let (permit, permits) = mpsc::channel();
        let (taken, lines) = mpsc::channel();
        (Lines::start(Stalling { permits, taken }, LogFormat::Text).unwrap(), permit, lines)
    }

    #[test]
    fn a_reader_that_stalls_stops_nobody_and_what_does_not_fit_is_counted() {
        let (lines, permit, taken) = stalling();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..5000 {
            (&lines).write_all(line.as_bytes()).unwrap();
        }
        // One megabyte waits, and what the thread has in its hands is one more at most.
        let dropped = lines.dropped();
        assert!((5000 - 2 * 1024..=5000 - 1024).contains(&dropped), "{dropped}");
        // Nobody reads: the end of the process does not wait for it.
        lines.flush(Duration::from_millis(20));
        for _ in 0..2 {
            permit.send(Ok(())).unwrap();
        }
        drop(permit);
        lines.flush(Duration::from_secs(30));
        let written: usize = taken.try_iter().map(|bytes| bytes.len()).sum();
        assert_eq!(written as u64, (5000 - dropped) * 1024);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_ones_are_written() {
        let (lines, permit, taken) = stalling();
        permit.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        (&lines).write_all(b"one\n").unwrap();
        lines.flush(Duration::from_secs(30));
        assert_eq!(lines.dropped(), 1);
        drop(permit);
        (&lines).write_all(b"two\n").unwrap();
        lines.flush(Duration::from_secs(30));
        assert_eq!(taken.recv().unwrap(), b"two\n");
        assert_eq!(lines.dropped(), 1);
    }
}

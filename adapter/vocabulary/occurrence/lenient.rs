//! What is told of a delivery of which something is not what it should be: everything that does not need it.
//!
//! Almost no delivery comes here, so that it may cost more: the text is read again without what its reader could not use,
//! until nothing of the kind is left. A field that may be absent is absent then; one that may not be takes with it what it
//! belongs to, an element of a list only itself.

use std::borrow::Cow;

use super::{Delivery, Row};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::{Cost, Misfit, PayloadError, locate};

/// At most so many fields of one delivery are done without.
const MAX_REMOVED: usize = 128;
/// All readings together look at no more than this, or at the whole four times.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What was written, or what can be written without what stood in the way; and what did.
pub fn or_without_misfits(
    written: Result<Vec<CdEvent>, PayloadError>,
    delivery: &Delivery<'_>,
    rows: &[Row],
) -> (Vec<CdEvent>, Vec<Misfit>) {
    if let Ok(written) = written {
        return (written, Vec::new());
    }
    let (mut written, mut misfits) = (Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| row.is_for(delivery)) {
        for misfit in written_by(row, delivery, &mut written) {
            if !misfits.contains(&misfit) {
                misfits.push(misfit);
            }
        }
    }
    (written, misfits)
}

/// What one row writes, and what it had to do without.
fn written_by(row: &Row, delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Vec<Misfit> {
    let most = (MAX_BYTES / delivery.json.len().max(1)).clamp(4, MAX_REMOVED);
    let mut text = Cow::Borrowed(delivery.json);
    let (mut removed, mut misfits) = (Vec::new(), Vec::<Misfit>::new());
    // Where the reader stopped for each of the removed.
    let mut met: Vec<String> = Vec::new();
    loop {
        let mut written = Vec::new();
        let reading = delivery.without(&text, &removed);
        let result = (row.write)(&reading, &mut written);
        let (failed, lacking) = (reading.failed.take(), reading.lacking.take());
        let Err(error) = result else {
            out.append(&mut written);
            return misfits;
        };
        let place = failed.filter(|_| removed.len() < most);
        let Some(next) = place.and_then(|(line, column)| without_value(&text, line, column)) else {
            // What was written before is whole.
            out.append(&mut written);
            let culprit = lacking.and_then(|i| met.get(i)).cloned();
            let lost = match misfits.pop() {
                // The whole is gone for what it could not be without.
                Some(misfit) if failed.is_some() => Misfit { costs: Cost::Event, ..misfit },
                other => {
                    misfits.extend(other);
                    let path = culprit.unwrap_or_default();
                    misfits.retain(|misfit| misfit.path != path);
                    Misfit::costs_event(path, &error)
                }
            };
            misfits.push(lost);
            return misfits;
        };
        let is_told = misfits.iter().any(|misfit| super::is_within(&misfit.path, &next.path));
        if !is_told {
            misfits.push(Misfit::costs_field(next.met.clone(), &error));
        }
        met.push(next.met);
        removed.push(next.path);
        text = Cow::Owned(next.text);
    }
}

/// A text without one value.
struct Without {
    text: String,
    /// Where the reader stopped.
    met: String,
    /// What was taken away: that value, or what cannot be without it.
    path: String,
}

/// The text with `null` in place of the value at this position, or of the next one around it that is not `null` already.
fn without_value(text: &str, line: usize, column: usize) -> Option<Without> {
    let trail = locate::trail(text, line, column);
    let met = trail.last()?.path.clone();
    trail.into_iter().rev().find_map(|step| {
        let value = locate::value_at(text, step.start);
        if &text[value.clone()] == "null" {
            return None;
        }
        let mut without = text.to_owned();
        without.replace_range(value, "null");
        Some(Without { text: without, met: met.clone(), path: step.path })
    })
}

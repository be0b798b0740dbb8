//! How much work one delivery may ask for: every part of the evaluation counts its steps here, before it does them,
//! and stops when there are none left.
//!
//! A step is about what looking at one small value costs, some tens of nanoseconds. A plan is computed on one thread
//! from beginning to end, so what is left is kept beside the thread: neither the interpreter of CEL nor the template
//! engine has a place to hand it through.

use std::cell::Cell;

use serde_json::Value;

use crate::event::json::weight::MAX_COPIES;

/// The most steps of one expression, path or template.
pub(crate) const PER_PART: u64 = 1_000_000;
/// The most steps of all mappings for all events of one delivery.
pub(crate) const PER_DELIVERY: u64 = 10_000_000;
/// The most bytes that one mapping takes of an event at a time: copies in `let`, in templates and in expressions.
pub(crate) const MEMORY: u64 = MAX_COPIES as u64;
/// A value in a list, or a member of an object, without what is in it.
const VALUE: u64 = 64;
/// An object has room for some members as soon as it has one.
const OBJECT: u64 = 640;
/// How many bytes of text count as one step.
const BYTES: u64 = 16;

/// There are no steps left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exhausted {
    /// For this expression, path or template.
    #[error(
        "this event would take more than {PER_PART} steps here; narrow it down with `filter`, or look at fewer values"
    )]
    Part,
    /// For this delivery.
    #[error(
        "the mappings together would take more than {PER_DELIVERY} steps for this delivery; send smaller batches, or narrow the mappings down"
    )]
    Delivery,
    /// For the memory of this mapping.
    #[error(
        "what this mapping takes of the event would need more than {MEMORY} bytes of memory; look at fewer or smaller values"
    )]
    Memory,
}

#[derive(Clone, Copy)]
struct Left {
    delivery: u64,
    part: u64,
    memory: u64,
    exhausted: Option<Exhausted>,
}

const ALL: Left = Left { delivery: PER_DELIVERY, part: PER_PART, memory: MEMORY, exhausted: None };

thread_local! {
    static LEFT: Cell<Left> = const {
        Cell::new(ALL)
    };
}

/// A delivery begins: all of its steps are left.
pub(crate) fn begin_delivery() {
    LEFT.set(ALL);
}

/// A mapping begins: what the one before it took is free again.
pub(crate) fn begin_mapping() {
    let left = LEFT.get();
    let exhausted = left.exhausted.filter(|it| *it == Exhausted::Delivery);
    LEFT.set(Left { memory: MEMORY, exhausted, ..left });
}

/// An expression, path or template begins.
pub(crate) fn begin_part() {
    let left = LEFT.get();
    let exhausted = left.exhausted.filter(|it| *it != Exhausted::Part);
    LEFT.set(Left { part: PER_PART, exhausted, ..left });
}

/// Takes `steps`. Once an error, it is one until the next part begins, whoever may have swallowed it.
pub(crate) fn spend(steps: u64) -> Result<(), Exhausted> {
    let mut left = LEFT.get();
    if left.exhausted.is_none() {
        if steps > left.delivery {
            left.exhausted = Some(Exhausted::Delivery);
        } else if steps > left.part {
            left.exhausted = Some(Exhausted::Part);
        }
        left.delivery = left.delivery.saturating_sub(steps);
        left.part = left.part.saturating_sub(steps);
        LEFT.set(left);
    }
    left.exhausted.map_or(Ok(()), Err)
}

/// Takes `bytes` of memory, which count until the next mapping begins.
pub(crate) fn take(bytes: u64) -> Result<(), Exhausted> {
    let mut left = LEFT.get();
    if left.exhausted.is_none() && bytes > left.memory {
        left.exhausted = Some(Exhausted::Memory);
    }
    left.memory = left.memory.saturating_sub(bytes);
    LEFT.set(left);
    left.exhausted.map_or(Ok(()), Err)
}

/// Takes what a copy of a JSON value costs: its steps and its memory.
pub(crate) fn copy(value: &Value) -> Result<(), Exhausted> {
    spend(of_value(value))?;
    take(memory_of(value))
}

/// Whether something asked for more than there was.
pub(crate) fn check() -> Result<(), Exhausted> {
    LEFT.get().exhausted.map_or(Ok(()), Err)
}

/// The steps that are taken from a delivery so far.
#[cfg(test)]
pub(crate) fn spent() -> u64 {
    PER_DELIVERY - LEFT.get().delivery
}

/// The steps of looking at a text of `length` bytes.
pub(crate) const fn of_text(length: usize) -> u64 {
    1 + length as u64 / BYTES
}

/// The steps of looking at a whole JSON value.
pub(crate) fn of_value(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => of_text(text.len()),
        Value::Array(items) => 1 + items.iter().map(of_value).sum::<u64>(),
        Value::Object(members) => {
            1 + members.iter().map(|(name, value)| of_text(name.len()) + of_value(value)).sum::<u64>()
        }
    }
}

/// The memory of a JSON value, roughly.
fn memory_of(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => VALUE,
        Value::String(text) => VALUE + text.len() as u64,
        Value::Array(items) => VALUE + items.iter().map(memory_of).sum::<u64>(),
        Value::Object(members) => {
            let each = |(name, value): (&String, &Value)| VALUE + name.len() as u64 + memory_of(value);
            members.iter().map(each).sum::<u64>().max(OBJECT)
        }
    }
}

/// The memory of a value of an expression, without what is in it; `count` of them.
pub(crate) const fn of_values(count: usize) -> u64 {
    count as u64 * VALUE
}

/// A count as steps.
pub(crate) const fn of_count(count: usize) -> u64 {
    count as u64
}

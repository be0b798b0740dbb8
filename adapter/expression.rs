//! The languages of expressions: CEL, JSONPath, templates, and the patterns that types and attributes are compared with.
//!
//! Whoever evaluates one gives it a [`view`] of an event and a [`budget`]; nothing here knows who asks, so mappings, sources and
//! whatever follows share them. All of it is a function of its arguments: no I/O, no clock, no random number.

pub(crate) mod budget;
pub(crate) mod cel;
pub(crate) mod filter;
pub(crate) mod helper;
pub(crate) mod number;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod template;
pub(crate) mod view;
pub(crate) mod words;

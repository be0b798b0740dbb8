//! Pipewright turns events into Tekton runs and Tekton runs into events.
//!
//! ```text
//!  forge webhooks ┐                                            ┌ PipelineRun (Tekton objects)
//!  CloudEvents in ├→ source ─→ vocabulary ─→ mapping ─→ action ┤ CloudEvents out (sinks)
//!  Tekton watch   ┘  verify,    CDEvents     match,     plan,  └ annotations (what was announced)
//!                    bound      (pure)       render     then
//!                                            (pure)     execute
//! ```
//!
//! The modules below stand in the order of that flow; `event` is the currency that every stage speaks.
//! `docs/architecture.md` follows one event through the files, and `tests/it/architecture.rs` holds the
//! imports between these modules to the table there.

pub mod diagnostic;
pub mod event;
pub mod telemetry;

pub mod vocabulary;

pub mod cluster;
pub mod source;

mod expression;
pub mod mapping;

pub mod action;
pub mod sink;

pub mod pipeline;
pub mod server;

pub mod app;
pub mod cli;
pub mod settings;

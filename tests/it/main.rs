//! Every integration test in one binary: one link instead of many.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod cli;
mod cloudevents;
mod cloudevents_codec;
mod delivery;
mod dependencies;
mod deploy;
mod dialects;
mod docs;
mod edge;
mod embedded_cluster;
mod faults;
mod forge_live;
mod fuzz;
mod generic;
mod gitea;
mod kubectl;
mod kubernetes;
mod lease;
mod mapping;
mod outages;
mod overload;
mod reload;
mod restarts;
mod schemas;
mod secrets;
mod sinks;
mod soak;
mod support;
mod tekton;
mod tokens;
mod vocabulary;
mod vocabulary_forges;
mod webhook;
mod webhook_signature;

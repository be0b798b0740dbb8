//! Every integration test in one binary: one link instead of many.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod embedded_cluster;
mod kubectl;

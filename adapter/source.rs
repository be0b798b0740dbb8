//! source

pub mod tekton;

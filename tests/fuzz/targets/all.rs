//! What is fuzzed: each target takes any bytes and panics when a promise is broken. The fuzzers run them on bytes that
//! they make up, `tests/it/fuzz.rs` on the inputs that were kept.

pub mod bitbucket;
pub mod bitbucket_data_center;
pub mod cloudevents;
pub mod delivery;
pub mod generic;
pub mod gitea;
pub mod github;
pub mod gitlab;
pub mod mapping;
pub mod template;

//! When events that wait for the same sink are sent together.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::IsoDuration;

/// When a batch is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Batch {
    /// The most events of one request, from 2 to 1000. With their bytes, at most 1 MiB, this ends the wait.
    #[serde(deserialize_with = "max_events")]
    #[schemars(range(min = 2, max = 1000))]
    pub max_events: usize,
    /// How long the first event waits for others, at most a second.
    #[serde(deserialize_with = "linger")]
    pub linger: IsoDuration,
}

// === impl Batch ===

impl Default for Batch {
    fn default() -> Self {
        Self { max_events: 32, linger: IsoDuration(Duration::from_millis(10)) }
    }
}

fn max_events<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if !(2..=1000).contains(&number) {
        return Err(serde::de::Error::custom(format!("`maxEvents` must be from 2 to 1000, not {number}")));
    }
    Ok(number)
}

fn linger<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<IsoDuration, D::Error> {
    let linger = IsoDuration::deserialize(deserializer)?;
    if linger.0 > Duration::from_secs(1) {
        return Err(serde::de::Error::custom(format!("`linger` must be at most PT1S, not {linger}")));
    }
    Ok(linger)
}

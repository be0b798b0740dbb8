//! How often, how fast and how long delivery is tried: Knative's `DeliverySpec`, with jitter.
//!
//! The field names and the ISO 8601 durations are Knative's (`duck/v1` `DeliverySpec`). The formulas are close to
//! its code and differ on purpose: every wait is drawn from zero to the formula's value ("full jitter"), and the first
//! linear wait is one `backoffDelay`, where Knative's code waits nothing and its text says always one delay.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::destination::Destination;
use super::duration::IsoDuration;

/// The longest wait between two attempts, whatever the formula gives.
const MAX_WAIT: Duration = Duration::from_mins(5);

/// The most retries that a document may ask for.
pub const MAX_RETRY: u32 = 100;

/// How a sink is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// Retries after the first attempt, at most 100.
    #[serde(deserialize_with = "retry")]
    #[schemars(range(max = 100))]
    pub retry: u32,
    /// How waits grow.
    pub backoff_policy: BackoffPolicy,
    /// The base of the waits.
    pub backoff_delay: IsoDuration,
    /// The longest that one attempt may take.
    pub timeout: IsoDuration,
    /// The longest `Retry-After` that is obeyed; a longer one counts as this, and `PT0S` means to ignore them.
    pub retry_after_max: IsoDuration,
    /// Where an event goes that was refused for good, or that was not taken with all retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_sink: Option<Destination>,
}

/// How waits grow from one retry to the next, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackoffPolicy {
    /// `backoffDelay · (n + 1)`.
    Linear,
    /// `backoffDelay · 2ⁿ`.
    #[default]
    Exponential,
}

// === impl Delivery ===

impl Default for Delivery {
    fn default() -> Self {
        Self {
            retry: 5,
            backoff_policy: BackoffPolicy::Exponential,
            backoff_delay: IsoDuration(Duration::from_millis(200)),
            timeout: IsoDuration(Duration::from_secs(10)),
            retry_after_max: IsoDuration(Duration::from_mins(1)),
            dead_letter_sink: None,
        }
    }
}

impl Delivery {
    /// The longest wait before retry `n`, counted from 0.
    pub fn ceiling(&self, n: u32) -> Duration {
        let factor = match self.backoff_policy {
            BackoffPolicy::Linear => n.saturating_add(1),
            BackoffPolicy::Exponential => 1_u32.checked_shl(n).unwrap_or(u32::MAX),
        };
        self.backoff_delay.0.saturating_mul(factor).min(MAX_WAIT)
    }

    /// The wait before retry `n`: `random` of `u64::MAX` parts of the ceiling.
    pub fn jittered(&self, n: u32, random: u64) -> Duration {
        let nanos = self.ceiling(n).as_nanos() * u128::from(random) / u128::from(u64::MAX);
        // The ceiling is 5 minutes, far below `u64::MAX` nanoseconds.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// What of a sink's `Retry-After` is obeyed.
    pub fn obeyed(&self, retry_after: Duration) -> Duration {
        retry_after.min(self.retry_after_max.0)
    }
}

fn retry<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let retry = u32::deserialize(deserializer)?;
    if retry > MAX_RETRY {
        return Err(serde::de::Error::custom(format!("`retry` must be at most {MAX_RETRY}, not {retry}")));
    }
    Ok(retry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let json = serde_json::to_value(Delivery::default()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"retry": 5, "backoffPolicy": "exponential", "backoffDelay": "PT0.2S",
                "timeout": "PT10S", "retryAfterMax": "PT1M"})
        );
        assert_eq!(serde_json::from_str::<Delivery>("{}").unwrap(), Delivery::default());
    }

    #[test]
    fn fields_that_do_not_exist_and_retries_without_end_are_refused() {
        for (text, message) in [
            (r#"{"retries": 3}"#, "unknown field `retries`"),
            (r#"{"retry": 101}"#, "`retry` must be at most 100, not 101"),
            (r#"{"retry": -1}"#, "invalid value"),
            (r#"{"backoffPolicy": "random"}"#, "unknown variant `random`"),
            (r#"{"backoffDelay": "200ms"}"#, "`200ms` is not an ISO 8601 duration"),
        ] {
            let error = serde_json::from_str::<Delivery>(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn ceilings_follow_the_policy() {
        let seconds =
            |delivery: &Delivery| (0..4).map(|n| delivery.ceiling(n).as_millis()).collect::<Vec<_>>();
        let exponential = Delivery::default();
        assert_eq!(seconds(&exponential), [200, 400, 800, 1600]);
        let linear = Delivery { backoff_policy: BackoffPolicy::Linear, ..Delivery::default() };
        assert_eq!(seconds(&linear), [200, 400, 600, 800]);
    }

    proptest! {
        #[test]
        fn jitter_stays_between_nothing_and_the_ceiling(
            n in 0_u32..200, random: u64, delay in 0_u64..1_000_000, linear: bool,
        ) {
            let delivery = Delivery {
                backoff_delay: IsoDuration(Duration::from_millis(delay)),
                backoff_policy: if linear { BackoffPolicy::Linear } else { BackoffPolicy::Exponential },
                ..Delivery::default()
            };
            let wait = delivery.jittered(n, random);
            prop_assert!(wait <= delivery.ceiling(n));
            prop_assert!(delivery.ceiling(n) <= MAX_WAIT);
            prop_assert_eq!(delivery.jittered(n, 0), Duration::ZERO);
            prop_assert_eq!(delivery.jittered(n, u64::MAX), delivery.ceiling(n));
            prop_assert!(delivery.ceiling(n) <= delivery.ceiling(n + 1));
        }
    }
}

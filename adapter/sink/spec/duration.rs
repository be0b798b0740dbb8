//! Durations as documents write them: ISO 8601.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A duration written as in ISO 8601, such as `PT0.2S`; never negative, with days of 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct IsoDuration(pub Duration);

/// Why a text is no duration of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an ISO 8601 duration such as `PT0.2S` or `PT1M`: {reason}")]
pub struct DurationError {
    text: String,
    reason: String,
}

// === impl IsoDuration ===

impl FromStr for IsoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = |reason: String| DurationError { text: text.to_owned(), reason };
        // jiff also reads `3 days ago`, which no other reader of these documents would.
        if !text.starts_with('P') {
            return Err(error("it must start with `P`".to_owned()));
        }
        let span: Span = text.parse().map_err(|e: jiff::Error| error(e.to_string()))?;
        let duration =
            span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|e| error(e.to_string()))?;
        Duration::try_from(duration).map(Self).map_err(|_| error("it must not be negative".to_owned()))
    }
}

impl TryFrom<String> for IsoDuration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        text.parse()
    }
}

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(duration) => write!(f, "{duration}"),
            Err(_) => write!(f, "PT{}S", self.0.as_secs()),
        }
    }
}

impl From<IsoDuration> for String {
    fn from(duration: IsoDuration) -> Self {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Duration {
        text.parse::<IsoDuration>().unwrap().0
    }

    #[test]
    fn durations_are_those_of_iso_8601() {
        assert_eq!(parsed("PT0.2S"), Duration::from_millis(200));
        assert_eq!(parsed("PT10S"), Duration::from_secs(10));
        assert_eq!(parsed("PT1M30S"), Duration::from_secs(90));
        assert_eq!(parsed("PT1.5H"), Duration::from_mins(90));
        assert_eq!(parsed("P1DT1S"), Duration::from_secs(86_401));
        assert_eq!(parsed("PT0S"), Duration::ZERO);
        for text in
            ["", "10s", "10", "PT", "P", "-PT1S", "PT-1S", "P1M", "P1Y", "PT1S ", "3 days ago", "+PT1S"]
        {
            let error = text.parse::<IsoDuration>().unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("`{text}` is not an ISO 8601 duration")),
                "{error}"
            );
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["PT0.2S", "PT10S", "PT1M30S", "PT0S", "PT48H"] {
            assert_eq!(text.parse::<IsoDuration>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn durations_survive_writing(nanos in 0_u64..u64::MAX / 4) {
            let duration = IsoDuration(Duration::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<IsoDuration>().unwrap(), duration);
        }
    }
}

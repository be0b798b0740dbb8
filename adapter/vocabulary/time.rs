//! Times as forges and Kubernetes spell them, and as events carry them.

use jiff::Timestamp;

/// Reads an RFC 3339 time, also as GitLab (`2017-12-10 17:01:11 UTC`, `2021-04-28 21:50:00 +0200`) and Bitbucket
/// (`2018-07-05T18:24:15+0000`) spell it; `None` for anything else and for years before 0.
pub fn parse(text: &str) -> Option<Timestamp> {
    // The parser also knows spellings that RFC 3339 does not; the event gets the canonical one in any case.
    match text.rsplit_once(' ') {
        Some((civil, "UTC")) => format!("{civil}Z").parse().ok(),
        Some((civil, offset)) if offset.starts_with(['+', '-']) => format!("{civil}{offset}").parse().ok(),
        _ => text.parse().ok(),
    }
    .and_then(in_range)
}

/// Reads seconds since 1970.
pub fn from_epoch(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok().and_then(in_range)
}

/// Reads milliseconds since 1970.
pub fn from_epoch_millis(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok().and_then(in_range)
}

/// RFC 3339 has no years before 0; jiff does.
fn in_range(time: Timestamp) -> Option<Timestamp> {
    const YEAR_0: i64 = -62_167_219_200;
    (time.as_second() >= YEAR_0).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_written_as_rfc_3339() {
        assert_eq!(parse("2019-05-15T15:20:55+00:00").unwrap().to_string(), "2019-05-15T15:20:55Z");
        assert_eq!(parse("0000-01-01T00:00:00Z").unwrap().to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(from_epoch(1_557_933_657).unwrap().to_string(), "2019-05-15T15:20:57Z");
        assert_eq!(parse("2017-12-10 17:01:11 UTC").unwrap().to_string(), "2017-12-10T17:01:11Z");
        assert_eq!(parse("2021-04-28 21:50:00 +0200").unwrap().to_string(), "2021-04-28T19:50:00Z");
        assert_eq!(parse("2018-07-05T18:24:15+1000").unwrap().to_string(), "2018-07-05T08:24:15Z");
        assert_eq!(from_epoch_millis(1_505_779_091_796).unwrap().to_string(), "2017-09-18T23:58:11.796Z");
        for bad in ["", " UTC", "yesterday UTC", "yesterday", "2019-05-15", "-000001-12-31T23:59:59Z"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(from_epoch(i64::MIN), None);
        assert_eq!(from_epoch(-62_167_219_201), None);
    }
}

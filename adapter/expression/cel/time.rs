//! Durations and times as Tekton Triggers (cel-go) reads and writes them.
//!
//! The library's own `duration` takes what stands before a mistake, and its `timestamp` is as lenient as its parser.

use cel::common::types::{CelDuration, CelString, CelTimestamp, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use pipewright_tekton::duration as go_duration;

type Result<T> = std::result::Result<T, ExecutionError>;

pub(super) fn declare(env: &mut Env) -> std::result::Result<(), DeclarationError> {
    env.add_overload("@duration", "strict_duration", vec![DYN_TYPE], duration)?;
    env.add_overload("@timestamp", "strict_timestamp", vec![DYN_TYPE], timestamp)?;
    env.add_overload("@string", "exact_string", vec![DYN_TYPE], string)
}

/// The text of a time or a duration; `None` for any other value.
pub(super) fn written(value: &dyn Val) -> Option<String> {
    if let Some(time) = value.downcast_ref::<CelTimestamp>() {
        let time = time.inner();
        let (second, fraction) = (time.format("%Y-%m-%dT%H:%M:%S"), time.format("%.9f").to_string());
        let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
        let zone = time.format("%:z").to_string();
        return Some(format!("{second}{fraction}{}", if zone == "+00:00" { "Z" } else { &zone }));
    }
    let duration = value.downcast_ref::<CelDuration>()?.inner();
    let (seconds, nanos) = (duration.num_seconds(), duration.subsec_nanos());
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let fraction = format!(".{:09}", nanos.unsigned_abs());
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{sign}{}{fraction}s", seconds.unsigned_abs()))
}

fn of_library<'b, 'v>(function: &str, args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    match super::ENV.find_overload(function, &args) {
        Some(body) => body(args),
        None => Err(ExecutionError::no_such_overload(
            function,
            args.iter().map(|arg| arg.get_type().name().to_owned()).collect(),
        )),
    }
}

fn given(args: &[CowVal<'_, '_>]) -> Option<String> {
    args.first()?.downcast_ref::<CelString<'_>>().map(|text| text.inner().to_owned())
}

fn wrong(function: &str, text: &str, wanted: &str) -> ExecutionError {
    let shown: String = text.chars().take(80).collect();
    ExecutionError::function_error(function, format!("`{shown}` is not {wanted}"))
}

fn duration<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let Some(text) = given(&args) else { return of_library("duration", args) };
    let nanos = go_duration::parse(&text)
        .ok_or_else(|| wrong("duration", &text, "a duration such as `90s`, `1h30m` or `1.5h`"))?;
    // In two parts, since the library reads each as a floating number.
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let exact = format!("{sign}{}s{}ns", nanos / 1_000_000_000, nanos % 1_000_000_000);
    of_library("duration", vec![CowVal::owned(CelString::from(exact))])
}

fn timestamp<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let Some(text) = given(&args) else { return of_library("timestamp", args) };
    if !is_time(&text) {
        return Err(wrong("timestamp", &text, "a time such as `2026-01-31T12:00:00Z` (RFC 3339)"));
    }
    of_library("timestamp", vec![CowVal::owned(CelString::from(text.replace(',', ".")))])
}

fn string<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    match args.first().and_then(|value| written(value.as_ref())) {
        Some(text) => Ok(CowVal::owned(CelString::from(text))),
        None => of_library("string", args),
    }
}

/// Whether a text has the form of RFC 3339 as Go reads it; whether there is such a day is the library's to say.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let form = b"0000-00-00T00:00:00";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if bytes.len() <= form.len() || !bytes.iter().zip(form).all(fits) || bytes[17] > b'5' {
        return false;
    }
    let rest = text.get(form.len()..).unwrap_or_default();
    let zone = match rest.strip_prefix(['.', ',']) {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    let offset = zone.as_bytes();
    let is_offset = offset.len() == 6
        && matches!(offset[0], b'+' | b'-')
        && offset[3] == b':'
        && [1, 2, 4, 5].iter().all(|at| offset[*at].is_ascii_digit());
    zone == "Z" || is_offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("90s", 90_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("-1m", -60_000_000_000),
            ("+1ms", 1_000_000),
            ("1µs", 1_000),
            ("1μs", 1_000),
            ("1us1ns", 1_001),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0", 0),
            ("-0", 0),
            ("100000h", 360_000_000_000_000_000),
        ] {
            assert_eq!(go_duration::parse(text), Some(nanos), "{text}");
        }
        for text in
            ["", "1h30", "1", ".s", "1d", "1H", "1 h", "1h ", "1e3s", "h", "--1s", "1s-1s", "3000000h", "٣s"]
        {
            assert_eq!(go_duration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_the_form_of_rfc_3339() {
        for text in
            ["2026-11-29T10:00:00Z", "2026-11-29T10:00:00.123456789+02:00", "2026-11-29T10:00:00,5-08:00"]
        {
            assert!(is_time(text), "{text}");
        }
        for text in [
            "2026-11-29 10:00:00Z",
            "2026-11-29T10:00:00z",
            "2026-11-29t10:00:00Z",
            "2026-11-29T10:00:00",
            "2026-11-29T10:00:00.Z",
            "2026-11-29T10:00:60Z",
            "2026-11-29T1:00:00Z",
            "2026-11-29T10:00:00+0200",
            "2026-11-29T10:00:00Z ",
            "2026-11-29",
            "",
        ] {
            assert!(!is_time(text), "{text}");
        }
    }
}

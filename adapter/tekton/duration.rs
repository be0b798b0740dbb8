//! Durations as Go reads and writes them.

use std::time::Duration;

/// The nanoseconds of a duration such as `1h0m0s`, `-1.5s` or `0`; `None` for what Go does not read.
pub fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let whole = digits(rest);
        let (number, after) = rest.split_at(whole);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if number.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let unit: u128 = match &after[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let number: u128 = if number.is_empty() { 0 } else { number.parse().ok()? };
        let mut parts: u128 = 0;
        let mut scale: u128 = 1;
        // More digits than these are below a nanosecond.
        for digit in fraction.bytes().take(18) {
            parts = parts * 10 + u128::from(digit - b'0');
            scale *= 10;
        }
        total = total.checked_add(number.checked_mul(unit)?.checked_add(parts * unit / scale)?)?;
        rest = &after[end..];
    }
    let total = i128::try_from(total).ok()?;
    i64::try_from(if negative { -total } else { total }).ok()
}

/// The same, of a duration that is not negative.
pub fn positive(text: &str) -> Option<Duration> {
    u64::try_from(parse(text)?).ok().map(Duration::from_nanos)
}

/// Nanoseconds as Go writes them.
pub fn print(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let trimmed = |fraction: u64, width: usize| match fraction {
        0 => String::new(),
        fraction => format!(".{}", format!("{fraction:0width$}").trim_end_matches('0')),
    };
    if all == 0 {
        return "0s".to_owned();
    }
    if all < 1_000_000_000 {
        return match all {
            1_000_000.. => format!("{sign}{}{}ms", all / 1_000_000, trimmed(all % 1_000_000, 6)),
            1_000.. => format!("{sign}{}{}µs", all / 1_000, trimmed(all % 1_000, 3)),
            _ => format!("{sign}{all}ns"),
        };
    }
    let (seconds, fraction) = (all / 1_000_000_000, trimmed(all % 1_000_000_000, 9));
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{sign}{seconds}{fraction}s"),
        (0, minutes, seconds) => format!("{sign}{minutes}m{seconds}{fraction}s"),
        (hours, minutes, seconds) => format!("{sign}{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, milliseconds) in [
            ("1h0m0s", 3_600_000),
            ("2s", 2000),
            ("150ms", 150),
            ("1m30.5s", 90_500),
            ("0", 0),
            ("-1s", -1000),
            ("+1s", 1000),
            (".5s", 500),
            ("1.s", 1000),
            ("-0", 0),
        ] {
            assert_eq!(parse(text), Some(milliseconds * 1_000_000), "{text}");
        }
        for text in
            ["", "s", "5", "5 s", "1d", ".s", "-", "+", "1h ", "9223372036854775808ns", "1 hour", "00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(positive("-1s"), None);
        assert_eq!(positive("1.5s"), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for text in ["0s", "1ns", "1.5µs", "150ms", "1.5s", "1m0s", "1h0m0.000000001s", "-1m30s"] {
            assert_eq!(print(parse(text).unwrap()), text);
        }
    }
}

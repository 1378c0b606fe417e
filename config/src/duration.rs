//! Durations as people write them: `500ms`, `30s`, `10m`, `2h`, `1d`, `1h30m`.

use std::time::Duration;

use crate::Bare;

/// Reads a duration; `None` if it is none, or a plain number where that is refused.
pub(crate) fn parse(text: &str, bare: Bare) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<u64>() {
        return match bare {
            Bare::Refused if number == 0 => Some(Duration::ZERO),
            Bare::Refused => None,
            Bare::Seconds => Some(Duration::from_secs(number)),
            Bare::Minutes => number.checked_mul(60).map(Duration::from_secs),
        };
    }
    parse_units(text)
}

/// The shortest text that [`parse`] reads as this duration (whole milliseconds).
pub(crate) fn show(duration: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|(size, _)| millis.is_multiple_of(*size))
        .map_or_else(
            || format!("{millis}ms"),
            |(size, unit)| format!("{}{unit}", millis / size),
        )
}

fn parse_units(mut text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = text[..digits].parse().ok()?;
        let rest = &text[digits..];
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let millis = match &rest[..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(millis)?)?;
        text = &rest[unit_end..];
    }
    Some(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let secs = |text| parse(text, Bare::Refused).map(|d| d.as_secs_f64());

        assert_eq!(
            ["500ms", "30s", "10m", "2h", "1d", "1h30m", "0"].map(secs),
            [0.5, 30.0, 600.0, 7200.0, 86_400.0, 5400.0, 0.0].map(Some)
        );
        for bad in [
            "",
            "s",
            "30",
            "30x",
            "-1s",
            "1.5h",
            "s30",
            "99999999999999999999d",
        ] {
            assert_eq!(secs(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_plain_number_counts_only_where_its_name_tells_the_unit() {
        assert_eq!(parse("30", Bare::Seconds), Some(Duration::from_secs(30)));
        assert_eq!(parse("15", Bare::Minutes), Some(Duration::from_mins(15)));
        assert_eq!(parse("15m", Bare::Seconds), Some(Duration::from_mins(15)));
    }

    #[test]
    fn a_shown_duration_reads_back() {
        for millis in [0, 1, 1500, 30_000, 5_400_000, 604_800_000] {
            let duration = Duration::from_millis(millis);

            assert_eq!(parse(&show(duration), Bare::Refused), Some(duration));
        }
        assert_eq!(show(Duration::from_hours(168)), "7d");
    }
}

//! Numbers for people.

use std::time::Duration;

/// Groups digits: `1234567` becomes `1,234,567`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate with as many digits as say something: `0.50`, `12.3`, `1,234`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 10.0 => format!("{rate:.2}"),
        rate if rate < 100.0 => format!("{rate:.1}"),
        rate => count(rate.round() as u64),
    }
}

/// Three significant digits and a unit: `850 ns`, `1.23 ms`, `12.3 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos() as f64;
    scaled(
        nanoseconds,
        &[("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)],
    )
}

/// Three significant digits and a decimal unit: `640 B`, `1.23 MB`.
pub(crate) fn bytes(bytes: f64) -> String {
    scaled(
        bytes,
        &[
            ("B", 1.0),
            ("kB", 1e3),
            ("MB", 1e6),
            ("GB", 1e9),
            ("TB", 1e12),
        ],
    )
}

/// Writes `value` in the largest unit of which there is at least one.
fn scaled(value: f64, units: &[(&str, f64)]) -> String {
    // 999.6 of a unit would be rounded to 1000 of it.
    let fits = |&&(_, size): &&(&str, f64)| value >= size * 0.9995;
    let (unit, size) = units
        .iter()
        .rev()
        .find(fits)
        .or(units.first())
        .copied()
        .unwrap_or(("", 1.0));
    let scaled = value / size;
    // The smallest unit has no parts.
    let decimals = match scaled {
        _ if size == 1.0 => 0,
        scaled if scaled < 9.995 => 2,
        scaled if scaled < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn durations_have_three_digits_and_the_fitting_unit() {
        let checks = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_400, "999 µs"),
            (999_600, "1.00 ms"),
            (9_996_000, "10.0 ms"),
            (1_500_000_000, "1.50 s"),
            (3_600_000_000_000, "3600 s"),
        ];
        for (nanoseconds, text) in checks {
            assert_eq!(duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn bytes_are_decimal() {
        assert_eq!(bytes(640.0), "640 B");
        assert_eq!(bytes(1_230_000.0), "1.23 MB");
        assert_eq!(bytes(2.5e13), "25.0 TB");
    }

    #[test]
    fn rates_keep_the_digits_that_say_something() {
        assert_eq!(rate(0.5), "0.50");
        assert_eq!(rate(12.34), "12.3");
        assert_eq!(rate(123_456.7), "123,457");
    }
}

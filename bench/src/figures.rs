//! Figures as JSON lines, one each.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

/// Prints figures that share what they were measured with.
#[derive(Clone, Debug)]
pub struct Figures {
    shared: Map<String, Value>,
}

impl Figures {
    /// Figures of this benchmark, measured with these parameters.
    #[must_use]
    pub fn of(bench: &str, parameters: &Value) -> Self {
        let mut shared = Map::new();
        shared.insert("bench".to_owned(), json!(bench));
        if let Value::Object(parameters) = parameters {
            shared.extend(parameters.clone());
        }
        Self { shared }
    }

    /// Prints one figure with its unit.
    pub fn print(&self, figure: &str, value: f64, unit: &str) {
        self.line(&json!({"figure": figure, "value": rounded(value), "unit": unit}));
    }

    /// Prints a figure that was measured several times.
    pub fn print_spread(&self, figure: &str, spread: &Spread, unit: &str) {
        self.line(&json!({
            "figure": figure, "value": rounded(spread.median), "min": rounded(spread.min),
            "max": rounded(spread.max), "unit": unit,
        }));
    }

    #[expect(clippy::print_stdout, reason = "the lines are the product")]
    fn line(&self, figure: &Value) {
        let mut line = self.shared.clone();
        line.extend(figure.as_object().cloned().unwrap_or_default());
        println!("{}", Value::Object(line));
    }
}

/// What several measurements of one figure came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these; all 0 if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        Self {
            median: quantile(&mut values, 0.5),
            min: quantile(&mut values, 0.0),
            max: quantile(&mut values, 1.0),
        }
    }
}

/// Median, smallest and largest with that many decimals.
impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let decimals = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.decimals$} ({min:.decimals$}–{max:.decimals$})")
    }
}

/// The figures of the lines that another benchmark has printed, by name.
///
/// # Errors
///
/// If a line is no figure.
pub fn read(lines: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let figure = |line: &str| -> anyhow::Result<(String, f64)> {
        let line: Value = serde_json::from_str(line)?;
        let name = line["figure"].as_str().context("a line without a figure")?;
        let value = line["value"].as_f64().context("a figure without a value")?;
        Ok((name.to_owned(), value))
    };
    lines.lines().map(figure).collect()
}

/// Four decimals are more than any of our figures is good for.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The value below which this share (0–1) of the values lies; 0 if there are none.
#[must_use]
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a list that is in memory"
    )]
    let index = ((values.len() - 1) as f64 * share).round() as usize;
    values[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_list_is_its_middle() {
        assert!((quantile(&mut [3.0, 1.0, 2.0], 0.5) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_spread_shows_its_median_first() {
        let spread = Spread::of([4.26, 2.0, 3.0]);

        assert_eq!(format!("{spread:.1}"), "3.0 (2.0–4.3)");
    }

    #[test]
    fn printed_figures_are_read_by_name() {
        let lines = r#"{"bench":"fleet","figure":"cpu_fleet_s","value":1.5,"unit":"s"}"#;

        let figures = read(lines).expect("it is one of ours");

        assert_eq!(figures, BTreeMap::from([("cpu_fleet_s".to_owned(), 1.5)]));
    }
}

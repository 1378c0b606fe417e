//! Figures as JSON lines, one each.

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
    #[expect(clippy::print_stdout, reason = "the lines are the product")]
    pub fn print(&self, figure: &str, value: f64, unit: &str) {
        let mut line = self.shared.clone();
        line.insert("figure".to_owned(), json!(figure));
        line.insert("value".to_owned(), json!((value * 1e4).round() / 1e4));
        line.insert("unit".to_owned(), json!(unit));
        println!("{}", Value::Object(line));
    }
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
}

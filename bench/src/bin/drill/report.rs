//! One JSON line per drill.

use serde_json::{Map, Value, json};

/// What was found, and what was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Map<String, Value>,
    violations: Vec<String>,
}

impl Report {
    /// One of this drill on this database.
    pub(crate) fn of(drill: &str, database: &str) -> Self {
        let mut report = Self::default();
        report.tell("drill", json!(drill));
        report.tell("database", json!(database));
        report
    }

    /// Notes a figure.
    pub(crate) fn tell(&mut self, name: &str, value: Value) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Notes a figure that must not exceed a limit.
    pub(crate) fn at_most(&mut self, name: &str, found: f64, limit: f64) {
        let rounded = |value: f64| json!((value * 10.0).round() / 10.0);
        self.tell(name, rounded(found));
        self.tell(&format!("{name}_limit"), rounded(limit));
        if found > limit {
            self.violations.push(format!(
                "{name} is {found:.1}, and at most {limit:.1} is right"
            ));
        }
    }

    /// Notes a figure that must be this one.
    pub(crate) fn exactly(&mut self, name: &str, found: u64, wanted: u64) {
        self.tell(name, json!(found));
        if found != wanted {
            self.violations
                .push(format!("{name} is {found}, and {wanted} is right"));
        }
    }

    /// Whether anything was wrong.
    pub(crate) const fn is_violated(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Prints the line.
    #[expect(clippy::print_stdout, reason = "the line is the product")]
    pub(crate) fn print(&self) {
        let mut line = self.figures.clone();
        line.insert("ok".to_owned(), json!(!self.is_violated()));
        line.insert("violations".to_owned(), json!(self.violations));
        println!("{}", Value::Object(line));
    }
}

//! An error with its causes, for people and logs.

use std::error::Error;

/// The message of an error and of everything that caused it, on one line.
///
/// Many libraries repeat their cause in their own message; what was said is not said again.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = on_one_line(&error.to_string());
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = on_one_line(&next.to_string());
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}

fn on_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn each_cause_is_said_once_and_on_one_line() {
        let refused = Layer("refused\nby the host\n", None);
        let repeats = Layer(
            "no connection: refused by the host",
            Some(Box::new(refused)),
        );
        let ours = Layer("the database cannot be opened", Some(Box::new(repeats)));

        assert_eq!(
            chain(&ours),
            "the database cannot be opened: no connection: refused by the host"
        );
    }
}

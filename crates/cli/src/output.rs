//! What goes to people and programs on standard output.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn say(line: impl Display) {
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Prints a line beside the output: notes for people, not for pipes.
pub(crate) fn note(line: impl Display) {
    // Where standard error is closed nobody reads it.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// How this program was called, for commands that people copy: it need not be on their path.
pub(crate) fn program() -> String {
    std::env::args()
        .next()
        .unwrap_or_else(|| "tokenfleet".to_owned())
}

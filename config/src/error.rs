//! Why the settings could not be used: one message per cause.

use std::path::PathBuf;

use crate::Source;

/// A setting that stops the start.
///
/// The message names the setting, where its value came from and what is allowed;
/// it never holds the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value that its setting does not take.
    #[error("setting {key} ({from}): {problem}; allowed: {allowed}")]
    Invalid {
        /// The setting.
        key: String,
        /// Where the value came from.
        from: Source,
        /// What is wrong with it.
        problem: String,
        /// What is right.
        allowed: String,
    },
    /// Two settings, or two names of one, that exclude each other.
    #[error("{0}")]
    Contradiction(String),
    /// A variable that starts like ours and is none of ours.
    #[error("{from} is no setting of tokenfleet{hint}")]
    UnknownVariable {
        /// The variable.
        from: Source,
        /// The nearest name, as the end of the sentence.
        hint: String,
    },
    /// A key in `tokenfleet.toml`, or of `--set`, that is no setting.
    #[error("key {key} ({from}) is no setting of tokenfleet{hint}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        from: Source,
        /// The nearest key, as the end of the sentence.
        hint: String,
    },
    /// A file that is named somewhere and cannot be read.
    #[error("cannot read {} (named by {named_by})", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Who named it.
        named_by: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// `tokenfleet.toml` is not TOML. The place is told, the text is not: it may hold a secret.
    #[error("{} is not valid TOML at line {line}, column {column}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the parser says.
        problem: String,
    },
    /// `.env` has a line that is no assignment.
    #[error("{} has a line that is not NAME=value{}", path.display(), after.as_ref().map(|name| format!(" (after {name})")).unwrap_or_default())]
    DotEnv {
        /// The file.
        path: PathBuf,
        /// The last variable before the line.
        after: Option<String>,
    },
}

impl SettingsError {
    /// Whether a flag of the command line is wrong, and nothing else.
    #[must_use]
    pub const fn is_wrong_usage(&self) -> bool {
        matches!(
            self,
            Self::Invalid {
                from: Source::Flag(_),
                ..
            } | Self::UnknownKey {
                from: Source::Flag(_),
                ..
            }
        )
    }
}

/// `; did you mean …?` for the nearest of `known`, or nothing.
pub(crate) fn hint<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> String {
    let near = known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => "; `tokenfleet config check` lists all".to_owned(),
    }
}

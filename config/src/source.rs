//! Where a value came from.

use std::path::PathBuf;

/// Where an effective value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The embedded `default.toml`.
    Default,
    /// `tokenfleet.toml`.
    File(PathBuf),
    /// A variable in the file `.env`.
    DotEnv {
        /// The file.
        path: PathBuf,
        /// The variable as it is written there.
        name: String,
    },
    /// A variable of the process environment.
    Env(String),
    /// The content of the file that a `…_FILE` names.
    SecretFile {
        /// The file with the secret.
        path: PathBuf,
        /// Who named it.
        named_by: Box<Source>,
    },
    /// A flag of the command line, with its dashes.
    Flag(String),
    /// Put together from other settings; their variables.
    Parts(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::DotEnv { path, name } => write!(f, "{name} in {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::SecretFile { path, named_by } => {
                write!(f, "file {}, named by {named_by}", path.display())
            }
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Parts(names) => write!(f, "put together from {names}"),
        }
    }
}

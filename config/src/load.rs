//! Loads the settings: layers on top of one another, then what must hold between them.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;

use crate::compose::compose;
use crate::consistency;
use crate::environment::{self, CONFIG, Environment};
use crate::file::{self, Search};
use crate::report::{Effective, effective};
use crate::setting::Bare;
use crate::values::{Layer, Sourced, Values};
use crate::{Settings, SettingsError, Source, catalog};

/// A setting that a flag of the command line sets.
#[derive(Clone, Debug)]
pub struct Override {
    /// The setting's key, such as `worker.drain`.
    pub key: String,
    /// The flag with its dashes, for messages.
    pub flag: String,
    /// The value as it is written.
    pub value: String,
}

impl Override {
    /// The setting `key` gets `value` from `flag`.
    pub fn new(key: &str, flag: &str, value: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            flag: flag.to_owned(),
            value: value.into(),
        }
    }
}

/// What the settings are loaded from.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// `--config`; `None` looks at `TOKENFLEET_CONFIG`, the working directory and the data
    /// directory.
    pub config_file: Option<PathBuf>,
    /// What flags set.
    pub overrides: Vec<Override>,
    /// The environment.
    pub env: Environment,
    /// Where `.env` lies and relative paths begin.
    pub cwd: PathBuf,
}

impl LoadOptions {
    /// The environment and working directory of this process, no flags.
    ///
    /// # Errors
    ///
    /// If the process has no working directory.
    pub fn of_process() -> std::io::Result<Self> {
        Ok(Self {
            config_file: None,
            overrides: Vec::new(),
            env: Environment::of_process(),
            cwd: std::env::current_dir()?,
        })
    }
}

/// The settings, and how they came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every setting in the order of the table: its value as people may see it, its source.
    pub effective: Vec<Effective>,
    /// What works, but probably not as meant; one sentence each.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// The settings that somebody has set, in the order of the table.
    pub fn overridden(&self) -> impl Iterator<Item = &Effective> {
        let default = Source::Default.to_string();
        self.effective.iter().filter(move |line| {
            line.source
                .as_ref()
                .is_some_and(|source| *source != default)
        })
    }

    /// A setting with its value and source, as messages name it; secrets are hidden.
    #[must_use]
    pub fn told(&self, key: &str) -> String {
        match self.effective.iter().find(|line| line.key == key) {
            Some(Effective {
                value,
                source: Some(source),
                ..
            }) => format!("{key} = {value} ({source})"),
            Some(line) => format!("{key} ({} is not set)", line.variable),
            None => key.to_owned(),
        }
    }
}

impl Settings {
    /// Loads and checks all settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for the first setting that is wrong, unknown or in
    /// contradiction to another.
    pub fn load(options: &LoadOptions) -> Result<Loaded, SettingsError> {
        let dotenv = dotenv(options)?;
        let process = environment::layer(&options.env, &options.cwd, &|name| {
            Source::Env(name.to_owned())
        })?;
        let flags = flags(&options.overrides)?;
        let mut values = Values(file::defaults());
        let data_dir = data_dir(&[&flags, &process, &dotenv.settings], &values, options);
        let search = Search {
            by_flag: options.config_file.as_deref(),
            by_variable: config_variable(options, &dotenv.variables),
            cwd: &options.cwd,
            data_dir: &data_dir,
        };
        if let Some((path, named_by)) = search.find() {
            values.merge(file::read(&path, named_by)?);
        }
        for layer in [dotenv.settings, process, flags] {
            values.merge(layer);
        }
        finish(values, &options.cwd)
    }
}

/// What `.env` holds: its variables, and the settings among them.
#[derive(Default)]
struct DotEnv {
    variables: Environment,
    settings: Layer,
}

fn dotenv(options: &LoadOptions) -> Result<DotEnv, SettingsError> {
    let Some((path, variables)) = environment::read_dotenv(&options.cwd)? else {
        return Ok(DotEnv::default());
    };
    let source = |name: &str| Source::DotEnv {
        path: path.clone(),
        name: name.to_owned(),
    };
    let settings = environment::layer(&variables, &options.cwd, &source)?;
    Ok(DotEnv {
        variables,
        settings,
    })
}

fn config_variable<'a>(options: &'a LoadOptions, dotenv: &'a Environment) -> Option<&'a Path> {
    [&options.env, dotenv]
        .into_iter()
        .find_map(|variables| variables.get(CONFIG).filter(|value| !value.is_empty()))
        .map(Path::new)
}

fn flags(overrides: &[Override]) -> Result<Layer, SettingsError> {
    let mut layer = Layer::new();
    for flag in overrides {
        let source = Source::Flag(flag.flag.clone());
        let setting = catalog::find(&flag.key).ok_or_else(|| file::unknown(&flag.key, &source))?;
        let value = flag.value.clone().into();
        let sourced = Sourced::checked(setting, &flag.key, &value, Bare::Refused, source)?;
        layer.insert(flag.key.clone(), sourced);
    }
    Ok(layer)
}

/// The data directory as far as it is known before the file is read.
fn data_dir(layers: &[&Layer], defaults: &Values, options: &LoadOptions) -> PathBuf {
    let set = layers
        .iter()
        .find_map(|layer| layer.get("data_dir")?.value.as_str());
    let dir = set.or(defaults.text("data_dir")).unwrap_or_default();
    options.cwd.join(dir)
}

fn finish(mut values: Values, cwd: &Path) -> Result<Loaded, SettingsError> {
    consistency::check_values(&values)?;
    let parts_ignored = consistency::ignored_parts(&values);
    compose(&mut values)?;
    absolute_data_dir(&mut values, cwd);
    let settings = Settings::deserialize(values.nested())
        .expect("every value was checked against its kind, and every required one has a default");
    consistency::check(&settings, &values)?;
    let mut warnings = consistency::warnings(&settings, &values);
    warnings.extend(parts_ignored);
    Ok(Loaded {
        effective: effective(&values),
        settings,
        warnings,
    })
}

fn absolute_data_dir(values: &mut Values, cwd: &Path) {
    if let Some(sourced) = values.0.get_mut("data_dir") {
        let dir = cwd.join(sourced.value.as_str().unwrap_or_default());
        sourced.value = dir.to_string_lossy().into_owned().into();
    }
}

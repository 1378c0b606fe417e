//! Loading the settings from files, an environment and flags that a test makes up.

mod layers;
mod refusals;

use tempfile::TempDir;
use tokenfleet_config::{
    self as config, Environment, LoadOptions, Loaded, Override, Settings, SettingsError,
};

/// A working directory, an environment and flags.
struct Start {
    dir: TempDir,
    env: Vec<(&'static str, String)>,
    flags: Vec<Override>,
}

impl Start {
    fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary directory"),
            env: Vec::new(),
            flags: Vec::new(),
        }
    }

    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.flags.push(Override::new(key, "--flag", value));
        self
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it lies in the directory"))
            .expect("the directory can be made");
        std::fs::write(path, text).expect("the file can be written");
        self
    }

    fn load(&self) -> Result<Loaded, SettingsError> {
        Settings::load(&LoadOptions {
            config_file: None,
            overrides: self.flags.clone(),
            env: Environment::from_iter(self.env.clone()),
            cwd: self.dir.path().to_owned(),
        })
    }

    fn loaded(&self) -> Loaded {
        self.load().expect("good settings")
    }

    fn settings(&self) -> Settings {
        self.loaded().settings
    }

    /// The message, with the directory's name taken out.
    fn refusal(&self) -> String {
        let error = self.load().expect_err("bad settings");
        let dir = self.dir.path().to_string_lossy().into_owned();
        error.to_string().replace(&dir, "DIR")
    }
}

/// Value and source of a setting as `config check` shows them.
fn told(loaded: &Loaded, key: &str) -> (String, Option<String>) {
    loaded
        .effective
        .iter()
        .find(|line| line.key == key)
        .map(|line| (line.value.clone(), line.source.clone()))
        .expect("every setting is told")
}

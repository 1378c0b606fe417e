//! The page `docs/settings.md`, written from the table.

use std::fmt::Write as _;

use crate::report::shown;
use crate::{Setting, catalog, file};

const HEAD: &str = "\
# Settings

A value comes from, the first that has it: a flag, the environment, the file `.env` in the working directory,
`tokenfleet.toml`, the embedded default. `tokenfleet.toml` is looked for at `--config`, `TOKENFLEET_CONFIG`, the working
directory, the data directory. Every secret can also be given as a file: `META_APP_SECRET_FILE=/run/secrets/meta`, or
`app_secret_file` in `tokenfleet.toml`. An empty variable counts as unset. A wrong value, and a `TOKENFLEET_…` variable or a
key that does not exist, stop the start with one message. `tokenfleet config check` shows what counts, and why.

Durations are written `500ms`, `30s`, `10m`, `2h`, `1d`.
";

/// The page as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut section = None;
    for setting in catalog::ALL {
        let this = section_of(setting.key);
        if section != Some(this) {
            let _ = write!(page, "\n## {}\n\n", title(this));
            page.push_str(
                "| key | variable | default | allowed | |\n| --- | --- | --- | --- | --- |\n",
            );
            section = Some(this);
        }
        row(&mut page, setting);
    }
    page
}

fn row(page: &mut String, setting: &Setting) {
    let mut names: Vec<String> = setting
        .aliases
        .iter()
        .map(|alias| alias.name.to_owned())
        .collect();
    names.push(setting.canonical_name().replace('*', "NAME"));
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let default = file::defaults()
        .get(setting.key)
        .map_or_else(String::new, |default| {
            format!("`{}`", shown(setting.kind, &default.value))
        });
    let secret = if setting.kind.is_secret() {
        " Secret."
    } else {
        ""
    };
    let _ = writeln!(
        page,
        "| `{}` | {} | {default} | {} | {}{secret} |",
        setting.key.replace('*', "NAME"),
        names.join(", "),
        setting.kind.allowed(),
        setting.doc,
    );
}

fn section_of(key: &'static str) -> &'static str {
    key.split_once('.').map_or("", |(section, _)| section)
}

fn title(section: &str) -> &str {
    if section.is_empty() {
        "general"
    } else {
        section
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p tokenfleet-config` rewrites the page.
    #[test]
    fn the_page_in_docs_is_the_page_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");

        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, reference()).expect("docs/ can be written");
        }

        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            page == reference(),
            "run UPDATE_DOCS=1 cargo test -p tokenfleet-config"
        );
    }
}

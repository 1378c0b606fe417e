//! Passwords from a person or a pipe; never from the command line, where others can read them.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};

/// A password: asked for on a terminal, where it is not shown, else the next line of
/// standard input.
///
/// # Errors
///
/// If there is none.
pub(crate) fn password(prompt: &str) -> anyhow::Result<SecretString> {
    let stdin = std::io::stdin();
    let line = if stdin.is_terminal() {
        let mut shown = std::io::stderr().lock();
        write!(shown, "{prompt}: ")?;
        shown.flush()?;
        let hidden = Hidden::begin()?;
        let line = read_line();
        drop(hidden);
        writeln!(shown)?;
        line?
    } else {
        read_line()?
    };
    if line.expose_secret().is_empty() {
        bail!("no password came from standard input; pipe it in, or run this on a terminal");
    }
    Ok(line)
}

/// A new password; on a terminal it is asked for twice, because nobody sees a slip.
///
/// # Errors
///
/// If there is none, or the two differ.
pub(crate) fn new_password(prompt: &str) -> anyhow::Result<SecretString> {
    let password = self::password(prompt)?;
    if std::io::stdin().is_terminal() {
        let again = self::password("Once more")?;
        if again.expose_secret() != password.expose_secret() {
            bail!("the two differ; nothing was changed");
        }
    }
    Ok(password)
}

fn read_line() -> anyhow::Result<SecretString> {
    let mut line = String::new();
    let stdin = std::io::stdin();
    stdin
        .lock()
        .read_line(&mut line)
        .context("cannot read standard input")?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(rustix::termios::Termios);

impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).context("cannot ask on this terminal")?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent)
            .context("cannot ask on this terminal")?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

//! Starts the program in a directory of its own, with an environment of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tokenfleet");
const LIMIT: Duration = Duration::from_secs(30);
/// Lines of a program's log that a failed test shows.
const LAST_WORDS: usize = 40;

/// A master key, 32 times the byte 7.
pub(crate) const MASTER_KEYS: &str = "k1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// A bearer token of the platform admin.
pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-for-tests";
/// What signs the tokens of a fleet's people.
pub(crate) const SIGNING: [(&str, &str); 2] = [
    ("JWT_SECRET", "what-signs-access-tokens-in-tests"),
    ("REFRESH_TOKEN_SECRET", "what-signs-refresh-tokens-in-tests"),
];

/// A working directory and the variables that programs started in it get.
pub(crate) struct Site {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// What a program that ended has said.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary directory"),
            env: vec![("PATH".to_owned(), path())],
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// With what signs tokens, which the role `api` needs.
    pub(crate) fn signing(self) -> Self {
        let set = |site: Self, (name, secret): (&str, &str)| site.env(name, secret);
        SIGNING.into_iter().fold(self, set)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .env_clear()
            .envs(self.env.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("it can be started");
        Ended::from(output)
    }

    /// Runs it to its end with this on its standard input.
    pub(crate) fn fed(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        Ended::from(child.wait_with_output().expect("it is our child"))
    }

    /// Runs it to a good end.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        ended.out
    }

    /// Runs it to a good end and reads its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        serde_json::from_str(&self.ok(&all)).expect("it prints JSON")
    }

    /// Runs it to a bad end, and brings its message.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.err);
        assert_eq!(
            ended
                .err
                .lines()
                .filter(|line| line.starts_with("error:"))
                .count(),
            1,
            "one message: {}",
            ended.err
        );
        ended.err
    }

    /// Starts it and waits until its first line of output has this in it.
    pub(crate) fn start(&self, arguments: &[&str], ready: &str) -> Running {
        Self::begin(self.command(arguments), ready)
    }

    /// The same, on a disk that is full as soon as one of its files has so many blocks of 512 bytes.
    pub(crate) fn start_on_a_small_disk(
        &self,
        blocks: u32,
        arguments: &[&str],
        ready: &str,
    ) -> Running {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command
            .args(["-c", &limited, PROGRAM])
            .args(arguments)
            .env_clear()
            .envs(self.env.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        Self::begin(command, ready)
    }

    fn begin(mut command: Command, ready: &str) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let err = collect(child.stderr.take().expect("it is piped"));
        let out = collect(child.stdout.take().expect("it is piped"));
        let mut running = Running { child, out, err };
        running.await_line(ready);
        running
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

type Lines = std::sync::Arc<std::sync::Mutex<Vec<String>>>;

/// A program that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    out: Lines,
    err: Lines,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has said so far.
    pub(crate) fn said(&self) -> String {
        let text = |lines: &Lines| lines.lock().expect("no reader panics").join("\n");
        format!("{}\n{}", text(&self.out), text(&self.err))
    }

    /// The address in its announcement.
    pub(crate) fn url(&self) -> String {
        let said = self.said();
        let from = said.find("http://").expect("it says where it is");
        said[from..]
            .split_whitespace()
            .next()
            .expect("an address is a word")
            .to_owned()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Waits for its end; the exit code, `None` if a signal ended it.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.said());
    }

    fn await_line(&mut self, expected: &str) {
        let start = Instant::now();
        while !self.said().contains(expected) {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                panic!("it ended with {status}: {}", self.said());
            }
            assert!(start.elapsed() < LIMIT, "no {expected:?}: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_WORDS)..];
            last_words(&format!(
                "process {} said last:\n{}",
                self.pid(),
                last.join("\n")
            ));
        }
    }
}

#[expect(clippy::print_stderr, reason = "the test that failed shows it")]
fn last_words(text: &str) {
    eprintln!("{text}");
}

/// Waits for a state, for a bounded time.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process of this number runs.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A killed process whose parent has not looked yet is a zombie.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Programs named so, in a directory that holds nothing else.
pub(crate) fn path_of(site: &Site, names: &[&str]) -> String {
    let dir = site.path("bin");
    std::fs::create_dir_all(&dir).expect("the directory is writable");
    for name in names {
        let program = std::env::split_paths(&path())
            .map(|dir| dir.join(name))
            .find(|program| program.is_file())
            .unwrap_or_else(|| panic!("{name} is not installed"));
        std::os::unix::fs::symlink(program, dir.join(name)).expect("it is writable");
    }
    dir.to_string_lossy().into_owned()
}

/// The process ids in a file, such as a lock file.
pub(crate) fn number_in(path: &Path) -> u32 {
    std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_else(|| panic!("no number in {}", path.display()))
}

fn path() -> String {
    std::env::var_os("PATH")
        .expect("there is a PATH")
        .to_string_lossy()
        .into_owned()
}

fn collect(stream: impl std::io::Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let kept = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            kept.lock().expect("no reader panics").push(line);
        }
    });
    lines
}

//! Answers on their way into the database: a line each, in files of this process, so that what it
//! has received outlives a `kill -9`.
//!
//! A line is given to the operating system before the database is asked, but not flushed to the
//! disk: that is for answers that the database does not take in time, which go to escrow. A file
//! is emptied when nothing in it is on its way any more, and there is another one after every
//! mebibyte, so that a busy process leaves little to read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ChannelUid;
use store::Escrow;

use crate::copies::paths_in;
use crate::process;

/// A file that is larger gets no more lines, bytes.
const FULL: u64 = 1024 * 1024;

/// The files of one process.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    files: Mutex<BTreeMap<u64, Lines>>,
}

/// One file.
#[derive(Debug)]
struct Lines {
    file: File,
    bytes: u64,
    /// Answers in it that the database has not confirmed.
    on_their_way: usize,
}

/// An answer in the journal: which file it is in.
#[derive(Debug)]
#[must_use]
pub(crate) struct Line(u64);

/// What another process has left.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Its answers, those that are stored already among them.
    pub(crate) answers: Vec<Escrow>,
    /// Lines that cannot be read; the last one of a file may have been cut off and is none.
    pub(crate) damaged: usize,
}

impl Journal {
    /// Of the process whose directory in escrow this is; nothing is written yet.
    pub(crate) fn in_dir(dir: PathBuf) -> Self {
        Self {
            dir,
            files: Mutex::default(),
        }
    }

    /// Notes an answer, which is one line of text.
    ///
    /// # Errors
    ///
    /// If the file system does not take it: then it is in memory alone.
    pub(crate) fn note(&self, mut answer: String) -> io::Result<Line> {
        answer.push('\n');
        let mut files = self.lock();
        let last = files
            .last_key_value()
            .map(|(number, it)| (*number, it.bytes));
        let number = match last {
            Some((number, bytes)) if bytes < FULL => number,
            last => {
                let next = last.map_or(0, |(number, _)| number + 1);
                files.insert(next, Lines::new(&self.path(next))?);
                next
            }
        };
        let lines = files.get_mut(&number).expect("it is there or was made");
        if let Err(error) = lines.file.write_all(answer.as_bytes()) {
            // Half a line would spoil the next one.
            drop(lines.file.set_len(lines.bytes));
            return Err(error);
        }
        lines.bytes += answer.len() as u64;
        lines.on_their_way += 1;
        Ok(Line(number))
    }

    /// The answer is in the database, or elsewhere on disk.
    pub(crate) fn is_stored(&self, Line(number): Line) {
        let mut files = self.lock();
        let is_last = files.keys().next_back() == Some(&number);
        let Some(lines) = files.get_mut(&number) else {
            return;
        };
        lines.on_their_way -= 1;
        if lines.on_their_way > 0 {
            return;
        }
        if is_last && lines.file.set_len(0).is_ok() {
            lines.bytes = 0;
        } else if !is_last {
            files.remove(&number);
            drop(fs::remove_file(self.path(number)));
        }
    }

    /// Takes the files away in which nothing is on its way.
    pub(crate) fn close(&self) {
        self.lock().retain(|number, lines| {
            let is_needed = lines.on_their_way > 0;
            if !is_needed {
                drop(fs::remove_file(self.path(*number)));
            }
            is_needed
        });
        drop(fs::remove_dir(&self.dir));
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number}.journal"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Lines>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn new(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        Ok(Self {
            file: File::options().create(true).append(true).open(path)?,
            bytes: 0,
            on_their_way: 0,
        })
    }
}

/// What the journals of ended processes in a data directory hold. Most of it was stored before
/// they ended; the next worker that starts there finds out what was not.
#[must_use]
pub fn left_in(data_dir: &Path) -> Vec<Escrow> {
    let dirs = paths_in(&data_dir.join("escrow")).into_iter();
    let ended = dirs.filter(|dir| {
        let owner = dir.file_name().and_then(|name| name.to_str()?.parse().ok());
        owner.is_some_and(|owner| process::has_ended(data_dir, owner))
    });
    let journals = ended.flat_map(|dir| journals_in(&dir));
    journals.flat_map(|path| read(&path).answers).collect()
}

/// The files of the process whose directory in escrow this is.
pub(crate) fn journals_in(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "journal");
    paths_in(dir).into_iter().filter(is_journal)
}

/// What a file of another process holds; nothing if it is gone.
pub(crate) fn read(path: &Path) -> Left {
    read_if(path, |_| true)
}

/// What a file of another process holds of a channel.
pub(crate) fn read_of(path: &Path, channel: ChannelUid) -> Left {
    let uid = channel.0.to_string();
    let mut left = read_if(path, |line| line.contains(&uid));
    left.answers.retain(|it| it.attempt.channel == channel);
    left
}

fn read_if(path: &Path, is_wanted: impl Fn(&str) -> bool) -> Left {
    let mut left = Left::default();
    // Power that went off may leave anything.
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    for line in text.split_inclusive('\n').filter(|line| is_wanted(line)) {
        match (Escrow::parse(line), line.ends_with('\n')) {
            (Ok(answer), _) => left.answers.push(answer),
            (Err(_), true) => left.damaged += 1,
            (Err(_), false) => {}
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let journal = Journal::in_dir(dir.path().join("process"));
        (dir, journal)
    }

    fn texts(journal: &Journal) -> Vec<String> {
        let mut files: Vec<PathBuf> = journals_in(&journal.dir).collect();
        files.sort_unstable();
        let read = |path: &PathBuf| fs::read_to_string(path).expect("it is ours");
        files.iter().map(read).collect()
    }

    #[test]
    fn a_line_stays_until_all_of_its_file_are_stored() {
        let (_dir, journal) = journal();

        let first = journal.note("a".to_owned()).expect("it is writable");
        let second = journal.note("b".to_owned()).expect("it is writable");
        let both = texts(&journal);
        journal.is_stored(first);
        let one = texts(&journal);
        journal.is_stored(second);
        let none = texts(&journal);
        let third = journal.note("c".to_owned()).expect("it is writable");

        assert_eq!(both, ["a\nb\n"]);
        assert_eq!(one, ["a\nb\n"]);
        assert_eq!(none, [""]);
        assert_eq!(texts(&journal), ["c\n"]);
        journal.is_stored(third);
    }

    #[test]
    fn a_full_file_goes_when_the_last_answer_in_it_is_stored() {
        let (_dir, journal) = journal();
        let long = "x".repeat(usize::try_from(FULL).expect("it fits"));

        let first = journal.note(long).expect("it is writable");
        let second = journal.note("b".to_owned()).expect("it is writable");
        let files = texts(&journal).len();
        journal.is_stored(first);

        assert_eq!(files, 2);
        assert_eq!(texts(&journal), ["b\n"]);
        journal.is_stored(second);
    }

    #[test]
    fn an_orderly_end_leaves_what_is_on_its_way_and_nothing_else() {
        let (_dir, busy) = journal();
        let line = busy.note("a".to_owned()).expect("it is writable");
        let (_other, idle) = journal();
        let stored = idle.note("b".to_owned()).expect("it is writable");
        idle.is_stored(stored);

        busy.close();
        idle.close();

        assert_eq!(texts(&busy), ["a\n"]);
        assert!(!idle.dir.exists());
        busy.is_stored(line);
    }

    #[test]
    fn a_last_line_that_was_cut_off_is_no_damage_and_others_are() {
        let (dir, _) = journal();
        let path = dir.path().join("0.journal");
        fs::write(&path, b"{\"version\":1}\n\0\0\xff\n{\"versi").expect("it is ours");

        let left = read(&path);

        assert_eq!((left.answers.len(), left.damaged), (0, 2));
    }
}

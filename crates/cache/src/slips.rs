//! Small values that many processes change: each change names what it is based on.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use crate::{Cache, CacheError};

static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/read_slip.lua")));
static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/swap_slip.lua")));

/// A value as it was found, by Redis' clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slip {
    /// `None` if nobody wrote it.
    pub text: Option<String>,
    /// Epoch ms.
    pub now_ms: i64,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swapped {
    /// It is written.
    Done,
    /// Somebody was faster; this is what is there.
    Found(Slip),
}

impl Cache {
    /// Reads the slip of this name on a board. O(1), one script.
    ///
    /// `board` is part of the key: lower-case letters. A board and all its slips are
    /// forgotten a week after the last change of one.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn slip(&self, board: &'static str, name: &str) -> Result<Slip, CacheError> {
        let mut call = READ.key(self.board_key(board));
        call.arg(name);
        let (text, now_ms) = self.link.call(&call).await?;
        Ok(Slip { text, now_ms })
    }

    /// Writes a slip if it still is what the change is based on. O(1), one script.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer; it may be written then.
    pub async fn swap_slip(
        &self,
        (board, name): (&'static str, &str),
        based_on: Option<&str>,
        text: &str,
    ) -> Result<Swapped, CacheError> {
        let mut call = SWAP.key(self.board_key(board));
        call.arg(name).arg(based_on.unwrap_or_default()).arg(text);
        let (done, found, now_ms): (bool, Option<String>, i64) = self.link.call(&call).await?;
        if done {
            return Ok(Swapped::Done);
        }
        let text = found;
        Ok(Swapped::Found(Slip { text, now_ms }))
    }

    /// All slips of a board with their names, in no order. O(slips).
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn slips(&self, board: &'static str) -> Result<Vec<(String, String)>, CacheError> {
        self.link.query(&Cmd::hgetall(self.board_key(board))).await
    }

    /// Takes a slip away; whether there was one.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if Redis does not answer.
    pub async fn take_slip(&self, board: &'static str, name: &str) -> Result<bool, CacheError> {
        self.link
            .query(&Cmd::hdel(self.board_key(board), name))
            .await
    }

    fn board_key(&self, board: &'static str) -> String {
        format!("{}:board:{board}", self.prefix)
    }
}

//! Lists of jobs, page by page.

use redis::Value;

use crate::error::QueueError;
use crate::job::{JobFilter, JobState, JobView, Page};
use crate::name::{JobId, is_key};
use crate::queues::{Core, Queue};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

impl Queue {
    /// Some jobs of a tenant, or of all. O(log n + limit) for a tenant.
    ///
    /// Those of a tenant come in order (see [`Page`]); those of all come in no
    /// order, and a state or key is looked for page by page, which takes O(jobs).
    ///
    /// # Errors
    ///
    /// [`QueueError::Cursor`] if the cursor is not one of this list's,
    /// [`QueueError`] if Redis does not answer.
    pub async fn list(&self, tenant: Option<&str>, filter: &JobFilter) -> Result<Page, QueueError> {
        let limit = match filter.limit {
            0 => LIMIT_DEFAULT,
            limit => limit.min(LIMIT_MAX),
        };
        if filter.key.as_deref().is_some_and(|key| !is_key(key)) {
            return Ok(Page {
                items: Vec::new(),
                next_cursor: None,
            });
        }
        match (tenant, &filter.key) {
            (Some(tenant), Some(key)) => self.core.list_key(tenant, key, filter.state).await,
            (Some(tenant), None) => self.core.list_tenant(tenant, filter, limit).await,
            (None, _) => self.core.list_all(filter, limit).await,
        }
    }
}

/// Where the jobs of a tenant stand, in the order of a list.
const SETS: [(char, &[JobState]); 5] = [
    ('a', &[JobState::Active]),
    ('w', &[JobState::Waiting]),
    ('d', &[JobState::Delayed]),
    ('c', &[JobState::Completed]),
    ('f', &[JobState::Failed, JobState::Cancelled]),
];
/// From here on they are lists, newest first; before, they are sorted sets.
const LISTS: usize = 3;
/// Running jobs are looked through together, whosever they are.
const RUNNING: usize = 0;

/// Where a page of a tenant's list ended: after this member of this set.
struct Place {
    set: usize,
    score: String,
    member: Vec<u8>,
}

impl Core {
    /// Live and retained jobs of one key: at most the live one and what is retained.
    async fn list_key(
        &self,
        tenant: &str,
        key: &str,
        state: Option<JobState>,
    ) -> Result<Page, QueueError> {
        let mut items = Vec::new();
        let mut read = redis::cmd("HGET");
        read.arg(self.keys.jobs()).arg(key);
        if let Some(record) = self.link.query::<Option<Vec<u8>>>(&read).await? {
            let view = self.decode(&record)?.view(&self.name, key);
            if view.tenant == tenant {
                items.push(view);
            }
        }
        let mut ended = Vec::new();
        for (set, _) in &SETS[LISTS..] {
            let mut read = redis::cmd("LRANGE");
            read.arg(self.keys.of(*set, tenant)).arg(0).arg(999);
            let mut members: Vec<Vec<u8>> = self.link.query(&read).await?;
            members.retain(|member| {
                JobId::from_local(&self.name, member).is_some_and(|id| id.key == key)
            });
            ended.extend(self.views(*set, &members).await?.into_iter().flatten());
        }
        ended.sort_by_key(|view: &JobView| std::cmp::Reverse(view.finished_at_ms));
        items.extend(ended);
        items.retain(|view| state.is_none_or(|state| view.state == state));
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    async fn list_tenant(
        &self,
        tenant: &str,
        filter: &JobFilter,
        limit: usize,
    ) -> Result<Page, QueueError> {
        let mut place = filter.cursor.as_deref().map(Place::parse).transpose()?;
        let first = place.as_ref().map_or(0, |place| place.set);
        let mut items = Vec::new();
        for (at, (set, states)) in SETS.iter().enumerate().skip(first) {
            if filter.state.is_some_and(|state| !states.contains(&state)) {
                continue;
            }
            let key = match at {
                RUNNING => self.keys.leases().to_owned(),
                _ => self.keys.of(*set, tenant),
            };
            let start = match place.take_if(|place| place.set == at) {
                Some(place) => self.rank_after(&key, at, &place).await?,
                None => 0,
            };
            let is_wanted = |view: &JobView| {
                view.tenant == tenant && filter.state.is_none_or(|state| view.state == state)
            };
            let last = self
                .fill(&mut items, (&key, at, start), is_wanted, limit)
                .await?;
            if let Some(place) = last {
                return Ok(Page {
                    items,
                    next_cursor: Some(place.text()),
                });
            }
        }
        Ok(Page {
            items,
            next_cursor: None,
        })
    }

    /// Adds the jobs of one set from a rank on. Answers the last one that was looked at if
    /// the page is full with it, `None` if the set ended before.
    async fn fill(
        &self,
        items: &mut Vec<JobView>,
        (key, set, mut start): (&str, usize, usize),
        is_wanted: impl Fn(&JobView) -> bool,
        limit: usize,
    ) -> Result<Option<Place>, QueueError> {
        loop {
            let count = match set {
                RUNNING => LIMIT_MAX,
                _ => limit - items.len(),
            };
            let members = self.range(key, set, start, count).await?;
            let views = self.views(SETS[set].0, &members).await?;
            start += members.len();
            let is_last_page = members.len() < count;
            for (member, view) in members.into_iter().zip(views) {
                let Some(view) = view.filter(|view| is_wanted(view)) else {
                    continue;
                };
                let finished_at_ms = view.finished_at_ms.unwrap_or_default();
                items.push(view);
                if items.len() == limit {
                    let score = match set {
                        LISTS.. => Some(finished_at_ms.to_string()),
                        _ => self.score(key, &member).await?,
                    };
                    return Ok(Some(Place {
                        set,
                        score: score.unwrap_or_else(|| "0".to_owned()),
                        member,
                    }));
                }
            }
            if is_last_page {
                return Ok(None);
            }
        }
    }

    async fn range(
        &self,
        key: &str,
        set: usize,
        start: usize,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, QueueError> {
        let mut read = redis::cmd(if set < LISTS { "ZRANGE" } else { "LRANGE" });
        read.arg(key).arg(start).arg(start + count - 1);
        Ok(self.link.query(&read).await?)
    }

    async fn score(&self, key: &str, member: &[u8]) -> Result<Option<String>, QueueError> {
        let mut read = redis::cmd("ZSCORE");
        read.arg(key).arg(member);
        Ok(self.link.query(&read).await?)
    }

    /// The rank behind a place; if its job has moved on, behind all before it.
    async fn rank_after(&self, key: &str, set: usize, place: &Place) -> Result<usize, QueueError> {
        let mut rank = redis::cmd(if set < LISTS { "ZRANK" } else { "LPOS" });
        rank.arg(key).arg(&place.member);
        if let Some(rank) = self.link.query::<Option<usize>>(&rank).await? {
            return Ok(rank + 1);
        }
        if set >= LISTS {
            let ended_at = place.score.parse().unwrap_or(i64::MAX);
            let members = self.range(key, set, 0, 1000).await?;
            let views = self.views(SETS[set].0, &members).await?;
            let is_later = |view: &JobView| view.finished_at_ms.unwrap_or_default() > ended_at;
            return Ok(views.iter().flatten().filter(|view| is_later(view)).count());
        }
        let mut count = redis::cmd("ZCOUNT");
        count.arg(key).arg("-inf").arg(format!("({}", place.score));
        Ok(self.link.query(&count).await?)
    }

    /// The jobs behind the members of a set; `None` for those that have just moved on.
    async fn views(
        &self,
        set: char,
        members: &[Vec<u8>],
    ) -> Result<Vec<Option<JobView>>, QueueError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let (hash, skipped) = match set {
            'c' => (self.keys.ok(), 0),
            'f' => (self.keys.ko(), 0),
            // The seq in front of the key.
            'w' => (self.keys.jobs(), 7),
            _ => (self.keys.jobs(), 0),
        };
        let fields: Vec<&[u8]> = members
            .iter()
            .map(|m| m.get(skipped..).unwrap_or_default())
            .collect();
        let mut read = redis::cmd("HMGET");
        read.arg(hash).arg(&fields);
        let records: Vec<Option<Vec<u8>>> = self.link.query(&read).await?;
        let pairs = fields.iter().zip(records);
        pairs
            .map(|(field, record)| record.map(|r| self.view(hash, field, &r)).transpose())
            .collect()
    }

    /// A field of one of the three hashes: a key, or the local part of an id.
    fn view(&self, hash: &str, field: &[u8], record: &[u8]) -> Result<JobView, QueueError> {
        let damaged = || QueueError::Record(self.name.to_string());
        let key = if hash == self.keys.jobs() {
            String::from_utf8(field.to_vec()).map_err(|_| damaged())?
        } else {
            JobId::from_local(&self.name, field)
                .ok_or_else(damaged)?
                .key
        };
        Ok(self.decode(record)?.view(&self.name, &key))
    }

    /// Walks over the hashes. The cursor is the hash, the cursor of `HSCAN`, and how many
    /// of the answer to it were shown before.
    async fn list_all(&self, filter: &JobFilter, limit: usize) -> Result<Page, QueueError> {
        let hashes = [self.keys.jobs(), self.keys.ok(), self.keys.ko()];
        let (mut hash, mut cursor, mut shown) = match &filter.cursor {
            None => (0, 0, 0),
            Some(text) => parse_walk(text).ok_or(QueueError::Cursor)?,
        };
        let mut items = Vec::new();
        while hash < hashes.len() {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(hashes[hash]).arg(cursor).arg("COUNT").arg(200);
            if let Some(key) = &filter.key {
                let rest = if hash == 0 { "" } else { "-????????" };
                scan.arg("MATCH").arg(format!("{key}{rest}"));
            }
            let (next, fields): (u64, Vec<Value>) = self.link.query(&scan).await?;
            let mut pairs = fields.chunks_exact(2).enumerate().skip(shown);
            for (at, pair) in &mut pairs {
                if let [Value::BulkString(field), Value::BulkString(record)] = pair {
                    let view = self.view(hashes[hash], field, record)?;
                    if filter.state.is_none_or(|state| view.state == state) {
                        items.push(view);
                    }
                }
                if items.len() == limit {
                    return Ok(Page {
                        items,
                        next_cursor: Some(format!("{hash}.{cursor}.{}", at + 1)),
                    });
                }
            }
            (cursor, shown) = (next, 0);
            if next == 0 {
                hash += 1;
            }
        }
        Ok(Page {
            items,
            next_cursor: None,
        })
    }
}

fn parse_walk(text: &str) -> Option<(usize, u64, usize)> {
    let mut parts = text.splitn(3, '.');
    Some((
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    ))
}

impl Place {
    /// `<set>.<score>.<member in hex>`.
    fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!("{}_{}_", self.set, self.score);
        for byte in &self.member {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        text
    }

    fn parse(text: &str) -> Result<Self, QueueError> {
        let parse = || {
            let mut parts = text.splitn(3, '_');
            let set = parts.next()?.parse().ok().filter(|set| *set < SETS.len())?;
            let score = parts.next()?;
            score
                .parse::<f64>()
                .ok()
                .filter(|score| score.is_finite())?;
            let hex = parts.next()?.as_bytes();
            let member: Option<Vec<u8>> = hex
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            Some(Self {
                set,
                score: score.to_owned(),
                member: member?,
            })
        };
        parse().ok_or(QueueError::Cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_own_text() {
        let text = Place {
            set: 1,
            score: "1764216000123".to_owned(),
            member: vec![0, 255, b'-', b'k'],
        }
        .text();

        assert_eq!(text, "1_1764216000123_00ff2d6b");
        assert_eq!(Place::parse(&text).unwrap().text(), text);
    }

    #[test]
    fn a_cursor_that_somebody_made_up_is_refused() {
        for text in ["", "x", "9_1_00", "1_inf_00", "1_1_0g", "1_1", "1__"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
        assert!(parse_walk("1.2").is_none());
    }
}

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

/// The sets of a tenant in the order of a list, and the states that stand in them.
const SETS: [(char, &[JobState]); 5] = [
    ('a', &[JobState::Active]),
    ('w', &[JobState::Waiting]),
    ('d', &[JobState::Delayed]),
    ('c', &[JobState::Completed]),
    ('f', &[JobState::Failed, JobState::Cancelled]),
];

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
        for (set, _) in &SETS[3..] {
            let mut read = redis::cmd("ZREVRANGE");
            read.arg(self.keys.of(*set, tenant)).arg(0).arg(999);
            let mut members: Vec<Vec<u8>> = self.link.query(&read).await?;
            members.retain(|member| {
                JobId::from_local(&self.name, member).is_some_and(|id| id.key == key)
            });
            ended.extend(self.views(*set, &members).await?);
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
            let key = self.keys.of(*set, tenant);
            let start = match place.take_if(|place| place.set == at) {
                Some(place) => self.rank_after(&key, at, &place).await?,
                None => 0,
            };
            let last = self
                .fill(&mut items, (&key, at, start), filter.state, limit)
                .await?;
            if let Some((member, score)) = last {
                let place = Place {
                    set: at,
                    score,
                    member,
                };
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

    /// Adds the jobs of one set from a rank on. Answers the last member that was looked at if
    /// the page is full with it, `None` if the set ended before.
    async fn fill(
        &self,
        items: &mut Vec<JobView>,
        (key, set, mut start): (&str, usize, usize),
        state: Option<JobState>,
        limit: usize,
    ) -> Result<Option<(Vec<u8>, String)>, QueueError> {
        loop {
            let wanted = limit - items.len();
            let mut range = self.range(key, set, start, wanted).await?;
            let members: Vec<Vec<u8>> = range.iter().map(|(m, _)| m.clone()).collect();
            let mut views = self.views(SETS[set].0, &members).await?;
            views.retain(|view| state.is_none_or(|state| view.state == state));
            items.extend(views);
            start += range.len();
            if items.len() >= limit {
                return Ok(range.pop());
            }
            if range.len() < wanted {
                return Ok(None);
            }
        }
    }

    /// Members and scores; ended jobs newest first.
    async fn range(
        &self,
        key: &str,
        set: usize,
        start: usize,
        count: usize,
    ) -> Result<Vec<(Vec<u8>, String)>, QueueError> {
        let mut read = redis::cmd(if set < 3 { "ZRANGE" } else { "ZREVRANGE" });
        read.arg(key)
            .arg(start)
            .arg(start + count - 1)
            .arg("WITHSCORES");
        Ok(self.link.query(&read).await?)
    }

    /// The rank behind a place; if its job has moved on, behind all before it.
    async fn rank_after(&self, key: &str, set: usize, place: &Place) -> Result<usize, QueueError> {
        let mut rank = redis::cmd(if set < 3 { "ZRANK" } else { "ZREVRANK" });
        rank.arg(key).arg(&place.member);
        if let Some(rank) = self.link.query::<Option<usize>>(&rank).await? {
            return Ok(rank + 1);
        }
        let mut count = redis::cmd("ZCOUNT");
        count.arg(key);
        if set < 3 {
            count.arg("-inf").arg(format!("({}", place.score));
        } else {
            count.arg(format!("({}", place.score)).arg("+inf");
        }
        Ok(self.link.query(&count).await?)
    }

    /// The jobs behind the members of a set; those that have just moved on are left out.
    async fn views(&self, set: char, members: &[Vec<u8>]) -> Result<Vec<JobView>, QueueError> {
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
        let mut views = Vec::with_capacity(fields.len());
        for (field, record) in fields.iter().zip(records) {
            if let Some(record) = record {
                views.push(self.view(hash, field, &record)?);
            }
        }
        Ok(views)
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

//! How answers are shown: tables to people, JSON to programs.

use anyhow::bail;
use serde_json::Value;

use super::{Query, Remote};
use crate::output::{note, say};
use crate::table::{Column, of_fields, of_objects};

/// The largest page that the API gives.
const PAGE_MAX: u32 = 200;

impl Remote {
    /// Asks for a list, page by page, up to `limit` items, and shows it.
    ///
    /// # Errors
    ///
    /// As [`Remote::get`].
    pub(crate) async fn list(
        &self,
        path: &[&str],
        filters: Query<'_>,
        limit: u32,
        columns: &[Column],
    ) -> anyhow::Result<()> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let have = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let want = limit.saturating_sub(have).min(PAGE_MAX);
            let mut query = filters.to_vec();
            query.push(("limit", Some(want.to_string())));
            query.push(("cursor", cursor.take()));
            let mut page = self.get(path, &query).await?;
            match page["items"].take() {
                Value::Array(more) => items.extend(more),
                _ => bail!(
                    "the answer of {} is no list",
                    self.client.server().address()
                ),
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= limit as usize {
                break;
            }
        }
        self.show_all(&items, columns)?;
        if cursor.is_some() && !self.json {
            note(format_args!(
                "there are more; --limit {} shows them",
                limit.saturating_mul(4)
            ));
        }
        Ok(())
    }

    /// Shows several objects.
    ///
    /// # Errors
    ///
    /// Never in practice: JSON is text.
    pub(crate) fn show_all(&self, items: &[Value], columns: &[Column]) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string_pretty(items)?);
        } else if items.is_empty() {
            note("none");
        } else {
            say(of_objects(columns, items));
        }
        Ok(())
    }

    /// Shows one object.
    ///
    /// # Errors
    ///
    /// Never in practice: JSON is text.
    pub(crate) fn show(&self, object: &Value) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string_pretty(object)?);
        } else {
            say(of_fields(object));
        }
        Ok(())
    }

    /// Shows an object to programs, and a sentence to people.
    ///
    /// # Errors
    ///
    /// Never in practice: JSON is text.
    pub(crate) fn tell(&self, object: &Value, sentence: &str) -> anyhow::Result<()> {
        if self.json {
            say(serde_json::to_string_pretty(object)?);
        } else {
            say(sentence);
        }
        Ok(())
    }
}

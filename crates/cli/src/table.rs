//! Tables for people.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::Value;

/// A line under the headings and nothing else.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// On a terminal with fewer columns, or one that tells no width, wrapping makes it unreadable.
const NARROW: u16 = 60;

/// A table with these headings; as wide as the terminal allows.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    let narrow = table.width().is_some_and(|width| width < NARROW);
    table
        .load_style(STYLE)
        .set_content_arrangement(if narrow {
            ContentArrangement::Disabled
        } else {
            ContentArrangement::Dynamic
        })
        .set_header(headings.iter().copied())
        .add_rows(rows);
    table
}

/// A heading and the path of the field below it: `details.reason`.
pub(crate) type Column = (&'static str, &'static str);

/// JSON objects as rows.
pub(crate) fn of_objects(columns: &[Column], objects: &[Value]) -> Table {
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let row = |object| columns.iter().map(|(_, path)| cell(object, path)).collect();
    table(&headings, objects.iter().map(row))
}

/// One JSON object, a line per field; objects in it a line per field of theirs.
pub(crate) fn of_fields(object: &Value) -> Table {
    let mut rows = Vec::new();
    collect(object, "", &mut rows);
    table(&["FIELD", "VALUE"], rows)
}

fn collect(value: &Value, path: &str, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let separator = if path.is_empty() { "" } else { "." };
                collect(value, &format!("{path}{separator}{name}"), rows);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (place, item) in items.iter().enumerate() {
                collect(item, &format!("{path}[{place}]"), rows);
            }
        }
        other => rows.push(vec![path.to_owned(), text(other)]),
    }
}

fn cell(object: &Value, path: &str) -> String {
    let pointer = format!("/{}", path.replace('.', "/"));
    object.pointer(&pointer).map(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_by_their_path() {
        let objects = [json!({ "id": "a", "details": { "reason": "expired" }, "n": 3 })];

        let shown = of_objects(
            &[("ID", "id"), ("WHY", "details.reason"), ("X", "absent")],
            &objects,
        );

        let shown = shown.to_string();
        assert!(shown.contains("ID") && shown.contains("expired"), "{shown}");
    }

    #[test]
    fn every_field_of_an_object_gets_a_line() {
        let shown = of_fields(&json!({ "a": { "b": 1 }, "c": [{ "d": 2 }], "e": ["x", "y"] }));

        let shown = shown.to_string();
        for expected in ["a.b", "c[0].d", "x, y"] {
            assert!(shown.contains(expected), "{shown}");
        }
    }
}

//! Tables for people, after the lines for programs.

use comfy_table::{CellAlignment, Table, presets};

/// Prints a table under a heading of its own. The first column is text, the others are figures.
#[expect(clippy::print_stdout, reason = "the table is the product")]
pub fn print(title: &str, headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(headings.iter().copied())
        .add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{title}\n\n{table}");
}

//! Columns.

use console::measure_text_width;

/// Between two columns.
const GAP: &str = "  ";

/// Rows under a heading, each column as wide as its widest entry; the last one is not padded. Rows have as many entries as
/// the heading.
pub(super) fn table<Row: AsRef<[String]>>(
    heading: Row,
    rows: impl IntoIterator<Item = Row>,
) -> String {
    let rows: Vec<Row> = std::iter::once(heading).chain(rows).collect();
    let mut widths = vec![0; rows[0].as_ref().len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.as_ref().iter().zip(&widths).enumerate() {
            if at > 0 {
                line.push_str(GAP);
            }
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - measure_text_width(cell)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

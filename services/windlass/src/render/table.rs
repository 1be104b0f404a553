//! Columns.

use console::measure_text_width;

/// Between two columns.
const GAP: &str = "  ";

/// Rows under a heading, each column as wide as its widest entry; the last one is not padded.
pub(super) fn table<const N: usize>(
    heading: [String; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(heading).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
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

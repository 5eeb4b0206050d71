//! Tables in Markdown, and how figures look in them.

use std::fmt::Write;

/// A table in Markdown, its columns aligned.
#[derive(Default)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    /// The head comes first.
    pub(super) fn head<const N: usize>(&mut self, names: [&str; N]) {
        self.row(names.map(str::to_owned));
    }

    /// Adds a row.
    pub(super) fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        self.0.push(cells.into_iter().collect());
    }

    /// The text.
    pub(super) fn render(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.0.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let line: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            let _ = writeln!(text, "| {} |", line.join(" | ").trim_end());
            if number == 0 {
                let rules: Vec<_> = widths
                    .iter()
                    .map(|width| "-".repeat((*width).max(3)))
                    .collect();
                let _ = writeln!(text, "| {} |", rules.join(" | "));
            }
        }
        text
    }
}

/// A figure with three digits that count.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Whether a goal was reached, in a word.
pub(super) fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        let shown = [0.123_4, 1.0, 12.34, 123.4, 123_456.0].map(figure);
        assert_eq!(shown, ["0.12", "1.00", "12.3", "123", "123456"]);
    }

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::default();
        table.row(["a", "long"].map(str::to_owned));
        table.row(["wide", "b"].map(str::to_owned));
        assert_eq!(
            table.render(),
            "| a    | long |\n| ---- | ---- |\n| wide | b |\n"
        );
    }
}

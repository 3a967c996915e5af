//! Tables: the same cells aligned for a terminal or as Markdown.

use std::fmt::Write;

/// A table of text.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it shows, in a line.
    pub title: String,
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No rows yet. The first column is aligned to the left, the others to the right.
    pub fn new(title: impl Into<String>, heads: &[&'static str]) -> Self {
        Self { title: title.into(), heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; one that is too short is filled up.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.heads.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(self.heads[column].chars().count())
        };
        (0..self.heads.len()).map(width).collect()
    }

    /// For a terminal: the title, the heads, the rows.
    pub fn text(&self) -> String {
        let widths = self.widths();
        let mut text = format!("{}\n", self.title);
        let heads = self.heads.iter().map(|head| (*head).to_owned()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("  {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
            let _ = writeln!(text, "{}", cells.collect::<String>().trim_end());
        }
        text
    }

    /// As Markdown: the title in bold, the table.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let heads: Vec<String> = self.heads.iter().map(|head| (*head).to_owned()).collect();
        let rule: Vec<String> =
            (0..heads.len()).map(|column| if column == 0 { "---" } else { "---:" }.to_owned()).collect();
        let rows = self.rows.iter().map(|row| line(row)).collect::<String>();
        format!("**{}**\n\n{}{}{rows}", self.title, line(&heads), line(&rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new("Sizes", &["system", "N"]);
        table.row(vec!["foca".into(), "1,024".into()]);
        table.row(vec!["chitchat".into()]);
        assert_eq!(table.text(), "Sizes\n  system        N\n  foca      1,024\n  chitchat\n");
        assert_eq!(
            table.markdown(),
            "**Sizes**\n\n| system | N |\n| --- | ---: |\n| foca | 1,024 |\n| chitchat |  |\n"
        );
    }
}

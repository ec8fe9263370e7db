//! Tables of text: columns as wide as their widest cell, in a form that is Markdown, too.

use std::fmt;

/// A table.
#[derive(Debug, Clone)]
pub struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table with these heads and no rows.
    pub fn new(heads: [&str; COLUMNS]) -> Self {
        Self { rows: vec![heads.map(str::to_owned)] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        });
        for (place, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!(" {cell:<width$} "));
            writeln!(formatter, "|{}|", cells.collect::<Vec<_>>().join("|"))?;
            if place == 0 {
                let lines = widths.map(|width| "-".repeat(width + 2));
                writeln!(formatter, "|{}|", lines.join("|"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["what", "times"]);
        table.row(["a lost answer".to_owned(), "7".to_owned()]);
        let lines = ["| what          | times |", "|---------------|-------|", "| a lost answer | 7     |", ""];
        assert_eq!(table.to_string(), lines.join("\n"));
    }
}

//! Columns of text.

use std::io::{self, Write};

/// Rows of cells, each column as wide as its widest cell.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Column {
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Column::Left(title) | Column::Right(title) => title,
        }
    }
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Writes all lines, cut off at `width` characters if there is one.
    pub(crate) fn write(&self, to: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let titles: Vec<String> = (self.columns.iter())
            .map(|column| column.title().to_owned())
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                let cells = self.rows.iter().chain([&titles]).map(|row| &row[index]);
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        for row in [&titles].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line += &match column {
                    Column::Left(_) => format!("{cell:<width$}"),
                    Column::Right(_) => format!("{cell:>width$}"),
                };
            }
            let line: String = match width {
                Some(width) => line.chars().take(width).collect(),
                None => line,
            };
            writeln!(to, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(table: &Table, width: Option<usize>) -> String {
        let mut to = Vec::new();
        table.write(&mut to, width).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[Column::Left("ID"), Column::Right("N"), Column::Left("X")]);
        table.row(vec!["1.1".into(), "7".into(), "a".into()]);
        table.row(vec!["20.1".into(), "1000".into(), String::new()]);
        assert_eq!(
            written(&table, None),
            "ID       N  X\n1.1      7  a\n20.1  1000\n"
        );
        assert_eq!(written(&table, Some(5)), "ID\n1.1\n20.1\n");
    }
}

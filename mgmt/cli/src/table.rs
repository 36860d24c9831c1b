//! Aligned columns.

use std::io::{self, Write};

/// Which way a column leans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table with a header. Texts that a peer may have sent are printed without control characters.
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a header that ends in `>` leans right, as numbers do.
    pub(crate) fn new<const N: usize>(headers: [&str; N]) -> Self {
        let aligns = headers.map(|header| if header.ends_with('>') { Align::Right } else { Align::Left });
        let header = headers.map(|header| header.trim_end_matches('>').to_owned());
        Self { aligns: aligns.to_vec(), rows: vec![header.to_vec()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)).to_vec());
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.aligns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.aligns) {
                let padded = match align {
                    Align::Left => format!("{cell:<width$}  "),
                    Align::Right => format!("{cell:>width$}  "),
                };
                line.push_str(&padded);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Text without what could steer a terminal; a dash for nothing.
pub(crate) fn printable(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_terminals_left_alone() {
        let mut table = Table::new(["NAME", "HITS>"]);
        table.row(["gw-a".to_owned(), "7".to_owned()]);
        table.row(["\u{1b}[2Jx".to_owned(), "123456".to_owned()]);
        table.row([String::new(), "0".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME     HITS\ngw-a        7\n\u{fffd}[2Jx  123456\n-           0\n");
    }
}

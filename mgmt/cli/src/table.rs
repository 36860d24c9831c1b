//! Aligned columns.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Text,
    /// Leans right.
    Number,
    /// A number that only grows, so that its rate can be told.
    Counter,
}

/// A table with a header. Texts that a peer may have sent are printed without control characters.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    /// How many columns at the left name what a row is about.
    key: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a header that ends in `>` leans right, as numbers do, and one in `+` is of a
    /// counter.
    pub(crate) fn new<const N: usize>(headers: [&str; N]) -> Self {
        let column = |header: &str| match header.bytes().last() {
            Some(b'>') => Column::Number,
            Some(b'+') => Column::Counter,
            _ => Column::Text,
        };
        let columns = headers.map(column).to_vec();
        let header = headers.map(|header| header.trim_end_matches(['>', '+']).to_owned());
        Self { columns, key: 1, rows: vec![header.to_vec()] }
    }

    /// Says that the first `key` columns together name what a row is about, not the first alone.
    pub(crate) fn keyed_by(mut self, key: usize) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)).to_vec());
    }

    /// Whether there is nothing but the header.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The same with a column `/S` behind each counter: what it grew by each second since `earlier`, a table of the
    /// same kind. A dash where it is not known.
    pub(crate) fn with_rates(&self, earlier: Option<&Self>, elapsed: Duration) -> Self {
        let before: HashMap<&[String], &Vec<String>> =
            earlier.filter(|earlier| earlier.rows[0] == self.rows[0]).map_or_else(HashMap::new, |earlier| {
                earlier.rows.iter().skip(1).map(|row| (&row[..self.key], row)).collect()
            });
        let is_counter = |column: usize| self.columns[column] == Column::Counter;
        let mut table = Self { columns: Vec::new(), key: self.key, rows: Vec::new() };
        for column in &self.columns {
            table.columns.push(*column);
            if *column == Column::Counter {
                table.columns.push(Column::Number);
            }
        }
        for (line, row) in self.rows.iter().enumerate() {
            let mut cells = Vec::new();
            for (column, cell) in row.iter().enumerate() {
                cells.push(cell.clone());
                if is_counter(column) {
                    let earlier = before.get(&row[..self.key]).map(|row| row[column].as_str());
                    cells.push(match line {
                        0 => "/S".to_owned(),
                        _ => printable(&rate(earlier, cell, elapsed).unwrap_or_default()),
                    });
                }
            }
            table.rows.push(cells);
        }
        table
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), column) in row.iter().zip(&widths).zip(&self.columns) {
                let padded = match column {
                    Column::Text => format!("{cell:<width$}  "),
                    Column::Number | Column::Counter => format!("{cell:>width$}  "),
                };
                line.push_str(&padded);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Growth a second; none of what is no number, is not old enough, or began anew.
fn rate(earlier: Option<&str>, cell: &str, elapsed: Duration) -> Option<String> {
    let earlier: u64 = earlier?.parse().ok()?;
    let grown = cell.parse::<u64>().ok()?.checked_sub(earlier)?;
    let milliseconds = u64::try_from(elapsed.as_millis()).ok().filter(|elapsed| *elapsed > 0)?;
    Some((u128::from(grown) * 1000 / u128::from(milliseconds)).to_string())
}

/// Text without what could steer a terminal; a dash for nothing.
pub(crate) fn printable(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    text.chars().map(|letter| if steers(letter) { '\u{fffd}' } else { letter }).collect()
}

/// The same of lines: their breaks and tabs are kept.
pub(crate) fn printable_text(text: &str) -> String {
    let is_kept = |letter| matches!(letter, '\n' | '\t') || !steers(letter);
    text.chars().map(|letter| if is_kept(letter) { letter } else { '\u{fffd}' }).collect()
}

/// Whether a letter steers a terminal, or shows a text in another order than it has (Unicode UAX #9) or hides in it.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_terminals_left_alone() {
        let mut table = Table::new(["NAME", "HITS>"]);
        table.row(["gw-a".to_owned(), "7".to_owned()]);
        table.row(["\u{1b}[2Jx".to_owned(), "123456".to_owned()]);
        table.row([String::new(), "0".to_owned()]);
        assert_eq!(written(&table), "NAME     HITS\ngw-a        7\n\u{fffd}[2Jx  123456\n-           0\n");
    }

    #[test]
    fn what_shows_a_text_in_another_order_is_replaced_and_lines_stay_lines() {
        assert_eq!(printable("gw\u{202e}b-\u{2066}a\u{200b}"), "gw\u{fffd}b-\u{fffd}a\u{fffd}");
        assert_eq!(printable_text("a\tb\n\u{1b}[2J\r\u{200f}\n"), "a\tb\n\u{fffd}[2J\u{fffd}\u{fffd}\n");
    }

    #[test]
    fn counters_show_their_rates_by_name() {
        let table = |rows: &[[&str; 3]]| {
            let mut table = Table::new(["VNET", "LINE>", "HITS+"]).keyed_by(2);
            rows.iter().for_each(|row| table.row(row.map(ToOwned::to_owned)));
            table
        };
        let earlier = table(&[["corp", "10", "100"], ["corp", "20", "9"]]);
        let later = table(&[["corp", "20", "5"], ["corp", "10", "350"], ["corp", "30", "1"]]);
        let rates = later.with_rates(Some(&earlier), Duration::from_millis(500));
        assert_eq!(
            written(&rates),
            "VNET  LINE  HITS   /S\ncorp    20     5    -\ncorp    10   350  500\ncorp    30     1    -\n"
        );
        assert!(written(&later.with_rates(None, Duration::ZERO)).contains("-"));
    }
}

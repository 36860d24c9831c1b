//! An answer for people: tables and lines of text.

use std::io::{self, Write};
use std::time::Duration;

use crate::table::Table;

/// What is shown, from top to bottom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Table(Table),
    /// Whole lines.
    Text(String),
}

impl Page {
    /// A page of text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// Adds a table.
    pub(crate) fn push(&mut self, table: Table) {
        self.0.push(Part::Table(table));
    }

    /// The same with the rates of counters since `earlier`.
    pub(crate) fn with_rates(&self, earlier: Option<&Self>, elapsed: Duration) -> Self {
        let part = |(place, part): (usize, &Part)| match part {
            Part::Text(text) => Part::Text(text.clone()),
            Part::Table(table) => {
                let before = earlier.and_then(|earlier| match earlier.0.get(place) {
                    Some(Part::Table(table)) => Some(table),
                    _ => None,
                });
                Part::Table(table.with_rates(before, elapsed))
            }
        };
        Self(self.0.iter().enumerate().map(part).collect())
    }

    /// Writes the parts with empty lines between.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (place, part) in self.0.iter().enumerate() {
            if place > 0 {
                writeln!(out)?;
            }
            match part {
                Part::Table(table) => table.write(out)?,
                Part::Text(text) => out.write_all(text.as_bytes())?,
            }
        }
        Ok(())
    }
}

impl From<Table> for Page {
    fn from(table: Table) -> Self {
        Self(vec![Part::Table(table)])
    }
}

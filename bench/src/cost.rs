//! What operations of single programs and functions cost, as a table.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::machine::{Machine, said_by};
use crate::statistics::{median, spread};
use crate::{callgrind, report};

/// What one operation costs.
#[derive(Debug, Serialize)]
pub(crate) struct Cost {
    /// The operation, and what there are `size` of.
    pub(crate) what: String,
    pub(crate) size: u64,
    /// Nanoseconds of an operation, a figure a run.
    pub(crate) nanoseconds: Vec<f64>,
    /// Instructions of an operation, if they can be counted.
    pub(crate) instructions: Option<u64>,
}

/// Costs, and where they were measured.
#[derive(Debug, Serialize)]
pub(crate) struct Costs {
    machine: Machine,
    compiler: String,
    valgrind: String,
    conditions: String,
    pub(crate) costs: Vec<Cost>,
}

const HEAD: &str = "| what | size | ns | instructions |\n|---|---|---|---|\n";

impl Cost {
    /// A line of the table: nanoseconds as median, least and most.
    fn row(&self) -> String {
        let Self { what, size, nanoseconds, instructions } = self;
        let (least, most) = spread(nanoseconds);
        let instructions = instructions.map_or_else(|| "-".to_owned(), |number| number.to_string());
        format!(
            "| {what} | {size} | {:.1} ({least:.1} to {most:.1}) | {instructions} |\n",
            median(nanoseconds)
        )
    }
}

impl Costs {
    /// Measures one after the other and shows each when it is there.
    pub(crate) fn measure<P>(
        conditions: String,
        points: impl IntoIterator<Item = P>,
        mut cost: impl FnMut(P) -> Result<Cost>,
    ) -> Result<Self> {
        print!("{HEAD}");
        let show = |point| cost(point).inspect(|cost| print!("{}", cost.row()));
        let costs = points.into_iter().map(show).collect::<Result<_>>()?;
        let compiler = said_by(Command::new("rustc").arg("--version"));
        Ok(Self { machine: Machine::here(), compiler, valgrind: callgrind::version(), conditions, costs })
    }

    /// Keeps them as a page, which ends with `plots`, and as JSON.
    pub(crate) fn keep(
        &self,
        results: &Path,
        name: &str,
        title: &str,
        command: &str,
        plots: &str,
    ) -> Result<()> {
        let table: String = self.costs.iter().map(Cost::row).collect();
        let versions =
            report::versions([("compiler", &*self.compiler), ("callgrind", &*self.valgrind)].into_iter());
        let page = format!(
            "# {title}\n\n`cargo xtask bench {command}` on {}. {}\n\n{HEAD}{table}\n{plots}{versions}",
            self.machine, self.conditions
        );
        report::write(&results.join(format!("{name}.md")), &page)?;
        report::write_json(&results.join(format!("{name}.json")), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_median_spread_and_a_dash_for_what_was_not_counted() {
        let nanoseconds = vec![12.34, 10.0, 20.0];
        let mut cost = Cost { what: "seal, of bytes".to_owned(), size: 64, nanoseconds, instructions: None };
        assert_eq!(cost.row(), "| seal, of bytes | 64 | 12.3 (10.0 to 20.0) | - |\n");
        cost.instructions = Some(564);
        assert!(cost.row().ends_with("| 564 |\n"), "{}", cost.row());
    }
}

//! Instructions, counted by valgrind.

use std::process::Command;

use anyhow::{Context, Result};

/// Operations of the two runs whose difference is counted.
const OPERATIONS: [u64; 2] = [1_000, 11_000];

/// Instructions of an operation: the difference of two runs of the program that `command` gives, with its arguments, for
/// a number of operations. What the program does besides, the same in both, is not in it; its loop is.
pub(crate) fn instructions(command: impl Fn(u64) -> Vec<String>) -> Result<u64> {
    let [few, many] = OPERATIONS;
    let difference = collected(&command(many))?.saturating_sub(collected(&command(few))?);
    Ok(difference / (many - few))
}

/// What valgrind says of its version; nothing if there is none.
pub(crate) fn version() -> String {
    crate::machine::said_by(Command::new("valgrind").arg("--version"))
}

/// Instructions of a whole run.
fn collected(words: &[String]) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).args(words);
    let run = valgrind.output().context("cannot start valgrind")?;
    let text = String::from_utf8_lossy(&run.stderr);
    let counted = total(&text).filter(|_| run.status.success());
    counted.with_context(|| format!("{}: callgrind counted nothing: {text}", words.join(" ")))
}

/// `==4711== Collected : 123456`
fn total(text: &str) -> Option<u64> {
    let (_, number) = text.lines().find_map(|line| line.split_once("Collected : "))?;
    number.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_stands_among_other_lines() {
        let text = "==3== Callgrind, a call-graph generating cache profiler\n==3== Events    : Ir\n\
                    ==3== Collected : 1205306\n==3== \n==3== I   refs:      1,205,306\n";
        assert_eq!(total(text), Some(1_205_306));
        assert_eq!([total(""), total("==3== Collected : \n")], [None, None]);
    }
}

//! Who is measured when.

use std::time::Duration;

use anyhow::Result;

/// How much is measured by searches for a rate.
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    /// How long one rate is tried.
    pub(crate) trial: Duration,
}

impl Extent {
    /// Five rounds, or for a short run so many, of shorter trials.
    pub(crate) fn of(short: Option<usize>) -> Self {
        let trial = Duration::from_secs(if short.is_some() { 1 } else { 2 });
        Self { rounds: short.unwrap_or(5), trial }
    }
}

/// Gives each contender, by its number, a turn in each round; the one that begins is another one each time.
pub(crate) fn rounds(
    count: usize,
    contenders: usize,
    mut turn: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    for round in 1..=count {
        println!("round {round} of {count}");
        (0..contenders).try_for_each(|place| turn((round + place) % contenders))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_turn_in_each_round_and_begins_in_one() {
        let mut turns = Vec::new();
        rounds(3, 3, |number| {
            turns.push(number);
            Ok(())
        })
        .unwrap();
        assert_eq!(turns, [1, 2, 0, 2, 0, 1, 0, 1, 2]);
    }
}

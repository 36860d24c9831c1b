//! The counters of fates.

use aya::maps::{MapData, PerCpuArray};
use gridway_steer_abi::{Fate, maps};

use crate::SteerError;

/// Frames by fate, since the program was loaded, each in total and by CPU.
///
/// The counters are read one after the other while frames go on arriving, so the sum over fates is that of no
/// one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FateCounters {
    /// One vector a fate, one element a possible CPU.
    per_cpu: Vec<Vec<u64>>,
}

impl FateCounters {
    pub(crate) fn read(map: &PerCpuArray<MapData, u64>) -> Result<Self, SteerError> {
        let per_cpu =
            Fate::ALL.iter().map(|fate| Ok(map.get(&fate.index(), 0)?.to_vec())).collect::<Result<_, _>>();
        Ok(Self { per_cpu: per_cpu.map_err(|source| SteerError::Map { map: maps::COUNTERS, source })? })
    }

    /// Frames of this fate, all CPUs together.
    pub fn get(&self, fate: Fate) -> u64 {
        self.per_cpu(fate).iter().sum()
    }

    /// Frames of this fate by CPU; the index is the CPU's number.
    pub fn per_cpu(&self, fate: Fate) -> &[u64] {
        &self.per_cpu[fate as usize]
    }

    /// Every fate with its frames, all CPUs together.
    pub fn iter(&self) -> impl Iterator<Item = (Fate, u64)> + '_ {
        Fate::ALL.iter().map(|&fate| (fate, self.get(fate)))
    }

    /// All frames that the program saw.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, frames)| frames).sum()
    }
}

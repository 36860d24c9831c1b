//! Layer 3 on memory: packets in, packets out, and why not.

mod acl;
mod fast_path;
mod flow_stress;
mod flow_table;
mod hairpin;
mod many_to_one;
mod mirror;
mod npt;
mod own_address;
mod peers;
mod pieces;
mod policy_change;
mod reasons;
mod sharing;
mod support;
mod translation;
mod vnets;

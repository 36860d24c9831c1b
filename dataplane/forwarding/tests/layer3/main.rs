//! Layer 3 on memory: packets in, packets out, and why not.

mod acl;
mod diagnostics;
mod ended_flows;
mod fast_path;
mod flow_stress;
mod flow_table;
mod fragments;
mod hairpin;
mod icmp_errors;
mod many_to_one;
mod mapping_stress;
mod mirror;
mod monitors;
mod npt;
mod one_way;
mod own_address;
mod peers;
mod pieces;
mod policy_change;
mod reasons;
mod relay;
mod sharing;
mod support;
mod too_big;
mod translation;
mod vnets;

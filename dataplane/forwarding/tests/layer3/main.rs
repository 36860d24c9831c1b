//! Layer 3 on memory: packets in, packets out, and why not.

mod acl;
mod fast_path;
mod flow_stress;
mod flow_table;
mod mirror;
mod own_address;
mod peers;
mod policy_change;
mod reasons;
mod support;
mod translation;
mod vnets;

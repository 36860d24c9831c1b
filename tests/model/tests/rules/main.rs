//! The rules, one claim a test, with expectations worked out by hand: the proof that the judge is right.

mod acl;
mod alike;
mod diagnostics;
mod flows;
mod fragments;
mod generators;
mod hairpin;
mod icmp_errors;
mod mtu;
mod own_address;
mod packets;
mod pat;
mod relay;
mod routes;
mod support;
mod translation;
mod vnets;

//! Network address translation.

mod pat;
mod pool;
mod prefix;

use std::net::IpAddr;

use gridway_config::{OutsideNat, RemoteHosts, Vnet};

use crate::reason::{NO_INSIDE_NAT, NO_OUTSIDE_NAT, Reason, UNTRANSLATABLE};

pub use pool::usable_pool;
pub use prefix::translate_prefix;

/// The other identity of a remote host.
pub(crate) enum Outside<'v> {
    /// An address of its own.
    Address(IpAddr),
    /// A share of this pool.
    Pool(&'v OutsideNat),
}

/// Whether an empty NAT list lets an address be: any without NAT, those within `cidr` with it.
fn identity(vnet: &Vnet, address: IpAddr) -> bool {
    !vnet.nat || vnet.cidr.iter().any(|prefix| prefix.contains(&address))
}

/// A local host's address in the vnet.
pub(crate) fn inside_to_virtual(vnet: &Vnet, local: IpAddr) -> Result<IpAddr, Reason> {
    if vnet.inside_nat.is_empty() {
        return identity(vnet, local).then_some(local).ok_or(NO_INSIDE_NAT);
    }
    let entry = vnet.inside_nat.iter().find(|entry| entry.local.contains(&local)).ok_or(NO_INSIDE_NAT)?;
    translate_prefix(local, entry.local, entry.virtual_prefix).ok_or(UNTRANSLATABLE)
}

/// The local host with this address in the vnet.
pub(crate) fn inside_to_local(vnet: &Vnet, address: IpAddr) -> Result<IpAddr, Reason> {
    if vnet.inside_nat.is_empty() {
        return identity(vnet, address).then_some(address).ok_or(NO_INSIDE_NAT);
    }
    let mut entries = vnet.inside_nat.iter();
    let entry = entries.find(|entry| entry.virtual_prefix.contains(&address)).ok_or(NO_INSIDE_NAT)?;
    translate_prefix(address, entry.virtual_prefix, entry.local).ok_or(UNTRANSLATABLE)
}

/// The remote host that local hosts know by this address.
pub(crate) fn outside_to_virtual(vnet: &Vnet, local: IpAddr) -> Result<Outside<'_>, Reason> {
    if vnet.outside_nat.is_empty() {
        return identity(vnet, local).then_some(Outside::Address(local)).ok_or(NO_OUTSIDE_NAT);
    }
    let entry = vnet.outside_nat.iter().find(|entry| entry.local.contains(&local)).ok_or(NO_OUTSIDE_NAT)?;
    match &entry.remote {
        RemoteHosts::Prefix(prefix) if !entry.is_many_to_one() => {
            translate_prefix(local, entry.local, *prefix).map(Outside::Address).ok_or(UNTRANSLATABLE)
        }
        _ => Ok(Outside::Pool(entry)),
    }
}

/// The address that local hosts know a remote host by.
pub(crate) fn outside_to_local(vnet: &Vnet, address: IpAddr) -> Result<Outside<'_>, Reason> {
    if vnet.outside_nat.is_empty() {
        return identity(vnet, address).then_some(Outside::Address(address)).ok_or(NO_OUTSIDE_NAT);
    }
    let holds = |entry: &&OutsideNat| entry.remote.prefixes().iter().any(|prefix| prefix.contains(&address));
    let entry = vnet.outside_nat.iter().find(holds).ok_or(NO_OUTSIDE_NAT)?;
    match &entry.remote {
        RemoteHosts::Prefix(prefix) if !entry.is_many_to_one() => {
            translate_prefix(address, *prefix, entry.local).map(Outside::Address).ok_or(UNTRANSLATABLE)
        }
        _ => Ok(Outside::Pool(entry)),
    }
}

//! The kernel's own forwarding, off: whenever no program is attached (before start-up, after a crash) it would
//! put packets of local hosts on the WAN in clear.
//!
//! For IPv4 the interface's switch decides about packets that come in by it. For IPv6 the interface's switch
//! only chooses between host and router behaviour, and `all/forwarding` decides
//! (<https://docs.kernel.org/networking/ip-sysctl.html>, "IPv4 and IPv6 work differently here"); since Linux
//! 6.17 an interface's `force_forwarding` overrides that. So all three are switched off. That
//! `all/forwarding` concerns every interface of the machine is said in the log where it was on.

use std::{fs, io, path::Path};

use crate::SteerError;

/// Switches forwarding off and reads back that it is. A kernel without IPv6 has nothing to switch.
pub(crate) fn switch_off(interface: &str) -> Result<(), SteerError> {
    write_zero(&format!("/proc/sys/net/ipv4/conf/{interface}/forwarding"))?;
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(());
    }
    const ALL_IPV6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
    // First, because a change of `all` is copied to the interfaces.
    if write_zero(ALL_IPV6)? {
        tracing::warn!(
            "IPv6 forwarding was on and is switched off for the whole machine ({ALL_IPV6}): the kernel has no \
             such switch for one interface"
        );
    }
    // The kernel takes IPv6 from an interface whose MTU is below 1280 (RFC 8200, 5), its switches too.
    for switch in ["forwarding", "force_forwarding"] {
        let switch = format!("/proc/sys/net/ipv6/conf/{interface}/{switch}");
        if Path::new(&switch).exists() {
            write_zero(&switch)?;
        }
    }
    Ok(())
}

/// Makes the switch read 0; whether it had to be changed. One that reads 0 already is not written, so that a
/// read-only `/proc` suffices where forwarding is off.
fn write_zero(path: &str) -> Result<bool, SteerError> {
    let failed = |source| SteerError::Forwarding { path: path.into(), source };
    if read(path).map_err(failed)? == "0" {
        return Ok(false);
    }
    fs::write(path, "0\n").map_err(failed)?;
    match read(path).map_err(failed)?.as_str() {
        "0" => Ok(true),
        other => Err(failed(io::Error::other(format!("it still reads {other:?}")))),
    }
}

fn read(path: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

//! Huge pages for the frames of AF_XDP.

use std::path::Path;

use crate::finding::Finding;
use crate::link;
use crate::nic::receive_queues;
use crate::system::System;

/// Frames that a node keeps for a receive queue.
const FRAMES: i64 = 8192;
/// Largest MTU whose packets fit a frame of 2 KiB; above it frames have 4.
const SMALL_FRAME_MTU: i64 = 2048 - 256 - 18;

pub(crate) fn huge_pages(system: &System, interface: &str) -> Finding {
    const ID: &str = "memory.huge_pages";
    const FOLDER: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";
    let mtu = system.number(link::folder(interface).join("mtu")).unwrap_or(1500);
    let frame = if mtu <= SMALL_FRAME_MTU { 2048 } else { 4096 };
    let wanted = i64::from(receive_queues(interface)) * FRAMES * frame / (2 << 20);
    let Some(free) = system.number(Path::new(FOLDER).join("free_hugepages")) else {
        return Finding::ok(ID, interface, "this machine has no pages of 2 MiB; frames lie in ordinary ones");
    };
    let reserved = system.number(Path::new(FOLDER).join("nr_hugepages")).unwrap_or(0);
    // Those that a running node holds are not free.
    if reserved >= wanted {
        return Finding::ok(
            ID,
            interface,
            format!("{reserved} pages of 2 MiB, {free} of them free; {wanted} wanted"),
        );
    }
    Finding::warning(
        ID,
        interface,
        format!(
            "{reserved} pages of 2 MiB are reserved: frames lie in ordinary pages, which costs some speed"
        ),
        format!("sysctl -w vm.nr_hugepages={wanted}, and the same in a file of /etc/sysctl.d"),
    )
}

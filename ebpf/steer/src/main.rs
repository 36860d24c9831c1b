//! The steering program on the data NIC, which gives every frame to the kernel, to the AF_XDP socket of its
//! receive queue, or to nobody, and counts which. It is there twice, with the same table and the same maps:
//! - at the XDP hook, in the driver, which is where sockets can be reached;
//! - at the ingress of tc, in the kernel's stack, for a node that has no vnet and so no frames for sockets:
//!   what a driver does for XDP's sake (copies, no joining of segments) would be for nothing there.
//!
//! The rows of the table "Steering on the data NIC", in the order in which they are asked; the first that
//! applies decides. [`classify`] is that list.
//!
//! 1. Unicast destination MAC that is not ours: drop.
//! 2. VLAN id other than 0: drop. A priority tag (id 0) is peeled, and taken off before a worker sees it.
//! 3. ARP: a request for a proxied address goes to the worker, all other ARP to the kernel.
//! 4. Neither ARP nor IP (LLDP, EAPOL, spanning tree): kernel, by unicast as by group MAC. The kernel gives
//!    such frames to packet sockets only; the promise "never the kernel" is about IP.
//! 5. IP that is malformed: drop. Checked is what steering reads, not checksums.
//! 6. Neighbour discovery: a solicitation for a proxied address goes to the worker; to own, link-local or
//!    multicast addresses: kernel. It comes before the deny list for the same reason as ARP: a denied prefix
//!    that holds the router must not take the link down.
//! 7. IP source in the deny list: drop. Before the kernel rows, so that it protects Layer 4 listeners too.
//! 8. IP destination is an own address, or a listener: kernel, whatever the MAC.
//! 9. UDP to port 68 over IPv4: kernel.
//! 10. IP destination is a multicast address or 255.255.255.255: kernel, by unicast MAC as well (RFC 6085
//!     sends multicast so). Multicast belongs to the link, never to the overlay.
//! 11. Group MAC around any other IP destination: drop (RFC 1122 3.3.6). The kernel would take such a packet
//!     for the address of any of its interfaces, so a LAN host could reach the management side. A directed
//!     broadcast is an own address: user space puts it into that set.
//! 12. Any other IP: the worker.
//!
//! A frame for a worker whose queue has no socket is dropped and counted as that, and so is one for a worker at
//! the tc hook.
//!
//! Later fragments have no ports. They follow their first fragment: one that went to a listener is remembered
//! for its datagram in an LRU map. A later fragment that overtakes its first one goes to the worker, and the
//! datagram is lost; own addresses are matched without ports, so nothing is lost there.
#![no_std]
#![no_main]

mod arp;
mod classify;
mod context;
mod extensions;
mod frame;
mod ip;
mod ipv4;
mod ipv6;
mod maps;
mod neighbour;
mod untag;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use gridway_steer_abi::{Fate, Kind};

use crate::frame::{Frame, MAX_OFFSET};

/// Entry point at the XDP hook.
#[xdp]
fn gridway_steer(context: XdpContext) -> u32 {
    let steered = classify::classify(&Frame::new(&context));
    let (fate, action) = match steered.fate.kind() {
        Kind::Drop => (steered.fate, xdp_action::XDP_DROP),
        Kind::Kernel => (steered.fate, xdp_action::XDP_PASS),
        Kind::Worker => to_worker(&context, steered.fate, steered.tags),
    };
    maps::count(fate);
    action
}

/// Entry point at the tc hook.
#[classifier]
fn gridway_steer_tc(context: TcContext) -> i32 {
    let mut fate = classify::classify(&Frame::new(&context)).fate;
    // What looks cut short may lie outside of the linear part.
    if matches!(fate, Fate::DropMalformed) && pull(&context) {
        fate = classify::classify(&Frame::new(&context)).fate;
    }
    let (fate, action) = match fate.kind() {
        Kind::Drop => (fate, TC_ACT_SHOT),
        // To whoever else has a program there, and then to the stack.
        Kind::Kernel => (fate, TC_ACT_UNSPEC),
        Kind::Worker => (Fate::DropNoVnet, TC_ACT_SHOT),
    };
    maps::count(fate);
    action
}

/// Makes all headers readable that steering would read; whether that changed anything.
#[inline(always)]
fn pull(context: &TcContext) -> bool {
    let readable = context.data_end() - context.data();
    let wanted = context.len().min(MAX_OFFSET as u32);
    readable < wanted as usize && context.pull_data(wanted).is_ok()
}

/// Hands the frame to the socket of its receive queue.
#[inline(always)]
fn to_worker(context: &XdpContext, fate: Fate, tags: u32) -> (Fate, u32) {
    if let Err(error) = untag::untag(context, tags) {
        return (error.fate(), xdp_action::XDP_DROP);
    }
    // The helper answers with the action in the flags when the queue has no socket.
    match maps::SOCKETS.redirect(context.rx_queue_index(), u64::from(xdp_action::XDP_DROP)) {
        Ok(action) => (fate, action),
        Err(_no_socket) => (Fate::DropNoSocket, xdp_action::XDP_DROP),
    }
}

/// Never reached: the verifier refuses a program that could loop here.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// What the kernel is told about the licence; no helper in use asks for GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";

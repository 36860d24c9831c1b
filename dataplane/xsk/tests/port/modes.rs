//! What a port is granted when it is opened, and what it says when it is not.

use std::fs;

use crate::support::wire::Wire;
use crate::support::{Attach, WIRE, all_home, cable, connect, echo, ip, options, swapped, udp, until};
use gridway_xsk::{Pages, Port, PortError, PortOptions, RingMode, Rings};

fn errno(error: &PortError) -> Option<i32> {
    match error {
        PortError::Bind { source, .. } => source.raw_os_error(),
        other => panic!("{other}"),
    }
}

#[test]
fn auto_falls_back_to_copy_on_veth_and_says_why() {
    cable(2);
    let (port, _redirect) = connect(&options(2), Attach::Native);
    assert_eq!(port.mode(), RingMode::Copy);
    assert_eq!(port.zero_copy_refusal().unwrap().raw_os_error(), Some(libc::EOPNOTSUPP));
}

#[test]
fn zero_copy_is_an_error_on_veth() {
    cable(1);
    let error = Port::open(&PortOptions { rings: Rings::ZeroCopy, ..options(1) }).unwrap_err();
    assert_eq!(errno(&error), Some(libc::EOPNOTSUPP));
    assert!(matches!(error, PortError::Bind { queue: 0, mode: RingMode::ZeroCopy, .. }));
}

#[test]
fn copy_is_granted_without_trying_zero_copy() {
    cable(1);
    let port = Port::open(&PortOptions { rings: Rings::Copy, ..options(1) }).unwrap();
    assert_eq!(port.mode(), RingMode::Copy);
    assert!(port.zero_copy_refusal().is_none());
}

#[test]
fn missing_interface_and_queue_are_named() {
    cable(1);
    let error = Port::open(&PortOptions { interface: "none0".into(), ..options(1) }).unwrap_err();
    assert_eq!(errno(&error), Some(libc::ENODEV));
    assert_eq!(error.to_string(), "cannot bind an AF_XDP socket to queue 0 of none0 in ZeroCopy mode");

    let error = Port::open(&options(2)).unwrap_err();
    assert_eq!(errno(&error), Some(libc::EINVAL));
    assert!(matches!(error, PortError::Bind { queue: 1, .. }));

    let error = Port::open(&PortOptions { interface: "a\0b".into(), ..options(1) }).unwrap_err();
    assert!(matches!(error, PortError::InterfaceName { .. }));
}

#[test]
fn a_queue_that_is_taken_is_refused_and_its_owner_undisturbed() {
    cable(1);
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let error = Port::open(&options(1)).unwrap_err();
    assert_eq!(errno(&error), Some(libc::EBUSY));
    let wire = Wire::open(WIRE);
    wire.send(&udp(1, 2, 3));
    let mut burst = Vec::new();
    until("a packet arrives", || echo(&mut port, &mut burst) == 1);
    assert_eq!(wire.receive().unwrap(), swapped(&udp(1, 2, 3)));
}

#[test]
fn a_closed_port_opens_again_at_once() {
    cable(2);
    let wire = Wire::open(WIRE);
    for round in 0..10 {
        let (mut port, _redirect) = connect(&options(2), Attach::Native);
        wire.send(&udp(1, round, 3));
        let mut burst = Vec::new();
        until("a packet arrives", || echo(&mut port, &mut burst) == 1);
        assert_eq!(wire.receive().unwrap(), swapped(&udp(1, round, 3)));
        all_home(&mut port);
    }
}

#[test]
fn frames_of_4096_bytes_carry_longer_packets() {
    cable(1);
    ip("link set port0 mtu 3400");
    ip("link set wire0 mtu 3400");
    let (mut port, _redirect) = connect(&PortOptions { frame_size: 4096, ..options(1) }, Attach::Native);
    assert_eq!(port.max_packet(), 4096 - 256);
    let wire = Wire::open(WIRE);
    let packet = udp(1, 2, 3300);
    wire.send(&packet);
    let mut burst = Vec::new();
    until("the packet arrives", || echo(&mut port, &mut burst) == 1);
    assert_eq!(wire.receive().unwrap(), swapped(&packet));
}

#[test]
fn a_packet_longer_than_a_frame_is_dropped_and_counted() {
    cable(1);
    ip("link set port0 mtu 3400");
    ip("link set wire0 mtu 3400");
    let (mut port, _redirect) = connect(&options(1), Attach::Native);
    let wire = Wire::open(WIRE);
    wire.send(&udp(1, 2, 3300));
    until("the packet is dropped", || port.statistics().unwrap()[0].rx_dropped == 1);
    assert_eq!(port.receive(0, &mut Vec::new()), 0);
    all_home(&mut port);
}

/// Sets the number of huge pages of the machine back when dropped.
struct HugePages {
    before: String,
}

const NR_HUGEPAGES: &str = "/proc/sys/vm/nr_hugepages";

impl Drop for HugePages {
    fn drop(&mut self) {
        fs::write(NR_HUGEPAGES, &self.before).unwrap();
    }
}

#[test]
fn the_umem_is_in_huge_pages_where_there_are_some() {
    /// Kernel's page size in KiB of every mapping of this process of exactly `bytes`.
    fn page_sizes(bytes: usize) -> Vec<usize> {
        let kib = |line: &str| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap();
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let sizes = maps.lines().filter(|line| line.starts_with("Size:")).map(kib);
        let pages = maps.lines().filter(|line| line.starts_with("KernelPageSize:")).map(kib);
        sizes.zip(pages).filter(|(size, _)| size * 1024 == bytes).map(|(_, page)| page).collect()
    }
    cable(1);
    // A size that no other test of this process maps.
    let options = PortOptions { frames: 8192, ..options(1) };
    let bytes = 8192 * 2048;

    let port = Port::open(&PortOptions { huge_pages: false, ..options.clone() }).unwrap();
    assert_eq!(port.pages(), Pages::Normal);
    assert_eq!(page_sizes(bytes), [4]);
    drop(port);

    let before = fs::read_to_string(NR_HUGEPAGES).unwrap().trim().to_owned();
    let _restore = HugePages { before: before.clone() };
    let wanted = before.parse::<usize>().unwrap() + 8;
    fs::write(NR_HUGEPAGES, wanted.to_string()).unwrap();
    let granted: usize = fs::read_to_string(NR_HUGEPAGES).unwrap().trim().parse().unwrap();
    let (mut port, _redirect) = connect(&options, Attach::Native);
    // A machine whose memory is in pieces may grant fewer: then the port must say that it has normal ones.
    let (pages, size) = if granted >= wanted { (Pages::Huge, 2048) } else { (Pages::Normal, 4) };
    assert_eq!(port.pages(), pages, "{granted} of {wanted} huge pages granted");
    assert_eq!(page_sizes(bytes), [size]);
    let wire = Wire::open(WIRE);
    wire.send(&udp(1, 2, 3));
    let mut burst = Vec::new();
    until("a packet arrives", || echo(&mut port, &mut burst) == 1);
    assert_eq!(wire.receive().unwrap(), swapped(&udp(1, 2, 3)));
}

//! BPF_PROG_TEST_RUN (<https://docs.kernel.org/bpf/bpf_prog_run.html>): the real program, one frame, no wire.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use super::frames::NETWORK;

/// `enum xdp_action` of linux/bpf.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Aborted,
    Drop,
    Pass,
    Tx,
    Redirect,
}

/// What the program answered, and the frame as it left it.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) action: Action,
    pub(crate) frame: Vec<u8>,
}

const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// The `test` member of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    /// Pads to the eight bytes that the union is aligned to.
    zero: u32,
}

/// `struct xdp_md`.
#[repr(C)]
struct XdpMd {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// Runs the XDP `program` on `frame`, as received by `queue` of interface `ifindex`.
pub(crate) fn run_xdp(program: BorrowedFd<'_>, frame: &[u8], ifindex: u32, queue: u32) -> Verdict {
    let length = u32::try_from(frame.len()).expect("a frame");
    let context = XdpMd {
        data: 0,
        data_end: length,
        data_meta: 0,
        ingress_ifindex: ifindex,
        rx_queue_index: queue,
        egress_ifindex: 0,
    };
    let context =
        ((&raw const context).expose_provenance() as u64, u32::try_from(size_of::<XdpMd>()).expect("small"));
    let (code, frame) = run(program, frame, context);
    let action = match code {
        0 => Action::Aborted,
        1 => Action::Drop,
        2 => Action::Pass,
        3 => Action::Tx,
        4 => Action::Redirect,
        other => panic!("verdict {other}"),
    };
    Verdict { action, frame }
}

/// Runs `program` of the tc hook on `frame`; its verdict in the terms of XDP. None for IP that is shorter than
/// its header, which the kernel does not run there.
pub(crate) fn run_tc(program: BorrowedFd<'_>, frame: &[u8]) -> Option<Verdict> {
    const UNSPEC: u32 = u32::MAX;
    const SHOT: u32 = 2;
    let shortest = match frame[12..14] {
        [0x08, 0x00] => NETWORK + 20,
        [0x86, 0xdd] => NETWORK + 40,
        _ => NETWORK,
    };
    if frame.len() < shortest {
        return None;
    }
    let (code, frame) = run(program, frame, (0, 0));
    let action = match code {
        UNSPEC => Action::Pass,
        SHOT => Action::Drop,
        other => panic!("verdict {other}"),
    };
    Some(Verdict { action, frame })
}

/// Address and length of a context are zero where the kernel makes its own.
fn run(program: BorrowedFd<'_>, frame: &[u8], (ctx_in, ctx_size_in): (u64, u32)) -> (u32, Vec<u8>) {
    let length = u32::try_from(frame.len()).expect("a frame");
    let mut out = vec![0u8; frame.len()];
    let mut attributes = TestRun {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        data_size_in: length,
        data_size_out: length,
        data_in: frame.as_ptr().addr() as u64,
        data_out: out.as_mut_ptr().expose_provenance() as u64,
        repeat: 1,
        ctx_size_in,
        ctx_in,
        ..TestRun::default()
    };
    frame.as_ptr().expose_provenance();
    // SAFETY: the attributes point at `frame`, and at a context of the caller's if there is one, which the kernel
    // reads, and at `out`, of which it writes no more than `data_size_out` bytes; all outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut attributes, size_of::<TestRun>()) };
    assert_eq!(result, 0, "BPF_PROG_TEST_RUN of {} bytes: {}", frame.len(), io::Error::last_os_error());
    out.truncate(attributes.data_size_out as usize);
    (attributes.retval, out)
}

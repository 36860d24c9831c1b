//! The smallest XDP program: every packet to the socket of its receive queue, or to the kernel where there is
//! none. Written as BPF instructions, so that these tests depend on no compiler and on no other crate.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::net::if_::if_nametoindex;

const BPF_MAP_CREATE: i64 = 0;
const BPF_MAP_UPDATE_ELEM: i64 = 2;
const BPF_PROG_LOAD: i64 = 5;
const BPF_LINK_CREATE: i64 = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const MOST_QUEUES: u32 = 64;

/// How the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attach {
    /// In the driver (`XDP_FLAGS_DRV_MODE`).
    Native,
    /// In the stack (`XDP_FLAGS_SKB_MODE`).
    Generic,
}

/// The program on an interface; detached on drop.
pub(crate) struct Redirect {
    map: OwnedFd,
    _program: OwnedFd,
    _link: OwnedFd,
}

impl Redirect {
    /// Loads the program and attaches it.
    pub(crate) fn attach(interface: &str, attach: Attach) -> Self {
        let map = open(BPF_MAP_CREATE, &[BPF_MAP_TYPE_XSKMAP, 4, 4, MOST_QUEUES]);
        let instructions: [u64; 6] = [
            instruction(0x61, 2, 1, 16, 0),              // r2 = ctx->rx_queue_index
            instruction(0x18, 1, 1, 0, map.as_raw_fd()), // r1 = map (BPF_PSEUDO_MAP_FD)
            0,                                           // upper half of r1
            instruction(0xb7, 3, 0, 0, 2),               // r3 = XDP_PASS
            instruction(0x85, 0, 0, 0, 51),              // call bpf_redirect_map
            instruction(0x95, 0, 0, 0, 0),               // return r0
        ];
        let license = c"GPL";
        let mut load = [0_u32; 20];
        load[0] = BPF_PROG_TYPE_XDP;
        load[1] = instructions.len() as u32;
        put(&mut load, 2, instructions.as_ptr() as u64);
        put(&mut load, 4, license.as_ptr() as u64);
        load[17] = BPF_XDP; // expected_attach_type
        let program = open(BPF_PROG_LOAD, &load);
        let flags = match attach {
            Attach::Generic => 2,
            Attach::Native => 4,
        };
        let index = if_nametoindex(interface).unwrap();
        let link = open(BPF_LINK_CREATE, &[program.as_raw_fd() as u32, index, BPF_XDP, flags]);
        Self { map, _program: program, _link: link }
    }

    /// Gives a queue's packets to a socket.
    pub(crate) fn register(&self, queue: u32, socket: &impl AsRawFd) {
        let socket = socket.as_raw_fd();
        let mut update = [0_u32; 8];
        update[0] = self.map.as_raw_fd() as u32;
        put(&mut update, 2, (&raw const queue) as u64);
        put(&mut update, 4, (&raw const socket) as u64);
        bpf(BPF_MAP_UPDATE_ELEM, &update).unwrap();
    }
}

fn instruction(code: u8, destination: u8, source: u8, offset: u16, immediate: i32) -> u64 {
    u64::from(code)
        | u64::from(destination | source << 4) << 8
        | u64::from(offset) << 16
        | u64::from(immediate as u32) << 32
}

/// Writes a 64-bit field that starts at a word of the attributes.
fn put(attributes: &mut [u32], word: usize, value: u64) {
    attributes[word] = value as u32;
    attributes[word + 1] = (value >> 32) as u32;
}

fn open(command: i64, attributes: &[u32]) -> OwnedFd {
    let fd = bpf(command, attributes).unwrap();
    // SAFETY: the kernel just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn bpf(command: i64, attributes: &[u32]) -> io::Result<i32> {
    // The kernel wants the union aligned to eight bytes, and unused fields zero.
    let mut aligned = [0_u64; 16];
    for (index, word) in attributes.iter().enumerate() {
        aligned[index / 2] |= u64::from(*word) << (32 * (index % 2));
    }
    // SAFETY: the attributes are longer than any command used here reads, and every address in them is of
    // something that the caller keeps alive over the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, aligned.as_ptr(), size_of_val(&aligned)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}

//! What the kernel says of a TCP connection (`TCP_INFO`, tcp(7)).

use std::io;
use std::os::fd::AsFd;

use gridway_control::TcpInfo;
use nix::sys::socket::GetSockOpt;
use nix::{getsockopt_impl, sockopt_impl};

/// The beginning of `struct tcp_info` (linux/tcp.h), as far as every supported kernel has it: the kernel copies as much
/// as is asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[expect(unreachable_pub, reason = "it is the value of an option that the macro makes public")]
pub struct Kernel {
    /// State, options and flags.
    _flags: [u8; 8],
    /// Retransmission time-outs.
    _timeouts: [u32; 2],
    snd_mss: u32,
    _rcv_mss: u32,
    unacked: u32,
    _sacked: u32,
    lost: u32,
    /// In flight again, FACKs, four times since, path MTU, receive threshold.
    _state: [u32; 8],
    rtt: u32,
    rtt_var: u32,
    _snd_ssthresh: u32,
    snd_cwnd: u32,
    /// Announced MSS, reordering, two of the receiver.
    _receiver: [u32; 4],
    total_retrans: u32,
    pacing_rate: u64,
    _max_pacing_rate: u64,
    /// Acknowledged and received.
    _bytes: [u64; 2],
    /// Out and in.
    _segments: [u32; 2],
    notsent_bytes: u32,
    min_rtt: u32,
    /// In and out.
    _data_segments: [u32; 2],
    delivery_rate: u64,
    /// Times that something limited it.
    _limited: [u64; 3],
    /// Segments, and those with an ECN mark.
    _delivered: [u32; 2],
    _bytes_sent: u64,
    bytes_retrans: u64,
}

const _: () = assert!(size_of::<Kernel>() == 216 && std::mem::offset_of!(Kernel, delivery_rate) == 160);

sockopt_impl!(
    /// `TCP_INFO`.
    Info, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Kernel
);

/// Asks the kernel about a connected socket.
pub(crate) fn of(socket: &impl AsFd) -> io::Result<TcpInfo> {
    let info = Info.get(socket)?;
    let congestion = rustix::net::sockopt::tcp_congestion(socket)?;
    Ok(TcpInfo {
        congestion,
        rtt_us: info.rtt.into(),
        rtt_var_us: info.rtt_var.into(),
        // All ones before the first measurement.
        min_rtt_us: Some(info.min_rtt).filter(|time| *time < u32::MAX).unwrap_or(info.rtt).into(),
        congestion_window: info.snd_cwnd.into(),
        mss: info.snd_mss.into(),
        unacked: info.unacked.into(),
        lost: info.lost.into(),
        retransmitted: info.total_retrans.into(),
        retransmitted_bytes: info.bytes_retrans,
        unsent_bytes: info.notsent_bytes.into(),
        delivery_rate_bps: bits(info.delivery_rate),
        pacing_rate_bps: bits(info.pacing_rate),
    })
}

/// Bytes a second as bits a second; 0 for the kernel's "no limit".
fn bits(bytes: u64) -> u64 {
    if bytes == u64::MAX { 0 } else { bytes.saturating_mul(8) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_kernel_tells_of_a_live_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(&[0; 100_000]).unwrap();
        server.read_exact(&mut [0; 100_000]).unwrap();
        server.write_all(b"seen").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        let info = of(&client).unwrap();
        let congestion = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap();
        assert_eq!(info.congestion, congestion.trim());
        assert!(info.rtt_us > 0 && info.min_rtt_us <= info.rtt_us && info.mss >= 536, "{info:?}");
        assert!(info.congestion_window > 0 && info.delivery_rate_bps > 0, "{info:?}");
        assert_eq!((info.lost, info.retransmitted, info.unsent_bytes), (0, 0, 0), "{info:?}");
    }
}

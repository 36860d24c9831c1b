//! Opening: UMEM, sockets, and the choice between zero-copy and copy mode.

use std::error::Error;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::sockopt;
use rustix::net::xdp::XdpOptionsFlags;
use xsk_rs::Socket;
use xsk_rs::config::{BindFlags, Interface, LibxdpFlags, QueueSize, SocketConfig};

use crate::error::PortError;
use crate::memory::Memory;
use crate::options::{PortOptions, RingMode, Rings};
use crate::queue::Queue;

/// How long a queue that is taken is tried again. The kernel frees the queue of a closed socket from a work
/// queue, so a restarted process may find it taken for a moment.
const BUSY_PATIENCE: Duration = Duration::from_millis(500);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// A UMEM with its sockets.
pub(crate) struct Bound {
    pub(crate) memory: Memory,
    pub(crate) queues: Vec<Queue>,
    pub(crate) mode: RingMode,
    /// Why zero-copy was refused, where copy mode stands in for it.
    pub(crate) refusal: Option<io::Error>,
}

/// Binds all queues in the mode asked for. In `auto` zero-copy comes first, and copy takes over when the
/// kernel refuses.
pub(crate) fn bind(options: &PortOptions) -> Result<Bound, PortError> {
    let mode = match options.rings {
        Rings::Copy => RingMode::Copy,
        Rings::Auto | Rings::ZeroCopy => RingMode::ZeroCopy,
    };
    let memory = Memory::new(options)?;
    let (queue, source) = match bind_queues(options, mode, &memory) {
        Ok(queues) => {
            return Ok(Bound { memory, queues, mode, refusal: None });
        }
        Err(PortError::Bind { queue, source, .. })
            if options.rings == Rings::Auto && refuses_zero_copy(&source) =>
        {
            (queue, source)
        }
        Err(error) => return Err(error),
    };
    tracing::info!(interface = options.interface, queue, error = %source, "zero-copy refused, using copy mode");
    // The UMEM serves a second try as long as no socket was bound to it. That matters for huge pages: the kernel
    // gives those of a closed UMEM back later, from a work queue, and there may be no others.
    let memory = if queue == options.queues[0] {
        memory
    } else {
        drop(memory);
        Memory::new(options)?
    };
    let queues = bind_queues(options, RingMode::Copy, &memory)?;
    Ok(Bound { memory, queues, mode: RingMode::Copy, refusal: Some(source) })
}

/// Whether copy mode may succeed where zero-copy got this answer. Drivers have many ways to say no; these
/// answers would be the same in copy mode.
fn refuses_zero_copy(error: &io::Error) -> bool {
    let same_for_copy = [Errno::BUSY, Errno::NODEV, Errno::PERM, Errno::ACCESS];
    Errno::from_io_error(error).is_none_or(|errno| !same_for_copy.contains(&errno))
}

fn bind_queues(options: &PortOptions, mode: RingMode, memory: &Memory) -> Result<Vec<Queue>, PortError> {
    options.queues.iter().map(|queue| bind_patiently(options, mode, memory, *queue)).collect()
}

fn bind_patiently(
    options: &PortOptions,
    mode: RingMode,
    memory: &Memory,
    queue: u32,
) -> Result<Queue, PortError> {
    let deadline = Instant::now() + BUSY_PATIENCE;
    loop {
        match bind_queue(options, mode, memory, queue) {
            Err(PortError::Bind { source, .. })
                if source.raw_os_error() == Some(Errno::BUSY.raw_os_error()) && Instant::now() < deadline =>
            {
                thread::sleep(BUSY_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

fn bind_queue(
    options: &PortOptions,
    mode: RingMode,
    memory: &Memory,
    queue: u32,
) -> Result<Queue, PortError> {
    let refused = |source| PortError::Bind { interface: options.interface.clone(), queue, mode, source };
    let failed = |source| PortError::Socket { interface: options.interface.clone(), queue, source };

    let interface: Interface = options
        .interface
        .parse()
        .map_err(|_| PortError::InterfaceName { name: options.interface.clone() })?;
    let ring = QueueSize::new(options.ring_size).map_err(|error| failed(io::Error::other(error)))?;
    let mut flags = match mode {
        RingMode::ZeroCopy => BindFlags::XDP_ZEROCOPY,
        RingMode::Copy => BindFlags::XDP_COPY,
    };
    flags.set(BindFlags::XDP_USE_NEED_WAKEUP, options.need_wakeup);
    let config = SocketConfig::builder()
        .rx_queue_size(ring)
        .tx_queue_size(ring)
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(flags)
        .build();

    // SAFETY: asks that `XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD` be set where an (interface, queue) pair is bound
    // twice on one UMEM. It is set, and the options hold no queue twice.
    let (tx, rx, rings) = unsafe { Socket::new(config, &memory.umem, &interface, queue) }
        .map_err(|error| refused(os_error(&error, error.source())))?;
    let (fill, completion) = rings
        .ok_or_else(|| failed(io::Error::other("the queue already has a fill and a completion ring")))?;

    let queue = Queue::new(queue, (tx, rx, fill, completion), options, mode);
    set_up(&queue, options, mode).map_err(failed)?;
    Ok(queue)
}

/// What a bound socket needs besides, and the check that it is in the mode it was bound for.
fn set_up(queue: &Queue, options: &PortOptions, mode: RingMode) -> io::Result<()> {
    let socket = queue.as_fd();
    fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    let zero_copy = sockopt::xdp_options(socket)?.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY);
    if zero_copy != (mode == RingMode::ZeroCopy) {
        return Err(io::Error::other(format!("asked for {mode:?}, got zero-copy: {zero_copy}")));
    }
    if mode == RingMode::Copy {
        // In copy mode every packet on its way counts against the send buffer; by default that ends at about 90
        // full-sized packets. It should not end before the ring does.
        let bytes = 2 * options.ring_size as usize * options.frame_size as usize;
        if let Err(error) = sockopt::set_socket_send_buffer_size_force(socket, bytes.min(1 << 29)) {
            tracing::debug!(%error, bytes, "the send buffer keeps its default size");
        }
    }
    Ok(())
}

/// The kernel's answer inside an error of xsk-rs, or that error's own words.
pub(crate) fn os_error(error: &dyn Error, source: Option<&(dyn Error + 'static)>) -> io::Error {
    source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
        .map_or_else(|| io::Error::other(error.to_string()), io::Error::from_raw_os_error)
}

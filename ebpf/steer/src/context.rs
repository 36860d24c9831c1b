//! What the kernel calls a program with: a driver's buffer (XDP), or a packet of its own stack (tc).

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    programs::{TcContext, XdpContext},
};

use crate::extensions;

/// Where a frame's bytes lie, and what is known of it beside them.
pub trait Context {
    /// Where its readable bytes begin: at the destination MAC.
    fn start(&self) -> usize;

    /// Where its readable bytes end, loaded anew as far as the compiler knows.
    fn end(&self) -> usize;

    /// Its bytes, be they readable or not.
    fn length(&self) -> usize;

    /// The VLAN tag that was taken off it, priority and number.
    fn tag_taken_off(&self) -> Option<u16>;

    /// Its length from `network` on, if the kernel joined more segments in it than a length field can say
    /// (BIG TCP: the field is zero then). Else zero.
    fn joined_from(&self, network: usize) -> usize;

    /// Walks the extension headers of the IPv6 packet between `network` and `end`; the outcome is that of
    /// [`extensions::Walked::unpack`].
    fn walk_extensions(&self, network: u64, end: u64) -> u64;
}

/// A frame as it was received: whole, tags and all.
impl Context for XdpContext {
    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }

    #[inline(always)]
    fn end(&self) -> usize {
        let context: *mut xdp_md = self.ctx;
        // SAFETY: the context is the one that the kernel called the program with.
        unsafe { (&raw const (*context).data_end).read_volatile() as usize }
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.data_end() - self.start()
    }

    #[inline(always)]
    fn tag_taken_off(&self) -> Option<u16> {
        None
    }

    #[inline(always)]
    fn joined_from(&self, _network: usize) -> usize {
        0
    }

    #[inline(always)]
    fn walk_extensions(&self, network: u64, end: u64) -> u64 {
        extensions::gridway_walk_xdp(self.ctx, network, end)
    }
}

/// A packet of the network stack: its outer tag is taken off, only its linear part is readable, and it may be many
/// segments in one.
impl Context for TcContext {
    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }

    #[inline(always)]
    fn end(&self) -> usize {
        let context: *mut __sk_buff = self.skb.skb;
        // SAFETY: the context is the one that the kernel called the program with.
        unsafe { (&raw const (*context).data_end).read_volatile() as usize }
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.len() as usize
    }

    #[inline(always)]
    fn tag_taken_off(&self) -> Option<u16> {
        // SAFETY: the context is the one that the kernel called the program with.
        let (present, tag) = unsafe { ((*self.skb.skb).vlan_present, (*self.skb.skb).vlan_tci) };
        (present != 0).then_some(tag as u16)
    }

    #[inline(always)]
    fn joined_from(&self, network: usize) -> usize {
        // SAFETY: the context is the one that the kernel called the program with.
        let segment = unsafe { (*self.skb.skb).gso_size };
        if segment == 0 { 0 } else { (self.len() as usize).saturating_sub(network) }
    }

    #[inline(always)]
    fn walk_extensions(&self, network: u64, end: u64) -> u64 {
        extensions::gridway_walk_tc(self.skb.skb, network, end)
    }
}

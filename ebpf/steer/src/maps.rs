//! The maps, and the questions that the rows ask them.

use core::borrow::Borrow;

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, XskMap, lpm_trie::Key},
};
use gridway_steer_abi::{
    Address, Fate, FragmentKey, HostKey, ListenerKey, PrefixKey,
    maps::{DENY_LIMIT, FRAGMENTS_LIMIT, LISTENERS_LIMIT, OWN_ADDRESSES_LIMIT, PROXIED_LIMIT, SOCKETS_LIMIT},
};

#[map]
static MAC: Array<u64> = Array::with_max_entries(1, 0);
/// Receive queue to socket.
#[map]
pub static SOCKETS: XskMap = XskMap::with_max_entries(SOCKETS_LIMIT, 0);
#[map]
static OWN_ADDRESSES: HashMap<Address, u8> = HashMap::with_max_entries(2 * OWN_ADDRESSES_LIMIT, 0);
#[map]
static PROXIED: LpmTrie<PrefixKey, u8> = LpmTrie::with_max_entries(2 * PROXIED_LIMIT, 0);
#[map]
static DENY: LpmTrie<PrefixKey, u8> = LpmTrie::with_max_entries(2 * DENY_LIMIT, 0);
#[map]
static LISTENERS: HashMap<ListenerKey, u8> = HashMap::with_max_entries(2 * LISTENERS_LIMIT, 0);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, u8> = LruHashMap::with_max_entries(FRAGMENTS_LIMIT, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Fate::COUNT as u32, 0);

/// The interface's MAC, as [`gridway_steer_abi::maps::mac_word`]. Zero, which no destination is, until user
/// space has set it.
#[inline(always)]
pub fn mac() -> u64 {
    match MAC.get(0) {
        Some(mac) => *mac,
        None => 0,
    }
}

/// Adds one to the counter of this CPU. No other program runs on it in between.
#[inline(always)]
pub fn count(fate: Fate) {
    if let Some(counter) = COUNTERS.get_ptr_mut(fate.index()) {
        // SAFETY: the slot is this CPU's, and programs on one CPU do not interrupt each other.
        unsafe { *counter += 1 };
    }
}

/// A host key where aya asks for its own type of key, which is packed.
struct Lookup(HostKey);

impl Borrow<Key<PrefixKey>> for Lookup {
    #[inline(always)]
    fn borrow(&self) -> &Key<PrefixKey> {
        // SAFETY: both are a prefix length and the twenty bytes of a `PrefixKey` (sizes and offsets are asserted
        // in the abi crate); the target asks for no alignment and any bit pattern is a value of it.
        unsafe { &*(&raw const self.0).cast() }
    }
}

const _: () = assert!(size_of::<HostKey>() == size_of::<Key<PrefixKey>>());

/// Whether the data interface has the address.
#[inline(always)]
pub fn is_own(address: &Address) -> bool {
    OWN_ADDRESSES.get_ptr(address).is_some()
}

/// Whether the data plane answers for the address.
#[inline(always)]
pub fn is_proxied(address: Address) -> bool {
    PROXIED.get(Lookup(HostKey::new(address))).is_some()
}

/// Whether packets from the address are refused.
#[inline(always)]
pub fn is_denied(address: Address) -> bool {
    DENY.get(Lookup(HostKey::new(address))).is_some()
}

/// Whether Layer 4 listens there.
#[inline(always)]
pub fn is_listener(listener: &ListenerKey) -> bool {
    LISTENERS.get_ptr(listener).is_some()
}

/// Notes for the fragments to come whether their datagram goes to a listener. An identification comes around
/// again, so a datagram that does not must be forgotten.
#[inline(always)]
pub fn remember_fragments(datagram: &FragmentKey, listened: bool) {
    let noted = if listened { FRAGMENTS.insert(datagram, 1u8, 0) } else { FRAGMENTS.remove(datagram) };
    match noted {
        // A failed insert (no memory) costs this datagram; a failed removal means that there was none.
        Ok(()) | Err(_) => {}
    }
}

/// Whether the first fragment of the datagram went to a listener.
#[inline(always)]
pub fn follows_listener(datagram: &FragmentKey) -> bool {
    FRAGMENTS.get_ptr(datagram).is_some()
}

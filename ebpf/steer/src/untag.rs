//! Takes priority tags off, so that a worker reads plain Ethernet. The kernel does the same for itself.

use aya_ebpf::{helpers::bpf_xdp_adjust_head, programs::XdpContext};

use crate::{
    classify::{MAX_TAGS, TAG_LENGTH},
    frame::{Frame, Unsteerable},
};

/// Both MACs, which move over the tags, as a double word and a word.
const MACS_LENGTH: usize = 12;

/// Removes `tags` tags behind the MACs.
#[inline(always)]
pub fn untag(context: &XdpContext, tags: u32) -> Result<(), Unsteerable> {
    if tags == 0 {
        return Ok(());
    }
    let frame = Frame::new(context);
    let first: u64 = frame.read(0)?;
    let rest: u32 = frame.read(8)?;
    let delta = if tags == MAX_TAGS { 2 * TAG_LENGTH as i32 } else { TAG_LENGTH as i32 };
    // SAFETY: the context is the one that the kernel called the program with; all pointers into the frame are
    // derived anew below.
    if unsafe { bpf_xdp_adjust_head(context.ctx, delta) } != 0 {
        return Err(Unsteerable::NotUntagged);
    }
    let start = context.data();
    if start + MACS_LENGTH > context.data_end() {
        return Err(Unsteerable::Truncated);
    }
    // SAFETY: the frame holds that many bytes, as just checked, and the writes ask for no alignment.
    unsafe {
        (start as *mut u64).write_unaligned(first);
        ((start + 8) as *mut u32).write_unaligned(rest);
    }
    Ok(())
}

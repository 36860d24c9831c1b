//! The bytes of a frame: the one place where user space reaches into the UMEM.

use std::slice;

use crate::error::NoRoom;
use crate::frame::Frame;
use crate::memory::Memory;

impl Memory {
    /// The packet in a frame.
    pub(crate) fn packet<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        self.insist_on_own(frame);
        // SAFETY: the frame is of this UMEM (checked above) and lies in it: its descriptor came from
        // `Umem::new`, or from the rx ring with address and length checked by `received`; `set_end` keeps the
        // end within it. Nobody writes there while the slice lives: the frame's place is `Held`, so the
        // kernel does not have it, no second `Frame` exists for it (the table lets none be made), and this
        // one is borrowed.
        let data = unsafe { self.umem.data(&frame.desc) };
        &data.contents()[frame.start..]
    }

    /// Everything from the start of the packet to the end of the frame.
    pub(crate) fn room_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let start = frame.start;
        &mut self.whole_mut(frame)[start..]
    }

    /// Everything from the address of the frame's descriptor to the end of the frame.
    fn whole_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        self.insist_on_own(frame);
        let mut desc = frame.desc;
        // SAFETY: as in `packet`, the descriptor lies within this UMEM, and access is exclusive because the
        // one `Frame` for it is mutably borrowed.
        let mut data = unsafe { self.umem.data_mut(&mut desc) };
        let mut cursor = data.cursor();
        let whole = cursor.buf_len();
        cursor.set_pos(whole);
        let bytes = data.contents_mut();
        // SAFETY: xsk-rs ties the slice to its short-lived `DataMut`; this gives the same slice the lifetime it
        // can have. The memory stays mapped while `self.umem` does, which 'a borrows; it stays exclusive
        // while the frame is mutably borrowed, which 'a does as well; `data` is not used again.
        unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Sets where the packet ends, counted from the descriptor's address, at most at the end of the frame.
    pub(crate) fn set_end(&self, frame: &mut Frame, end: usize) {
        self.insist_on_own(frame);
        // SAFETY: as in `whole_mut`. The bytes are not touched, only the length in the descriptor, which the
        // cursor keeps within the frame.
        let mut data = unsafe { self.umem.data_mut(&mut frame.desc) };
        data.cursor().set_pos(end);
    }

    /// Sets the length of the packet; its start stays.
    pub(crate) fn resize(&self, frame: &mut Frame, len: usize) -> Result<(), NoRoom> {
        let room = self.room_mut(frame).len();
        if len > room {
            return Err(NoRoom { needed: len, room });
        }
        self.set_end(frame, frame.start + len);
        Ok(())
    }

    /// Makes the packet `count` bytes longer at its front.
    pub(crate) fn grow_front(&self, frame: &mut Frame, count: usize) -> Result<(), NoRoom> {
        if let Some(start) = frame.start.checked_sub(count) {
            self.insist_on_own(frame);
            frame.start = start;
            return Ok(());
        }
        let len = frame.len();
        let (start, whole) = (frame.start, self.whole_mut(frame));
        let needed = len.saturating_add(count);
        if needed > whole.len() {
            return Err(NoRoom { needed, room: whole.len() });
        }
        whole.copy_within(start..start + len, count);
        frame.start = 0;
        self.set_end(frame, needed);
        Ok(())
    }

    /// Moves the packet to the address of its descriptor, the only place it can be sent from: xsk-rs lets
    /// nobody change the address of a descriptor.
    pub(crate) fn settle(&self, frame: &mut Frame) {
        if frame.start == 0 {
            return;
        }
        let (start, len) = (frame.start, frame.len());
        self.whole_mut(frame).copy_within(start..start + len, 0);
        frame.start = 0;
        self.set_end(frame, len);
    }

    /// A frame's address means other bytes in another UMEM: going on would be reading a stranger's packet.
    #[inline]
    fn insist_on_own(&self, frame: &Frame) {
        assert!(frame.belongs_to(self.owner), "{frame:?} belongs to another port");
    }
}

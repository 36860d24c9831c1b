//! A list that comes row by row, read on a thread of its own: whoever waits for the next row also notices Ctrl-C.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;

use gridway_control::{End, Reply, Request};

use super::{Link, LinkError};
use crate::interrupt::{Interrupt, NOTICED_WITHIN};

/// Rows that are read ahead of who takes them.
const AHEAD: usize = 256;

/// What comes next.
pub(crate) enum Next {
    /// A row.
    Row(Reply),
    /// Nothing for now: the time to write out what is held back.
    Quiet,
    /// The list is complete.
    End(End),
    /// The end was asked for first.
    Interrupted,
}

enum Message {
    Row(Reply),
    Done(Result<Option<End>, LinkError>),
}

/// The rows of one request.
pub(crate) struct Rows {
    receiver: Receiver<Message>,
    quiet: bool,
}

impl Rows {
    /// The thread ends with the list, or with the process: it may wait for a row that never comes.
    pub(super) fn begin(link: Link, request: Request) -> Self {
        let (sender, receiver) = sync_channel(AHEAD);
        thread::spawn(move || read(link, &request, &sender));
        Self { receiver, quiet: false }
    }

    /// Waits for what comes next. [`Next::Quiet`] comes once before it waits.
    pub(crate) fn next(&mut self, interrupt: &Interrupt) -> Result<Next, LinkError> {
        let mut message = self.receiver.try_recv().map_err(|error| match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
        });
        loop {
            if interrupt.asked() {
                return Ok(Next::Interrupted);
            }
            match message {
                Ok(Message::Row(row)) => {
                    self.quiet = false;
                    return Ok(Next::Row(row));
                }
                Ok(Message::Done(result)) => return Ok(Next::End(result?.unwrap_or_default())),
                Err(RecvTimeoutError::Disconnected) => return Ok(Next::End(End::default())),
                Err(RecvTimeoutError::Timeout) if !self.quiet => {
                    self.quiet = true;
                    return Ok(Next::Quiet);
                }
                Err(RecvTimeoutError::Timeout) => message = self.receiver.recv_timeout(NOTICED_WITHIN),
            }
        }
    }
}

fn read(mut link: Link, request: &Request, sender: &SyncSender<Message>) {
    let send = |message| match sender.send(message) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    };
    let done = link.follow(request, |row| send(Message::Row(row)));
    // Nobody may wait for it any more.
    let _gone = send(Message::Done(done));
}

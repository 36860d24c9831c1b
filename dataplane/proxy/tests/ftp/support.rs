//! Dialogues, and what the ends of a session have received.

use gridway_proxy::ftp::session::{Session, Site};
use gridway_wire::time::Nanos;

pub(crate) const NOW: Nanos = Nanos(1);

/// A session with IPv4 everywhere, and the server has greeted.
pub(crate) fn greeted() -> Session {
    let mut session = Session::new(Site::new(false, false));
    session.server_sends(b"220 ready\r\n");
    assert_eq!(client_received(&mut session), "220 ready\r\n");
    session
}

/// What the client has received since this was last asked.
pub(crate) fn client_received(session: &mut Session) -> String {
    text(&mut session.client)
}

/// What the server has received since this was last asked.
pub(crate) fn server_received(session: &mut Session) -> String {
    text(&mut session.server)
}

fn text(received: &mut Vec<u8>) -> String {
    String::from_utf8(std::mem::take(received)).expect("the test sends UTF-8")
}

/// A line of a dialogue: who sends what, and what the other end receives.
pub(crate) enum Step {
    Client(&'static str, &'static str),
    Server(&'static str, &'static str),
}
pub(crate) use Step::{Client, Server};

/// Plays a dialogue: each step's text arrives at the other end as stated, and nothing goes back.
pub(crate) fn play(site: Site, steps: &[Step]) -> Session {
    let mut session = Session::new(site);
    for step in steps {
        match step {
            Client(sent, received) => {
                session.client_sends(sent.as_bytes());
                assert_eq!(server_received(&mut session), *received, "after {sent:?}");
                assert_eq!(client_received(&mut session), "", "after {sent:?}");
            }
            Server(sent, received) => {
                session.server_sends(sent.as_bytes());
                assert_eq!(client_received(&mut session), *received, "after {sent:?}");
                assert_eq!(server_received(&mut session), "", "after {sent:?}");
            }
        }
        assert_eq!(session.error, None, "after {:?}", session.client);
    }
    session
}

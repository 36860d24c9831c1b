//! Generator and sink of UDP packets over AF_XDP.
//!
//! ```text
//!  Space, Sizes ─> Endpoint (sends at a rate) ══> device under test ══> Endpoint (receives) ─> Tally
//!          Tally <── Endpoint (receives) <══ device under test <══ Endpoint (sends, if both do) ──┘
//!  └─────── one Trial: so many packets a second for so long, and what became of them ───────────┘
//! ```

pub(crate) mod endpoint;
pub(crate) mod flows;
pub(crate) mod frame;
pub(crate) mod pattern;
pub(crate) mod stamp;
pub(crate) mod tally;
pub(crate) mod trial;
pub(crate) mod turns;

//! Every message about changes of the configuration there can be.

use gridway_control::{
    ConfigState, ConfigText, InForce, Judgement, Pending, Proposal, Reply, Request, VersionRow,
};
use proptest::prelude::*;

use crate::generate::{optional, text};

/// Any state.
pub(crate) fn state() -> impl Strategy<Value = ConfigState> {
    let pending =
        (text(), any::<u64>(), text()).prop_map(|(by, left_s, previous)| Pending { by, left_s, previous });
    (text(), any::<[u64; 2]>(), text(), optional(pending), any::<bool>()).prop_map(
        |(digest, [generation, since], by, pending, saved)| ConfigState {
            digest,
            generation,
            since,
            by,
            pending,
            saved,
        },
    )
}

/// Any request of them.
pub(crate) fn request() -> impl Strategy<Value = Request> {
    let proposal = (text(), optional(any::<u64>()), [optional(text()), optional(text())])
        .prop_map(|(toml, confirm_within_s, [base, by])| Proposal { toml, confirm_within_s, base, by });
    prop_oneof![
        proposal.prop_map(Request::Apply),
        (optional(text()), optional(text())).prop_map(|(digest, by)| Request::Confirm { digest, by }),
        (optional(text()), optional(text())).prop_map(|(digest, by)| Request::Rollback { digest, by }),
        text().prop_map(|toml| Request::Judge { toml }),
        Just(Request::ConfigState),
        Just(Request::InForce),
        Just(Request::History),
        any::<u64>().prop_map(|version| Request::Version { version }),
    ]
}

/// Any reply of them.
pub(crate) fn reply() -> impl Strategy<Value = Reply> {
    let lines = || proptest::collection::vec(text(), 0..3);
    let judgement =
        (lines(), lines(), text()).prop_map(|(errors, warnings, diff)| Judgement { errors, warnings, diff });
    let version = (any::<[u64; 4]>(), [text(), text(), text()]).prop_map(
        |([version, since, added, removed], [digest, by, state])| VersionRow {
            version,
            digest,
            since,
            by,
            state,
            added,
            removed,
        },
    );
    prop_oneof![
        state().prop_map(Reply::ConfigState),
        judgement.prop_map(Reply::Judgement),
        (text(), state()).prop_map(|(toml, state)| Reply::InForce(InForce { toml, state })),
        proptest::collection::vec(version, 0..3).prop_map(Reply::History),
        text().prop_map(|toml| Reply::Version(ConfigText { toml })),
    ]
}

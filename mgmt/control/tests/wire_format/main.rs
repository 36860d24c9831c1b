//! The JSON that scripts and other versions see: keys are fixed here, and every message survives a round trip.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod generate;
mod generate_change;
mod generate_layer4;
mod generate_packet;
mod generate_watch;
mod keys;
mod keys_change;
mod keys_layer4;
mod keys_packet;

use gridway_control::{decode_reply, decode_request, encode_reply, encode_request};
use proptest::prelude::*;

use generate::{reply, request};

proptest! {
    #[test]
    fn every_request_survives_a_round_trip_in_one_line(request in request()) {
        let line = encode_request(&request).unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(decode_request(&line).unwrap(), request);
    }

    #[test]
    fn every_reply_survives_a_round_trip_in_one_line(reply in reply()) {
        let line = encode_reply(&reply).unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(decode_reply(&line).unwrap(), reply);
    }

    #[test]
    fn a_damaged_reply_is_no_panic(reply in reply(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = encode_reply(&reply).unwrap();
        let at = at.index(line.len() - 1);
        line[at] = byte;
        // Some damage leaves valid JSON; all of it ends in a value.
        let _either = decode_reply(&line).is_ok();
        line.truncate(at);
        prop_assert!(decode_reply(&line).is_err());
    }
}

//! The loopback device, which every network namespace has.

use gridway_kernel::Interface;

#[test]
fn the_loopback_device_is_the_first_and_has_features_but_no_rings() {
    let loopback = Interface::named("lo").unwrap().unwrap();
    assert_eq!(loopback.index().unwrap(), 1);
    assert!(loopback.mtu().unwrap() >= 1280);
    let features = loopback.features().unwrap();
    assert!(features.iter().any(|feature| feature.name == "loopback" && feature.active), "{features:?}");
    assert!(features.iter().any(|feature| !feature.active), "{features:?}");
    assert_eq!(loopback.ring_sizes().unwrap(), None);
}

#[test]
fn names_that_no_interface_has_or_can_have_are_told_apart() {
    assert!(Interface::named("no-such-if0").unwrap().unwrap().index().is_err());
    for name in ["", "name-of-sixteen-", "a/b", "a\0b"] {
        assert!(Interface::named(name).unwrap().is_none(), "{name:?}");
    }
}

#[test]
fn the_clock_says_how_far_off_it_may_be() {
    assert!(gridway_kernel::clock().unwrap().max_error_us >= 0);
}

//! Link state and addresses, against the kernel.

mod common;

use common::{Net, address, ip, settle, until};
use gridway_netlink::{NetlinkError, Segmentation, Watcher, segmentation};

#[test]
fn addresses_follow() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    let own = watcher.snapshot().own;
    assert!(own.contains(&address("10.0.0.1")) && own.contains(&address("2001:db8::1")), "{own:?}");
    assert!(!own.contains(&address("10.1.0.1")), "an address of another interface is not ours");
    ip("address add 10.0.7.1/24 dev data0");
    ip("address add 2001:db8:7::1/64 dev data0");
    until(&mut watcher, |snapshot| {
        snapshot.own.contains(&address("10.0.7.1")) && snapshot.own.contains(&address("2001:db8:7::1"))
    });
    ip("address del 10.0.7.1/24 dev data0");
    ip("address del 2001:db8:7::1/64 dev data0");
    until(&mut watcher, |snapshot| {
        !snapshot.own.contains(&address("10.0.7.1")) && !snapshot.own.contains(&address("2001:db8:7::1"))
    });
}

#[test]
fn of_a_point_to_point_address_the_near_end_is_ours() {
    let _net = Net::new();
    ip("address add 10.77.0.1 peer 10.77.0.2 dev data0");
    let own = Watcher::open("data0").unwrap().snapshot().own;
    assert!(own.contains(&address("10.77.0.1")) && !own.contains(&address("10.77.0.2")), "{own:?}");
}

#[test]
fn mtu_mac_and_state_follow() {
    let net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    let snapshot = settle(&mut watcher);
    assert!(snapshot.up);
    assert_eq!(snapshot.mtu, 1500);
    ip("link set data0 mtu 1400");
    until(&mut watcher, |snapshot| snapshot.mtu == 1400);
    ip("link set data0 address 02:00:00:00:00:77");
    until(&mut watcher, |snapshot| snapshot.mac == [2, 0, 0, 0, 0, 0x77]);
    net.far(|| drop(ip("link set far0 down")));
    until(&mut watcher, |snapshot| !snapshot.up);
    net.far(|| drop(ip("link set far0 up")));
    until(&mut watcher, |snapshot| snapshot.up);
    ip("link set data0 down");
    let snapshot = until(&mut watcher, |snapshot| !snapshot.up);
    let ours = snapshot.routes.iter().filter(|route| route.0.contains(&address("10.0.0.2"))).count();
    assert_eq!(ours, 0, "the routes of a link that was switched off are gone");
}

#[test]
fn a_renamed_link_is_followed() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    ip("link set data0 down");
    ip("link set data0 name lan0");
    ip("link set lan0 up");
    ip("address add 10.0.9.1/24 dev lan0");
    until(&mut watcher, |snapshot| snapshot.up && snapshot.own.contains(&address("10.0.9.1")));
}

#[test]
fn a_deleted_link_leaves_nothing() {
    let _net = Net::new();
    let mut watcher = Watcher::open("data0").unwrap();
    watcher.requests().resolve(address("10.0.0.2"));
    until(&mut watcher, |snapshot| !snapshot.neighbours.is_empty());
    ip("link del data0");
    let snapshot = until(&mut watcher, |snapshot| !snapshot.up && snapshot.routes.is_empty());
    assert_eq!((snapshot.neighbours.len(), snapshot.own.len()), (0, 0));
    watcher.requests().resolve(address("10.0.0.2"));
    ip("link add data0 type veth peer name far9");
    assert!(!settle(&mut watcher).up, "one made anew under its name is another link");
    watcher.withdraw();
}

#[test]
fn refuses_what_is_no_interface() {
    let _net = Net::new();
    for name in ["nowhere0", "", "a-name-longer-than-any-interface", "data0\0"] {
        let error = Watcher::open(name).err().expect("no watcher");
        assert!(matches!(&error, NetlinkError::NoSuchInterface { name: named } if named == name), "{error}");
    }
    ip("tuntap add mode tun name tun0");
    let error = Watcher::open("tun0").err().expect("no watcher");
    assert!(matches!(error, NetlinkError::NotEthernet { length: 0, .. }), "{error}");
}

#[test]
fn limits_of_segmentation_are_those_of_the_interface() {
    let _net = Net::new();
    let usual = segmentation("data0").unwrap();
    assert!(usual.bytes >= 65_536 && usual.segments >= 65_535, "{usual:?}");
    ip("link set data0 gso_max_size 32000 gso_max_segs 24");
    assert_eq!(segmentation("data0").unwrap(), Segmentation { bytes: 32_000, segments: 24 });
    assert!(matches!(segmentation("nothere"), Err(NetlinkError::NoSuchInterface { .. })));
}

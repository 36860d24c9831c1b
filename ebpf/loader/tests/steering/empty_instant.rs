//! Replacing a set never leaves an instant in which what stays is missing.

use std::{
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::common::{
    Bench, address,
    frames::{OURS, icmp4, tcp4, udp4},
    listener, net,
    test_run::{self, Action},
};
use gridway_steer::ListenerProtocol::Tcp;

#[test]
fn what_stays_in_a_set_is_there_at_every_instant() {
    let mut bench = Bench::new();
    let program = bench.steer.hooks.xdp_fd().expect("program").try_clone_to_owned().expect("a copy");
    let ifindex = bench.steer.ifindex();
    bench.steer.set_own_addresses(&[address("10.1.0.1")]).expect("own");
    bench.steer.set_deny(&[net("203.0.113.0/24")]).expect("deny");
    bench.steer.set_listeners(&[listener(("172.16.9.1", Tcp, 443))]).expect("listeners");
    let constant = [
        (icmp4(OURS, "10.1.0.2", "10.1.0.1"), Action::Pass),
        (udp4(OURS, "203.0.113.5", "172.16.2.9", 9), Action::Drop),
        (tcp4(OURS, "10.1.0.2", "172.16.9.1", 443), Action::Pass),
    ];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) || looks == 0 {
                for (frame, action) in &constant {
                    assert_eq!(test_run::run_xdp(program.as_fd(), frame, ifindex, 0).action, *action);
                }
                looks += 1;
            }
        });
        for round in 0..300u32 {
            let changing = format!("10.9.{}.{}", round / 256, round % 256);
            bench.steer.set_own_addresses(&[address(&changing), address("10.1.0.1")]).expect("own");
            bench.steer.set_deny(&[net("203.0.113.0/24"), net(&format!("{changing}/32"))]).expect("deny");
            bench
                .steer
                .set_listeners(&[listener((&changing, Tcp, 443)), listener(("172.16.9.1", Tcp, 443))])
                .expect("listeners");
        }
        done.store(true, Ordering::Relaxed);
        looker.join().expect("every look saw what stays");
    });
}

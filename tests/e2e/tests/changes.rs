//! Changes of the configuration over the control socket: taken whole or refused whole, undone unless confirmed.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gridway_control::{
    Client, ClientError, ConfigState, Failure, FailureKind, InForce, Judgement, Proposal, Reply, Request,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Ping, Rate, Side, wait_until};

const DENY_ALL: &str = "\n  [[vnet.acl]]\n  line = 1\n  action = \"drop\"\n";

fn in_force(node: &Gateway) -> InForce {
    match node.ask(&Request::InForce).unwrap() {
        Reply::InForce(in_force) => in_force,
        other => panic!("{other:?}"),
    }
}

fn proposal(toml: String, confirm_within_s: Option<u64>) -> Proposal {
    Proposal { toml, confirm_within_s, base: None, by: None }
}

fn change(node: &Gateway, request: &Request) -> Result<ConfigState, Failure> {
    match Client::connect(&node.socket()).unwrap().ask(request) {
        Ok(Reply::ConfigState(state)) => Ok(state),
        Err(ClientError::Refused(failure)) => Err(failure),
        other => panic!("{other:?}"),
    }
}

fn apply(node: &Gateway, proposal: Proposal) -> Result<ConfigState, Failure> {
    change(node, &Request::Apply(proposal))
}

fn remote() -> IpAddr {
    vnets::outside_host(Side::B, 0).into()
}

fn answers(pair: &Pair) -> bool {
    let ping = Ping::new(remote()).count(1).wait(Duration::from_millis(300));
    ping.run(pair.lab.h1()).is_ok_and(|report| report.received > 0)
}

fn file(node: &Gateway) -> String {
    std::fs::read_to_string(node.config_path()).unwrap()
}

#[test]
fn an_unconfirmed_change_that_cuts_the_tunnel_is_undone_and_traffic_returns() {
    let pair = Pair::corp(Layout::Combined);
    assert!(answers(&pair));
    let before = in_force(&pair.a);
    assert_eq!((before.state.by.as_str(), before.state.saved), ("start", true));
    // Nobody by the name of the other node is known any more: its tunnel ends, and routes to it are an error of their
    // own, so the vnet goes too.
    let (head, _) = before.toml.split_once("[[peer]]").unwrap();
    let state = apply(&pair.a, Proposal { by: Some("alice".into()), ..proposal(head.to_owned(), Some(4)) });
    let state = state.unwrap();
    let pending = state.pending.unwrap();
    assert_eq!((pending.by.as_str(), &pending.previous), ("alice", &before.state.digest));
    assert!(pending.left_s <= 4 && !state.saved && state.digest != before.state.digest);
    assert_eq!(file(&pair.a), before.toml, "the file is replaced when the change is final");
    wait_until("the tunnel to end", LIMIT, || (!answers(&pair)).then_some(())).unwrap();
    assert!(pair.a.peers().unwrap().iter().all(|peer| peer.name != "gw-b" || peer.since_s < 5));

    wait_until("the change to be undone", LIMIT, || in_force(&pair.a).state.pending.is_none().then_some(()))
        .unwrap();
    let after = in_force(&pair.a);
    assert_eq!((&after.toml, &after.state.digest), (&before.toml, &before.state.digest));
    assert_eq!((after.state.by.as_str(), after.state.saved), ("nobody confirmed", true));
    pair.a.wait_peer_up("gw-b", LIMIT).unwrap();
    wait_until("traffic to return", LIMIT, || answers(&pair).then_some(())).unwrap();
    pair.finish();
}

#[test]
fn a_confirmed_change_is_saved_and_survives_a_restart() {
    let mut pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    let toml = before.toml.clone() + DENY_ALL;
    apply(&pair.a, proposal(toml.clone(), Some(60))).unwrap();
    assert!(!answers(&pair), "it is in force before it is confirmed");
    assert!(file(&pair.a) == before.toml);
    let state = change(&pair.a, &Request::Confirm { digest: None, by: Some("bob".into()) }).unwrap();
    assert!(state.saved && state.pending.is_none());
    assert_eq!(file(&pair.a), toml, "with its comments and its order");
    pair.a.restart().unwrap();
    assert_eq!(in_force(&pair.a).state.digest, state.digest);
    pair.a.wait_peer_up("gw-b", LIMIT).unwrap();
    assert!(!answers(&pair));
    // Without a deadline a change is final at once.
    let state = apply(&pair.a, proposal(before.toml.clone(), None)).unwrap();
    assert!(state.saved && state.pending.is_none() && state.digest == before.state.digest);
    assert_eq!(file(&pair.a), before.toml);
    assert!(answers(&pair));
    let none = change(&pair.a, &Request::Confirm { digest: None, by: None }).unwrap_err();
    assert_eq!(none.kind, FailureKind::NotFound);
    pair.finish();
}

#[test]
fn a_change_is_undone_on_request() {
    let pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    apply(&pair.a, proposal(before.toml.clone() + DENY_ALL, Some(60))).unwrap();
    assert!(!answers(&pair));
    let state = change(&pair.a, &Request::Rollback { digest: None, by: Some("bob".into()) }).unwrap();
    assert_eq!((state.digest, state.by.as_str()), (before.state.digest, "bob"));
    assert!(answers(&pair));
    let none = change(&pair.a, &Request::Rollback { digest: None, by: None }).unwrap_err();
    assert_eq!(none.kind, FailureKind::NotFound);
    pair.finish();
}

#[test]
fn the_second_of_two_operators_is_told_and_nothing_of_the_first_is_lost() {
    let mut pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    let base = Some(before.state.digest.clone());
    let firsts = before.toml.clone() + "\n# by alice\n";
    let first =
        Proposal { base: base.clone(), by: Some("alice".into()), ..proposal(firsts.clone(), Some(60)) };
    apply(&pair.a, first).unwrap();
    let seconds = Proposal { base, ..proposal(before.toml + DENY_ALL, None) };
    let told = apply(&pair.a, seconds.clone()).unwrap_err();
    assert_eq!(told.kind, FailureKind::Conflict);
    assert!(told.message.contains("alice") && told.message.contains("confirm"), "{told}");
    // A signal is an operator, too.
    let refused = pair.a.reload().unwrap().expect("a reload would lose the change");
    assert!(refused.contains("alice"), "{refused}");
    change(&pair.a, &Request::Confirm { digest: None, by: None }).unwrap();
    let told = apply(&pair.a, seconds).unwrap_err();
    assert_eq!(told.kind, FailureKind::Conflict);
    assert!(told.message.contains("alice changed it"), "{told}");
    assert_eq!(in_force(&pair.a).toml, firsts);
    assert!(answers(&pair));
    // Neither is what somebody has written into the file by hand.
    let by_hand = firsts.clone() + "# by hand\n";
    pair.a.write_raw_config(&by_hand).unwrap();
    let told = apply(&pair.a, proposal(firsts + DENY_ALL, None)).unwrap_err();
    assert_eq!(told.kind, FailureKind::Conflict);
    assert!(told.message.contains("SIGHUP"), "{told}");
    assert_eq!(file(&pair.a), by_hand);
    assert!(answers(&pair), "and the change was not put into force");
    assert_eq!(pair.a.reload().unwrap(), None);
    assert_eq!((in_force(&pair.a).toml, in_force(&pair.a).state.by.as_str()), (by_hand, "reload"));
    pair.finish();
}

#[test]
fn a_bad_configuration_is_refused_with_every_error_and_changes_nothing() {
    let pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    let bad = before.toml.replace("[[vnet]]", "nonsense = 1\n[[vnet]]");
    let refused = apply(&pair.a, proposal(bad + "\n  [[vnet.acl]]\n  line = 2\n", None)).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Invalid);
    assert!(refused.message.contains("nonsense") && refused.message.contains("action"), "{refused}");
    let restart = before.toml.replace("[workers]", "[workers]\npolling = \"busy\"");
    assert_ne!(restart, before.toml);
    let refused = apply(&pair.a, proposal(restart, None)).unwrap_err();
    assert!(refused.message.contains("workers"), "{refused}");
    for within in [0, 86_401] {
        let refused = apply(&pair.a, proposal(before.toml.clone(), Some(within))).unwrap_err();
        assert_eq!(refused.kind, FailureKind::BadRequest, "{refused}");
    }
    assert_eq!(in_force(&pair.a), before);
    assert_eq!(file(&pair.a), before.toml);
    assert!(answers(&pair));
    pair.finish();
}

#[test]
fn a_judgement_says_what_a_change_would_do_and_does_nothing() {
    let pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    let judge = |toml: String| match pair.a.ask(&Request::Judge { toml }).unwrap() {
        Reply::Judgement(judgement) => judgement,
        other => panic!("{other:?}"),
    };
    let Judgement { errors, diff, .. } = judge(before.toml.clone() + DENY_ALL);
    assert!(errors.is_empty() && diff.contains("+  action = \"drop\""), "{errors:?} {diff}");
    let good = judge(before.toml.clone());
    assert_eq!((good.errors.len(), good.diff.as_str()), (0, ""));
    let Judgement { errors, .. } = judge(before.toml.clone() + "\nnonsense = 1\n[more]\n");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(in_force(&pair.a), before);
    pair.finish();
}

#[test]
fn a_file_that_cannot_be_replaced_refuses_the_change_whole() {
    let pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    // The folder takes no new file: what would replace the old one has no place.
    let folder = |mode| std::fs::set_permissions(pair.a.dir(), Permissions::from_mode(mode)).unwrap();
    folder(0o500);
    let refused = apply(&pair.a, proposal(before.toml.clone() + DENY_ALL, None)).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Internal);
    assert!(refused.message.contains("node.toml"), "{refused}");
    assert!(answers(&pair) && in_force(&pair.a) == before);
    // One that awaits confirmation goes on waiting, and is undone in time.
    apply(&pair.a, proposal(before.toml + DENY_ALL, Some(3))).unwrap();
    let refused = change(&pair.a, &Request::Confirm { digest: None, by: None }).unwrap_err();
    assert_eq!(refused.kind, FailureKind::Internal);
    assert!(in_force(&pair.a).state.pending.is_some());
    wait_until("the change to be undone", LIMIT, || answers(&pair).then_some(())).unwrap();
    folder(0o700);
    pair.finish();
}

#[test]
fn a_configuration_of_megabytes_is_taken() {
    let pair = Pair::corp(Layout::Combined);
    let before = in_force(&pair.a);
    let mut toml = before.toml;
    for number in 0..20_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        toml += &format!("\n  [[vnet.route]]\n  to = \"10.{}.{}.{}/32\"\n  via = \"gw-b\"\n", 201, high, low);
    }
    let toml = toml.replace("cidr = \"10.200.0.0/16\"", "cidr = [\"10.200.0.0/16\", \"10.201.0.0/16\"]");
    assert!(toml.len() > 1 << 20);
    apply(&pair.a, proposal(toml, Some(30))).unwrap();
    assert!(pair.a.routes().unwrap().len() >= 20_000);
    change(&pair.a, &Request::Rollback { digest: None, by: None }).unwrap();
    assert!(pair.a.routes().unwrap().len() < 100 && answers(&pair));
    pair.finish();
}

in_both_layouts! {
    fn changes_that_come_and_go_under_load_lose_no_packet(layout) {
        let pair = Pair::corp(layout);
        let server = remote();
        let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
        let load = Iperf3::udp(server, Rate::mbit(20)).length(1000).duration(Duration::from_secs(8));
        let mut running = load.start(pair.lab.h1()).unwrap();
        let before = in_force(&pair.a);
        let other = before.toml.clone() + "\n  [[vnet.acl]]\n  line = 2\n  action = \"drop\"\n  protocol = 99\n";
        for round in 0..6 {
            apply(&pair.a, proposal(other.clone(), Some(30))).unwrap();
            let end = if round % 2 == 0 { Request::Rollback { digest: None, by: None } } else { Request::Confirm { digest: None, by: None } };
            change(&pair.a, &end).unwrap();
            apply(&pair.a, proposal(before.toml.clone(), None)).unwrap();
        }
        let report = load.finish(pair.lab.h1(), &mut running).unwrap();
        let (lost, sent) = report.datagrams.unwrap();
        assert!(sent > 10_000, "{report:?}");
        assert_eq!(lost.saturating_sub(pair.without_room()), 0, "{report:?}");
        pair.finish();
    }
}

//! `gridway` as an operator uses it, over the control socket of a node that forwards: changes that are undone by
//! themselves, and single packets.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use gridway_e2e::{LIMIT, Layout, Pair};
use gridway_lab::gateway::vnets;
use gridway_lab::{Gateway, Output, Ping, Side, wait_until};

/// What a file for [`run`] is called.
const FILE: &str = "changed.toml";
const DENY_ICMP: &str = "\n  [[vnet.acl]]\n  line = 5\n  action = \"reject\"\n  protocol = \"icmp\"\n";

/// Runs `gridway` in the node's directory; any exit status will do.
fn run(node: &Gateway, args: &str) -> Output {
    let args: Vec<&str> = args.split_whitespace().collect();
    node.gridway(&args).unwrap().run_unchecked().unwrap()
}

/// Runs it, insists on success and gives what it printed.
fn good(node: &Gateway, args: &str) -> String {
    let output = run(node, args);
    assert!(output.status.success(), "{args}: {output:?}");
    output.stdout
}

/// Writes the node's configuration with more in it as [`FILE`].
fn write_with(node: &Gateway, fragment: &str) {
    let text = fs::read_to_string(node.config_path()).unwrap();
    fs::write(node.dir().join(FILE), text + fragment).unwrap();
}

/// Whether h1 reaches h2.
fn passes(pair: &Pair) -> bool {
    let to: IpAddr = vnets::outside_host(Side::B, 0).into();
    let ping = Ping::new(to).count(1).wait(Duration::from_millis(500));
    ping.run(pair.lab.h1()).unwrap().received == 1
}

#[test]
fn a_change_that_is_not_confirmed_undoes_itself_and_one_that_is_stays() {
    let pair = Pair::corp(Layout::Combined);
    assert!(passes(&pair));
    write_with(&pair.a, DENY_ICMP);
    let file = || fs::read_to_string(pair.a.config_path()).unwrap();
    let before = file();

    let shown = good(&pair.a, &format!("config apply {FILE} --confirm-within 3s"));
    assert!(
        shown.contains("+  line = 5\n") && shown.contains("unless you run: gridway config confirm"),
        "{shown}"
    );
    assert!(!passes(&pair));
    assert!(good(&pair.a, "config state").contains("comes back in"));
    let second = run(&pair.a, &format!("config apply {FILE}"));
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stderr.contains("awaits confirmation"), "{second:?}");
    wait_until("undone", LIMIT, || passes(&pair).then_some(())).unwrap();
    assert_eq!(file(), before);
    assert_eq!(run(&pair.a, "config confirm").status.code(), Some(1));

    good(&pair.a, &format!("config apply {FILE} --confirm-within 60s"));
    good(&pair.a, "config rollback");
    assert!(passes(&pair));

    good(&pair.a, &format!("config apply {FILE} --confirm-within 60s"));
    good(&pair.a, "config confirm");
    assert!(!passes(&pair));
    assert_eq!(file(), fs::read_to_string(pair.a.dir().join(FILE)).unwrap());
    assert_eq!(good(&pair.a, &format!("config diff {FILE}")), "no differences\n");
    pair.finish();
}

#[test]
fn a_wrong_file_is_refused_with_every_error() {
    let pair = Pair::corp(Layout::Combined);
    write_with(&pair.a, "\n  [[vnet.acl]]\n  line = 5\n  action = \"burn\"\n  protocol = \"smoke\"\n");
    for command in ["config apply", "config diff"] {
        let output = run(&pair.a, &format!("{command} {FILE}"));
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stderr.contains("burn") && output.stderr.contains("smoke"), "{output:?}");
    }
    assert!(passes(&pair));
    pair.finish();
}

#[test]
fn a_simulated_packet_meets_the_fate_of_a_real_one() {
    let pair = Pair::corp(Layout::Combined);
    let (h1, h2) = (Side::A.host(0), vnets::outside_host(Side::B, 0));
    let simulate = format!("simulate --vnet corp --src {h1} --dst {h2} --proto icmp");
    let shown = good(&pair.a, &simulate);
    assert!(shown.contains("=> forwarded"), "{shown}");
    assert!(passes(&pair));
    write_with(&pair.a, DENY_ICMP);
    good(&pair.a, &format!("config apply {FILE}"));
    let output = run(&pair.a, &simulate);
    assert_eq!(output.status.code(), Some(1));
    for part in ["NO  acl", "=> dropped: acl_", "the sender is told"] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    assert!(!passes(&pair));
    assert_eq!(run(&pair.a, &simulate.replace("corp", "other")).status.code(), Some(1));
    pair.finish();
}

#[test]
fn the_next_packets_are_traced_by_what_they_are() {
    let pair = Pair::corp(Layout::Combined);
    let h2 = vnets::outside_host(Side::B, 0);
    let args = format!("trace --count 2 --for 20s --proto icmp --from local --dst {h2}");
    let mut trace = pair.a.gridway(&args.split(' ').collect::<Vec<_>>()).unwrap().spawn().unwrap();
    wait_until("two packets are traced", LIMIT, || {
        passes(&pair);
        trace.status().unwrap()
    })
    .unwrap();
    let shown = trace.stdout().text().unwrap();
    assert_eq!(shown.matches("=> forwarded").count(), 2, "{shown}");
    assert!(shown.contains(&vnets::virtual_host(Side::B, 0).to_string()), "{shown}");
    assert!(trace.stderr().text().unwrap().contains("2 packet(s) traced, 0 missed"));
    pair.finish();
}

#[test]
fn captures_show_packets_before_and_after_translation() {
    let pair = Pair::corp(Layout::Combined);
    for (point, address) in
        [("local", vnets::outside_host(Side::B, 0)), ("virtual", vnets::virtual_host(Side::B, 0))]
    {
        let args = format!(
            "capture --out {point}.pcapng --point {point} --count 4 --for 20s --vnet corp --proto icmp"
        );
        let mut capture = pair.a.gridway(&args.split(' ').collect::<Vec<_>>()).unwrap().spawn().unwrap();
        wait_until("four packets are captured", LIMIT, || {
            passes(&pair);
            capture.status().unwrap()
        })
        .unwrap();
        assert!(capture.stderr().text().unwrap().contains("4 packet(s) captured, 0 missed"));
        let fields = ["frame.interface_name", "ip.src", "ip.dst", "frame.comment"];
        let tshark = pair.a.namespace().command("tshark").current_dir(pair.a.dir());
        let tshark =
            tshark.args(["-n", "-T", "fields", "-E", "separator=|", "-r", &format!("{point}.pcapng")]);
        let shown =
            fields.iter().fold(tshark, |tshark, field| tshark.args(["-e", field])).run().unwrap().stdout;
        let name = pair.a.config().name();
        let ways = ["outbound", "inbound"].map(|way| {
            let lines = shown.lines().filter(|line| line.starts_with(&format!("{name}:{point} {way}|")));
            lines.filter(|line| line.contains(&format!("|{address}|"))).count()
        });
        assert_eq!(ways, [2, 2], "{shown}");
        assert!(shown.lines().all(|line| line.contains("corp")), "{shown}");
    }
    pair.finish();
}

#[test]
fn pings_go_through_the_overlay() {
    let pair = Pair::corp(Layout::Combined);
    let h2 = vnets::virtual_host(Side::B, 0);
    let shown = good(&pair.a, &format!("ping --vnet corp {h2} --count 3 --interval 20ms"));
    assert_eq!(shown.matches("reply via").count(), 3, "{shown}");
    assert!(shown.contains("3 sent, 3 received, 0% lost\nrtt min/avg/max/mdev = "), "{shown}");
    let nobody = run(&pair.a, "ping --vnet corp 10.200.2.77 --count 1");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(nobody.stdout.contains("1 sent, 0 received"), "{nobody:?}");
    let elsewhere = run(&pair.a, &format!("ping --vnet other {h2}"));
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(elsewhere.stderr.contains("there is no vnet other"), "{elsewhere:?}");
    pair.finish();
}

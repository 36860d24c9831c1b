//! `gridway` on one node, over the WAN and the management API of another one.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::fs;
use std::path::PathBuf;

use gridway_e2e::{LIMIT, Layout, Pair};
use gridway_lab::gateway::{Pki, find_binary, vnets};
use gridway_lab::{Output, Process, Side, WAN_INTERFACE, try_wait_until, wait_until};

const PORT: u16 = 8444;

/// A's management process; B's operators ask it.
struct Managed {
    process: Process,
    pair: Pair,
    pki: PathBuf,
    folder: PathBuf,
}

impl Managed {
    fn start() -> Self {
        let pair = Pair::corp(Layout::Combined);
        let pki = Pki::of(&pair.lab).unwrap().dir().to_owned();
        let folder = pair.lab.path().join("mgmt");
        fs::create_dir(&folder).unwrap();
        for who in ["--node gw-a --api", "--operator alice --role operator", "--operator vera --role viewer"]
        {
            let issue =
                pair.a.namespace().command(find_binary("gridway").unwrap()).args(["pki", "issue", "--dir"]);
            issue.arg(&pki).args(who.split(' ')).run().unwrap();
        }
        let (socket, pki_text, own) = (pair.a.socket(), pki.display(), folder.display());
        let text = format!(
            r#"[node]
socket = "{}"
[api]
listen = "{}:{PORT}"
interface = "{WAN_INTERFACE}"
operators_ca = "{pki_text}/operators/ca.crt"
operators_crl = "{pki_text}/operators/crl.pem"
certificate = "{pki_text}/gw-a-api.crt"
private_key = "{pki_text}/gw-a-api.key"
[store]
path = "{own}/node.db"
[local]
socket = "{own}/local/gw-a.sock"
"#,
            socket.display(),
            Side::A.wan(),
        );
        fs::write(folder.join("mgmt.toml"), text).unwrap();
        let program = pair.a.namespace().command(find_binary("gridway-mgmt").unwrap());
        let process = program.arg("--config").arg(folder.join("mgmt.toml")).spawn().unwrap();
        let managed = Self { process, pair, pki, folder };
        let reached = || Ok(managed.run("alice", "status").status.success().then_some(()));
        try_wait_until("the API answers", LIMIT, reached).unwrap();
        managed
    }

    /// Runs `gridway` as an operator in B's namespace; any exit status will do.
    fn run(&self, who: &str, args: &str) -> Output {
        let command = self.pair.b.namespace().command(find_binary("gridway").unwrap());
        let command = command.args(args.split_whitespace()).current_dir(&self.folder);
        let command = command.args(["--api", &format!("{}:{PORT}", Side::A.wan())]);
        let command = command.args(["--api-name", "gw-a.lab.example", "--ca"]).arg(self.pki.join("ca.crt"));
        let file = |kind: &str| self.pki.join(format!("operators/{who}.{kind}"));
        command.arg("--cert").arg(file("crt")).arg("--key").arg(file("key")).run_unchecked().unwrap()
    }

    fn good(&self, who: &str, args: &str) -> String {
        let output = self.run(who, args);
        assert!(output.status.success(), "{args}: {output:?}\n{}", self.process.stderr().tail(20).unwrap());
        output.stdout
    }
}

#[test]
fn another_node_is_read_changed_and_its_packets_seen() {
    let mut managed = Managed::start();
    for (command, part) in [
        ("status", "gw-a.lab.example (gateway)"),
        ("peers", "gw-b"),
        ("connections", "packets"),
        ("routes", "10.200.2.0/24"),
        ("events", "tunnel_up"),
        ("flows --vnet corp --limit 5", "VNET"),
        ("config show", "[[vnet]]"),
        ("config state", "by start"),
    ] {
        let shown = managed.good("vera", command);
        assert!(shown.contains(part), "{command}: {part}\n{shown}");
    }
    let h2 = vnets::virtual_host(Side::B, 0);
    assert!(
        managed
            .good("alice", &format!("ping --vnet corp {h2} --count 2 --interval 50ms"))
            .contains("0% lost")
    );

    let changed =
        fs::read_to_string(managed.pair.a.config_path()).unwrap() + "\n[throttle]\negress_mbps = 500\n";
    fs::write(managed.folder.join("changed.toml"), changed).unwrap();
    assert!(managed.good("vera", "config diff changed.toml").contains("+egress_mbps = 500\n"));
    let refused = managed.run("vera", "config apply changed.toml");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("HTTP status 403"), "{refused:?}");
    let applied = managed.good("alice", "config apply changed.toml --confirm-within 60s");
    assert!(applied.contains("unless you run: gridway config confirm --api"), "{applied}");
    managed.good("alice", "config confirm");
    assert!(managed.good("vera", "config state").contains("by alice"));

    let history = || managed.good("vera", "config history --json");
    wait_until("both versions are kept", LIMIT, || history().contains("\"version\": 2").then_some(()))
        .unwrap();
    assert!(managed.good("vera", "config diff --from 1 --to 2").contains("+egress_mbps = 500\n"));
    assert!(managed.good("vera", "config diff").contains("+egress_mbps = 500\n"));
    managed.good("alice", "config rollback --to 1");
    assert!(!managed.good("vera", "config show").contains("egress_mbps = 500"));

    // The management process ends, and that is told; the node goes on.
    managed.process.terminate(LIMIT).unwrap();
    assert_eq!(managed.run("alice", "status").status.code(), Some(3));
    let local = format!("config history --mgmt-socket {}/local/gw-a.sock", managed.folder.display());
    let gone =
        managed.pair.a.gridway(&local.split(' ').collect::<Vec<_>>()).unwrap().run_unchecked().unwrap();
    assert_eq!(gone.status.code(), Some(3));
    assert!(gone.stderr.contains("management process does not run"), "{gone:?}");
    managed.pair.finish();
}

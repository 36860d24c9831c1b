//! The configurations that a node under test is reloaded with. All have the same peers and MTUs.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use gridway_config::Config;

/// How many there are.
pub(super) const COUNT: usize = 5;
/// Upper limit of both vnets, in bytes.
pub(super) const VNET_MTU: usize = 1400;

/// Everything up to the NAT of vnet `corp`.
const HEAD: &str = r#"
[node]
name = "gw-a"
domain = "lab.example"
role = "gateway"
[identity]
ca = "ca.crt"
certificate = "node.crt"
private_key = "node.key"
[data]
interface = "data0"
[management]
interface = "wan0"
[tunnel]
listen = "192.0.2.1:8443"
[[peer]]
name = "gw-b"
[[peer]]
name = "gw-c"
[[peer]]
name = "gw-d"
[[vnet]]
name = "corp"
cidr = ["10.200.0.0/16", "fd00:200::/32"]
address = ["10.200.1.254", "fd00:200:1::fe"]
mtu = 1400
"#;

const ROUTES: &str = r#"
  [[vnet.route]]
  to = "10.200.2.0/24"
  via = "gw-b"
  metric = 10
  monitor = { protocol = "icmp", target = "10.200.2.1", count = 2, max_latency = "200ms" }
  [[vnet.route]]
  to = "10.200.2.0/24"
  via = "gw-d"
  metric = 20
  [[vnet.route]]
  to = "10.200.3.0/24"
  via = "gw-c"
  monitor = { protocol = "tcp", target = "10.200.3.1", port = 80, count = 1 }
  [[vnet.route]]
  to = "fd00:200:2::/64"
  via = "gw-b"
  [[vnet.route]]
  to = "fd00:200:3::/64"
  via = "gw-c"
"#;

const ALLOW_ALL: &str = "
  [[vnet.acl]]
  line = 90
  action = \"allow\"
";

const SOME: &str = r#"
  [[vnet.acl]]
  line = 10
  action = "reject"
  ports = "1-20"
  protocol = "tcp"
  [[vnet.acl]]
  line = 20
  action = "drop"
  protocol = "udp"
  ports = "53"
"#;

fn nat(inside: &[(&str, &str)], outside: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (kind, pairs) in [("inside", inside), ("outside", outside)] {
        for (local, remote) in pairs {
            text += &format!("  [[vnet.{kind}_nat]]\n  local = \"{local}\"\n  virtual = \"{remote}\"\n");
        }
    }
    text
}

/// The configurations, read once.
pub(super) fn all() -> &'static [Arc<Config>; COUNT] {
    static ALL: OnceLock<[Arc<Config>; COUNT]> = OnceLock::new();
    ALL.get_or_init(|| {
        let inside = [("10.1.0.0/24", "10.200.1.0/24"), ("fd00:1::/64", "fd00:200:1::/64")];
        let npt = ("fd00:72::/64", "fd00:200:2::/64");
        let bodies = [
            // Many-to-one behind one address, and prefix translation.
            format!("relay = true\n{}", nat(&inside, &[("172.16.2.1/32", "10.200.2.0/23"), npt])),
            // One-to-one.
            nat(&inside, &[("172.16.2.0/24", "10.200.2.0/24"), ("172.16.3.0/24", "10.200.3.0/24"), npt]),
            // Behind a few addresses that are remote hosts' meeting point too, of both families.
            format!(
                "relay = true\n{}",
                nat(&inside, &[("10.1.0.200/30", "10.200.2.0/23"), ("fd00:1::c8/128", "fd00:200:2::/63")])
            ),
            // No translation, no diagnostics.
            "nat = false\ndark = true\nrelay = true\n".to_owned(),
            // Only some hosts.
            nat(&inside[..1], &[("172.16.2.1/32", "10.200.3.0/24")]),
        ];
        let rules = [ALLOW_ALL.to_owned(), format!("{SOME}{ALLOW_ALL}")];
        let mut index = 0;
        bodies.map(|body| {
            index += 1;
            let text = format!("{HEAD}{body}{ROUTES}{}", rules[index % 2]);
            Arc::new(
                Config::parse(&text, Path::new("node.toml"))
                    .unwrap_or_else(|errors| panic!("{errors}\n{text}")),
            )
        })
    })
}

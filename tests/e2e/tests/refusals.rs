//! Who is not let in, and that the reason can be read.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::gateway::{Gateway, Pki, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Lab, Ping, Rate, Side, wait_until};
use gridway_pki::{CertificateRequest, Validity};

/// A stranger with `openssl s_client` on side B's WAN, who shows the certificate in `credentials`.
fn knock(lab: &Lab, credentials: Option<&(PathBuf, PathBuf)>, version: &str) -> String {
    let mut client = lab.gwb().command("openssl").args(["s_client", "-connect", "192.0.2.1:8443", version]);
    if version == "-tls1_3" {
        client = client.args(["-alpn", "gridway/1"]);
    }
    if let Some((certificate, key)) = credentials {
        client = client.arg("-cert").arg(certificate).arg("-key").arg(key);
    }
    let output = client.timeout(Duration::from_secs(10)).run_unchecked().unwrap();
    output.stdout + &output.stderr
}

/// Writes a certificate that the authority in `pki` issues as asked.
fn issue(
    lab: &Lab,
    pki: &Pki,
    name: &str,
    change: impl FnOnce(&mut CertificateRequest),
) -> (PathBuf, PathBuf) {
    let mut request = CertificateRequest {
        common_name: name.to_owned(),
        organizational_unit: None,
        dns_names: vec![format!("{name}.lab.example")],
        validity: Validity::days(SystemTime::now(), 30),
        server_auth: true,
        client_auth: true,
    };
    change(&mut request);
    let issued = pki.store().unwrap().authority().issue(&request).unwrap();
    let (certificate, key) =
        (lab.path().join(format!("{name}-bad.crt")), lab.path().join(format!("{name}-bad.key")));
    std::fs::write(&certificate, issued.certificate_pem).unwrap();
    std::fs::write(&key, issued.key_pem).unwrap();
    (certificate, key)
}

/// Waits until a row of `peers`, or the log, gives the reason.
fn assert_refused(node: &Gateway, who: &str, reason: &str) {
    let rows = || node.peers().unwrap_or_else(|error| panic!("{error}\n{}", node.log().unwrap_or_default()));
    let found = wait_until("a refusal with its reason", LIMIT, || {
        rows()
            .into_iter()
            .find(|row| row.name == who && row.reason.as_deref().is_some_and(|found| found.contains(reason)))
    });
    assert!(found.is_ok(), "no row {who} with {reason:?} in {:?}", rows());
    let log = node.log().unwrap();
    assert!(log.contains(reason), "{reason:?} is not in the log:\n{log}");
}

#[test]
fn strangers_are_refused_each_for_its_reason() {
    let Pair { a, mut b, lab } = Pair::corp(Layout::Combined);
    b.stop().unwrap();
    let pki = Pki::init_as(&lab, "other").unwrap();
    let own = Pki::of(&lab).unwrap();

    knock(&lab, None, "-tls1_3");
    assert_refused(&a, "192.0.2.2", "peer sent no certificates");

    let foreign = issue(&lab, &pki, "gw-b", |_| {});
    knock(&lab, Some(&foreign), "-tls1_3");
    // The other authority has the same name, so what gives it away is its signature.
    assert_refused(&a, "gw-b", "invalid peer certificate: BadSignature");

    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    let expired = issue(&lab, &own, "gw-b", |request| {
        request.validity =
            Validity { not_before: yesterday - Duration::from_secs(86_400), not_after: yesterday };
    });
    knock(&lab, Some(&expired), "-tls1_3");
    assert_refused(&a, "gw-b", "xpired");

    let unknown = issue(&lab, &own, "gw-x", |_| {});
    knock(&lab, Some(&unknown), "-tls1_3");
    assert_refused(&a, "gw-x", "gw-x is not a configured peer");

    let two = issue(&lab, &own, "gw-b", |request| request.dns_names.push("gw-c.lab.example".to_owned()));
    knock(&lab, Some(&two), "-tls1_3");
    assert_refused(&a, "192.0.2.2", "certificate has 2 names");

    let wildcard = issue(&lab, &own, "gw-b", |request| request.dns_names = vec!["*.lab.example".to_owned()]);
    knock(&lab, Some(&wildcard), "-tls1_3");
    assert_refused(&a, "192.0.2.2", "is a wildcard");

    let client_only = issue(&lab, &own, "gw-b", |request| request.server_auth = false);
    knock(&lab, Some(&client_only), "-tls1_3");
    assert_refused(&a, "192.0.2.2", "lacks the extended key usage serverAuth");

    let good = issue(&lab, &own, "gw-b", |_| {});
    let said = knock(&lab, Some(&good), "-tls1_2");
    assert!(said.contains("alert"), "{said}");
    assert_refused(&a, "192.0.2.2", "peer is incompatible");

    // The right certificate at last: the node still takes it.
    b.start().unwrap();
    a.wait_peer_up("gw-b", LIMIT).unwrap();
}

in_both_layouts! {
    fn a_revoked_peer_is_out_within_a_second_and_stays_out(layout) {
        let Pair { a, b, lab } = Pair::corp(layout);
        Pki::of(&lab).unwrap().revoke("gw-b").unwrap();
        let revoked = Instant::now();
        let row = a.wait_peer_down("gw-b", Duration::from_secs(1)).unwrap();
        assert!(revoked.elapsed() <= Duration::from_secs(1), "{:?}", revoked.elapsed());
        assert!(row.reason.as_deref().is_some_and(|reason| reason.contains("revoked")), "{row:?}");
        // The peer dials again at once, and again; it is refused inside the handshake.
        assert_refused(&a, "gw-b", "Revoked");
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(a.status().unwrap().peers_up, 0);
        }
        let row = b.peer("gw-a").unwrap();
        assert!(row.reason.is_some(), "the revoked side is told as well: {row:?}");
    }
}

#[test]
fn garbage_on_the_tunnel_port_is_refused() {
    let pair = Pair::corp(Layout::Combined);
    let garbage = pair.lab.gwb().command("sh").args([
        "-c",
        "for i in 1 2 3 4 5; do head -c 20000 /dev/urandom | timeout 2 openssl s_client -connect 192.0.2.1:8443 -quiet; done; \
         for i in 1 2 3 4 5; do (head -c 20000 /dev/urandom > /dev/tcp/192.0.2.1/8443) 2>/dev/null; done; true",
    ]);
    garbage.timeout(Duration::from_secs(30)).run_unchecked().unwrap();
    let bash = pair.lab.gwb().command("bash").args([
        "-c",
        "for i in 1 2 3 4 5; do head -c 20000 /dev/urandom > /dev/tcp/192.0.2.1/8443; done; true",
    ]);
    bash.timeout(Duration::from_secs(30)).run_unchecked().unwrap();
    let row = wait_until("a refusal of garbage", LIMIT, || {
        pair.a.peers().unwrap().into_iter().find(|row| row.name == "192.0.2.2")
    });
    assert!(row.is_ok(), "{:?}", pair.a.peers());
    let report = Ping::new(vnets::outside_host(Side::B, 0)).count(5).run(pair.lab.h1()).unwrap();
    assert!(report.all_answered(), "{report:?}");
    pair.finish();
}

#[test]
fn a_flood_of_connections_does_not_touch_forwarding() {
    let pair = Pair::corp(Layout::Combined);
    let (a, lab) = (&pair.a, &pair.lab);
    let _server = Iperf3Server::start(lab.h2(), 5201).unwrap();
    let load = Iperf3::udp(vnets::outside_host(Side::B, 0), Rate::mbit(50))
        .length(1200)
        .duration(Duration::from_secs(8));
    let mut running = load.start(lab.h1()).unwrap();
    // 1,000 silent connections, held open, and 500 a second that come and go. They are bound to the device, as the
    // tunnel is: else the kernel would give one of them the tunnel's own port, and reset both.
    let silent = lab.gwb().command("python3").args([
        "-c",
        "import socket,time\n\
         def dial():\n\
         \x20 s=socket.socket(); s.setsockopt(socket.SOL_SOCKET,socket.SO_BINDTODEVICE,b'wan0')\n\
         \x20 s.setblocking(False); s.connect_ex(('192.0.2.1',8443)); return s\n\
         held=[dial() for i in range(1000)]\n\
         end=time.time()+6\n\
         while time.time()<end:\n\
         \x20 for i in range(50): dial().close()\n\
         \x20 time.sleep(0.1)\n",
    ]);
    silent.timeout(Duration::from_secs(20)).run().unwrap();
    let limits = a.limits().unwrap();
    let handshakes = limits.iter().find(|row| row.name == "handshakes").unwrap();
    assert!(handshakes.refused > 1000, "{handshakes:?}");
    assert!(handshakes.used <= 16, "one source has 16 places: {handshakes:?}");
    let report = load.finish(lab.h1(), &mut running).unwrap();
    let ((lost, sent), no_room) = (report.datagrams.unwrap(), pair.without_room());
    // The flood and the load share two cores: what that left without room is counted, and nothing else is lost.
    let besides = lost.saturating_sub(no_room);
    assert!(besides * 100 < sent, "{lost} of {sent}, {no_room} without room\n{}", pair.evidence());
    assert!(lost * 4 < sent, "{lost} of {sent}, {no_room} without room\n{}", pair.evidence());
    a.wait_peer_up("gw-b", LIMIT).unwrap();
    pair.finish();
}

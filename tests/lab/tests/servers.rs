//! Servers and clients of everyday protocols work in the laboratory without Gridway, so that a test with Gridway
//! between them tells of Gridway.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which the lint does not recognise as tests")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use gridway_lab::tools::{
    Dig, Dnsmasq, Lftp, Nginx, PgBench, Postgres, Sshd, Tftp, Tftpd, Transfer, Vsftpd, Wrk, random_file,
};
use gridway_lab::{Lab, LabError, Side, is_alive};

fn forwarding_lab() -> Lab {
    let lab = Lab::new().unwrap();
    lab.kernel_forwarding(true).unwrap();
    lab
}

fn on_h2(port: u16) -> SocketAddr {
    (Side::B.host(0), port).into()
}

fn on_h2_v6(port: u16) -> SocketAddr {
    (Side::B.host6(0), port).into()
}

fn assert_same(one: &Path, other: &Path) {
    let read = |path: &Path| fs::read(path).unwrap();
    assert!(read(one) == read(other), "{} and {} differ", one.display(), other.display());
}

/// A file of a few hundred KiB on the client's side.
fn file(lab: &Lab) -> PathBuf {
    let path = lab.path().join("file");
    random_file(&path, 300_001).unwrap();
    path
}

#[test]
fn nginx_serves_takes_and_tells_who_asked() {
    let lab = forwarding_lab();
    let nginx = Nginx::start(lab.h2(), on_h2(80)).unwrap();
    let (file, copy) = (file(&lab), lab.path().join("copy"));
    let transfer = Transfer::new("http://10.2.0.2/sent");
    transfer.upload(lab.h1(), &file).unwrap();
    assert_same(&nginx.root().join("sent"), &file);
    transfer.download(lab.h1(), &copy).unwrap();
    assert_same(&copy, &file);
    assert_eq!(Nginx::client_seen(lab.h1(), on_h2(80)).unwrap().ip(), Side::A.host(0));
    let missing = Transfer::new("http://10.2.0.2/missing").text(lab.h1()).unwrap_err();
    assert!(missing.to_string().contains("404"), "{missing}");
}

#[test]
fn nginx_believes_a_proxy_header_where_it_expects_one() {
    let lab = forwarding_lab();
    let _nginx = Nginx::start_behind_proxy(lab.h2(), on_h2(80)).unwrap();
    let client = Nginx::client_seen(lab.h1(), on_h2(80));
    assert!(client.is_err(), "without a header: {client:?}");
    let request = "PROXY TCP4 192.0.2.77 192.0.2.1 4321 80\r\nGET /client HTTP/1.0\r\n\r\n";
    let answer = gridway_lab::tools::echo_tcp(
        lab.h1(),
        on_h2(80),
        request.as_bytes(),
        std::time::Duration::from_secs(5),
    );
    // An answer longer than the request is cut off there.
    let answer = String::from_utf8(answer.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn wrk_keeps_a_thousand_connections_busy() {
    let lab = forwarding_lab();
    let nginx = Nginx::start(lab.h2(), on_h2(80)).unwrap();
    fs::write(nginx.root().join("page"), "hello").unwrap();
    let report = Wrk::new(on_h2(80), "/page").connections(1000).run(lab.h1()).unwrap();
    assert!(report.requests > 1000 && report.refused == 0, "{report:?}");
    assert_eq!(report.errors, Default::default());
}

#[test]
fn pgbench_loads_postgres() {
    let lab = forwarding_lab();
    let postgres = Postgres::start(lab.h2(), on_h2(5432)).unwrap();
    let bench = PgBench::new(on_h2(5432)).load(4, 50);
    bench.fill(lab.h1()).unwrap();
    assert_eq!(bench.run(lab.h1()).unwrap(), 200);
    assert_eq!(bench.reconnect().load(2, 10).run(lab.h1()).unwrap(), 20);
    let pid = postgres.pid();
    assert!(is_alive(pid));
    drop(postgres);
    assert!(!is_alive(pid));
}

#[test]
fn ssh_runs_a_command_and_scp_copies_both_ways() {
    let lab = forwarding_lab();
    for at in [on_h2(22), on_h2_v6(22)] {
        let sshd = Sshd::start(lab.h2(), at).unwrap();
        let client = sshd.client(at);
        let output = client.run(lab.h1(), "echo $SSH_CONNECTION").unwrap();
        assert!(output.stdout.ends_with(&format!("{} {}\n", at.ip(), at.port())), "{output:?}");
        let (file, there, back) = (file(&lab), lab.path().join("there"), lab.path().join("back"));
        client.copy_to(lab.h1(), &file, &there).unwrap();
        assert_same(&there, &file);
        client.copy_from(lab.h1(), &there, &back).unwrap();
        assert_same(&back, &file);
        fs::remove_file(there).unwrap();
        fs::remove_file(back).unwrap();
    }
}

#[test]
fn dig_asks_dnsmasq_over_udp_and_tcp() {
    let lab = forwarding_lab();
    let long = "x".repeat(200);
    let record = format!("--txt-record=long.example,{long},{long},{long}");
    let _dns = Dnsmasq::start(lab.h2(), on_h2(53), &["--host-record=db.example,10.2.0.9,fd00:2::9", &record]);
    for dig in [Dig::udp(on_h2(53)), Dig::tcp(on_h2(53))] {
        assert_eq!(dig.ask(lab.h1(), "db.example", "A").unwrap(), ["10.2.0.9"]);
        assert_eq!(dig.ask(lab.h1(), "db.example", "AAAA").unwrap(), ["fd00:2::9"]);
        let text = dig.ask(lab.h1(), "long.example", "TXT").unwrap();
        assert_eq!(text, [format!("\"{long}\" \"{long}\" \"{long}\"")], "longer than 512 bytes");
        assert_eq!(dig.ask(lab.h1(), "nobody.example", "A").unwrap(), [""; 0]);
    }
    let silent = Dig::udp(on_h2(54)).ask(lab.h1(), "db.example", "A").unwrap_err();
    assert!(matches!(silent, LabError::Failed { .. }), "{silent}");
}

#[test]
fn curl_and_lftp_transfer_with_vsftpd_passive_and_active_in_both_families() {
    let lab = forwarding_lab();
    let file = file(&lab);
    for (n, at) in [on_h2(21), on_h2_v6(21)].into_iter().enumerate() {
        let ftp = Vsftpd::start(lab.h2(), at).unwrap();
        let url = |name: &str| format!("ftp://{at}/pub/{name}");
        let mut ways = vec![(Transfer::new(&url("passive")), "passive")];
        ways.push((Transfer::new(&url("active")).active(), "active"));
        if at.is_ipv4() {
            ways.push((Transfer::new(&url("pasv")).arg("--disable-epsv"), "pasv"));
            ways.push((Transfer::new(&url("port")).active().arg("--disable-eprt"), "port"));
        }
        for (transfer, name) in ways {
            transfer.upload(lab.h1(), &file).unwrap();
            assert_same(&ftp.root().join(name), &file);
            let copy = lab.path().join(format!("curl-{name}-{n}"));
            transfer.download(lab.h1(), &copy).unwrap();
            assert_same(&copy, &file);
        }
        let lftp = Lftp::new(at);
        for (lftp, name) in [(lftp.clone(), "lftp-passive"), (lftp.active(), "lftp-active")] {
            let remote = format!("pub/{name}");
            lftp.put(lab.h1(), &file, &remote).unwrap();
            assert_same(&ftp.root().join(name), &file);
            let copy = lab.path().join(format!("{name}-{n}"));
            lftp.get(lab.h1(), &remote, &copy).unwrap();
            assert_same(&copy, &file);
            let names = lftp.list(lab.h1(), "pub").unwrap();
            assert!(names.iter().any(|listed| listed.ends_with(name)), "{names:?}");
        }
        let missing = Lftp::new(at).get(lab.h1(), "pub/missing", &lab.path().join("none")).unwrap_err();
        assert!(missing.to_string().contains("550"), "{missing}");
    }
}

#[test]
fn tftp_gets_and_puts_in_both_families_and_curl_asks_for_larger_blocks() {
    let lab = forwarding_lab();
    let file = file(&lab);
    let copy = |name: &str| lab.path().join(name);
    for at in [on_h2(69), on_h2_v6(69)] {
        let tftpd = Tftpd::start(lab.h2(), at).unwrap();
        let tftp = Tftp::new(at);
        tftp.put(lab.h1(), &file, "put").unwrap();
        assert_same(&tftpd.root().join("put"), &file);
        tftp.get(lab.h1(), "put", &copy("got")).unwrap();
        assert_same(&copy("got"), &file);
        let transfer = Transfer::new(&format!("tftp://{at}/large-blocks")).arg("--tftp-blksize").arg("1400");
        transfer.upload(lab.h1(), &file).unwrap();
        assert_same(&tftpd.root().join("large-blocks"), &file);
        transfer.download(lab.h1(), &copy("large")).unwrap();
        assert_same(&copy("large"), &file);
        let missing = tftp.get(lab.h1(), "missing", &copy("none")).unwrap_err();
        assert!(missing.to_string().contains("not found"), "{missing}");
    }
}

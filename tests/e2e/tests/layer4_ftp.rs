//! FTP through connectors and services: control and data connections of every kind, and what is refused.
//!
//! ```text
//! h1, h1-1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;

use gridway_e2e::layer4::{
    End, assert_same, dial, end_of, near, near6, published, published6, target, target6, wait_no_sessions,
};
use gridway_e2e::{LIMIT, Layout, Pair, in_both_layouts};
use gridway_lab::tools::{Lftp, PortState, Scan, Transfer, Vsftpd, random_file};
use gridway_lab::{Lab, LabError, Namespace, Side};

/// IPv4 at port 21 and IPv6 at port 2121.
fn both_families(side: Side) -> String {
    published("ftp", 21)(side) + &published6("ftp", 2121)(side).replace("\"app\"", "\"app6\"")
}

fn expect<T>(pair: &Pair, what: &str, result: Result<T, LabError>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}\n{}", pair.evidence()))
}

fn file(pair: &Pair, len: usize) -> PathBuf {
    let path = pair.lab.path().join("file");
    random_file(&path, len).unwrap();
    path
}

/// A control connection by hand.
struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    fn open(from: &Namespace) -> Self {
        let mut control = Self { stream: BufReader::new(dial(from, near(21)).unwrap()) };
        assert!(control.reply().starts_with("220"), "a greeting");
        control
    }

    fn login(from: &Namespace) -> Self {
        let mut control = Self::open(from);
        control.ask("USER anonymous");
        control
    }

    /// The last line of a reply (RFC 959, section 4.2).
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let last = line.get(3..4) == Some(" ") || line.is_empty();
            if last {
                return line.trim_end().to_owned();
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// Asks for a passive data connection and returns where to dial it.
    fn passive(&mut self) -> SocketAddr {
        let reply = self.ask("PASV");
        let numbers = reply.split_once('(').and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
        let numbers: Vec<u8> = numbers.split(',').map(|number| number.parse().unwrap()).collect();
        let [a, b, c, d, high, low] = numbers[..] else { panic!("{reply}") };
        (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()
    }
}

in_both_layouts! {
    fn curl_transfers_passive_and_active_in_both_families(layout) {
        let pair = Pair::with(layout, both_families);
        let file = file(&pair, 3 << 20);
        for (server, near) in [(target(21), near(21)), (target6(2121), near6(2121))] {
            let ftp = Vsftpd::start(pair.lab.h2(), server).unwrap();
            let url = |name: &str| Transfer::new(&format!("ftp://{near}/pub/{name}"));
            let mut ways = vec![("epsv", url("epsv")), ("eprt", url("eprt").active())];
            if near.is_ipv4() {
                ways.push(("pasv", url("pasv").arg("--disable-epsv")));
                ways.push(("port", url("port").active().arg("--disable-eprt")));
            }
            for (name, transfer) in ways {
                let what = format!("{name} by way of {near}");
                expect(&pair, &what, transfer.upload(pair.lab.h1(), &file));
                assert_same(&ftp.root().join(name), &file);
                let copy = pair.lab.path().join("copy");
                expect(&pair, &what, transfer.download(pair.lab.h1(), &copy));
                assert_same(&copy, &file);
            }
        }
        wait_no_sessions(&pair, LIMIT);
        pair.finish();
    }
}

#[test]
fn lftp_transfers_and_lists_passive_and_active_in_both_families() {
    let pair = Pair::with(Layout::Combined, both_families);
    let file = file(&pair, 3 << 20);
    for (server, near) in [(target(21), near(21)), (target6(2121), near6(2121))] {
        let ftp = Vsftpd::start(pair.lab.h2(), server).unwrap();
        let lftp = Lftp::new(near);
        let mut ways = vec![("passive", lftp.clone()), ("active", lftp.clone().active())];
        if near.is_ipv4() {
            ways.push(("epsv", lftp.set("ftp:prefer-epsv yes")));
        }
        for (name, lftp) in ways {
            let (what, remote) = (format!("{name} by way of {near}"), format!("pub/{name}"));
            expect(&pair, &what, lftp.put(pair.lab.h1(), &file, &remote));
            assert_same(&ftp.root().join(name), &file);
            let copy = pair.lab.path().join(format!("copy-{name}-{}", near.is_ipv6()));
            expect(&pair, &what, lftp.get(pair.lab.h1(), &remote, &copy));
            assert_same(&copy, &file);
            let names = expect(&pair, &what, lftp.list(pair.lab.h1(), "pub"));
            assert!(names.iter().any(|listed| listed.ends_with(name)), "{names:?}");
        }
    }
    pair.finish();
}

#[test]
fn tls_is_refused_in_words_and_the_connection_goes_on_without() {
    let pair = Pair::with(Layout::Combined, published("ftp", 21));
    let ftp = Vsftpd::start(pair.lab.h2(), target(21)).unwrap();
    let mut control = Control::open(pair.lab.h1());
    let reply = control.ask("AUTH TLS");
    assert!(reply.starts_with('5') && reply.len() > 10, "{reply}\n{}", pair.evidence());
    let reply = control.ask("USER anonymous");
    assert!(reply.starts_with("230"), "{reply}\n{}", pair.evidence());
    drop(control);
    // A client that wants TLS where it can have it does without.
    let file = file(&pair, 10_000);
    let lftp = Lftp::new(near(21)).set("ftp:ssl-allow yes");
    expect(&pair, "lftp without TLS", lftp.put(pair.lab.h1(), &file, "pub/plain"));
    assert_same(&ftp.root().join("plain"), &file);
    // One that insists is told.
    let transfer = Transfer::new(&format!("ftp://{}/pub/plain", near(21))).arg("--ssl-reqd");
    let error = transfer.text(pair.lab.h1()).unwrap_err();
    assert!(matches!(&error, LabError::Failed { status, .. } if status.code() == Some(64)), "{error}");
    pair.finish();
}

#[test]
fn only_the_announced_data_port_is_open_and_only_once() {
    let pair = Pair::built(Lab::builder().hosts(Side::A, 2), Layout::Combined, published("ftp", 21));
    let ftp = Vsftpd::start(pair.lab.h2(), target(21)).unwrap();
    std::fs::write(ftp.root().join("note"), "hello").unwrap();
    let mut control = Control::login(pair.lab.h1());
    let announced = control.passive();
    assert_eq!(announced.ip(), Side::A.data(), "the client is to come to the near node");

    let (low, high) = (announced.port() - 10, announced.port().saturating_add(10));
    let others = format!("{low}-{},{}-{high}", announced.port() - 1, announced.port() + 1);
    let scan = Scan::tcp(Side::A.data(), &others).run(pair.lab.h1()).unwrap();
    assert_eq!(scan.in_state(PortState::Open), [0; 0], "{}", pair.evidence());
    // The ports of the server itself, which it announced to the far node, lead nowhere here.
    let passive = format!("{}-{}", Vsftpd::PASSIVE.start(), Vsftpd::PASSIVE.end());
    let scan = Scan::tcp(Side::A.data(), &passive).run(pair.lab.h1()).unwrap();
    let open = scan.in_state(PortState::Open);
    assert!(open.iter().all(|port| *port == announced.port()), "{open:?}\n{}", pair.evidence());
    drop(control);

    // Another host cannot take the place of the client that it was announced to.
    let mut control = Control::login(pair.lab.h1());
    let announced = control.passive();
    if let Ok(mut thief) = dial(pair.lab.host(Side::A, 1), announced) {
        assert_ne!(end_of(&mut thief), End::Open, "{}", pair.evidence());
    }
    drop(control);

    let mut control = Control::login(pair.lab.h1());
    let announced = control.passive();
    let mut data = dial(pair.lab.h1(), announced).unwrap();
    assert!(control.ask("RETR pub/note").starts_with("150"), "{}", pair.evidence());
    let mut note = String::new();
    std::io::Read::read_to_string(&mut data, &mut note).unwrap();
    assert_eq!(note, "hello");
    assert!(control.reply().starts_with("226"));
    assert!(dial(pair.lab.h1(), announced).is_err(), "it was good for one connection");
    pair.finish();
}

/// A client may not have the server connect to somebody else (RFC 2577, section 3).
#[test]
fn an_active_port_of_another_host_is_refused() {
    let pair = Pair::built(Lab::builder().hosts(Side::A, 2), Layout::Combined, published("ftp", 21));
    let _ftp = Vsftpd::start(pair.lab.h2(), target(21)).unwrap();
    let mut control = Control::login(pair.lab.h1());
    for line in ["PORT 10,1,0,3,160,0", "EPRT |1|10.1.0.3|40960|", "PORT 10,1,0,2,0,22", "PORT 10,1,0,2,160"]
    {
        let reply = control.ask(line);
        assert!(reply.starts_with('5'), "{line}: {reply}\n{}", pair.evidence());
    }
    let reply = control.ask("PORT 10,1,0,2,160,0");
    assert!(reply.starts_with("200"), "{reply}\n{}", pair.evidence());
    pair.finish();
}

#[test]
fn malformed_lines_do_no_harm() {
    let pair = Pair::with(Layout::Combined, published("ftp", 21));
    let ftp = Vsftpd::start(pair.lab.h2(), target(21)).unwrap();
    let garbage: [&[u8]; 7] = [
        b"\r\n\r\n\r\n",
        b"PORT\r\n",
        b"PORT 999,999,999,999,999,999\r\n",
        b"EPRT |9|x|y|\r\n",
        b"EPSV ALL ALL ALL\r\nPASV now\r\n",
        &[0xff; 3000],
        &[b'A'; 100_000],
    ];
    for line in garbage {
        let mut control = Control::open(pair.lab.h1());
        // It may be answered, or the connection be closed.
        let _ = control.stream.get_mut().write_all(line);
        let _ = control.stream.get_mut().write_all(b"\r\n");
    }
    let file = file(&pair, 10_000);
    let transfer = Transfer::new(&format!("ftp://{}/pub/after", near(21)));
    expect(&pair, "after garbage", transfer.upload(pair.lab.h1(), &file));
    assert_same(&ftp.root().join("after"), &file);
    pair.finish();
}

#[test]
fn clients_that_never_finish_a_line_do_not_keep_others_waiting() {
    let pair = Pair::with(Layout::Combined, published("ftp", 21));
    let ftp = Vsftpd::start(pair.lab.h2(), target(21)).unwrap();
    let mut slow: Vec<Control> = (0..100).map(|_| Control::open(pair.lab.h1())).collect();
    let file = file(&pair, 1 << 20);
    for (round, letter) in "USER".chars().enumerate() {
        for control in &mut slow {
            control.stream.get_mut().write_all(&[letter as u8]).unwrap();
        }
        let transfer = Transfer::new(&format!("ftp://{}/pub/round-{round}", near(21)));
        expect(&pair, "beside slow clients", transfer.upload(pair.lab.h1(), &file));
        assert_same(&ftp.root().join(format!("round-{round}")), &file);
    }
    for control in &mut slow {
        let reply = control.ask(" anonymous");
        assert!(reply.starts_with("230"), "{reply}\n{}", pair.evidence());
    }
    drop(slow);
    wait_no_sessions(&pair, LIMIT);
    pair.finish();
}

//! TFTP through connectors and services: every transfer has ports of its own (RFC 1350), and options (RFC 2347).
//!
//! ```text
//! h1 ---- connector gwa == wan == gwb service ---- h2
//! ```

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use gridway_e2e::layer4::{
    assert_same, near, near6, published, published6, target, target6, wait_no_sessions,
};
use gridway_e2e::{Layout, Pair, in_both_layouts};
use gridway_lab::tools::{Tftp, Tftpd, Transfer, random_file};
use gridway_lab::{LabError, Side};

/// Sessions that end soon after their last datagram; IPv4 at port 69 and IPv6 at port 6969.
fn both_families(side: Side) -> String {
    let idle = if side == Side::A { "idle = \"2s\"\n" } else { "" };
    let v6 = published6("tftp", 6969)(side).replace("\"app\"", "\"app6\"");
    published("tftp", 69)(side) + idle + &v6 + idle
}

fn expect<T>(pair: &Pair, what: &str, result: Result<T, LabError>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}\n{}", pair.evidence()))
}

fn file(pair: &Pair, len: usize) -> PathBuf {
    let path = pair.lab.path().join(format!("file-{len}"));
    random_file(&path, len).unwrap();
    path
}

in_both_layouts! {
    fn files_are_got_and_put_in_both_families(layout) {
        let pair = Pair::with(layout, both_families);
        for (server, near) in [(target(69), near(69)), (target6(6969), near6(6969))] {
            let tftpd = Tftpd::start(pair.lab.h2(), server).unwrap();
            // A length that is no multiple of a block, and one that is: that ends with an empty block.
            for len in [300_001, 512 * 100] {
                let (file, name) = (file(&pair, len), format!("put-{len}"));
                expect(&pair, &name, Tftp::new(near).put(pair.lab.h1(), &file, &name));
                assert_same(&tftpd.root().join(&name), &file);
                let copy = pair.lab.path().join(format!("copy-{len}-{}", near.is_ipv6()));
                expect(&pair, &name, Tftp::new(near).get(pair.lab.h1(), &name, &copy));
                assert_same(&copy, &file);
            }
        }
        wait_no_sessions(&pair, Duration::from_secs(10));
        pair.finish();
    }
}

#[test]
fn options_pass_in_both_directions() {
    let pair = Pair::with(Layout::Combined, both_families);
    let tftpd = Tftpd::start(pair.lab.h2(), target(69)).unwrap();
    let file = file(&pair, 1_000_000);
    // Blocks larger than the MTU come in fragments.
    for size in ["1024", "1428", "8192"] {
        let transfer = Transfer::new(&format!("tftp://{}/with-{size}", near(69)));
        let transfer = transfer.arg("--tftp-blksize").arg(size);
        expect(&pair, size, transfer.upload(pair.lab.h1(), &file));
        assert_same(&tftpd.root().join(format!("with-{size}")), &file);
        let copy = pair.lab.path().join("copy");
        expect(&pair, size, transfer.download(pair.lab.h1(), &copy));
        assert_same(&copy, &file);
    }
    pair.finish();
}

#[test]
fn several_transfers_run_at_once_and_errors_reach_the_client() {
    let pair = Pair::with(Layout::Combined, both_families);
    let tftpd = Tftpd::start(pair.lab.h2(), target(69)).unwrap();
    let file = file(&pair, 500_000);
    std::fs::copy(&file, tftpd.root().join("shared")).unwrap();
    thread::scope(|scope| {
        for n in 0..8 {
            let (pair, file) = (&pair, &file);
            scope.spawn(move || {
                let copy = pair.lab.path().join(format!("copy-{n}"));
                Tftp::new(near(69)).get(pair.lab.h1(), "shared", &copy).unwrap();
                assert_same(&copy, file);
            });
        }
    });
    let none = pair.lab.path().join("none");
    let error = Tftp::new(near(69)).get(pair.lab.h1(), "missing", &none).unwrap_err();
    assert!(error.to_string().contains("not found"), "{error}\n{}", pair.evidence());
    pair.finish();
}

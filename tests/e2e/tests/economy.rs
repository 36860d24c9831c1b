//! What it costs: system calls under load, CPU when idle.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use gridway_e2e::{Layout, Pair};
use gridway_lab::gateway::{Gateway, vnets};
use gridway_lab::{Iperf3, Iperf3Server, Ping, Side};

/// System calls of the worker threads in `seconds`, by `strace -c`, and the packets moved meanwhile.
fn calls_and_packets(pair: &Pair, seconds: u64) -> (u64, u64) {
    let node = &pair.a;
    let before = packets(node);
    let output = pair
        .lab
        .gwa()
        .command("timeout")
        .args([
            "--signal=INT",
            &seconds.to_string(),
            "strace",
            "-c",
            "-f",
            "-p",
            &node.pid().unwrap().to_string(),
        ])
        .timeout(Duration::from_secs(seconds + 20))
        .run_unchecked()
        .unwrap();
    let moved = packets(node) - before;
    let total = output.stderr.lines().find(|line| line.trim_end().ends_with("total")).unwrap_or_else(|| {
        panic!("strace gives no total: {}", output.stderr);
    });
    // "100.00 0.123456 1 12345 12 total": the fourth column, the third where strace leaves usecs/call out.
    let numbers: Vec<u64> = total.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let calls = numbers.into_iter().max().expect("the total has a number of calls");
    (calls, moved)
}

fn packets(node: &Gateway) -> u64 {
    let counters = node.counters().unwrap();
    counters.outbound.tunnelled + counters.inbound.delivered
}

#[test]
fn a_packet_under_load_costs_a_tenth_of_a_system_call() {
    let pair = Pair::corp(Layout::Combined);
    let _server = Iperf3Server::start(pair.lab.h2(), 5201).unwrap();
    let load = Iperf3::tcp(vnets::outside_host(Side::B, 0)).parallel(4).duration(Duration::from_secs(8));
    let mut running = load.start(pair.lab.h1()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let (calls, packets) = calls_and_packets(&pair, 4);
    load.finish(pair.lab.h1(), &mut running).unwrap();
    assert!(packets > 10_000, "only {packets} packets moved under strace");
    let ratio = calls as f64 / packets as f64;
    println!("{calls} system calls for {packets} packets: {ratio:.3} a packet");
    assert!(ratio < 0.1, "{ratio:.3} system calls a packet");
    pair.finish();
}

/// Name of a process or thread, and the numbers behind its state (proc(5): `ppid` is the first), of its directory in
/// `/proc`.
fn stat(directory: &Path) -> (String, Vec<i64>) {
    let stat = std::fs::read_to_string(directory.join("stat")).unwrap();
    let (name, fields) = stat.rsplit_once(')').unwrap();
    let numbers = fields.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    (name.split_once('(').unwrap().1.to_owned(), numbers)
}

fn directory(node: &Gateway) -> PathBuf {
    PathBuf::from(format!("/proc/{}", node.pid().unwrap()))
}

/// User and system time of the process so far, in clock ticks of 10 ms.
fn cpu_ticks(node: &Gateway) -> u64 {
    let (_, numbers) = stat(&directory(node));
    u64::try_from(numbers[10] + numbers[11]).unwrap()
}

#[test]
fn an_idle_node_with_its_tunnel_up_uses_less_than_a_hundredth_of_a_core() {
    let pair = Pair::corp(Layout::Combined);
    let before = [&pair.a, &pair.b].map(cpu_ticks);
    let seconds = 20;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = [&pair.a, &pair.b].map(cpu_ticks);
    for (before, after) in before.into_iter().zip(after) {
        // 100 ticks a second is a whole core.
        let used = after - before;
        assert!(used < seconds, "{used} ticks in {seconds} s");
    }
    pair.finish();
}

/// Page faults of the worker threads so far.
fn faults_of_workers(node: &Gateway) -> u64 {
    let tasks = std::fs::read_dir(directory(node).join("task")).unwrap();
    let faults = |task: std::fs::DirEntry| {
        let (name, numbers) = stat(&task.path());
        // Minor and major ones.
        let faults = u64::try_from(numbers[6] + numbers[8]).unwrap();
        if name.starts_with("worker-") { faults } else { 0 }
    };
    tasks.map(|task| faults(task.unwrap())).sum()
}

/// Fresh memory costs up to milliseconds; the first packet of a flow does not wait for it.
#[test]
fn new_flows_find_their_memory_ready() {
    let pair = Pair::corp(Layout::Combined);
    let before = [&pair.a, &pair.b].map(faults_of_workers);
    let flows = 40;
    for _ in 0..flows {
        // Each run of it is a flow of its own.
        let report = Ping::new(vnets::outside_host(Side::B, 0)).count(1).run(pair.lab.h1()).unwrap();
        assert!(report.all_answered(), "{report:?}");
    }
    for (node, before) in [&pair.a, &pair.b].into_iter().zip(before) {
        let faults = faults_of_workers(node) - before;
        println!("{}: {faults} page faults for {flows} flows", node.config().name());
        assert!(faults < flows / 2, "{faults} page faults for {flows} flows");
    }
    pair.finish();
}

//! Nothing of a laboratory outlives it, however it ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests, which the lint does not recognise as tests")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gridway_lab::{Capture, DATA_INTERFACE, Iperf3Server, Lab, is_alive, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);

/// Processes whose environment says that they belong to the laboratory.
fn members(id: &str) -> Vec<String> {
    let mark = format!("GRIDWAY_LAB={id}");
    let belongs = |pid: &str| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|name| name.parse::<u32>().is_ok() && belongs(name)).collect()
}

/// References to the laboratory's namespaces: `/proc/PID/ns/net` and open files. Inode numbers are used again, so a
/// match counts only if the namespace's loopback carries the laboratory's name.
fn references(id: &str, inodes: &[u64]) -> Vec<String> {
    let targets: Vec<String> = inodes.iter().map(|inode| format!("net:[{inode}]")).collect();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        if process.file_name().to_string_lossy().parse::<u32>().is_err() {
            continue;
        }
        let open =
            fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten().map(|fd| fd.path());
        for link in open.chain([process.path().join("ns/net")]) {
            let Ok(target) = fs::read_link(&link) else {
                continue;
            };
            if targets.iter().any(|wanted| target == Path::new(wanted)) && is_ours(&link, id) {
                found.push(link.display().to_string());
            }
        }
    }
    found
}

fn is_ours(namespace: &Path, id: &str) -> bool {
    let shown = Command::new("nsenter")
        .arg(format!("--net={}", namespace.display()))
        .args(["ip", "link", "show", "dev", "lo"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&shown.stdout).contains(id)
}

fn interfaces_of_the_machine() -> String {
    let shown = Command::new("ip").args(["-br", "link"]).output().unwrap();
    String::from_utf8_lossy(&shown.stdout).into_owned()
}

#[test]
fn drop_ends_every_process_and_removes_directory_and_namespaces() {
    let lab = Lab::builder().wan_delay(Duration::from_millis(1)).build().unwrap();
    let (id, dir) = (lab.id(), lab.path().to_owned());
    let inodes: Vec<u64> = lab.namespaces().map(|namespace| namespace.inode().unwrap()).collect();
    let server = Iperf3Server::start(lab.h2(), 5201).unwrap();
    let capture = Capture::start(lab.gwa(), DATA_INTERFACE, "").unwrap();
    fs::write(dir.join("secret.key"), "x").unwrap();
    assert_eq!(members(&id).len(), 2, "the search finds what is there");
    assert!(!references(&id, &inodes).is_empty(), "the search finds what is there");

    drop((server, capture));
    drop(lab);
    assert_eq!(members(&id), [""; 0]);
    assert!(!dir.exists());
    assert_eq!(references(&id, &inodes), [""; 0]);
}

#[test]
fn a_process_that_outlives_its_guard_dies_with_its_namespace() {
    let lab = Lab::new().unwrap();
    let process = lab.h1().command("sleep").arg("infinity").spawn().unwrap();
    let pid = process.pid();
    // The signal is set by then.
    let name = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    wait_until("sleep to be loaded", LIMIT, || (name().trim() == "sleep").then_some(())).unwrap();
    std::mem::forget(process);
    assert!(is_alive(pid));
    drop(lab);
    wait_until("the forgotten process to die", LIMIT, || (!is_alive(pid)).then_some(())).unwrap();
}

/// Starts the laboratory program and reads what it says about itself.
fn hold() -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gridway-lab"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

fn facts(value: &Value) -> (String, String, Vec<u64>, Vec<u32>) {
    let id = value["id"].as_str().unwrap().to_owned();
    let dir = value["dir"].as_str().unwrap().to_owned();
    let namespaces = value["namespaces"].as_array().unwrap();
    let inodes = namespaces.iter().map(|namespace| namespace["inode"].as_u64().unwrap()).collect();
    let pids = value["processes"].as_array().unwrap();
    let pids = pids.iter().map(|pid| u32::try_from(pid.as_u64().unwrap()).unwrap()).collect();
    (id, dir, inodes, pids)
}

#[test]
fn kill_9_of_the_owner_leaves_nothing_behind() {
    let before = interfaces_of_the_machine();
    let (mut owner, said) = hold();
    let (id, dir, inodes, pids) = facts(&said);
    assert!(Path::new(&dir).exists());
    // A program that has just been started shows its environment once it is loaded.
    let complete = || (members(&id).len() == pids.len()).then_some(());
    wait_until("every process to be marked", LIMIT, complete).unwrap();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    assert_eq!(
        interfaces_of_the_machine(),
        before,
        "no link of a laboratory is ever in the machine's namespace"
    );

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("its processes to die", LIMIT, || members(&id).is_empty().then_some(())).unwrap();
    wait_until("its namespaces to vanish", LIMIT, || references(&id, &inodes).is_empty().then_some(()))
        .unwrap();
    wait_until("its directory to vanish", LIMIT, || (!Path::new(&dir).exists()).then_some(())).unwrap();
    let janitors = || {
        let lines = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&dir)).count()
    };
    wait_until("its janitor to end", LIMIT, || (janitors() == 0).then_some(())).unwrap();
    assert_eq!(interfaces_of_the_machine(), before);
}

#[test]
fn end_of_input_ends_the_laboratory_program_in_order() {
    let (mut owner, said) = hold();
    let (id, dir, ..) = facts(&said);
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
    assert_eq!(members(&id), [""; 0]);
    assert!(!Path::new(&dir).exists());
}

//! What is in the package, judged by the programs that will read it.

use std::path::Path;
use std::process::Command;

use gridway_package_test::{good, stdout};

use crate::PACKAGE;

#[test]
fn lintian_has_nothing_to_say() {
    let mut lintian = Command::new("lintian");
    lintian.args([
        "--allow-root",
        "--fail-on",
        "error,warning",
        "--suppress-tags",
        "initial-upload-closes-no-bugs",
    ]);
    let said = stdout(lintian.arg(PACKAGE.deb()));
    assert_eq!(said, "");
}

#[test]
fn every_program_has_a_manual_page_without_faults() {
    for section in ["man1", "man8"] {
        for page in PACKAGE.files(&format!("usr/share/man/{section}")) {
            let mut man = Command::new("man");
            man.args(["--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l"]).arg(&page).env("MANWIDTH", "80");
            let faults = String::from_utf8(good(&mut man).stderr).unwrap();
            assert_eq!(faults, "", "{}", page.display());
        }
    }
    for program in PACKAGE.files("usr/bin") {
        let name = program.file_name().unwrap().to_str().unwrap();
        let has_page =
            |section| PACKAGE.root().join(format!("usr/share/man/man{section}/{name}.{section}.gz")).exists();
        assert!(has_page(1) || has_page(8), "{name} has no manual page");
    }
}

#[test]
fn completions_are_read_by_their_shells_and_know_the_commands() {
    let share = PACKAGE.root().join("usr/share");
    let bash = share.join("bash-completion/completions/gridway");
    let fish = share.join("fish/vendor_completions.d/gridway.fish");
    good(Command::new("zsh").arg("-n").arg(share.join("zsh/vendor-completions/_gridway")));
    good(Command::new("fish").arg("--no-execute").arg(&fish));
    let complete = r#". "$0"; COMP_WORDS=(gridway do); COMP_CWORD=1; _gridway gridway do gridway; echo "${COMPREPLY[@]}""#;
    assert_eq!(stdout(Command::new("bash").args(["-c", complete]).arg(&bash)).trim(), "doctor");
    let complete = "source $argv[1]; complete --do-complete 'gridway doct'";
    let said = stdout(Command::new("fish").args(["--no-config", "-c", complete]).arg(&fish));
    assert!(said.starts_with("doctor"), "{said}");
}

#[test]
fn the_examples_are_good_configurations() {
    let examples = PACKAGE.files("usr/share/doc/gridway/examples");
    // That of the management process is no node's.
    for example in examples.iter().filter(|example| !example.ends_with("mgmt.toml")) {
        good(Command::new(PACKAGE.root().join("usr/bin/gridway")).args(["config", "check"]).arg(example));
    }
}

#[test]
fn units_are_well_formed_and_confine_their_programs() {
    let units = PACKAGE.files("usr/lib/systemd/system");
    // With the package's files in the places that the units name.
    let script = r#"mount -t overlay -o "lowerdir=$0/usr:/usr" overlay /usr && systemd-analyze verify "$@""#;
    let instances =
        units.iter().map(|unit| unit.file_name().unwrap().to_str().unwrap().replace('@', "@gw-a"));
    let mut verify = Command::new("unshare");
    verify.args(["--mount", "sh", "-c", script]).arg(PACKAGE.root()).args(instances);
    let output = good(&mut verify);
    let faults = String::from_utf8(output.stderr).unwrap();
    let ours: Vec<&str> = faults.lines().filter(|line| line.contains("gridway")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    for unit in units {
        // Tenths: 3.0 of 10 is the most that the data plane, which is root, may be exposed.
        let mut judge = Command::new("systemd-analyze");
        good(judge.args(["security", "--no-pager", "--offline=true", "--threshold=30"]).arg(unit));
    }
}

#[test]
fn settings_of_the_kernel_exist_and_none_switches_forwarding_on() {
    let text = std::fs::read_to_string(PACKAGE.root().join("usr/lib/sysctl.d/60-gridway.conf")).unwrap();
    let settings = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let names: Vec<String> = settings.map(|(name, _)| name.trim().to_owned()).collect();
    assert!(names.len() > 3, "{names:?}");
    for name in names {
        assert!(!name.contains("forward"), "{name}");
        assert!(Path::new("/proc/sys").join(name.replace('.', "/")).exists(), "{name}");
    }
}

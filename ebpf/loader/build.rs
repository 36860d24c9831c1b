//! Compiles the XDP program (`ebpf/steer`) and leaves its object in `OUT_DIR/steer.o`.
//!
//! The BPF target has no precompiled `core`, so a compiler is needed beside which the library's source lies.
//! Looked at, in this order: `GRIDWAY_STEER_RUSTC`, the compiler that builds this crate, rustup's nightly, and
//! `/usr/bin/rustc` (Debian's `rustc-web` with `rust-web-src`). Its LLVM must not be newer than bpf-linker's.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Names the compiler to use, where the order above picks a wrong one.
const OVERRIDE: &str = "GRIDWAY_STEER_RUSTC";
const TARGET: &str = "bpfel-unknown-none";
const MEND: &str = "run `cargo xtask setup`";

/// Variables of cargo and rustc that the nested cargo keeps: where things lie and how to reach them. All other
/// `CARGO*` and `RUST*` (flags, wrappers, profiles, target directory) are meant for the outer build.
const KEPT: [&str; 3] = ["CARGO_HOME", "RUSTUP_HOME", "CARGO_MAKEFLAGS"];
const KEPT_PREFIXES: [&str; 4] = ["CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let manifest_dir = directory("CARGO_MANIFEST_DIR")?;
    let out_dir = directory("OUT_DIR")?;
    let ebpf = manifest_dir.parent().ok_or("the crate has no parent directory")?;
    let steer = ebpf.join("steer");
    for source in ["steer/src", "steer/Cargo.toml", "steer/Cargo.lock", "abi/src", "abi/Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", ebpf.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    if env::var("CARGO_CFG_TARGET_ENDIAN").as_deref() != Ok("little") {
        return Err("the XDP program is built for little-endian machines only".into());
    }

    let rustc = compiler()?;
    let linker = linker()?;
    // A target directory of its own: the outer one is locked by the cargo that waits for us.
    let target_dir = out_dir.join("steer-target");
    let output = nested_cargo(&rustc, &linker)
        .current_dir(&steer)
        .args(["build", "--release", "--locked", "--bin", "steer", "-Zbuild-std=core", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .output()
        .map_err(|error| format!("cannot run cargo for ebpf/steer: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "ebpf/steer did not compile with {}; if a tool or library source is missing, or bpf-linker cannot \
             read this compiler's LLVM bitcode: {MEND}\n{}",
            rustc.display(),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let object = target_dir.join(TARGET).join("release/steer");
    fs::copy(&object, out_dir.join("steer.o"))
        .map_err(|error| format!("cannot copy {}: {error}", object.display()))?;
    Ok(())
}

fn directory(variable: &str) -> Result<PathBuf, String> {
    env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {variable}"))
}

/// The first compiler beside which the library's source lies.
fn compiler() -> Result<PathBuf, String> {
    if let Some(chosen) = env::var_os(OVERRIDE) {
        let chosen = PathBuf::from(chosen);
        return match sysroot(&chosen) {
            Some(root) if has_source(&root) => Ok(chosen),
            Some(_) | None => {
                Err(format!("{OVERRIDE}={}: no library source (rust-src) there; {MEND}", chosen.display()))
            }
        };
    }
    let candidates =
        [env::var_os("RUSTC").map(PathBuf::from), nightly(), Some(PathBuf::from("/usr/bin/rustc"))];
    for rustc in candidates.into_iter().flatten() {
        if let Some(root) = sysroot(&rustc)
            && has_source(&root)
        {
            // Under rustup the name may be a proxy's; the real one lies in the sysroot.
            let real = root.join("bin/rustc");
            return Ok(if real.is_file() { real } else { rustc });
        }
    }
    Err(format!(
        "no compiler with the library's source (rust-src) was found to build the XDP program: {MEND}"
    ))
}

/// The compiler of rustup's nightly toolchain, where both exist. Only asks; nothing is installed.
fn nightly() -> Option<PathBuf> {
    let output = Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.is_file()).then_some(path)
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    output.status.success().then_some(path)
}

/// An installed toolchain without the component has no such file.
fn has_source(sysroot: &Path) -> bool {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    library.join("core/src/lib.rs").is_file() && library.join("Cargo.lock").is_file()
}

/// bpf-linker, on the search path or where `cargo install` puts it.
fn linker() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|directory| directory.join("bpf-linker"))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| format!("bpf-linker, which links the XDP program, is not installed: {MEND}"))
}

/// A cargo that uses `rustc` and knows nothing of the outer build.
fn nested_cargo(rustc: &Path, linker: &Path) -> Command {
    // The cargo of the same toolchain fits best; Debian's compiler comes without one.
    let own = rustc.with_file_name("cargo");
    let cargo =
        if own.is_file() { own.into() } else { env::var_os("CARGO").unwrap_or_else(|| "cargo".into()) };
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        if is_of_the_outer_build(&name) {
            command.env_remove(name);
        }
    }
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let flags = [
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        // Headers are not aligned; without this feature (LLVM 22) every field is read byte by byte. An older
        // LLVM ignores it. The verifier allows it where the machine does.
        "-Ctarget-feature=+allows-misaligned-mem-access".into(),
        "-Ctarget-cpu=v3".into(),
        "-Clink-arg=--btf".into(),
    ];
    command
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("RUSTC", rustc)
        // Empty, not absent: a wrapper may also stand in the user's configuration.
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "")
        // build-std and the BPF target are unstable; this opens them on a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker);
    command
}

fn is_of_the_outer_build(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let tools = name.starts_with("CARGO") || name.starts_with("RUST");
    let kept = KEPT.contains(&name.as_ref()) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    tools && !kept
}

//! Bodies of the fuzz targets, one module each: a plain function from bytes, which panics when the
//! code under test breaks a promise.
//!
//! `fuzz_targets/` hands them to libFuzzer (nightly). `cargo test --lib` replays the committed corpus
//! through the same functions on the stable toolchain. A new target has a module here, a file in
//! `fuzz_targets/`, a `[[bin]]` in the manifest, a corpus folder, and a line in [`TARGETS`].

pub mod configuration;
pub mod frame;
pub mod ftp;
pub mod packet;
pub mod pipeline;
pub mod train;

/// The name of a target's corpus folder, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("configuration", configuration::run),
    ("frame", frame::run),
    ("ftp", ftp::run),
    ("packet", packet::run),
    ("pipeline", pipeline::run),
    ("train", train::run),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::TARGETS;

    #[test]
    fn every_target_survives_its_corpus() {
        for (name, run) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let mut inputs = 0;
            for entry in fs::read_dir(&folder).expect("every target has a corpus") {
                let path = entry.expect("a readable folder").path();
                println!("{}", path.display());
                run(&fs::read(&path).expect("a readable file"));
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
        }
    }

    #[test]
    fn every_corpus_has_its_target() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for entry in fs::read_dir(folder).expect("the corpus folder") {
            let name = entry.expect("a readable folder").file_name();
            assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?}");
        }
    }
}

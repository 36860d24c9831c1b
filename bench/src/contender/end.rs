//! One end of a rival: its addresses, files and programs.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result};
use gridway_lab::{Lab, Process, Side};

use super::template::fill;

/// The end of a rival on one side.
pub(super) struct End<'a> {
    pub(super) lab: &'a Lab,
    pub(super) side: Side,
}

/// What a program says when it is asked for its version, on whichever stream: the first line that begins with `start`.
pub(super) fn version(program: &Path, argument: &str, start: &str) -> String {
    let Ok(output) = std::process::Command::new(program).arg(argument).output() else { return String::new() };
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let mut lines = said.iter().flat_map(|text| text.lines());
    lines.find(|line| line.starts_with(start)).unwrap_or_default().to_owned()
}

impl End<'_> {
    /// Address inside the tunnel.
    pub(super) fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 255, 0, self.side.index() as u8 + 1)
    }

    pub(super) fn far(&self) -> Self {
        Self { lab: self.lab, side: self.side.other() }
    }

    fn directory(&self) -> String {
        self.lab.path().display().to_string()
    }

    /// A file of this end in the laboratory's directory.
    pub(super) fn file(&self, name: &str) -> String {
        self.lab.path().join(name).display().to_string()
    }

    /// The files of a key and its certificate.
    pub(super) fn key_pair(&self, name: &str) -> [String; 2] {
        ["key", "crt"].map(|kind| self.file(&format!("{name}.{kind}")))
    }

    /// What all templates may ask for.
    pub(super) fn fill(&self, template: &str, values: &[(&str, &str)]) -> Result<String> {
        let far = self.far();
        let (address, far_address) = (self.address().to_string(), far.address().to_string());
        let (wan, far_wan) = (self.side.wan().to_string(), far.side.wan().to_string());
        let directory = self.directory();
        let common = [
            ("SIDE", self.side.node()),
            ("DIRECTORY", &directory),
            ("ADDRESS", &address),
            ("FAR_ADDRESS", &far_address),
            ("WAN", &wan),
            ("FAR_WAN", &far_wan),
            ("FAR_PREFIX", far.side.network()),
        ];
        fill(template, &[&common, values].concat())
    }

    /// Writes a configuration that may hold a key.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<String> {
        let file = self.file(name);
        std::fs::write(&file, text).with_context(|| format!("cannot write {file}"))?;
        Ok(file)
    }

    /// Starts a program on the side's core.
    pub(super) fn spawn(&self, program: &[&str]) -> Result<Process> {
        let core = self.side.index().to_string();
        let command = self.lab.gateway(self.side).command("taskset").args(["-c", core.as_str()]);
        Ok(command.args(program).env("LOG_LEVEL", "error").spawn()?)
    }

    /// Runs a program to its end; its standard output.
    pub(super) fn run(&self, program: &[&str]) -> Result<String> {
        Ok(self.lab.gateway(self.side).run(program[0], &program[1..])?.stdout.trim().to_owned())
    }
}

//! Manual pages of the services. Those of `gridway` it writes itself.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;

#[path = "../../../dataplane/gateway/src/arguments.rs"]
mod dataplane;

/// A manual page.
pub(super) struct Page {
    /// Name of its file, with the section.
    pub(super) file: PathBuf,
    /// The page, for man(7).
    pub(super) text: Vec<u8>,
}

const DATAPLANE: &str = r#".SH SIGNALS
.TP
HUP
Reads the configuration and the credentials anew. All of it is taken into force or nothing; \fBgridway status\fR says
why it was refused.
.TP
TERM, INT
Ends the node in order: peers are told, and the status is 0.
.SH "EXIT STATUS"
0 after TERM or INT; 1 when the node could not start or a thread failed. What is wrong is on standard error.
.SH FILES
.TP
/etc/gridway/NODE/node.toml
The configuration of the unit gridway@NODE.service.
.TP
/run/gridway/NODE.sock
The control socket, for root and members of the group gridway.
.TP
/usr/share/doc/gridway/examples
Configurations to begin with.
.SH "SERVICE MANAGER"
READY=1 is sent when packets pass, WATCHDOG=1 for as long as every worker turns its loop.
.SH "SEE ALSO"
.BR gridway (1),
.BR gridway-doctor (1)
"#;

const MANAGEMENT: &str = r#".SH SIGNALS
.TP
HUP
Looks for replaced certificates at once.
.TP
TERM, INT
Ends the process in order. Traffic goes on.
.SH FILES
.TP
/etc/gridway/NODE/mgmt.toml
The configuration of the unit gridway-mgmt@NODE.service. Its private key must belong to the user gridway-mgmt.
.TP
/run/gridway/mgmt/NODE.sock
History of the configuration, for root and members of the group gridway.
.TP
/var/lib/gridway
History, audit, events and samples.
.SH "SEE ALSO"
.BR gridway (1),
.BR gridway-dataplane (8)
"#;

/// The pages of those of the programs that are services.
pub(super) fn pages<'a>(programs: impl Iterator<Item = &'a str>) -> Result<Vec<Page>> {
    let known = |program| match program {
        "gridway-dataplane" => Some((dataplane::Arguments::command(), DATAPLANE)),
        "gridway-mgmt" => Some((management(), MANAGEMENT)),
        _ => None,
    };
    programs.filter_map(known).map(|(command, rest)| page(command, rest)).collect()
}

fn management() -> Command {
    let config = Arg::new("config").long("config").value_name("FILE").required(true);
    Command::new("gridway-mgmt")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "The management process of a Gridway node: configuration, history, audit and metrics over HTTPS",
        )
        .arg(config.help("The management configuration"))
}

fn page(command: Command, rest: &str) -> Result<Page> {
    let file = PathBuf::from(format!("{}.8", command.get_name()));
    let mut text = Vec::new();
    Man::new(command).section("8").manual("Gridway").render(&mut text)?;
    text.extend_from_slice(rest.as_bytes());
    Ok(Page { file, text })
}

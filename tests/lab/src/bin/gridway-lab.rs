//! Holds a laboratory open for a person (or a test) until its standard input ends.
//!
//! Prints one line of JSON: the laboratory's directory and, for each namespace, its name, its inode and how to enter
//! it. With `--forward` the kernel forwards between the sides.

use std::io::Read;

use gridway_lab::{Lab, Result};

fn main() -> Result<()> {
    let lab = Lab::new()?;
    if std::env::args().any(|arg| arg == "--forward") {
        lab.kernel_forwarding(true)?;
    }
    // Something that runs in each namespace, as in any laboratory that is in use.
    let processes = lab
        .namespaces()
        .map(|namespace| namespace.command("sleep").arg("infinity").spawn())
        .collect::<Result<Vec<_>>>()?;
    let namespaces = lab
        .namespaces()
        .map(|namespace| {
            Ok(serde_json::json!({
                "name": namespace.name(),
                "inode": namespace.inode()?,
                "enter": format!("nsenter --net={}", namespace.path().display()),
            }))
        })
        .collect::<Result<Vec<_>>>()?;
    let facts = serde_json::json!({
        "id": lab.id(),
        "dir": lab.path(),
        "pid": std::process::id(),
        "processes": processes.iter().map(gridway_lab::Process::pid).collect::<Vec<_>>(),
        "namespaces": namespaces,
    });
    println!("{facts}");
    // End of input or a broken one: either way nobody wants the laboratory any more.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}

//! Attaches the steering program alone and prints its counters every second, until it is ended: shows what the
//! program makes of a link, without a data plane. Everything for a worker is dropped meanwhile.
//!
//! Usage: `gridway-steer-watch INTERFACE [OWN-ADDRESS...]`

use std::{env, error::Error, net::IpAddr, process::ExitCode, thread, time::Duration};

use gridway_steer::{Attach, AttachedMode, Steer};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let Some(interface) = arguments.next() else {
        eprintln!("usage: gridway-steer-watch INTERFACE [OWN-ADDRESS...]");
        return ExitCode::from(2);
    };
    match watch(&interface, arguments) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("gridway-steer-watch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn watch(
    interface: &str,
    own: impl Iterator<Item = String>,
) -> Result<std::convert::Infallible, Box<dyn Error>> {
    let own = own.map(|text| text.parse::<IpAddr>()).collect::<Result<Vec<_>, _>>()?;
    let (mut steer, mut hooks) = Steer::load(interface)?;
    steer.set_own_addresses(&own)?;
    hooks.attach_xdp(Attach::Auto)?;
    let mode = hooks.mode().map_or("no", AttachedMode::name);
    println!("attached to {interface} in {mode} mode, MTU {}", steer.mtu());
    loop {
        thread::sleep(Duration::from_secs(1));
        let seen: Vec<_> = steer
            .counters()?
            .iter()
            .filter(|&(_, frames)| frames > 0)
            .map(|(fate, frames)| format!("{}={frames}", fate.name()))
            .collect();
        println!("{}", seen.join(" "));
    }
}

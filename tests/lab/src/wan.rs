//! The link between the gateways and what can be done to it while it runs.

use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::rate::{Loss, Shape};
use crate::relay::Relay;
use crate::side::{Side, WAN_INTERFACE};

/// nftables table (family netdev) that loses frames at random.
const LOSS_TABLE: &str = "gridway_lab_loss";
/// nftables table (family netdev) that loses all of them.
const CUT_TABLE: &str = "gridway_lab_cut";

/// The WAN.
///
/// Loss and cuts act where frames *arrive*, on the ingress hook of a gateway's `wan0`, below ARP and IP. A veth WAN
/// keeps its offloads, so one "frame" may be a TCP super-packet of up to 64 KiB there; behind the delay relay a
/// frame is what a wire would carry. Nothing is installed while nothing is asked for: no nftables, no qdisc.
#[derive(Debug)]
pub struct Wan {
    gateways: [Namespace; 2],
    relay: Option<Relay>,
}

impl Wan {
    pub(crate) fn new(gateways: [Namespace; 2], relay: Option<Relay>) -> Self {
        Self { gateways, relay }
    }

    /// The delay relay, if the laboratory was built with a WAN delay.
    #[must_use]
    pub fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    /// Limits the rate in both directions, replaces the limit, or (with `None`) lifts it.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `tc` said.
    pub fn set_shape(&self, shape: Option<Shape>) -> Result<()> {
        for gateway in &self.gateways {
            match shape {
                Some(Shape { rate, latency }) => {
                    let (rate, burst) = (rate.to_string(), rate.burst().to_string());
                    let latency = format!("{}us", latency.as_micros());
                    let args = ["qdisc", "replace", "dev", WAN_INTERFACE, "root", "tbf", "rate", &rate];
                    gateway.command("tc").args(args).args(["burst", &burst, "latency", &latency]).run()?;
                }
                None => {
                    let shown = gateway.run("tc", ["qdisc", "show", "dev", WAN_INTERFACE, "root"])?;
                    if shown.stdout.contains("tbf") {
                        gateway.run("tc", ["qdisc", "del", "dev", WAN_INTERFACE, "root"])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Loses frames at random in both directions, or (with `None`) stops losing them. Counters start anew.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `nft` said.
    pub fn set_loss(&self, loss: Option<Loss>) -> Result<()> {
        let rule = loss.map(|loss| format!("numgen random mod 1000000 < {} counter drop", loss.ppm()));
        self.gateways.iter().try_for_each(|gateway| ingress_table(gateway, LOSS_TABLE, rule.as_deref()))
    }

    /// Frames lost so far by [`Wan::set_loss`], those that were on their way to `side`.
    ///
    /// # Errors
    /// [`LabError::Failed`] when no loss is installed.
    pub fn lost_towards(&self, side: Side) -> Result<u64> {
        dropped(&self.gateways[side.index()], LOSS_TABLE)
    }

    /// Cuts both directions: nothing arrives any more, carrier stays. [`Wan::restore`] undoes it.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `nft` said.
    pub fn cut(&self) -> Result<()> {
        Side::BOTH.into_iter().try_for_each(|side| self.cut_towards(side))
    }

    /// Cuts one direction: nothing arrives at `side` any more.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `nft` said.
    pub fn cut_towards(&self, side: Side) -> Result<()> {
        ingress_table(&self.gateways[side.index()], CUT_TABLE, Some("counter drop"))
    }

    /// Undoes cuts in both directions.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `nft` said.
    pub fn restore(&self) -> Result<()> {
        self.gateways.iter().try_for_each(|gateway| ingress_table(gateway, CUT_TABLE, None))
    }
}

/// Makes a table with one ingress rule on `wan0`, replacing one of that name; without a rule only removes it. One
/// transaction either way.
fn ingress_table(gateway: &Namespace, table: &str, rule: Option<&str>) -> Result<()> {
    // Adding before deleting makes the deletion succeed whether or not the table was there.
    let mut script = format!("add table netdev {table}\ndelete table netdev {table}\n");
    if let Some(rule) = rule {
        script.push_str(&format!(
            "add table netdev {table}\n\
             add chain netdev {table} ingress \
             {{ type filter hook ingress device \"{WAN_INTERFACE}\" priority 0; }}\n\
             add rule netdev {table} ingress {rule}\n"
        ));
    }
    gateway.command("nft").args(["-f", "-"]).stdin(script).run().map(drop)
}

/// Packets counted by the one rule of a table.
fn dropped(gateway: &Namespace, table: &str) -> Result<u64> {
    let listing = gateway.run("nft", ["-j", "list", "table", "netdev", table])?.stdout;
    let unreadable =
        || LabError::Parse { tool: "nft", expected: "one rule with a counter", output: listing.clone() };
    let json: serde_json::Value = serde_json::from_str(&listing).map_err(|_| unreadable())?;
    json["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|object| object["rule"]["expr"].as_array())
        .flatten()
        .find_map(|expression| expression["counter"]["packets"].as_u64())
        .ok_or_else(unreadable)
}

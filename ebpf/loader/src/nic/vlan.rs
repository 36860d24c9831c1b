//! Receive VLAN stripping: a tag that the NIC takes off is invisible to XDP, and the frame would pass for an
//! untagged one. Switched off.

use std::io;

use gridway_kernel::{Feature, Interface};

use crate::SteerError;

/// Names of the features that strip: 802.1Q tags and 802.1ad service tags.
const STRIPPING: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];

/// Switches off what is on, and looks whether it stayed off. A NIC without such a feature is fine.
pub(crate) fn switch_stripping_off(name: &str) -> Result<(), SteerError> {
    let failed = |source| SteerError::Query { interface: name.into(), what: "the offload features", source };
    let interface = Interface::named(name)
        .map_err(failed)?
        .ok_or_else(|| SteerError::UnknownInterface { interface: name.into() })?;
    for feature in stripping(&interface).map_err(failed)? {
        let refused = |source| SteerError::VlanStripping {
            interface: name.into(),
            feature: feature.name.clone(),
            source,
        };
        interface.switch_off(&feature).map_err(refused)?;
        if stripping(&interface).map_err(failed)?.iter().any(|still| still.name == feature.name) {
            return Err(refused(io::Error::other("it is still on")));
        }
        tracing::info!(interface = name, feature = feature.name, "receive VLAN stripping switched off");
    }
    Ok(())
}

/// The features that strip and are on.
fn stripping(interface: &Interface) -> io::Result<Vec<Feature>> {
    let mut features = interface.features()?;
    features.retain(|feature| feature.active && STRIPPING.contains(&feature.name.as_str()));
    Ok(features)
}

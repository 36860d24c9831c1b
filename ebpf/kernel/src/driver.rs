//! Driver and ring sizes, as `ethtool -i` and `ethtool -g` show them.

use std::io;

use crate::Interface;

const ETHTOOL_GDRVINFO: u32 = 3;
const ETHTOOL_GRINGPARAM: u32 = 0x10;

/// Descriptors of each ring of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Received frames, now.
    pub rx: u32,
    /// Received frames, at most.
    pub rx_max: u32,
    /// Frames to be sent, now.
    pub tx: u32,
    /// Frames to be sent, at most.
    pub tx_max: u32,
}

impl Interface {
    /// Name of the driver.
    ///
    /// # Errors
    /// Those of the ioctl: `EOPNOTSUPP` for a device without ethtool.
    pub fn driver(&self) -> io::Result<String> {
        // struct ethtool_drvinfo: 196 bytes; behind cmd the driver's name, 32 bytes.
        let mut words = [0; 49];
        words[0] = ETHTOOL_GDRVINFO;
        // SAFETY: the kernel writes one structure of 196 bytes.
        unsafe { self.ethtool(&mut words)? };
        let name: Vec<u8> = words[1..9].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        Ok(String::from_utf8_lossy(&name[..end]).into_owned())
    }

    /// Sizes of the rings; none when the device has no such thing.
    ///
    /// # Errors
    /// Those of the ioctl.
    pub fn ring_sizes(&self) -> io::Result<Option<RingSizes>> {
        // struct ethtool_ringparam: cmd; at most: rx, rx mini, rx jumbo, tx; then the same as they are.
        let mut words = [0; 9];
        words[0] = ETHTOOL_GRINGPARAM;
        // SAFETY: the kernel writes one structure of nine words.
        match unsafe { self.ethtool(&mut words) } {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(None),
            other => other?,
        };
        let [_, rx_max, _, _, tx_max, rx, _, _, tx] = words;
        Ok(Some(RingSizes { rx, rx_max, tx, tx_max }))
    }
}

//! Random bytes that cannot be on a wire by accident.

/// 32 random bytes: put into a payload, then looked for in a capture or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker([u8; 32]);

impl Marker {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A payload of `len` bytes (at least 32) made of the marker over and over.
    #[must_use]
    pub fn payload(&self, len: usize) -> Vec<u8> {
        self.0.iter().copied().cycle().take(len.max(self.0.len())).collect()
    }

    /// As hexadecimal digits, the form in which `ping -p` and the like take patterns (16 bytes, their limit).
    #[must_use]
    pub fn hex16(&self) -> String {
        self.0[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

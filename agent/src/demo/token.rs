//! Secrets of one run.

use rand::TryRng;
use rand::rngs::SysRng;

/// Bytes of a secret: what a mesh asks for.
const SECRET_BYTES: usize = 32;

/// A fresh secret as hex.
pub fn fresh() -> Result<String, String> {
    let mut bytes = [0; SECRET_BYTES];
    SysRng.try_fill_bytes(&mut bytes).map_err(|e| format!("no randomness: {e}"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// What the processes of one run share.
pub struct Tokens {
    /// The mesh's secret.
    pub secret: String,
    /// Opens the nodes' drill endpoints. Only the parent has it.
    pub drill: String,
    /// Opens the parent's control server. The page has it.
    pub page: String,
}

impl Tokens {
    /// Makes all three.
    pub fn fresh() -> Result<Self, String> {
        Ok(Self { secret: fresh()?, drill: fresh()?, page: fresh()? })
    }
}

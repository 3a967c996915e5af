//! `secret new`: a cluster secret.

use clap::Subcommand;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::exit::Failure;

/// Bytes of a new secret: what an Ed25519 seed and HKDF-SHA256 can make full use of.
const SECRET_BYTES: usize = 32;

/// What can be done about secrets.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum SecretCommand {
    /// Print a new cluster secret: 32 random bytes as hex.
    New,
}

/// Random bytes as hex.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn random_hex<const BYTES: usize>() -> Result<String, Failure> {
    let mut bytes = [0; BYTES];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| Failure::runtime(format!("no randomness from the operating system: {e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Runs the subcommand; the answer is for stdout.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn run(command: SecretCommand) -> Result<String, Failure> {
    match command {
        SecretCommand::New => Ok(random_hex::<SECRET_BYTES>()? + "\n"),
    }
}

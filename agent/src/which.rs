//! Which running agent a command asks, and with which token.

use std::path::PathBuf;

use clap::Args;

use crate::client::Target;
use crate::exit::Failure;
use crate::settings::read_token_file;

/// Where the agent is, and its token.
#[derive(Args, Clone, Debug)]
pub struct WhichAgent {
    /// Where the agent's HTTP API listens.
    #[arg(
        long,
        value_name = "IP:PORT|unix:PATH",
        env = "SESSIONMESH_HTTP_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub http: String,
    /// File whose first line is the API's bearer token. [env: SESSIONMESH_HTTP_TOKEN_FILE, or the token itself in
    /// SESSIONMESH_HTTP_TOKEN]
    #[arg(long, value_name = "FILE", env = "SESSIONMESH_HTTP_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

impl WhichAgent {
    /// The address and the token, if there is one.
    ///
    /// # Errors
    /// An address or a file that cannot be read.
    pub fn target(&self) -> Result<(Target, Option<String>), Failure> {
        let target: Target = self.http.parse().map_err(|e| Failure::usage(format!("--http: {e}")))?;
        let token = match (&self.token_file, std::env::var("SESSIONMESH_HTTP_TOKEN")) {
            (Some(path), _) => {
                Some(read_token_file(path).map_err(|e| Failure::usage(format!("--token-file: {e}")))?)
            }
            (None, Ok(token)) if !token.is_empty() => Some(token),
            (None, _) => None,
        };
        Ok((target, token))
    }
}

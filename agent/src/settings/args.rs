//! The flags of `agent` and `check-config`: the last and strongest layer.

use std::path::PathBuf;

use clap::Args;

/// Settings given on the command line. The cluster secret itself is never a flag: process lists are public.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingsArgs {
    /// TOML file with settings.
    #[arg(long, value_name = "FILE", env = "SESSIONMESH_CONFIG")]
    pub config: Option<PathBuf>,
    /// The cluster's name: nodes of other clusters are refused. [env: SESSIONMESH_CLUSTER]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// This node's name, unique in the cluster. [env: SESSIONMESH_NODE]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Address of the mesh's one UDP port. [env: SESSIONMESH_BIND]
    #[arg(long, value_name = "IP:PORT")]
    pub bind: Option<String>,
    /// Address peers shall dial, if not the bound one. [env: SESSIONMESH_ADVERTISE]
    #[arg(long, value_name = "IP:PORT")]
    pub advertise: Option<String>,
    /// Where to look for members; repeatable. [env: SESSIONMESH_SEEDS, comma separated]
    #[arg(long = "seed", value_name = "HOST:PORT")]
    pub seeds: Vec<String>,
    /// File whose first line is the cluster secret; given twice, the first signs and both are accepted.
    /// [env: SESSIONMESH_SECRET_FILE, or the secret itself in SESSIONMESH_SECRET]
    #[arg(long = "secret-file", value_name = "FILE")]
    pub secret_files: Vec<String>,
    /// Where the HTTP API listens: loopback, or unix:/PATH; others need a token. [env: SESSIONMESH_HTTP_LISTEN]
    #[arg(long, value_name = "IP:PORT|unix:PATH")]
    pub http: Option<String>,
    /// File whose first line is the bearer token of the HTTP API. [env: SESSIONMESH_HTTP_TOKEN_FILE, or the
    /// token itself in SESSIONMESH_HTTP_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<String>,
    /// Any other setting by its name in the file, such as gossip_interval_ms=500; repeatable.
    /// [env: SESSIONMESH_GOSSIP_INTERVAL_MS and so on]
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

//! Configures and starts a node.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Config, ConfigError, SecretSource};
use super::{Error, Mesh};
use crate::driver::{self, EngineConfig, Tracer};
use crate::transport::Drill;

/// Configures a node; every setting has a default that suits a local mesh of its own. See [`Config`] for what
/// each setting means and costs.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mesh = sessionmesh::Mesh::builder()
///     .cluster("shop")
///     .secret_from_env("SESSIONMESH_SECRET")?
///     .bind("0.0.0.0:7946")
///     .seeds(["shop-mesh.default.svc:7946"])
///     .configure(|config| config.max_memory_bytes = 4 << 30)  // what has no method of its own
///     .start()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `start` is awaited"]
pub struct Builder {
    config: Config,
    drill: Option<Drill>,
    clock_offset_ms: i64,
    tracer: Option<Arc<Tracer>>,
    bad: Option<ConfigError>,
}

impl Builder {
    /// Takes all settings from `config`.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Changes settings that have no method of their own.
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// The cluster's name.
    pub fn cluster(self, name: &str) -> Self {
        self.configure(|c| name.clone_into(&mut c.cluster))
    }

    /// This node's name, unique in the cluster.
    pub fn node(self, name: &str) -> Self {
        self.configure(|c| name.clone_into(&mut c.node))
    }

    /// The address to bind, such as `0.0.0.0:7946`.
    pub fn bind(self, addr: &str) -> Self {
        self.address("bind", addr, |c, addr| c.bind = addr)
    }

    /// The address peers shall dial.
    pub fn advertise(self, addr: &str) -> Self {
        self.address("advertise", addr, |c, addr| c.advertise = Some(addr))
    }

    fn address(mut self, field: &str, addr: &str, set: impl FnOnce(&mut Config, SocketAddr)) -> Self {
        match addr.parse() {
            Ok(addr) => set(&mut self.config, addr),
            // Told at `start`, where errors are awaited.
            Err(e) => {
                self.bad = Some(ConfigError::new(field, format!("{addr:?}: {e} (host names go to `seeds`)")))
            }
        }
        self
    }

    /// Where to look for members: addresses or DNS names with a port.
    pub fn seeds<S: Into<String>>(self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.configure(|c| c.seeds = seeds.into_iter().map(Into::into).collect())
    }

    /// Adds a cluster secret: at least 32 bytes, or hex or base64 of as many. The first one signs.
    pub fn secret(self, text: &str) -> Self {
        self.configure(|c| c.secrets.push(SecretSource::Text(text.to_owned())))
    }

    /// Adds the secret in an environment variable.
    ///
    /// # Errors
    /// If the variable is not set.
    pub fn secret_from_env(self, name: &str) -> Result<Self, ConfigError> {
        let text = std::env::var(name).map_err(|_| {
            ConfigError::new(
                "secrets",
                format!("environment variable {name} is not set; `sessionmesh secret new` makes one"),
            )
        })?;
        Ok(self.secret(&text))
    }

    /// How long adapters wait for the second copy of a write.
    pub fn ack_timeout(self, wait: Duration) -> Self {
        self.configure(|c| c.ack_timeout_ms = wait.as_millis() as u64)
    }

    /// Gives the node a switch that drops, delays and cuts its packets. For drills and tests only.
    pub fn drill(mut self, drill: Drill) -> Self {
        self.drill = Some(drill);
        self
    }

    /// Falsifies this node's wall clock (ms). For drills and tests only.
    pub fn clock_offset_ms(mut self, offset_ms: i64) -> Self {
        self.clock_offset_ms = offset_ms;
        self
    }

    /// Writes the core's inputs and outputs to `out`, ids and values hashed. Format: `docs/TRACE.md`.
    pub fn trace(mut self, out: impl std::io::Write + Send + 'static) -> Self {
        // The name the node will have, not another made up.
        self.config.node = self.config.node_name();
        self.tracer = Some(Arc::new(Tracer::new(&self.config.node, out)));
        self
    }

    /// Starts the node. It joins in the background: await [`Mesh::ready`] before serving.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Start`]; nothing runs then.
    ///
    /// Needs no runtime, unless [`Config::own_thread`] is off: then the node runs on the tokio runtime this is called on, which
    /// must have its I/O and timers enabled. Dropped at an await, it leaves nothing behind.
    pub async fn start(self) -> Result<Mesh, Error> {
        if let Some(bad) = self.bad {
            return Err(bad.into());
        }
        let config = self.config;
        config.validate()?;
        config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let engine = EngineConfig {
            cluster: config.cluster.clone(),
            node: config.node_name(),
            bind: config.bind,
            advertise: config.advertise,
            seeds: config.seeds.clone(),
            identity: config.identity()?,
            limits: config.limits(),
            membership: config.membership(),
            gossip_interval_ms: config.gossip_interval_ms,
            dead_grace_ms: config.dead_grace_ms,
            link_timeout_ms: config.link_timeout_ms,
            ack_timeout_ms: config.ack_timeout_ms,
            ask_timeout_ms: config.ask_timeout_ms,
            metadata: config.metadata.clone(),
            own_metadata: std::collections::BTreeMap::new(),
            own_thread: config.own_thread,
            wire: config.wire_versions,
            drill: self.drill,
            clock_offset_ms: self.clock_offset_ms,
            tracer: self.tracer,
            log_key: config.log_key()?,
            client_keys: config.client_keys()?,
        };
        Ok(Mesh::new(driver::start(engine).await.map_err(Error::Start)?))
    }
}

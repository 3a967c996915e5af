//! Who may look, and at what.

use tokio::sync::watch;

use super::limits::MIN_TOKEN_CHARS;
use crate::mesh::ConfigError;

/// How clients are admitted.
#[derive(Clone)]
pub(super) enum Access {
    /// Clients on this machine, by a loopback name.
    Loopback,
    /// Whoever holds this token.
    Token(String),
    /// Whoever the embedding service lets through.
    Host,
}

/// How a dashboard is mounted: who may look, and what is shown. The default admits clients on this machine only, and
/// never shows a value.
///
/// ```no_run
/// # fn app(mesh: sessionmesh::Mesh) -> Result<axum::Router, Box<dyn std::error::Error>> {
/// use sessionmesh::dashboard::DashboardConfig;
///
/// let config = DashboardConfig::with_token(&std::env::var("DASHBOARD_TOKEN")?)?.with_values();
/// Ok(axum::Router::new().nest_service("/dashboard", mesh.dashboard(config)))
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a configuration does nothing until it is given to `Mesh::dashboard`"]
pub struct DashboardConfig {
    pub(super) access: Access,
    pub(super) values: bool,
    pub(super) canary: bool,
    pub(super) url: Option<String>,
    pub(super) closing: Option<watch::Receiver<bool>>,
}

impl Default for DashboardConfig {
    fn default() -> Self {
        Self { access: Access::Loopback, values: false, canary: false, url: None, closing: None }
    }
}

impl std::fmt::Debug for DashboardConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let access = match &self.access {
            Access::Loopback => "loopback",
            Access::Token(_) => "token (hidden)",
            Access::Host => "by the embedding service",
        };
        f.debug_struct("DashboardConfig")
            .field("access", &access)
            .field("values", &self.values)
            .field("canary", &self.canary)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl DashboardConfig {
    /// Admits clients on this machine only: the peer's address and the `Host` header must both be loopback, the second
    /// against pages that let their name resolve to 127.0.0.1. Needs the peer's address: serve with
    /// `into_make_service_with_connect_info::<SocketAddr>()`; without it everything is refused.
    pub fn loopback() -> Self {
        Self::default()
    }

    /// Admits whoever presents `token`: as `Authorization: Bearer`, or once in the page's login form. Serve it over
    /// TLS, or on a network you trust.
    ///
    /// # Errors
    /// A token of fewer than 16 characters, or with one that cannot be sent in a header.
    pub fn with_token(token: &str) -> Result<Self, ConfigError> {
        if token.len() < MIN_TOKEN_CHARS {
            let reason = format!("{} characters: at least {MIN_TOKEN_CHARS} are needed", token.len());
            return Err(ConfigError::new("dashboard token", reason));
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ConfigError::new("dashboard token", "only visible ASCII can be sent in a header"));
        }
        Ok(Self { access: Access::Token(token.to_owned()), ..Self::default() })
    }

    /// Admits everyone who gets here: the embedding service has asked who they are, in a layer around the router.
    pub fn authenticated_by_host() -> Self {
        Self { access: Access::Host, ..Self::default() }
    }

    /// Permits the values of fields to be shown, on request. Values are users' data: sessions hold names, carts and
    /// worse.
    pub fn with_values(mut self) -> Self {
        self.values = true;
        self
    }

    /// Writes a session of this node's own every ten seconds, so that the delay of replication is measured in a mesh
    /// without traffic too. It counts as a session, and watchers see it. Without it, delays are of writes that happen.
    pub fn with_canary(mut self) -> Self {
        self.canary = true;
        self
    }

    /// Ends open streams once `closing` turns true, or its sender is gone: a server that waits for requests under way
    /// would otherwise wait for viewers.
    pub fn closed_by(mut self, closing: watch::Receiver<bool>) -> Self {
        self.closing = Some(closing);
        self
    }

    /// Publishes where this dashboard is, so that others link to it.
    pub fn published_as(mut self, url: &str) -> Self {
        self.url = Some(url.to_owned());
        self
    }
}

//! [`SessionLayer`]: what can be set, and the tower layer itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::cookie::SameSite;
use tower_layer::Layer;

use super::cookie::Signers;
use super::headers::Attributes;
use super::plain_http::PlainHttp;
use super::service::SessionService;
use crate::mesh::{Expiry, Sessions};

/// What becomes of a request whose own writes this node cannot get hold of in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// It is served what is here. Right for most: the session may be older than the client's last change, for as long
    /// as a partition lasts.
    Serve,
    /// It is refused with 503, so that a load balancer tries another node. Right where an old value does harm.
    Refuse,
}

/// Whether the cookie is `Secure`: sent over HTTPS alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secure {
    /// Unless the request's `Host` is a loopback one and no proxy says that the browser came by HTTPS
    /// (`X-Forwarded-Proto`, `Forwarded`): a browser elsewhere never has such a host.
    Auto,
    /// Always.
    Always,
    /// Never: for plain HTTP in a trusted network.
    Never,
}

/// Puts a [`Session`](super::Session) into every request. Cheap to clone.
///
/// ```no_run
/// # fn app(mesh: sessionmesh::Mesh) -> axum::Router {
/// use sessionmesh::{Expiry, web::axum::SessionLayer};
/// use std::time::Duration;
///
/// let day = Duration::from_secs(86_400);
/// let layer = SessionLayer::new(mesh.sessions())
///     .with_expiry(Expiry::sliding(Duration::from_secs(1_800)).at_most(day))
///     .with_name("shop_session");
/// axum::Router::new().layer(layer)
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is added to a router"]
pub struct SessionLayer(pub(super) Arc<Settings>);

#[derive(Clone)]
pub(super) struct Settings {
    pub sessions: Sessions,
    pub expiry: Expiry,
    pub patience: Duration,
    pub behind: Behind,
    pub grace: Duration,
    pub attributes: Attributes,
    pub persistent: bool,
    pub signers: Signers,
    pub plain_http: Arc<PlainHttp>,
}

impl SessionLayer {
    /// Sessions that end half an hour after their last request.
    pub fn new(sessions: Sessions) -> Self {
        Self(Arc::new(Settings {
            signers: Signers::new(&sessions.mesh().shared().client_keys),
            sessions,
            expiry: Expiry::sliding(Duration::from_secs(30 * 60)),
            patience: Duration::from_millis(50),
            behind: Behind::Serve,
            grace: Duration::from_secs(10),
            attributes: Attributes {
                name: "session".into(),
                path: "/".into(),
                domain: None,
                same_site: SameSite::Lax,
                secure: Secure::Auto,
            },
            persistent: false,
            plain_http: Arc::default(),
        }))
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// When a session ends. Default: half an hour after its last request.
    pub fn with_expiry(self, expiry: Expiry) -> Self {
        self.with(|s| s.expiry = expiry)
    }

    /// How long a request may wait for its client's own earlier writes. Default: 50 ms. A write takes about the time
    /// between two nodes, so that only a client that is faster than the mesh ever waits.
    pub fn with_patience(self, patience: Duration) -> Self {
        self.with(|s| s.patience = patience)
    }

    /// What becomes of a request that has waited in vain. Default: it is served.
    pub fn when_behind(self, behind: Behind) -> Self {
        self.with(|s| s.behind = behind)
    }

    /// How long requests under way with the old key can use the session after a rotation. Default: 10 s.
    pub fn with_rotation_grace(self, grace: Duration) -> Self {
        self.with(|s| s.grace = grace)
    }

    /// The cookie's name. Default: `session`.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        self.with(|s| s.attributes.name = name.into())
    }

    /// The cookie's path. Default: `/`.
    pub fn with_path(self, path: impl Into<String>) -> Self {
        self.with(|s| s.attributes.path = path.into())
    }

    /// The cookie's domain. Default: none, which is the host that set it and no other.
    pub fn with_domain(self, domain: impl Into<String>) -> Self {
        self.with(|s| s.attributes.domain = Some(domain.into()))
    }

    /// Whether other sites' requests bring the cookie. Default: `Lax`.
    pub fn with_same_site(self, same_site: SameSite) -> Self {
        self.with(|s| s.attributes.same_site = same_site)
    }

    /// Whether the cookie is sent over HTTPS alone. Default: except to loopback hosts.
    pub fn with_secure(self, secure: Secure) -> Self {
        self.with(|s| s.attributes.secure = secure)
    }

    /// Whether the cookie outlives the browser, until the session ends. Default: no.
    pub fn with_persistence(self, persistent: bool) -> Self {
        self.with(|s| s.persistent = persistent)
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.0))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("cookie", &self.0.attributes.name).finish_non_exhaustive()
    }
}

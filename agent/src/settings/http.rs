//! Settings of the agent's HTTP endpoint, and the rule that keeps it from strangers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::mesh::first_line;

use crate::client::Target;

/// Shortest bearer token accepted (characters): 16 random hex digits are 64 bits, past guessing over a network.
pub const MIN_TOKEN_CHARS: usize = 16;
/// Fewest different characters of a token: of 16 random hex digits there are ten in the mean, and fewer than 5 once in ten
/// million.
pub const MIN_TOKEN_DISTINCT: usize = 5;
/// Default for the largest request body (bytes): a record of the default `max_record_bytes`, twice, since JSON
/// spells out what MessagePack packs.
const DEFAULT_BODY_BYTES: usize = 2 << 20;
/// Largest body that can be asked for (bytes): the largest record a mesh can be configured for, twice.
const MOST_BODY_BYTES: usize = 128 << 20;

/// The `[http]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// `ip:port` or `unix:/path`. An address that is not loopback needs a token.
    pub listen: String,
    /// The bearer token every endpoint but `/healthz` asks for.
    pub token: Option<String>,
    /// A file whose first line is that token.
    pub token_file: Option<PathBuf>,
    /// Largest request body (bytes).
    pub max_body_bytes: usize,
    /// Whether the dashboard and `/metrics` are there.
    pub dashboard: bool,
    /// Whether the dashboard may show the values of sessions, on request.
    pub dashboard_values: bool,
    /// Whether a session of this node's own is written every ten seconds, to time replication without traffic.
    pub dashboard_canary: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let listen = "127.0.0.1:8080".to_owned();
        Self {
            listen,
            token: None,
            token_file: None,
            max_body_bytes: DEFAULT_BODY_BYTES,
            dashboard: true,
            dashboard_values: false,
            dashboard_canary: false,
        }
    }
}

/// Settings that were checked: where to listen, for whom, how much.
#[derive(Clone, Debug)]
pub struct HttpPlan {
    /// Where to listen.
    pub listen: Target,
    /// The token to ask for.
    pub token: Option<String>,
    /// Largest request body (bytes).
    pub max_body_bytes: usize,
    /// How the dashboard is mounted, if it is.
    pub dashboard: Option<DashboardConfig>,
}

impl HttpSettings {
    /// Checks the settings and reads the token.
    ///
    /// # Errors
    /// A sentence naming the setting and what is wrong with it.
    pub fn plan(&self) -> Result<HttpPlan, String> {
        let listen: Target = self.listen.parse().map_err(|e| format!("http.listen: {e}"))?;
        let token = self.read_token()?;
        if let Target::Tcp(addr) = &listen
            && !addr.ip().is_loopback()
            && token.is_none()
        {
            return Err(format!(
                "http.listen: {addr} is not a loopback address and no token is set: anybody who reaches it could \
                 read and end sessions. Set http.token_file (at least {MIN_TOKEN_CHARS} characters), listen on \
                 127.0.0.1, or on unix:/PATH"
            ));
        }
        if !(1..=MOST_BODY_BYTES).contains(&self.max_body_bytes) {
            return Err(format!(
                "http.max_body_bytes: {}: must be 1 to {MOST_BODY_BYTES}",
                self.max_body_bytes
            ));
        }
        let dashboard = self.plan_dashboard(&listen, token.as_deref())?;
        Ok(HttpPlan { listen, token, max_body_bytes: self.max_body_bytes, dashboard })
    }

    /// As the API: loopback, or its token. Whoever may open the Unix socket is let in.
    fn plan_dashboard(
        &self,
        listen: &Target,
        token: Option<&str>,
    ) -> Result<Option<DashboardConfig>, String> {
        if !self.dashboard {
            return Ok(None);
        }
        let config = match (token, listen) {
            (Some(token), _) => DashboardConfig::with_token(token).map_err(|e| e.to_string())?,
            (None, Target::Tcp(_)) => DashboardConfig::loopback(),
            (None, Target::Unix(_)) => DashboardConfig::authenticated_by_host(),
        };
        let config = if self.dashboard_values { config.with_values() } else { config };
        Ok(Some(if self.dashboard_canary { config.with_canary() } else { config }))
    }

    fn read_token(&self) -> Result<Option<String>, String> {
        match (&self.token, &self.token_file) {
            (Some(_), Some(_)) => Err("http: token and token_file are both set: which one?".into()),
            (None, None) => Ok(None),
            (Some(token), None) => checked("http.token", token).map(Some),
            (None, Some(path)) => {
                read_token_file(path).map(Some).map_err(|e| format!("http.token_file: {e}"))
            }
        }
    }
}

/// Reads a bearer token: the first line of a file.
///
/// # Errors
/// A file that cannot be read, or a token that is too short or cannot be sent in a header.
pub fn read_token_file(path: &std::path::Path) -> Result<String, String> {
    checked(&path.display().to_string(), &first_line(path)?)
}

fn checked(source: &str, token: &str) -> Result<String, String> {
    let token = token.trim();
    if token.len() < MIN_TOKEN_CHARS {
        return Err(format!("{source}: {} characters: at least {MIN_TOKEN_CHARS} are needed", token.len()));
    }
    let distinct = token.bytes().collect::<BTreeSet<_>>().len();
    if distinct < MIN_TOKEN_DISTINCT {
        return Err(format!(
            "{source}: {distinct} different characters: at least {MIN_TOKEN_DISTINCT} are needed"
        ));
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("{source}: only visible ASCII characters can be sent in a header"));
    }
    Ok(token.to_owned())
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(format!("{text:?}: a path must follow unix:"));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let addr = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let parsed: Result<SocketAddr, _> = addr.replacen("localhost:", "127.0.0.1:", 1).parse();
        parsed.map(Self::Tcp).map_err(|e| format!("{text:?} is neither ip:port nor unix:/path: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(listen: &str, token: Option<&str>) -> Result<HttpPlan, String> {
        HttpSettings { listen: listen.into(), token: token.map(Into::into), ..HttpSettings::default() }.plan()
    }

    #[test]
    fn strangers_need_a_token() {
        for open in ["127.0.0.1:0", "[::1]:8080", "unix:/run/mesh.sock", "localhost:8080"] {
            assert!(plan(open, None).is_ok(), "{open}");
        }
        for public in ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:80"] {
            assert!(plan(public, None).unwrap_err().contains("no token is set"), "{public}");
            assert!(plan(public, Some("0123456789abcdef")).is_ok(), "{public}");
        }
    }

    #[test]
    fn a_bad_setting_is_named_and_a_token_never_shown() {
        assert!(plan("nonsense", None).unwrap_err().starts_with("http.listen: \"nonsense\""));
        assert!(plan("unix:", None).unwrap_err().contains("a path must follow"));
        let short = plan("127.0.0.1:0", Some("hunter2")).unwrap_err();
        assert!(short.contains("7 characters") && !short.contains("hunter2"), "{short}");
        let zero = HttpSettings { max_body_bytes: 0, ..HttpSettings::default() }.plan().unwrap_err();
        assert!(zero.starts_with("http.max_body_bytes: 0"));
    }
}

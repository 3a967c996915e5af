//! The socket the API listens on: TCP, or a Unix socket guarded by its directory.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::client::Target;
use crate::exit::{Exit, Failure};

/// A bound socket.
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A Unix socket, removed with the listener.
    Unix(UnixListener, SocketFile),
}

/// One client's connection.
pub enum Accepted {
    /// Over TCP, from this address.
    Tcp(TcpStream, SocketAddr),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// Removes the socket's file in the end.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// Exit code 3, naming the address and the cause.
    pub async fn bind(target: &Target) -> Result<Self, Failure> {
        match target {
            Target::Tcp(addr) => Self::tcp(*addr).await,
            Target::Unix(path) => Self::unix(path).await,
        }
    }

    async fn tcp(addr: SocketAddr) -> Result<Self, Failure> {
        TcpListener::bind(addr).await.map(Self::Tcp).map_err(|e| match e.kind() {
            io::ErrorKind::AddrInUse => in_use(format!("TCP port of {addr}")),
            _ => Failure::new(Exit::Bind, format!("http.listen: cannot bind TCP {addr}: {e}")),
        })
    }

    async fn unix(path: &Path) -> Result<Self, Failure> {
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
        if is_socket && UnixStream::connect(path).await.is_ok() {
            return Err(in_use(format!("Unix socket {}", path.display())));
        }
        if is_socket {
            // Nobody answers there: a killed agent left it. A failure shows in `bind`.
            let _ = std::fs::remove_file(path);
        }
        let bound = UnixListener::bind(path);
        let bound = bound.map_err(|e| {
            Failure::new(Exit::Bind, format!("http.listen: cannot bind unix:{}: {e}", path.display()))
        })?;
        Ok(Self::Unix(bound, SocketFile(path.to_owned())))
    }

    /// Waits for a client.
    ///
    /// # Errors
    /// What the operating system says, such as too many open files.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Small answers shall not wait for company; refusing costs latency only.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream, peer))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }

    /// Where a browser finds `path`; none on a Unix socket. An address that stands for all of a host's is told as `host`.
    pub fn url(&self, host: std::net::IpAddr, path: &str) -> Option<String> {
        let Self::Tcp(listener) = self else { return None };
        let mut addr = listener.local_addr().ok()?;
        if addr.ip().is_unspecified() {
            addr.set_ip(host);
        }
        Some(format!("http://{addr}{path}/"))
    }

    /// Where it listens, in the form `--http` takes.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(|a| a.to_string()).unwrap_or_default(),
            Self::Unix(_, file) => format!("unix:{}", file.0.display()),
        }
    }
}

/// Asks for as many open files as this process may have: a thousand, the usual default, is fewer than the clients that are
/// served at once. Where that is refused, the one that has been idle longest goes.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn in_use(what: String) -> Failure {
    Failure::new(Exit::Bind, format!("http.listen: {what} is already in use by another process"))
}

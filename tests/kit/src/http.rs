//! A small blocking HTTP client: one connection a request, over TCP or a Unix socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use super::CEILING;

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// An address.
    Tcp(SocketAddr),
    /// A Unix socket: reachable from every network namespace that shares the file system.
    Unix(PathBuf),
}

impl Target {
    /// From the form agents print: `ip:port` or `unix:/path`.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))),
        }
    }

    /// Opens a connection, for tests that speak byte by byte.
    pub fn connect(&self) -> io::Result<Connection> {
        Ok(match self {
            Self::Tcp(addr) => {
                let stream = TcpStream::connect(addr)?;
                stream.set_read_timeout(Some(CEILING))?;
                Connection::Tcp(stream)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(CEILING))?;
                Connection::Unix(stream)
            }
        })
    }

    /// Sends one request and reads the answer.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut connection = self.connect()?;
        // A server that refuses early may stop reading; what it answered still counts.
        let _ = connection.write_all(&spell(method, path, headers, body));
        read_answer(&mut connection)
    }
}

/// An open connection.
pub enum Connection {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its head, as sent.
    pub head: String,
    /// Its body; null if that is no JSON.
    pub body: Value,
}

/// The bytes of a request.
pub fn spell(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

/// Reads an answer up to the end of its connection.
pub fn read_answer(from: &mut impl Read) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    match from.read_to_end(&mut bytes) {
        // A reset after the answer leaves the answer.
        Ok(_) => {}
        Err(error) if bytes.is_empty() => return Err(error),
        Err(_) => {}
    }
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer");
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(bad)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(bad)?;
    Ok(Answer { status, head, body: serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default() })
}

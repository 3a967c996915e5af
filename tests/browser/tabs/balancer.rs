//! A load balancer in front of the nodes: one origin for the browser, so that all nodes share its cookies. The first
//! segment of a path says which node gets the request; what it says without one goes to each in turn. Every cookie that an
//! answer sets is kept, whether the browser keeps it or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// No head of a request here is longer (bytes).
const MAX_HEAD_BYTES: usize = 64 * 1024;

pub struct Balancer {
    pub origin: String,
    set: Arc<Mutex<Vec<String>>>,
}

struct Backends {
    /// By what the path says.
    nodes: Vec<(String, SocketAddr)>,
    turn: AtomicUsize,
    set: Arc<Mutex<Vec<String>>>,
}

impl Balancer {
    pub async fn start(nodes: Vec<(String, SocketAddr)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let set = Arc::new(Mutex::default());
        let backends = Arc::new(Backends { nodes, turn: AtomicUsize::new(0), set: Arc::clone(&set) });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let backends = Arc::clone(&backends);
                // A browser opens connections that it never uses, and drops those whose tab goes.
                tokio::spawn(async move { backends.serve(stream).await.unwrap_or_default() });
            }
        });
        Self { origin, set }
    }

    /// The cookies that answers have set so far, as a browser sends them back; those that take one away left out.
    pub fn cookies(&self) -> Vec<String> {
        self.set.lock().clone()
    }
}

impl Backends {
    /// One request, and its answer; then the connection ends.
    async fn serve(&self, mut browser: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8_lossy(&bytes[..at]).into_owned();
            }
            if bytes.len() > MAX_HEAD_BYTES || browser.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        let (line, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
        let (node, line) = self.choose(line);
        let kept = headers.split("\r\n").filter(|h| !h.to_ascii_lowercase().starts_with("connection:"));
        let kept: Vec<&str> = kept.collect();
        let mut backend = TcpStream::connect(node).await?;
        // No request here has a body.
        let request = format!("{line}\r\n{}\r\nConnection: close\r\n\r\n", kept.join("\r\n"));
        backend.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        backend.read_to_end(&mut answer).await?;
        self.note(&answer);
        browser.write_all(&answer).await?;
        browser.shutdown().await
    }

    fn choose(&self, line: &str) -> (SocketAddr, String) {
        for (name, addr) in &self.nodes {
            let prefix = format!(" /{name}/");
            if line.contains(&prefix) {
                return (*addr, line.replacen(&prefix, " /", 1));
            }
        }
        (self.nodes[self.turn.fetch_add(1, Relaxed) % self.nodes.len()].1, line.to_owned())
    }

    fn note(&self, answer: &[u8]) {
        let text = String::from_utf8_lossy(answer);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let set = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
        let cookies = set.filter(|cookie| !cookie.contains("Max-Age=0"));
        self.set.lock().extend(cookies.filter_map(|cookie| Some(cookie.split(';').next()?.to_owned())));
    }
}

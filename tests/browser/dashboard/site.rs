//! Five nodes with a dashboard each, a switch that cuts the mesh, and a way to a dashboard that can be taken away.

use std::net::SocketAddr;

use axum::Router;
use sessionmesh::Mesh;
use sessionmesh::dashboard::DashboardConfig;
use sessionmesh::transport::Drill;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::meshes::{start, within};

const NODES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The nodes, in order of their names.
pub struct Site {
    pub meshes: [Mesh; 5],
    pub drill: Drill,
    listening: Vec<SocketAddr>,
}

impl Site {
    /// Starts all, and waits until all are linked.
    pub async fn start(cluster: &str, values: bool) -> Self {
        let drill = Drill::new(1);
        let mut meshes: Vec<Mesh> = Vec::new();
        for node in NODES {
            let seeds: Vec<&Mesh> = meshes.iter().take(1).collect();
            meshes.push(start(cluster, node, &seeds, |b| b.drill(drill.clone())).await);
        }
        let mut listening = Vec::new();
        for mesh in &meshes {
            listening.push(serve(mesh, values).await);
        }
        for mesh in &meshes {
            within("ready", mesh.ready()).await.unwrap();
            within("linked", mesh.members_until(|m| m.len() == NODES.len() && m.iter().all(|m| m.linked)))
                .await;
        }
        let meshes = meshes.try_into().unwrap_or_else(|_| unreachable!("one mesh a name"));
        Self { meshes, drill, listening }
    }

    /// Where a node's dashboard listens.
    pub fn addr(&self, node: usize) -> SocketAddr {
        self.listening[node]
    }

    /// Its origin, in the web's sense.
    pub fn origin(&self, node: usize) -> String {
        format!("http://{}/", self.addr(node))
    }

    /// Its page.
    pub fn url(&self, node: usize) -> String {
        format!("{}dashboard/", self.origin(node))
    }

    /// Cuts everything between two sides, both ways.
    pub fn cut(&self, west: &[&str], east: &[&str]) {
        for from in west {
            for to in east {
                self.drill.cut(from, to);
                self.drill.cut(to, from);
            }
        }
    }
}

async fn serve(mesh: &Mesh, values: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let config = DashboardConfig::loopback().published_as(&format!("http://{addr}/dashboard/"));
    let config = if values { config.with_values() } else { config };
    let app = Router::new().nest_service("/dashboard", mesh.dashboard(config));
    tokio::spawn(async move {
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
    });
    addr
}

/// What ends a relay, and every connection over it, when dropped.
pub struct Way(AbortHandle);

impl Drop for Way {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Passes connections on to `to`, listening on `at` or a free port.
pub async fn relay(to: SocketAddr, at: Option<SocketAddr>) -> (Way, SocketAddr) {
    let at = at.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = TcpListener::bind(at).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let passing = tokio::spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            open.spawn(async move {
                let mut server = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (Way(passing.abort_handle()), addr)
}

//! The nodes of one service, and what checks do with them.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::subject::{Data, Failed, Request, Subject};

/// How often a node is asked again for what it shall come to hold (ms).
const ASK_AGAIN_MS: u64 = 5;
/// What is expected of every node is looked at once more after this long (ms): a resurrection may be under way.
const SETTLE_MS: u64 = 50;
/// A lifetime that no check outlives.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// The stores of one service: of one node, or of several that share their sessions.
///
/// ```no_run
/// # #[cfg(feature = "tower-sessions")]
/// # async fn example(a: sessionmesh::Mesh, b: sessionmesh::Mesh) {
/// use sessionmesh::{conformance::{Fleet, run, tower_sessions::Tower}, web::tower_sessions::MeshStore};
///
/// let fleet = Fleet::new([&a, &b].map(|mesh| Tower::new(MeshStore::new(mesh.sessions()))));
/// assert!(run(&fleet).await.is_empty());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fleet<S> {
    nodes: Vec<S>,
    patience: Duration,
    skew: Duration,
}

impl<S: Subject> Fleet<S> {
    /// A fleet of these nodes, at least one. They have five seconds to show everywhere what was saved at one of them.
    pub fn new(nodes: impl Into<Vec<S>>) -> Self {
        Self { nodes: nodes.into(), patience: Duration::from_secs(5), skew: Duration::ZERO }
    }

    /// How long the nodes may take to show everywhere what was saved at one of them. A property that does not hold
    /// takes as long to be found out.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How far the nodes' clocks are apart: expiry may be off by as much.
    #[must_use]
    pub fn skew(self, skew: Duration) -> Self {
        Self { skew, ..self }
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[S] {
        &self.nodes
    }

    pub(super) fn allowed_skew(&self) -> Duration {
        self.skew
    }

    /// The node that the `n`th request of a check meets.
    pub(super) fn at(&self, n: usize) -> &S {
        &self.nodes[n % self.nodes.len()]
    }

    /// Creates a long session of these keys at a node.
    pub(super) async fn create(&self, n: usize, data: &[(&str, Value)]) -> Result<S::Id, String> {
        self.at(n).create(&keys(data), LONG).await.map_err(|e| told("create", &e))
    }

    /// What a request at a node holds, once the session is there with all these keys.
    pub(super) async fn request(
        &self,
        n: usize,
        id: &S::Id,
        with: &[(&str, Value)],
    ) -> Result<S::Request, String> {
        self.eventually(|| async {
            match self.at(n).load(id).await.map_err(|e| told("load", &e))? {
                Some(request) => unlike(&request, with, &[]).map_or(Ok(request), Err),
                None => Err("the session is not there".into()),
            }
        })
        .await
        .map_err(|seen| format!("node {}: {seen}", n % self.nodes.len()))
    }

    /// Saves a request at a node.
    pub(super) async fn save(&self, n: usize, id: &S::Id, request: &mut S::Request) -> Result<S::Id, String> {
        self.at(n).save(id, request, LONG).await.map_err(|e| told("save", &e))
    }

    /// Ends a session at a node.
    pub(super) async fn delete(&self, n: usize, id: &S::Id) -> Result<(), String> {
        self.at(n).delete(id).await.map_err(|e| told("delete", &e))
    }

    /// Waits until every node has the session, with all keys of `there` and none of `gone`, and stays so.
    pub(super) async fn has(&self, id: &S::Id, there: &[(&str, Value)], gone: &[&str]) -> Result<(), String> {
        self.every(|node| async move {
            match node.load(id).await.map_err(|e| told("load", &e))? {
                Some(request) => unlike(&request, there, gone).map_or(Ok(()), Err),
                None => Err("the session is not there".into()),
            }
        })
        .await
    }

    /// Waits until all nodes have the same one of these values under a key, and gives it.
    pub(super) async fn agree(&self, id: &S::Id, key: &str, among: &[Value]) -> Result<Value, String> {
        self.eventually(|| async {
            let mut found = Vec::new();
            for node in &self.nodes {
                let request = node.load(id).await.map_err(|e| told("load", &e))?;
                found.push(request.and_then(|r| r.get(key)).unwrap_or_default());
            }
            match found.split_first() {
                Some((first, rest)) if among.contains(first) && rest.iter().all(|v| v == first) => {
                    Ok(first.clone())
                }
                _ => Err(format!("key {key:?} is, node by node, {}", Value::Array(found))),
            }
        })
        .await
    }

    /// Waits until no node has the session, and stays so.
    pub(super) async fn has_not(&self, id: &S::Id) -> Result<(), String> {
        self.every(|node| async move {
            match node.load(id).await.map_err(|e| told("load", &e))? {
                Some(_) => Err("the session is there".into()),
                None => Ok(()),
            }
        })
        .await
    }

    /// Waits until `holds` holds at every node, and looks again a moment later.
    async fn every<'a, F>(&'a self, holds: impl Fn(&'a S) -> F) -> Result<(), String>
    where
        F: Future<Output = Result<(), String>> + 'a,
    {
        let named = |n: usize| move |seen: String| format!("node {n}: {seen}");
        for (n, node) in self.nodes.iter().enumerate() {
            self.eventually(|| holds(node)).await.map_err(named(n))?;
        }
        tokio::time::sleep(Duration::from_millis(SETTLE_MS)).await;
        for (n, node) in self.nodes.iter().enumerate() {
            holds(node)
                .await
                .map_err(named(n))
                .map_err(|seen| format!("{seen}, a moment after all was well"))?;
        }
        Ok(())
    }

    /// Asks until the answer is right, at most for the fleet's patience; the last wrong one, otherwise.
    async fn eventually<T, F>(&self, ask: impl Fn() -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>>,
    {
        let since = Instant::now();
        loop {
            match ask().await {
                Err(_) if since.elapsed() < self.patience => {
                    tokio::time::sleep(Duration::from_millis(ASK_AGAIN_MS)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// What is wrong with a request's keys, if anything.
fn unlike(request: &impl Request, there: &[(&str, Value)], gone: &[&str]) -> Option<String> {
    let short = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > 60 {
            format!("{}…", text.chars().take(60).collect::<String>())
        } else {
            text
        }
    };
    let wrong = there.iter().find_map(|(key, wanted)| match request.get(key) {
        Some(found) if found == *wanted => None,
        Some(found) => Some(format!("key {key:?} is {}, not {}", short(&found), short(wanted))),
        None => Some(format!("key {key:?} is missing")),
    });
    wrong.or_else(|| {
        gone.iter().find(|key| request.get(key).is_some()).map(|key| format!("key {key:?} is there"))
    })
}

/// A session's keys.
pub(super) fn keys(data: &[(&str, Value)]) -> Data {
    data.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// A store's error, as part of what was seen.
pub(super) fn told(what: &str, error: &Failed) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    causes.fold(format!("{what} failed: {error}"), |text, cause| format!("{text}: {cause}"))
}

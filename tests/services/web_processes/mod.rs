//! The pains that sessionmesh ends, shown where they hurt: web services in three processes, requests on any of them.
//!
//! Lost updates and resurrected logouts are first reproduced on tower-sessions' own `MemoryStore`, with the same
//! handlers.

mod server;

use std::process::Command;
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sessionmesh_testkit::{Child, Target};
use tower::ServiceExt;
use tower_sessions::MemoryStore;

/// Not a test: what this binary does as a node.
#[test]
#[ignore = "the service that the tests start"]
fn node() {
    server::serve(&std::env::var("NODE").expect("started by a test"));
}

struct Node {
    /// Ends with this.
    _child: Child,
    http: Target,
    mesh: String,
}

impl Node {
    fn start(cluster: &str, node: &str, seed: Option<&Node>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "web_processes::node", "--ignored", "--nocapture"]).env("NODE", node);
        command.env("CLUSTER", format!("{cluster}-{}", std::process::id()));
        if let Some(seed) = seed {
            command.env("SEED", &seed.mesh);
        }
        let child = Child::spawn(node, &mut command);
        let (http, mesh) = child.line("started", |_, line| {
            let (http, mesh) = line.split_once("http ")?.1.split_once(" mesh ")?;
            Some((Target::parse(http), mesh.to_owned()))
        });
        Self { _child: child, http, mesh }
    }

    /// One request; its answer's body, and the cookie to send next.
    fn call(&self, method: &str, path: &str, cookie: &str) -> (String, String) {
        let answer = self.http.request(method, path, &[("cookie", cookie)], b"").unwrap();
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        let set = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = set.map_or(cookie, |set| set.split(';').next().unwrap_or_default());
        (answer.body.to_string(), cookie.to_owned())
    }
}

fn three(cluster: &str) -> [Node; 3] {
    let a = Node::start(cluster, "a", None);
    let b = Node::start(cluster, "b", Some(&a));
    let c = Node::start(cluster, "c", Some(&a));
    let nodes = [a, b, c];
    nodes.iter().for_each(|node| drop(node.call("GET", "/linked", "")));
    nodes
}

/// A call to the same service over a `MemoryStore`, in this process: it has no other.
async fn local(app: &Router, method: &str, path: &str, cookie: &str) -> (String, String) {
    let request =
        Request::builder().method(method).uri(path).header(COOKIE, cookie).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let set = response.headers().get(SET_COOKIE).map(|set| set.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let cookie = set.as_deref().map_or(cookie, |set| set.split(';').next().unwrap_or_default());
    (String::from_utf8(body.to_vec()).unwrap(), cookie.to_owned())
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn memory_store_loses_an_update_and_brings_a_logged_out_session_back() {
    let app = server::shop(MemoryStore::default());
    let (_, cookie) = local(&app, "POST", "/login", "").await;
    let both_loaded_then_open = async {
        for path in ["/loaded", "/loaded"] {
            local(&app, "GET", path, "").await;
        }
        for path in ["/open", "/open"] {
            local(&app, "POST", path, "").await;
        }
    };
    let (apples, bread) =
        (local(&app, "POST", "/slow/apples", &cookie), local(&app, "POST", "/slow/bread", &cookie));
    tokio::join!(apples, bread, both_loaded_then_open);
    let held = parsed(&local(&app, "GET", "/held", &cookie).await.0);
    let kept = ["apples", "bread"].iter().filter(|key| held[**key] == "there").count();
    assert_eq!(kept, 1, "one of two updates is lost: {held}");

    let logout_in_between = async {
        local(&app, "GET", "/loaded", "").await;
        local(&app, "POST", "/logout", &cookie).await;
        local(&app, "POST", "/open", "").await;
    };
    tokio::join!(local(&app, "POST", "/slow/bread", &cookie), logout_in_between);
    let held = parsed(&local(&app, "GET", "/held", &cookie).await.0);
    assert_eq!(held["user"], "ada", "the logged-out user is in again: {held}");
}

#[test]
fn three_processes_lose_no_update() {
    let nodes = three("updates");
    let (_, cookie) = nodes[2].call("POST", "/tower/login", "");
    overlapped(&nodes, &cookie, &[(0, "apples"), (1, "bread")], || {});
    let everything = json!({ "user": "ada", "apples": "there", "bread": "there" });
    for node in &nodes {
        sessionmesh_testkit::eventually("both updates", || {
            (parsed(&node.call("GET", "/tower/held", &cookie).0) == everything).then_some(())
        });
    }
}

#[test]
fn three_processes_bring_no_session_back() {
    let nodes = three("logout");
    let (_, cookie) = nodes[2].call("POST", "/tower/login", "");
    overlapped(&nodes, &cookie, &[(0, "apples"), (1, "bread")], || {
        drop(nodes[2].call("POST", "/tower/logout", &cookie))
    });
    let nothing = json!({ "user": null, "apples": null, "bread": null });
    for node in &nodes {
        sessionmesh_testkit::eventually("the logout", || {
            (parsed(&node.call("GET", "/tower/held", &cookie).0) == nothing).then_some(())
        });
    }
    for node in &nodes {
        let held = parsed(&node.call("GET", "/tower/held", &cookie).0);
        assert_eq!(held, nothing, "once gone, gone for good");
    }
}

/// Runs slow requests, and `meanwhile` once all have loaded the session and before any writes to it.
fn overlapped(nodes: &[Node; 3], cookie: &str, requests: &[(usize, &str)], meanwhile: impl FnOnce()) {
    thread::scope(|scope| {
        for &(at, key) in requests {
            scope.spawn(move || nodes[at].call("POST", &format!("/tower/slow/{key}"), cookie));
        }
        for &(at, _) in requests {
            nodes[at].call("GET", "/tower/loaded", "");
        }
        meanwhile();
        for &(at, _) in requests {
            nodes[at].call("POST", "/tower/open", "");
        }
    });
}

const CLIENTS: u64 = 50;
const REQUESTS: u32 = 200;

/// Clients bounced at random among the nodes, each raising a counter of its own; returns how often one was shown
/// less than it had written.
fn stale_reads(nodes: &Arc<[Node; 3]>, door: &'static str) -> u32 {
    let client = |seed| {
        let nodes = Arc::clone(nodes);
        thread::spawn(move || {
            let (mut rng, mut cookie, mut stale) = (StdRng::seed_from_u64(seed), String::new(), 0);
            for written in 0..REQUESTS {
                let (found, next) = nodes[rng.random_range(0..nodes.len())].call("POST", door, &cookie);
                stale += u32::from(found.parse::<u32>().unwrap() != written);
                cookie = next;
            }
            stale
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    clients.into_iter().map(|client| client.join().unwrap()).sum()
}

#[test]
fn ten_thousand_requests_on_three_processes_read_what_they_wrote() {
    let nodes = Arc::new(three("bounced"));
    nodes.iter().for_each(|node| drop(node.call("POST", "/delay?ms=5", "")));
    let of = CLIENTS * u64::from(REQUESTS);
    let plain = stale_reads(&nodes, "/plain");
    let adapter = stale_reads(&nodes, "/adapter");
    let own = stale_reads(&nodes, "/layer");
    println!(
        "stale reads of {of}, 5 ms between nodes: {plain} plain, {adapter} tower-sessions adapter, {own} layer"
    );
    let totals = |node: &Node| parsed(&node.call("GET", "/caught-up", "").0);
    let waited: u64 = nodes.iter().map(|node| totals(node)[1].as_u64().unwrap()).sum();
    nodes.iter().for_each(|node| println!("reads here, waited, fetched, behind: {}", totals(node)));
    assert!(plain > 0, "without the layer the delay shows: else this test shows nothing");
    assert_eq!(own, 0, "with it, never");
    assert!(waited > 0, "what is under way is waited for");
}

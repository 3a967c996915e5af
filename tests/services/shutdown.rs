//! A service that embeds a node, as a process: what SIGTERM does to it, and what its health routes say meanwhile.

use std::process::Command;
use std::time::Duration;

use sessionmesh::web::axum::Health;
use sessionmesh::{Expiry, Mesh};
use sessionmesh_testkit::child::Stream;
use sessionmesh_testkit::{Child, Target, eventually};

/// Says to the test's own program that it is the service; how long it drains (s).
const DRAIN: &str = "SHUTDOWN_TEST_DRAIN_S";

/// Not a test: the service, in a process of its own.
#[test]
fn the_service() {
    let Some(drain_s) = std::env::var(DRAIN).ok().and_then(|s| s.parse().ok()) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mesh = Mesh::builder().cluster("shutdown").node("a").start().await.unwrap();
        mesh.ready().await.unwrap();
        let shutdown = mesh.shutdown(Duration::from_secs(drain_s)).unwrap();
        let health = Health::new(&mesh);
        let app = axum::Router::new()
            .route("/", axum::routing::get(|| async { "served" }))
            .route_service("/healthz", health.clone())
            .nest_service("/probes", health);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("\nat {}", listener.local_addr().unwrap());
        axum::serve(listener, app).with_graceful_shutdown(shutdown.drained()).await.unwrap();
        let handed_over = shutdown.leave().await;
        println!("\nleft, handed over: {handed_over}");
        let refused = mesh.sessions().create(Expiry::sliding(Duration::from_secs(9)), |_| Ok(()));
        assert!(refused.is_err(), "after the goodbye");
    });
}

fn service(drain_s: u64) -> (Child, Target) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "shutdown::the_service", "--nocapture"]).env(DRAIN, drain_s.to_string());
    let child = Child::spawn("service", &mut command);
    let at = child.line("its address", |stream, line| {
        (stream == Stream::Out).then(|| line.strip_prefix("at ").map(str::to_owned)).flatten()
    });
    (child, Target::parse(&at))
}

#[test]
fn sigterm_is_heard_readiness_turns_first_and_a_second_one_does_not_wait() {
    // Longer than any test runs: only the second signal ends it.
    let (mut child, http) = service(86_400);
    let get = |path| http.request("GET", path, &[], b"").unwrap();
    assert_eq!(
        (get("/probes/readyz").status, get("/healthz").status, get("/probes/x").status),
        (200, 200, 404)
    );
    assert_eq!(http.request("POST", "/healthz", &[], b"").unwrap().status, 405);
    child.signal("TERM");
    eventually("readiness turns", || (get("/probes/readyz").status == 503).then_some(()));
    assert_eq!((get("/").status, get("/healthz").status), (200, 200), "what comes is served all the same");
    child.signal("TERM");
    child.says("left, handed over: true");
    assert_eq!(child.exit_code(), 0);
}

#[test]
fn ctrl_c_ends_a_service_after_its_drain() {
    let (mut child, _http) = service(0);
    child.signal("INT");
    child.says("left, handed over: true");
    assert_eq!(child.exit_code(), 0);
}

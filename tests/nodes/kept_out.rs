//! A member that breaks rules of the wire, over real sockets: it loses its link, then it is kept out for a while, and it is
//! named. Others are not.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sessionmesh::core::causality::Origin;
use sessionmesh::core::limits::{BREAKS_BEFORE_KEPT_OUT, Limits};
use sessionmesh::transport::{Class, Event, Identity, RefusedReason, Secret, Transport, TransportConfig};
use sessionmesh::{Mesh, Status};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SECRET: &str = "an example secret of at least thirty-two bytes";
const CEILING: Duration = Duration::from_secs(60);

async fn victim() -> Mesh {
    let mesh = Mesh::builder().cluster("bad").node("victim").secret(SECRET);
    mesh.configure(|c| c.gossip_interval_ms = 100).start().await.expect("it starts")
}

/// Somebody who has the secret and speaks the handshake.
async fn member(node: &str, origin: u128) -> (Transport, mpsc::Receiver<Event>) {
    let (limits, bind) = (Limits::default(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let identity = Identity::Secrets(vec![Secret::new(SECRET.as_bytes().to_vec()).expect("long enough")]);
    let config = TransportConfig {
        versions: (1, 2),
        config_hash: limits.config_hash(),
        limits: limits.cluster_wide(),
        max_drift_ms: limits.max_drift_ms,
        ..TransportConfig::new("bad", node, Origin(origin), bind, identity)
    };
    Transport::start(config).await.expect("it starts")
}

async fn next<T>(events: &mut mpsc::Receiver<Event>, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.recv().await.expect("the transport runs");
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    };
    timeout(CEILING, found).await.unwrap_or_else(|_| panic!("no {what} within {CEILING:?}"))
}

fn up(event: &Event) -> Option<Origin> {
    if let Event::Up(peer) = event { Some(peer.origin) } else { None }
}

fn down(event: &Event) -> Option<()> {
    matches!(event, Event::Down { .. }).then_some(())
}

async fn shown(mesh: &Mesh, what: &str, so: impl Fn(&Status) -> bool) -> Status {
    let wait = async {
        loop {
            let status = mesh.status();
            if so(&status) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(CEILING, wait).await.unwrap_or_else(|_| panic!("not shown: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_breaks_rules_again_and_again_is_dropped_kept_out_and_named() {
    let victim = victim().await;
    let (bad, mut events) = member("mallory", 5).await;
    bad.want(vec![victim.addr()]);
    for _ in 0..BREAKS_BEFORE_KEPT_OUT {
        let peer = next(&mut events, "Up", up).await;
        // Version 2, a page, and nothing that could be one.
        bad.send(peer, Class::Control, Bytes::from_static(&[2, 5, 0xc1])).expect("queued");
        next(&mut events, "Down", down).await;
    }
    let kept_out = |event: &Event| match event {
        Event::Refused { reason: RefusedReason::KeptOut { ours: true }, .. } => Some(true),
        // Before TLS, so that it costs nothing: the port is as if closed.
        Event::Up(_) => Some(false),
        _ => None,
    };
    let status = shown(&victim, "who it is", |s| s.misbehaving.iter().any(|m| m.kept_out_ms.is_some())).await;
    let told = &status.misbehaving[0];
    assert_eq!((told.node.as_str(), told.broke), ("mallory", u64::from(BREAKS_BEFORE_KEPT_OUT)), "{told:?}");
    assert!(told.addr == bad.local_addr() && !told.why.is_empty(), "{told:?}");
    let dials = bad.stats().dials;
    let again = async {
        while bad.stats().dials < dials + 2 {
            tokio::task::yield_now().await
        }
    };
    timeout(CEILING, again).await.expect("it tries again");
    while let Ok(event) = events.try_recv() {
        assert_ne!(kept_out(&event), Some(false), "{event:?}");
    }
    // Another one with another address is let in all the while, and so is a life of its own name elsewhere.
    let (good, mut heard) = member("good", 6).await;
    good.want(vec![victim.addr()]);
    next(&mut heard, "Up", up).await;
    assert_eq!(victim.status().misbehaving.len(), 1);
}

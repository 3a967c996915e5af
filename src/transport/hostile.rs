//! Tests: members that hold the secret and break the protocol anyway. Each loses its connection, with the code
//! that says so, and the node goes on serving others.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{Connection, ConnectionError, Endpoint};

use super::{
    Event, Identity, Transport, TransportConfig,
    config::canonical,
    frame,
    hello::{self, Hello, MAX_HELLO_BYTES, Settle},
    identity::MEMBER_NAME,
    refuse::code,
};
use crate::core::causality::Origin;

fn config(node: &str, origin: u128) -> TransportConfig {
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = TransportConfig::new("shop", node, Origin(origin), bind, Identity::Insecure);
    TransportConfig { max_frame_bytes: 1_000, ..config }
}

/// A raw connection of a member, past TLS. The endpoint is returned to stay alive.
async fn member(to: SocketAddr) -> (Endpoint, Connection) {
    let tls = Identity::Insecure.tls("shop", "hostile").unwrap();
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(tls.client));
    let conn = endpoint.connect(to, MEMBER_NAME).unwrap().await.unwrap();
    (endpoint, conn)
}

/// A raw connection that has shaken hands and is a link.
async fn linked(to: SocketAddr) -> (Endpoint, Connection) {
    let (endpoint, conn) = member(to).await;
    shaken(&endpoint, &conn, 1).await.unwrap();
    (endpoint, conn)
}

/// Shakes hands as life `origin`.
async fn shaken(endpoint: &Endpoint, conn: &Connection, origin: u128) -> Result<(), ConnectionError> {
    let me = config(&format!("hostile{origin}"), origin);
    let addr = canonical(endpoint.local_addr().unwrap());
    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    let said = hello::encode(&Hello::of(&me, addr, false)).unwrap();
    frame::write_frames(&mut send, vec![said.into()]).await.unwrap();
    let heard = frame::read_frame(&mut recv, MAX_HELLO_BYTES, &frame::Room::new(MAX_HELLO_BYTES))
        .await
        .unwrap()
        .unwrap();
    hello::decode_hello(&heard).unwrap();
    // Our origin is the smaller one: we decide.
    let adopt = hello::encode(&Settle::Adopt).unwrap();
    match frame::write_frames(&mut send, vec![adopt.into()]).await {
        Ok(()) => Ok(()),
        Err(_) => Err(conn.closed().await),
    }
}

async fn thrown_out(conn: &Connection) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(10), conn.closed()).await.expect("thrown out");
    match ended {
        ConnectionError::ApplicationClosed(close) => {
            assert_eq!(close.error_code, code::PROTOCOL, "{close}");
            String::from_utf8_lossy(&close.reason).into_owned()
        }
        other => panic!("{other:?}"),
    }
}

/// The victim still links up with an honest node.
async fn still_serves(victim: &Transport) {
    let (honest, mut events) = Transport::start(config("honest", 50)).await.unwrap();
    honest.want(vec![victim.advertise_addr()]);
    let up = async { while !matches!(events.recv().await, Some(Event::Up(_))) {} };
    tokio::time::timeout(Duration::from_secs(10), up).await.expect("the victim serves");
}

#[tokio::test]
async fn nonsense_instead_of_a_hello() {
    let (victim, _events) = Transport::start(config("victim", 9)).await.unwrap();
    let me = Arc::new(config("hostile", 1));
    let nowhere = hello::encode(&Hello::of(&me, SocketAddr::from(([0, 0, 0, 0], 0)), false)).unwrap();
    let nowhere = [&(nowhere.len() as u32).to_be_bytes()[..], &nowhere].concat();
    let too_long = vec![0xff; 64];
    let junk = [&[0, 0, 0, 60], &[0xc1; 60][..]].concat();
    for said in [too_long, junk, vec![0, 0, 0, 0], nowhere] {
        let (_endpoint, conn) = member(victim.advertise_addr()).await;
        let (mut send, _recv) = conn.open_bi().await.unwrap();
        send.write_all(&said).await.unwrap();
        thrown_out(&conn).await;
    }
    assert_eq!(victim.stats().refusals, 4);
    assert!(victim.peers().is_empty());
    still_serves(&victim).await;
}

#[tokio::test]
async fn silence_instead_of_a_hello_ends_with_the_timeout() {
    let patience = TransportConfig { dial_timeout_ms: 200, ..config("victim", 9) };
    let (victim, _events) = Transport::start(patience).await.unwrap();
    let (_endpoint, conn) = member(victim.advertise_addr()).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), conn.closed()).await.expect("thrown out");
    assert!(matches!(ended, ConnectionError::ApplicationClosed(close) if close.error_code == code::TIMEOUT));
    still_serves(&victim).await;
}

#[tokio::test]
async fn broken_streams_on_a_link() {
    let (victim, mut events) = Transport::start(config("victim", 9)).await.unwrap();
    let cases: [(&[u8], &str); 4] = [
        (&[0, 0xff, 0xff, 0xff, 0xff], "frame of 4294967295 bytes"),
        (&[1, 0, 0, 3, 0xe9], "frame of 1001 bytes"),
        (&[7], "unknown kind 7"),
        (&[0, 0, 0], "into a message"),
    ];
    for (said, complaint) in cases {
        let (_endpoint, conn) = linked(victim.advertise_addr()).await;
        let mut stream = conn.open_uni().await.unwrap();
        stream.write_all(said).await.unwrap();
        stream.finish().unwrap();
        let reason = thrown_out(&conn).await;
        assert!(reason.contains(complaint), "{reason}");
        while !matches!(events.recv().await, Some(Event::Down { .. })) {}
    }
    still_serves(&victim).await;
}

#[tokio::test]
async fn two_streams_of_one_class() {
    let (victim, _events) = Transport::start(config("victim", 9)).await.unwrap();
    let (_endpoint, conn) = linked(victim.advertise_addr()).await;
    for _ in 0..2 {
        conn.open_uni().await.unwrap().write_all(&[0, 0, 0, 0, 0]).await.unwrap();
    }
    assert!(thrown_out(&conn).await.contains("second stream"));
    still_serves(&victim).await;
}

/// Until something is so; nothing else tells.
async fn until(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("not so: {what}"));
}

/// 150 links each announced a frame of 4 MiB, sent nothing of it, and 615 MiB were taken for them.
#[tokio::test]
async fn announced_frames_take_what_has_come_of_them() {
    let large = TransportConfig { max_frame_bytes: 64 << 20, ..config("victim", 1_000) };
    let (victim, _events) = Transport::start(large).await.unwrap();
    let mut held = Vec::new();
    for origin in 1..=40 {
        let (endpoint, conn) = member(victim.advertise_addr()).await;
        shaken(&endpoint, &conn, origin).await.unwrap();
        let mut stream = conn.open_uni().await.unwrap();
        let announced = [&[1u8][..], &(60u32 << 20).to_be_bytes(), &[7; 10]].concat();
        stream.write_all(&announced).await.unwrap();
        held.push((endpoint, conn, stream));
    }
    until("all have begun", || victim.unfinished_bytes() >= 40 * 1_024).await;
    until("no more", || victim.unfinished_bytes() <= 40 * 8_192).await;
    assert!(victim.unfinished_bytes() <= 40 * 8_192, "{} bytes", victim.unfinished_bytes());
    let (_, _, stream) = &mut held[0];
    stream.write_all(&vec![7; 3 << 20]).await.unwrap();
    until("it grows as it comes", || victim.unfinished_bytes() > 3 << 20).await;
    assert!(victim.unfinished_bytes() < 8 << 20, "{} bytes", victim.unfinished_bytes());
    held.clear();
    until("given back", || victim.unfinished_bytes() == 0).await;
}

#[tokio::test]
async fn one_address_has_a_few_links() {
    let (victim, _events) = Transport::start(config("victim", 1_000)).await.unwrap();
    let (endpoint, first) = member(victim.advertise_addr()).await;
    shaken(&endpoint, &first, 1).await.unwrap();
    let mut conns = vec![first];
    for origin in 2..=4 {
        let conn = endpoint.connect(victim.advertise_addr(), MEMBER_NAME).unwrap().await.unwrap();
        shaken(&endpoint, &conn, origin).await.unwrap();
        conns.push(conn);
    }
    until("four links", || victim.peers().len() == 4).await;
    let fifth = endpoint.connect(victim.advertise_addr(), MEMBER_NAME).unwrap().await.unwrap();
    let _ = shaken(&endpoint, &fifth, 5).await;
    assert_eq!(thrown_out(&fifth).await, "protocol");
    still_serves(&victim).await;
}

/// Each of many silent handshakes costs a certificate, sent to wherever a forged packet says. Beyond some, whoever comes has
/// to prove its address first; an honest one does, and gets in.
#[tokio::test]
async fn many_handshakes_under_way_are_answered_with_a_retry() {
    let patience = TransportConfig { dial_timeout_ms: 60_000, ..config("victim", 1_000) };
    let (victim, _events) = Transport::start(patience).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..super::limits::RETRY_FROM {
        silent.push(member(victim.advertise_addr()).await);
    }
    assert_eq!(victim.stats().handshakes_retried, 0);
    still_serves(&victim).await;
    assert!(victim.stats().handshakes_retried > 0);
}

#[tokio::test]
async fn who_is_kept_out_hears_so() {
    let out =
        TransportConfig { is_kept_out: Arc::new(|life, _| life == Some(Origin(1))), ..config("victim", 9) };
    let (victim, _events) = Transport::start(out).await.unwrap();
    let (bad, mut events) = Transport::start(config("bad", 1)).await.unwrap();
    bad.want(vec![victim.advertise_addr()]);
    let refused = async {
        loop {
            if let Some(Event::Refused { reason, .. }) = events.recv().await {
                return reason;
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(20), refused).await.expect("an answer");
    assert_eq!(reason, super::RefusedReason::KeptOut { ours: true });
    still_serves(&victim).await;
}

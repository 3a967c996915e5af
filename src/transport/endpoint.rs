//! Setting up QUIC: the UDP port, the limits, and stateless resets that survive a restart.

use std::{sync::Arc, time::Duration};

use hkdf::Hkdf;
use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime,
    VarInt,
    crypto::{self, HmacKey},
};
use sha2::Sha256;

use super::{
    config::{QUEUE_BYTES, TransportConfig},
    error::TransportError,
    identity::Tls,
    link::MAX_UNI_STREAMS,
    socket::MeshSocket,
    stats::Counters,
};

/// Bytes a peer may have on its way on one stream.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;

/// Bytes on their way on all streams of a link: more than one stream can fill, so that bulk nobody reads cannot
/// keep control frames out.
const LINK_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;

/// Buffered datagrams per link and direction. The oldest is dropped beyond it.
const DATAGRAM_BYTES: usize = 1 << 20;

/// Opens the port. The socket is given too, to be unplugged at the end.
pub(super) fn bind(
    config: &TransportConfig,
    tls: Tls,
    counters: &Arc<Counters>,
) -> Result<(Endpoint, Arc<MeshSocket>), TransportError> {
    let addr = config.bind;
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => TransportError::PortInUse { addr },
        _ => TransportError::Bind { addr, source },
    };
    let socket = std::net::UdpSocket::bind(addr).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let drill = config.drill.clone().map(|drill| (drill, config.node.clone()));
    let socket = Arc::new(MeshSocket::new(socket, counters.clone(), drill).map_err(failed)?);

    let transport = Arc::new(limits(config)?);
    let mut server = ServerConfig::with_crypto(tls.server);
    // Peers do not wander: a packet from another address is another node's or a liar's.
    server.transport_config(transport.clone()).migration(false);
    let mut client = quinn::ClientConfig::new(tls.client);
    client.transport_config(transport);

    let mut base = EndpointConfig::new(Arc::new(ResetKey(tls.reset_key)));
    base.cid_generator(|| Box::new(RandomIds));
    let mut endpoint =
        Endpoint::new_with_abstract_socket(base, Some(server), socket.clone(), Arc::new(TokioRuntime))
            .map_err(failed)?;
    endpoint.set_default_client_config(client);
    Ok((endpoint, socket))
}

fn limits(config: &TransportConfig) -> Result<quinn::TransportConfig, TransportError> {
    let idle = Duration::from_millis(config.idle_timeout_ms);
    let timeout = IdleTimeout::try_from(idle).map_err(|err| {
        TransportError::Config(format!("idle timeout of {} ms: {err}", config.idle_timeout_ms))
    })?;
    let mut limits = quinn::TransportConfig::default();
    limits
        .max_idle_timeout(Some(timeout))
        .keep_alive_interval(Some(idle / 3))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(MAX_UNI_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(LINK_WINDOW_BYTES))
        .send_window(2 * QUEUE_BYTES as u64)
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BYTES)
        // The first retransmission of a handshake comes after three of these: 150 ms instead of a second.
        .initial_rtt(Duration::from_millis(50));
    Ok(limits)
}

/// The key of stateless resets, derived from the secret and the node's name and therefore the same after a
/// restart: the new process can tell peers at once that their old connections are gone, instead of leaving them
/// to time out.
struct ResetKey([u8; 32]);

impl ResetKey {
    fn mac(&self, data: &[u8]) -> [u8; 32] {
        let mut out = [0u8; 32];
        // One block of HKDF-Expand is HMAC(key, data || 1). Both lengths are right by type.
        if let Ok(prf) = Hkdf::<Sha256>::from_prk(&self.0) {
            let done = prf.expand(data, &mut out);
            debug_assert!(done.is_ok());
        }
        out
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.mac(data));
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), crypto::CryptoError> {
        // Not called by QUIC for resets, which compares 16-byte tokens itself; no secret rests on its timing.
        if self.mac(data) == signature { Ok(()) } else { Err(crypto::CryptoError) }
    }
}

/// Random connection ids. quinn's default ones carry a mark of the process and let it ignore foreign ones
/// silently; here those of the process before a restart must be answered with a reset.
struct RandomIds;

const ID_BYTES: usize = 8;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; ID_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

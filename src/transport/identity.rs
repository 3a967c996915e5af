//! Who may join: the cluster secret becomes an authority, and each node mints itself a certificate under it.
//!
//! The secret goes through HKDF-SHA256 into an Ed25519 key. Every node recreates the same authority
//! certificate from it, so nothing has to be distributed but the secret. The node's own key is fresh at every
//! start. Certificates never expire in practice (1975 to 4096): a wrong wall clock must not lock a node out,
//! and what ends a member's right is the rotation of the secret.

use std::sync::Arc;

use hkdf::Hkdf;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    RootCertStore,
    client::{Resumption, WebPkiServerVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use sha2::Sha256;
use thiserror::Error;

use super::{secret::Secret, verify::MemberVerifier};

/// The DNS name every member's certificate carries, checked by both sides.
///
/// With an own PKI the certificate must list it as a subject alternative name, and must allow both server and
/// client authentication: a company's authority that also signs other things does not thereby make members.
pub const MEMBER_NAME: &str = "member.sessionmesh";

/// What proves that a node belongs to the mesh.
#[derive(Clone)]
pub enum Identity {
    /// Cluster secrets. The first signs; all are accepted. To rotate without an outage: `[old, new]`
    /// everywhere, then `[new, old]` everywhere, then `[new]`.
    Secrets(Vec<Secret>),
    /// An own PKI, in PEM. See [`MEMBER_NAME`] for what the certificate must carry.
    OwnPki {
        /// Authorities accepted.
        ca_pem: String,
        /// This node's certificate, followed by intermediates.
        cert_pem: String,
        /// This node's private key (PKCS#8, SEC1 or PKCS#1).
        key_pem: String,
    },
    /// An authority everybody knows: encryption without authentication, on loopback addresses only.
    Insecure,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secrets(_) => "Identity::Secrets(redacted)",
            Self::OwnPki { .. } => "Identity::OwnPki(redacted)",
            Self::Insecure => "Identity::Insecure",
        })
    }
}

/// Why an [`Identity`] cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// An empty list of secrets.
    #[error("the list of cluster secrets is empty")]
    NoSecret,
    /// A key or certificate could not be made.
    #[error("cannot mint a certificate: {0}")]
    Mint(#[from] rcgen::Error),
    /// A PEM text given does not hold what it should.
    #[error("cannot read {what} in PEM: {cause}")]
    Pem {
        /// Which of the three texts.
        what: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// The TLS library refused the material.
    #[error("TLS: {0}")]
    Tls(String),
}

fn tls(err: impl std::fmt::Display) -> IdentityError {
    IdentityError::Tls(err.to_string())
}

/// The two halves of TLS, and the key from which stateless resets are made.
pub(super) struct Tls {
    pub(super) client: Arc<QuicClientConfig>,
    pub(super) server: Arc<QuicServerConfig>,
    pub(super) reset_key: [u8; 32],
}

struct Material {
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    reset_key: [u8; 32],
}

/// What stands in for a secret where there is none.
const KNOWN: &[u8; 33] = b"sessionmesh: everybody knows this";

impl Identity {
    /// TLS of both sides for a cluster; `node` separates the reset keys of nodes with one secret.
    pub(super) fn tls(&self, cluster: &str, node: &str) -> Result<Tls, IdentityError> {
        let material = match self {
            Self::Secrets(secrets) => from_secrets(secrets, node)?,
            Self::OwnPki { ca_pem, cert_pem, key_pem } => from_pem(ca_pem, cert_pem, key_pem)?,
            Self::Insecure => {
                let known = Secret::new(*KNOWN).map_err(tls)?;
                from_secrets(&[known], node)?
            }
        };
        configure(material, alpn(cluster))
    }
}

impl Identity {
    /// Keys for what clients of this cluster carry and its nodes shall believe, one for each secret. Without a secret
    /// everybody knows it, as everybody can be a member. Nodes of an own PKI share no secret: there is none.
    pub(crate) fn client_keys(&self, cluster: &str) -> Vec<[u8; 32]> {
        let purpose: [&[u8]; 2] = [b"client tokens", cluster.as_bytes()];
        match self {
            Self::Secrets(secrets) => secrets.iter().map(|secret| expand(secret, &purpose)).collect(),
            Self::Insecure => Secret::new(*KNOWN).iter().map(|secret| expand(secret, &purpose)).collect(),
            Self::OwnPki { .. } => Vec::new(),
        }
    }
}

/// The protocol name on the wire. Another cluster is another protocol, so the two cannot merge by accident.
pub(super) fn alpn(cluster: &str) -> Vec<u8> {
    format!("sessionmesh/1/{cluster}").into_bytes()
}

fn expand(secret: &Secret, purpose: &[&[u8]]) -> [u8; 32] {
    let mut out = [0u8; 32];
    // Cannot fail: 32 bytes are one block of SHA-256, and the limit is 255 blocks.
    let done =
        Hkdf::<Sha256>::new(Some(b"sessionmesh/1"), secret.bytes()).expand_multi_info(purpose, &mut out);
    debug_assert!(done.is_ok());
    out
}

/// PKCS#8 v1 around a 32-byte Ed25519 seed (RFC 8410, section 7).
fn ed25519_pkcs8(seed: &[u8; 32]) -> Vec<u8> {
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    [&HEAD[..], &seed[..]].concat()
}

/// The authority a secret stands for: the same key and subject on every node that holds it.
fn authority(secret: &Secret) -> Result<(CertificateDer<'static>, Issuer<'static, KeyPair>), IdentityError> {
    let key = KeyPair::try_from(ed25519_pkcs8(&expand(secret, &[b"authority"])))?;
    let mut params = CertificateParams::new(Vec::new())?;
    // The subject differs per secret, so that a stranger fails as "unknown issuer" and not as "bad signature",
    // which could also mean a damaged packet.
    let mark = expand(secret, &[b"authority name"]);
    let name = format!("sessionmesh authority {:02x}{:02x}{:02x}{:02x}", mark[0], mark[1], mark[2], mark[3]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.serial_number = Some(1u64.into());
    let cert = params.self_signed(&key)?;
    Ok((cert.into(), Issuer::new(params, key)))
}

fn leaf(issuer: &Issuer<'static, KeyPair>) -> Result<(CertificateDer<'static>, KeyPair), IdentityError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let mut params = CertificateParams::new(vec![MEMBER_NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, MEMBER_NAME);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let cert = params.signed_by(&key, issuer)?;
    Ok((cert.into(), key))
}

fn from_secrets(secrets: &[Secret], node: &str) -> Result<Material, IdentityError> {
    let first = secrets.first().ok_or(IdentityError::NoSecret)?;
    let mut roots = RootCertStore::empty();
    for secret in secrets {
        roots.add(authority(secret)?.0).map_err(tls)?;
    }
    let (cert, key) = leaf(&authority(first)?.1)?;
    Ok(Material {
        roots,
        chain: vec![cert],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        reset_key: expand(first, &[b"stateless reset ", node.as_bytes()]),
    })
}

fn from_pem(ca_pem: &str, cert_pem: &str, key_pem: &str) -> Result<Material, IdentityError> {
    let bad = |what: &'static str| {
        move |err: &dyn std::fmt::Display| IdentityError::Pem { what, cause: err.to_string() }
    };
    let read = |what, text: &str| -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        let certs: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|err| bad(what)(&err))?;
        if certs.is_empty() { Err(bad(what)(&"no certificate in it")) } else { Ok(certs) }
    };
    let mut roots = RootCertStore::empty();
    for cert in read("the authority (ca_pem)", ca_pem)? {
        roots.add(cert).map_err(|err| bad("the authority (ca_pem)")(&err))?;
    }
    let chain = read("the node's certificate (cert_pem)", cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|err| bad("the node's private key (key_pem)")(&err))?;
    let seed = Secret::new(key.secret_der()).map_err(tls)?;
    Ok(Material { roots, chain, key, reset_key: expand(&seed, &[b"stateless reset"]) })
}

fn configure(material: Material, alpn: Vec<u8>) -> Result<Tls, IdentityError> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(material.roots);
    let versions = &[&rustls::version::TLS13];

    let of_servers =
        WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).build().map_err(tls)?;
    let mut client = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(tls)?
        .with_webpki_verifier(of_servers)
        .with_client_auth_cert(material.chain.clone(), material.key.clone_key())
        .map_err(tls)?;
    client.alpn_protocols = vec![alpn.clone()];
    // A resumed session would skip the check of the certificate: a secret rotated away must end at once.
    client.resumption = Resumption::disabled();

    let of_clients = MemberVerifier::new(roots, provider.clone()).map_err(tls)?;
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(tls)?
        .with_client_cert_verifier(Arc::new(of_clients))
        .with_single_cert(material.chain, material.key)
        .map_err(tls)?;
    server.alpn_protocols = vec![alpn];
    server.send_tls13_tickets = 0;

    Ok(Tls {
        client: Arc::new(QuicClientConfig::try_from(client).map_err(tls)?),
        server: Arc::new(QuicServerConfig::try_from(server).map_err(tls)?),
        reset_key: material.reset_key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_makes_the_same_authority() {
        let secret = Secret::new((9..41).collect::<Vec<u8>>()).unwrap();
        let other = Secret::new((8..40).collect::<Vec<u8>>()).unwrap();
        let (one, _) = authority(&secret).unwrap();
        let (two, _) = authority(&secret).unwrap();
        assert_eq!(one, two);
        assert_ne!(one, authority(&other).unwrap().0);
    }

    #[test]
    fn broken_pem_is_named() {
        let broken =
            Identity::OwnPki { ca_pem: "nonsense".into(), cert_pem: String::new(), key_pem: String::new() };
        let err = broken.tls("shop", "a").err().unwrap().to_string();
        assert!(err.contains("ca_pem"), "{err}");
    }
}

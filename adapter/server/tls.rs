//! TLS with client certificates, for the address of its own of the CloudEvents route.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

/// How often the files are read again.
const REFRESH: Duration = Duration::from_secs(10);

/// `eventTls` of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// Our certificate and those between it and its CA, as PEM.
    pub cert_file: PathBuf,
    /// The certificate's key, as PEM.
    pub key_file: PathBuf,
    /// Certificates of the CAs whose client certificates count, as PEM.
    pub client_ca_file: PathBuf,
    /// Which subjects may send; a `*` at the end stands for anything. Empty: every one that the CA knows.
    #[serde(default)]
    pub subjects: Vec<String>,
}

/// What a port speaks TLS with; it follows its files.
pub struct Tls {
    document: Document,
    current: ArcSwap<Loaded>,
}

/// The subject of the certificate that a client has shown, for the requests on its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSubject(pub String);

struct Loaded {
    /// What the files held.
    files: [Vec<u8>; 3],
    config: Arc<ServerConfig>,
}

// === impl Tls ===

impl Tls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub async fn open(document: Document) -> Result<Self, String> {
        let files = document.read().await?;
        let loaded = Loaded { config: document.config(&files)?, files };
        Ok(Self { document, current: ArcSwap::from_pointee(loaded) })
    }

    /// Reads the files again, now and then, for ever. Files that cannot be used leave those before them in force.
    pub async fn refresh(&self) {
        let mut failing = false;
        loop {
            tokio::time::sleep(REFRESH).await;
            match self.reload().await {
                Ok(changed) => {
                    if changed || failing {
                        tracing::info!("the certificates of `eventTls` are those of its files");
                    }
                    failing = false;
                }
                Err(reason) if !failing => {
                    tracing::warn!(
                        reason,
                        "the files of `eventTls` cannot be used; those before them stay in force"
                    );
                    failing = true;
                }
                Err(_) => {}
            }
        }
    }

    async fn reload(&self) -> Result<bool, String> {
        let files = self.document.read().await?;
        if files == self.current.load().files {
            return Ok(false);
        }
        let config = self.document.config(&files)?;
        self.current.store(Arc::new(Loaded { files, config }));
        Ok(true)
    }

    /// Does the handshake of the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }
}

// === impl Document ===

impl Document {
    fn paths(&self) -> [(&'static str, &Path); 3] {
        [("certFile", &self.cert_file), ("keyFile", &self.key_file), ("clientCaFile", &self.client_ca_file)]
    }

    async fn read(&self) -> Result<[Vec<u8>; 3], String> {
        let mut files = [const { Vec::new() }; 3];
        for (file, (field, path)) in files.iter_mut().zip(self.paths()) {
            *file = tokio::fs::read(path)
                .await
                .map_err(|error| format!("`eventTls.{field}: {}` cannot be read: {error}", path.display()))?;
        }
        Ok(files)
    }

    fn config(&self, [certificate, key, ca]: &[Vec<u8>; 3]) -> Result<Arc<ServerConfig>, String> {
        let [own, secret, clients] = self.paths();
        let wrong = |(field, path): (&str, &Path), reason: &dyn std::fmt::Display| {
            format!("`eventTls.{field}: {}` cannot be used: {reason}", path.display())
        };
        let chain = certificates(certificate).map_err(|reason| wrong(own, &reason))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(secret, &error))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca).map_err(|reason| wrong(clients, &reason))? {
            roots.add(certificate).map_err(|error| wrong(clients, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Who has no certificate may have another proof, and is told what to send.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| wrong(clients, &error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| wrong(own, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that is resumed would go on with a certificate that may have ended since.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err("there is no certificate in it".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("it is not PEM: {error}")),
    }
}

/// Whose certificate the client has shown: its first URI, else its first DNS name, else its common name, else the
/// fingerprint. The certificate itself was checked by the handshake.
pub(super) fn subject(connection: &ServerConnection) -> Option<ClientSubject> {
    let certificate = connection.peer_certificates()?.first()?;
    let named = webpki::EndEntityCert::try_from(certificate).ok().and_then(|it| {
        let uri = it.valid_uri_names().next().map(str::to_owned);
        uri.or_else(|| it.valid_dns_names().next().map(str::to_owned)).or_else(|| common_name(it.subject()))
    });
    let printable = |name: &String| (1..=256).contains(&name.len()) && !name.chars().any(char::is_control);
    Some(ClientSubject(named.filter(printable).unwrap_or_else(|| fingerprint(certificate))))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    digest.as_ref().iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

/// The last common name of a distinguished name in DER (RFC 5280, section 4.1.2.4): sets of pairs of an object
/// identifier and a text.
fn common_name(mut name: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    let mut found = None;
    while !name.is_empty() {
        let (0x31, mut set, rest) = element(name)? else { return None };
        name = rest;
        while !set.is_empty() {
            let (0x30, pair, others) = element(set)? else { return None };
            set = others;
            let (0x06, id, value) = element(pair)? else { return None };
            // UTF8String, PrintableString or IA5String: the others are not text as we write it.
            if id == COMMON_NAME
                && let (0x0c | 0x13 | 0x16, text, _) = element(value)?
            {
                found = Some(std::str::from_utf8(text).ok()?.to_owned());
            }
        }
    }
    found
}

/// The first element of DER: its tag, what it holds, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_at_checked(2)?;
            (usize::from(u16::from_be_bytes([length[0], length[1]])), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relative distinguished name of one pair.
    fn pair(id: u8, tag: u8, text: &str) -> Vec<u8> {
        let wrap = |tag: u8, inner: Vec<u8>| {
            let mut bytes = vec![tag, u8::try_from(inner.len()).unwrap()];
            bytes.extend(inner);
            bytes
        };
        let mut inner = vec![0x06, 3, 0x55, 4, id];
        inner.extend(wrap(tag, text.as_bytes().to_vec()));
        wrap(0x31, wrap(0x30, inner))
    }

    #[test]
    fn a_common_name_is_found_among_the_other_parts_of_a_name() {
        let name = |parts: &[Vec<u8>]| common_name(&parts.concat());
        assert_eq!(name(&[pair(10, 0x0c, "org"), pair(3, 0x0c, "builds")]).as_deref(), Some("builds"));
        assert_eq!(name(&[pair(3, 0x13, "a"), pair(11, 0x0c, "unit")]).as_deref(), Some("a"));
        assert_eq!(name(&[pair(10, 0x0c, "org")]), None);
        assert_eq!(name(&[]), None);
        // What is cut off, or is text of another kind, is no name.
        let whole = pair(3, 0x0c, "builds");
        for end in 1..whole.len() {
            assert_eq!(common_name(&whole[..end]), None, "{end}");
        }
        assert_eq!(name(&[pair(3, 0x1e, "\0a")]), None);
    }
}

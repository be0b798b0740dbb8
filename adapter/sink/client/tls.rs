//! Which certificates are trusted.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

/// The system's certificates and those of the platform, read when the first `https` address needs them: an image
/// without any can still speak plain HTTP.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

// === impl Tls ===

impl Tls {
    /// Trusts the certificates of `pem` besides those of the system; an empty text is none.
    ///
    /// # Errors
    /// A text for people: what is wrong with `pem`.
    pub(crate) fn new(pem: &str) -> Result<Self, String> {
        if pem.trim().is_empty() {
            return Ok(Self::default());
        }
        let extra = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("must be PEM certificates: {error}"))?;
        if extra.is_empty() {
            return Err("must be PEM certificates: there is none in it".to_owned());
        }
        Ok(Self { extra, config: OnceLock::new() })
    }

    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.extra.iter().cloned(), Arc::clone(&provider))
            .map_err(|error| format!("the certificates cannot be used: {error}"))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::clone(self.config.get_or_init(|| Arc::new(config))))
    }
}

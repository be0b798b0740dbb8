//! The cluster's own authority, the API server's certificate, and the key that signs tokens of service accounts.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A server on loopback, and who vouches for it; all PEM.
pub struct Server {
    /// The certificate of an authority of its own.
    pub authority: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's key.
    pub key: String,
}

/// Makes one.
pub fn server() -> anyhow::Result<Server> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "pipewright test cluster");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let vouched = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    Ok(Server { authority: vouched.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}

/// Writes `ca.crt`, `server.crt`, `server.key`, `service-accounts.key` and `.pub` into the folder.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let Server { authority, certificate, key } = server()?;
    std::fs::write(folder.join("ca.crt"), authority)?;
    std::fs::write(folder.join("server.crt"), certificate)?;
    std::fs::write(folder.join("server.key"), key)?;
    let accounts_key = KeyPair::generate()?;
    std::fs::write(folder.join("service-accounts.key"), accounts_key.serialize_pem())?;
    std::fs::write(folder.join("service-accounts.pub"), accounts_key.public_key_pem())?;
    Ok(())
}

//! The cluster's own authority, the API server's certificate, and the key that signs tokens of service accounts.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Writes `ca.crt`, `server.crt`, `server.key`, `service-accounts.key` and `.pub` into the folder.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "pipewright test cluster");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let server_key = KeyPair::generate()?;
    let server = CertificateParams::new(names)?.signed_by(&server_key, &issuer)?;
    std::fs::write(folder.join("ca.crt"), authority_certificate.pem())?;
    std::fs::write(folder.join("server.crt"), server.pem())?;
    std::fs::write(folder.join("server.key"), server_key.serialize_pem())?;
    let accounts_key = KeyPair::generate()?;
    std::fs::write(folder.join("service-accounts.key"), accounts_key.serialize_pem())?;
    std::fs::write(folder.join("service-accounts.pub"), accounts_key.public_key_pem())?;
    Ok(())
}

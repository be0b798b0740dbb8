//! Client certificates: those of the CA are taken, and no others.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipewright::server::tls::Document;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::forged;
use crate::support::service::{Directory, Service, Setup, literal};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name = named(name);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::OrganizationName, "tests");
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A certificate of a CA, and its key: valid for as many days from now, or ended as many ago.
fn certificate(
    ca: &Ca,
    name: &str,
    others: Vec<SanType>,
    days: i64,
) -> (String, KeyPair, CertificateDer<'static>) {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named(name);
    parameters.subject_alt_names = others;
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let now = std::time::SystemTime::now();
    let day = Duration::from_hours(24);
    parameters.not_before = (now - 100 * day).into();
    let away = day * u32::try_from(days.unsigned_abs()).unwrap();
    parameters.not_after = if days > 0 { now + away } else { now - away }.into();
    let key = KeyPair::generate().unwrap();
    let signed = parameters.signed_by(&key, ca).unwrap();
    (signed.pem(), key, signed.der().clone())
}

fn write(directory: &Path, ca: &Ca, clients: &Ca) {
    let loopback = SanType::IpAddress("127.0.0.1".parse().unwrap());
    let (pem, key, _) = certificate(ca, "pipewright", vec![loopback], 10);
    std::fs::write(directory.join("tls.crt"), pem).unwrap();
    std::fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(directory.join("ca.crt"), clients.pem()).unwrap();
}

async fn service(directory: &Path, subjects: &[&str], tokens: &[&str]) -> Service {
    let document = Document {
        cert_file: directory.join("tls.crt"),
        key_file: directory.join("tls.key"),
        client_ca_file: directory.join("ca.crt"),
        subjects: subjects.iter().map(|it| (*it).to_owned()).collect(),
    };
    let setup = Setup::closed().with(|it| {
        it.process.events_listen = Some("127.0.0.1:0".to_owned());
        it.process.event_tls = Some(document);
        it.process.event_tokens = tokens.iter().map(|it| literal(it)).collect();
    });
    setup.start().await
}

/// Sends an event over TLS; the status and the text of the answer, or why there is none.
async fn post(
    address: SocketAddr,
    server: &Ca,
    client: Option<(&KeyPair, &CertificateDer<'static>)>,
    head: &str,
) -> std::io::Result<(u16, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(server.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((key, certificate)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.clone()], key).unwrap()
        }
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let body = forged()[5].to_string();
    let request = format!(
        "POST /events HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\
         content-type: application/cloudevents+json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await?;
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default().parse();
    Ok((status.map_err(std::io::Error::other)?, answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_ca_lets_an_event_in_and_another_does_not() {
    let directory = Directory::new();
    let (own, clients, foreign) = (ca("own"), ca("clients"), ca("clients"));
    write(directory.path(), &own, &clients);
    let service =
        service(directory.path(), &["spiffe://cluster/ns/ci/*", "broker.knative.svc", "builds"], &[]).await;
    let address = service.events_address;
    assert_ne!(address, service.address);
    let uri = |text: &str| vec![SanType::URI(text.try_into().unwrap())];
    let dns = |text: &str| vec![SanType::DnsName(text.try_into().unwrap())];
    for (name, others, status) in [
        ("builds", vec![], 202),
        ("anything", uri("spiffe://cluster/ns/ci/sa/builds"), 202),
        ("anything", dns("broker.knative.svc"), 202),
        // The first kind of name that there is counts, not any.
        ("builds", uri("spiffe://cluster/ns/evil/sa/builds"), 403),
        ("builds", dns("evil.svc"), 403),
        ("evil", vec![], 403),
    ] {
        let (_, key, certificate) = certificate(&clients, name, others, 10);
        let answer = post(address, &own, Some((&key, &certificate)), "").await.unwrap();
        assert_eq!(answer.0, status, "{name}: {answer:?}");
    }
    assert!(service.metric("pipewright_events_authenticated_total{by=\"mtls\"}").await > 2.5);

    let none = post(address, &own, None, "").await.unwrap();
    assert_eq!(none.0, 401, "{none:?}");
    assert!(none.1.contains("send a client certificate"), "{none:?}");
    for (issuer, days) in [(&foreign, 10), (&clients, -1)] {
        let (_, key, certificate) = certificate(issuer, "builds", vec![], days);
        post(address, &own, Some((&key, &certificate)), "").await.unwrap_err();
    }
    let refused = "pipewright_connections_refused_total{port=\"events\",bound=\"handshake\"}";
    service.until("counted", async || service.metric(refused).await > 1.5).await;

    // The address of webhooks has neither the route nor TLS.
    service
        .send("POST", "/events", &[super::STRUCTURED], forged()[5].to_string())
        .await
        .refused(410, "`eventsListen`");
    service.github("brand_new", "{}").await.accepted("ignored");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_another_way_open_a_client_needs_no_certificate() {
    let directory = Directory::new();
    let (own, clients) = (ca("own"), ca("clients"));
    write(directory.path(), &own, &clients);
    let service = service(directory.path(), &[], &["token"]).await;
    let address = service.events_address;
    for (head, status) in
        [("authorization: Bearer token\r\n", 202), ("authorization: Bearer x\r\n", 401), ("", 401)]
    {
        assert_eq!(post(address, &own, None, head).await.unwrap().0, status, "{head}");
    }
    let (_, key, certificate) = certificate(&clients, "anybody", vec![], 10);
    assert_eq!(post(address, &own, Some((&key, &certificate)), "").await.unwrap().0, 202);
    // Who speaks no TLS, and who says nothing, is gone within the time that a head has.
    let plain = tokio::time::timeout(Duration::from_secs(20), async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"POST /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut Vec::new()).await;
    });
    plain.await.unwrap();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_change_are_those_of_the_next_connection_and_bad_ones_change_nothing() {
    let directory = Directory::new();
    let (own, clients, next) = (ca("own"), ca("clients"), ca("next"));
    write(directory.path(), &own, &clients);
    let service = service(directory.path(), &[], &[]).await;
    let address = service.events_address;
    let [(_, old_key, old), (_, new_key, new)] =
        [&clients, &next].map(|issuer| certificate(issuer, "builds", vec![], 10));
    assert_eq!(post(address, &own, Some((&old_key, &old)), "").await.unwrap().0, 202);
    post(address, &own, Some((&new_key, &new)), "").await.unwrap_err();
    std::fs::write(directory.path().join("ca.crt"), next.pem()).unwrap();
    let taken = async || post(address, &own, Some((&new_key, &new)), "").await.is_ok_and(|it| it.0 == 202);
    service.until("the new CA counts", taken).await;
    post(address, &own, Some((&old_key, &old)), "").await.unwrap_err();
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_and_a_missing_address_keep_it_from_starting() {
    let directory = Directory::new();
    let (own, clients) = (ca("own"), ca("clients"));
    let refusal = async |listen: Option<&str>| {
        let document = Document {
            cert_file: directory.path().join("tls.crt"),
            key_file: directory.path().join("tls.key"),
            client_ca_file: directory.path().join("ca.crt"),
            subjects: Vec::new(),
        };
        let setup = Setup::closed().with(|it| {
            it.process.events_listen = listen.map(str::to_owned);
            it.process.event_tls = Some(document);
        });
        setup.try_start().await.err().map(|error| error.to_string()).unwrap_or_default()
    };
    write(directory.path(), &own, &clients);
    assert!(refusal(None).await.contains("`eventTls` needs `eventsListen`"));
    for (file, field) in [("tls.crt", "certFile"), ("tls.key", "keyFile"), ("ca.crt", "clientCaFile")] {
        write(directory.path(), &own, &clients);
        std::fs::write(directory.path().join(file), "no PEM").unwrap();
        let wrong = refusal(Some("127.0.0.1:0")).await;
        assert!(wrong.contains(&format!("`eventTls.{field}: ")), "{wrong}");
        std::fs::remove_file(directory.path().join(file)).unwrap();
        let missing = refusal(Some("127.0.0.1:0")).await;
        assert!(
            missing.contains(&format!("`eventTls.{field}: ")) && missing.contains("cannot be read"),
            "{missing}"
        );
    }
}

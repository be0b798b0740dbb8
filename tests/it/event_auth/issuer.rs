//! An `OpenID` Connect issuer on loopback, with keys that are real and tokens that are what a test wants.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const RSA: [&[u8]; 2] =
    [include_bytes!("../../fixtures/oidc/rsa-1.pem"), include_bytes!("../../fixtures/oidc/rsa-2.pem")];

/// A key of an issuer.
pub enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// The issuer.
pub struct Issuer {
    pub url: String,
    keys: Arc<Mutex<Value>>,
    /// How often its keys were read.
    pub reads: Arc<AtomicUsize>,
    /// Whether it answers.
    pub up: Arc<AtomicBool>,
}

impl Key {
    /// One of two RSA keys of 2,048 bits.
    pub fn rsa(number: usize) -> Self {
        let key = PrivatePkcs8KeyDer::from_pem_slice(RSA[number]).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap())
    }

    /// A new key on P-256.
    pub fn ec() -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random);
        Self::Ec(key.unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    /// The public half as a JWK, as the API server of Kubernetes writes it.
    pub fn jwk(&self, id: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa(key) => {
                let public: PublicKeyComponents<Vec<u8>> = key.public().into();
                json!({"kty": "RSA", "n": BASE64.encode(public.n), "e": BASE64.encode(public.e)})
            }
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y)})
            }
        };
        jwk["use"] = json!("sig");
        jwk["kid"] = json!(id);
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    /// What a secret would be if the public key were taken for one.
    pub fn public(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => key.public().as_ref().to_vec(),
            Self::Ec(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// A token with this header beside `alg`, and these claims.
    pub fn sign(&self, id: &str, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "kid": id});
        let message = message(&header, claims);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", BASE64.encode(signature))
    }
}

/// Header and claims as they are signed.
pub fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

/// Seconds since 1970, and so many more.
pub fn at(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

impl Issuer {
    /// Starts one with these keys.
    pub async fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = Arc::new(Mutex::new(keys));
        let (reads, up) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let issuer = Self { url: url.clone(), keys: keys.clone(), reads: reads.clone(), up: up.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (url, keys, reads, up) = (url.clone(), keys.clone(), reads.clone(), up.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = match request.uri().path() {
                        _ if !up.load(Ordering::Relaxed) => None,
                        "/.well-known/openid-configuration" => {
                            Some(json!({"issuer": url, "jwks_uri": format!("{url}/openid/v1/jwks")}))
                        }
                        "/openid/v1/jwks" => {
                            reads.fetch_add(1, Ordering::Relaxed);
                            Some(json!({"keys": *keys.lock().unwrap()}))
                        }
                        _ => None,
                    };
                    let status = if answer.is_some() { 200 } else { 503 };
                    let body = Full::new(Bytes::from(answer.unwrap_or_default().to_string()));
                    async move { Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        issuer
    }

    /// Replaces its keys.
    pub fn rotate(&self, keys: Value) {
        *self.keys.lock().unwrap() = keys;
    }

    /// The claims of a token that Knative sends to a Trigger's subscriber with the audience `pipewright`: one of a service
    /// account, made with a `TokenRequest`.
    pub fn claims(&self) -> Value {
        json!({
            "aud": ["pipewright"],
            "exp": at(3600),
            "iat": at(0),
            "iss": self.url,
            "jti": "0b5f9a55-9c5e-4bb7-a5e5-a1e4a4f52a53",
            "kubernetes.io": {
                "namespace": "ci",
                "serviceaccount": {"name": "builds-oidc-eventing.knative.dev-trigger", "uid": "7"},
            },
            "nbf": at(0),
            "sub": "system:serviceaccount:ci:builds-oidc-eventing.knative.dev-trigger",
        })
    }
}

//! The issuer's public keys: kept, and read again now and then, and when a token names one that is not known.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::OidcError;
use super::fetch::Origin;

/// How often keys are read while all is well.
const REFRESH: Duration = Duration::from_mins(5);
/// How often they are read at most, whatever tokens come; and while they cannot be read.
const GAP: Duration = Duration::from_secs(10);
/// The most keys of one issuer.
const MAX_KEYS: usize = 64;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    origin: Origin,
    current: ArcSwap<Vec<Key>>,
    /// When they were last asked for; held while somebody asks.
    asked: Mutex<Option<Instant>>,
    trouble: ArcSwapOption<String>,
}

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            current: ArcSwap::default(),
            asked: Mutex::new(None),
            trouble: ArcSwapOption::from_pointee("they have not been read yet".to_owned()),
        }
    }

    pub(super) async fn refresh(&self) {
        loop {
            let read = self.read(&mut *self.asked.lock().await).await;
            tokio::time::sleep(if read { REFRESH } else { GAP }).await;
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.load().as_deref().cloned()
    }

    /// The keys that may have signed a token: that of its `kid`, or without one all of its kind.
    ///
    /// The issuer is asked for a `kid` that is not known, but not for each: many tokens with made-up ones cost it nothing.
    /// In between a sender is asked to come again, since its key may be newer than what we have read.
    pub(super) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<DecodingKey>, OidcError> {
        if let Some(found) = self.known(id, algorithm) {
            return Ok(found);
        }
        let mut asked = self.asked.lock().await;
        // Somebody else may just have asked.
        if let Some(found) = self.known(id, algorithm) {
            return Ok(found);
        }
        if asked.is_some_and(|when| when.elapsed() < GAP) {
            let trouble =
                self.trouble().unwrap_or_else(|| "they were read a moment ago; try again".to_owned());
            return Err(OidcError::Keys(trouble));
        }
        if !self.read(&mut asked).await {
            return Err(OidcError::Keys(self.trouble().unwrap_or_default()));
        }
        self.known(id, algorithm).ok_or(OidcError::UnknownKey)
    }

    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Vec<DecodingKey>> {
        let keys = self.current.load();
        let fits = |key: &&Key| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id);
        let found: Vec<DecodingKey> = keys.iter().filter(fits).map(|key| key.public.clone()).collect();
        (!found.is_empty()).then_some(found)
    }

    /// Asks for the keys; those before them stay when there is no answer. Whether it went well.
    async fn read(&self, asked: &mut Option<Instant>) -> bool {
        let result = self.origin.keys().await.and_then(|text| parse(&text));
        *asked = Some(Instant::now());
        match result {
            Ok(keys) => {
                self.current.store(Arc::new(keys));
                if self.trouble.swap(None).is_some() {
                    tracing::info!(issuer = self.origin.issuer, "the keys of the issuer are read");
                }
                true
            }
            Err(reason) => {
                let reason = Arc::new(reason);
                if self.trouble.swap(Some(Arc::clone(&reason))).as_ref() != Some(&reason) {
                    tracing::warn!(issuer = self.origin.issuer, %reason, "the keys of the issuer cannot be read");
                }
                false
            }
        }
    }
}

/// The keys of a JWK set that can sign a token of ours. What else is in it is for others.
fn parse(text: &str) -> Result<Vec<Key>, String> {
    let mut set: Value =
        serde_json::from_str(text).map_err(|error| format!("what came is not JSON: {error}"))?;
    let Some(Value::Array(keys)) = set.get_mut("keys").map(Value::take) else {
        return Err("what came is no JWK set: it has no list `keys`".to_owned());
    };
    let keys: Vec<Key> = keys.into_iter().filter_map(Key::read).take(MAX_KEYS).collect();
    if keys.is_empty() {
        return Err("the JWK set has no key for RS256 or ES256".to_owned());
    }
    Ok(keys)
}

// === impl Key ===

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            _ => return None,
        };
        let signs = jwk.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        let fits = jwk.common.key_algorithm.is_none_or(|it| it == named);
        let public = DecodingKey::from_jwk(&jwk).ok()?;
        (signs && fits).then_some(Self { id: jwk.common.key_id, algorithm, public })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_set_only_the_keys_that_sign_our_tokens_are_taken() {
        let ec = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
        let with = |changes: Value| {
            let mut key = ec.clone();
            for (name, value) in changes.as_object().unwrap() {
                key[name] = value.clone();
            }
            parse(&json!({"keys": [{"kty": "oct", "k": "AA"}, {"kty": "new"}, 1, key]}).to_string())
        };
        assert_eq!(
            with(json!({"kid": "a", "use": "sig", "alg": "ES256"})).unwrap()[0].id.as_deref(),
            Some("a")
        );
        assert_eq!(with(json!({})).unwrap().len(), 1);
        for other in
            [json!({"use": "enc"}), json!({"alg": "ES384"}), json!({"crv": "P-384"}), json!({"kty": "oct"})]
        {
            assert!(with(other.clone()).unwrap_err().contains("no key for RS256 or ES256"), "{other}");
        }
        assert!(parse("{}").unwrap_err().contains("`keys`"));
        assert!(parse("<html>").unwrap_err().contains("not JSON"));
    }
}

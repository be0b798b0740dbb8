//! Identity without storage: keys, object names and event ids that are functions of what happened.
//!
//! Nothing here reads a clock or draws a random number, so every replica and every redelivery computes the
//! same name, and the Kubernetes API server becomes the dedupe database.

use std::fmt;

use ring::digest::{Context, SHA256};
use uuid::Uuid;

/// Namespace of every name-based UUID of ours, itself the version 5 UUID of `https://pipewright.dev/` in the URL
/// namespace. It must never change: ids computed by older versions would stop matching.
const NAMESPACE: Uuid = Uuid::from_u128(0x5a32_1dd4_e396_5496_9ddc_2e3c_60f7_8692);

/// The longest prefix of a run's name; with `-` and 26 characters of key it stays within Tekton's 63.
const MAX_NAME_PREFIX: usize = 36;

/// SHA-256 over length-prefixed parts, so that no two lists of parts run together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

/// What one action of one mapping did for one event, whatever replica did it and however often.
pub type EffectKey = Key;

// === impl Key ===

impl Key {
    /// Hashes `parts`, each prefixed by its length, under a domain `tag`.
    pub fn of(tag: &str, parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in std::iter::once(&tag).chain(parts) {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// The identity of a CloudEvent: its `source` and `id` (CloudEvents 1.0.2, "id").
    pub fn event(source: &str, id: &str) -> Self {
        Self::of("event", &[source, id])
    }

    /// The identity of one effect of an event that `voucher` vouched for: what one source says never takes the place of
    /// what another says, however alike they are.
    ///
    /// The action's name counts and not its place in the list, so that a redelivery after an edit of the mapping
    /// does not run twice.
    pub fn effect(voucher: &str, event: &Self, mapping: &str, action: &str) -> EffectKey {
        Self::of("effect", &[voucher, &event.to_string(), mapping, action])
    }

    /// `prefix` (shortened to 36 characters) and 130 bits of this key: a DNS-1123 label of at most 63 characters.
    pub fn object_name(&self, prefix: &str) -> String {
        let mut name: String = prefix
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .take(MAX_NAME_PREFIX)
            .collect();
        let start = name.find(|c| c != '-').unwrap_or(name.len());
        name.drain(..start);
        name.truncate(name.trim_end_matches('-').len());
        if name.is_empty() {
            name.push_str("run");
        }
        name.push('-');
        self.push_base32(&mut name);
        name
    }

    /// A UUID computed from this key, for the `id` of an event that the effect emits.
    pub fn event_id(&self) -> String {
        name_uuid(&[&self.to_string()])
    }

    fn push_base32(&self, out: &mut String) {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let mut bits = 0_u32;
        let mut held = 0_u32;
        // 17 bytes are the fewest that hold 26 groups of 5 bits; they hold a 27th, which is cut off.
        for byte in &self.0[..17] {
            held = (held << 8) | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
            }
            held &= (1 << bits) - 1;
        }
        out.truncate(out.len() - 1);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// A version 5 UUID over length-prefixed parts.
pub fn name_uuid(parts: &[&str]) -> String {
    let mut name = Vec::with_capacity(128);
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&NAMESPACE, &name).hyphenated().to_string()
}

/// Like [`name_uuid`], with the version and variant bits of a version 4 UUID: CDEvents asks that of a `chainId`
/// (links.md, "Chain ID").
pub fn chain_uuid(parts: &[&str]) -> String {
    let key = Key::of("chain", parts);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&key.0[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Key::event("ab", "c"), Key::event("a", "bc"));
        assert_ne!(name_uuid(&["ab", "c"]), name_uuid(&["a", "bc"]));
    }

    #[test]
    fn object_names_are_dns_labels_of_at_most_63_characters() {
        let key = Key::event("s", "i");
        for prefix in [
            "",
            "---",
            "Build Change.Build",
            &"x".repeat(80),
            "ünï-code",
            "a-very-long-name-that-is-cut-here-by-36---x",
        ] {
            let name = key.object_name(prefix);
            assert!(name.len() <= 63, "{name}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert!(name.starts_with(|c: char| c.is_ascii_alphanumeric()), "{name}");
            assert_eq!(name.rsplit('-').next().unwrap().len(), 26, "{name}");
        }
    }

    #[test]
    fn the_namespace_is_the_uuid_of_the_project_url() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://pipewright.dev/"));
    }

    #[test]
    fn what_one_vouches_for_is_not_what_another_does() {
        let event = Key::event("https://github.com/o/r", "1");
        let key = |voucher| Key::effect(voucher, &event, "build", "run");
        assert_eq!(key("github"), key("github"));
        for other in ["gitea", "events:token", "events:insecure", "tekton", ""] {
            assert_ne!(key("github"), key(other), "{other}");
        }
    }

    #[test]
    fn names_are_stable_across_versions() {
        let event = Key::event("https://github.com/o/r", "1");
        let key = Key::effect("github", &event, "default/build", "run");
        assert_eq!(key.object_name("build-run"), "build-run-clfh6mabosok0hkorisdcp7llr");
        assert_eq!(name_uuid(&["dev.cdevents.change.created", "1"]), "3886d36d-006d-5cc8-bf87-fc9b1d60b39b");
        assert_eq!(chain_uuid(&["github.com", "1", "pull", "2"]), "874cef16-f1da-4b11-a731-f42becb039be");
    }
}

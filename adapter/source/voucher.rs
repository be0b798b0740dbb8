//! Who vouches for an event: it is known before anything of the event is believed, and is never taken from the event.

use std::fmt;

use crate::event::voucher;

/// Whom we know to have sent an event.
///
/// Its text is what mappings see. A source is written as its name, which has no colon; every other text has one, so
/// that no sender can be taken for a source, nor one way in for another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Voucher {
    /// A `Source` document: its name, after a webhook's signature was checked as the source says.
    Source(String),
    /// A holder of one of the `eventTokens`.
    Token,
    /// The subject of a JWT of the `eventOidc` issuer.
    Oidc {
        /// Its `sub`.
        subject: String,
    },
    /// The owner of a client certificate of the CA in `eventTls`.
    Mtls {
        /// The certificate's URI, DNS name or common name.
        subject: String,
    },
    /// Nobody: `insecureEvents` takes events from everybody.
    Insecure,
    /// The watch of runs in our own cluster.
    Watch,
}

// === impl Voucher ===

impl Voucher {
    /// Which way in it was: a fixed word, for a label of metrics.
    pub fn way(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Token => "token",
            Self::Oidc { .. } => "oidc",
            Self::Mtls { .. } => "mtls",
            Self::Insecure => "insecure",
            Self::Watch => "watch",
        }
    }
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) => f.write_str(name),
            Self::Token => f.write_str(voucher::TOKEN),
            Self::Oidc { subject } => write!(f, "events:oidc:{subject}"),
            Self::Mtls { subject } => write!(f, "events:mtls:{subject}"),
            Self::Insecure => f.write_str(voucher::INSECURE),
            Self::Watch => f.write_str(voucher::WATCH),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_source_has_a_text_without_a_colon() {
        let subject = || "system:serviceaccount:ci:builds".to_owned();
        assert_eq!(Voucher::Source("github".into()).to_string(), "github");
        for (voucher, text) in [
            (Voucher::Token, "events:token"),
            (Voucher::Oidc { subject: subject() }, "events:oidc:system:serviceaccount:ci:builds"),
            (Voucher::Mtls { subject: "github".into() }, "events:mtls:github"),
            (Voucher::Insecure, "events:insecure"),
            (Voucher::Watch, "tekton:watch"),
        ] {
            assert_eq!(voucher.to_string(), text);
        }
    }
}

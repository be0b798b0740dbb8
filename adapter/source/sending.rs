//! The other side: what a forge sends with a payload, for whoever plays one.

use super::secret::Secret;
use super::signature::{self, sign};
use crate::vocabulary::Forge;

/// The headers of a delivery of `forge`, with what proves that its sender knows `secret`.
///
/// Only a forge's own headers: Gitea and Forgejo send those of others besides.
pub fn headers(
    forge: Forge,
    event: &str,
    delivery: &str,
    secret: Option<&Secret>,
    body: &[u8],
) -> Vec<(&'static str, Vec<u8>)> {
    let (agent, event_header, delivery_header, scheme) = match forge {
        Forge::GitHub => ("GitHub-Hookshot", "X-GitHub-Event", "X-GitHub-Delivery", signature::GITHUB),
        Forge::Gitea => ("Gitea", "X-Gitea-Event", "X-Gitea-Delivery", signature::GITEA),
        Forge::Forgejo => ("Forgejo", "X-Forgejo-Event", "X-Forgejo-Delivery", signature::FORGEJO),
        Forge::GitLab => ("GitLab", "X-Gitlab-Event", "Idempotency-Key", signature::GITLAB_TOKEN),
        Forge::Bitbucket => ("Bitbucket-Webhooks", "X-Event-Key", "X-Request-UUID", signature::BITBUCKET),
        Forge::BitbucketDataCenter => ("Bitbucket", "X-Event-Key", "X-Request-Id", signature::BITBUCKET),
    };
    let mut headers = vec![
        ("content-type", b"application/json".to_vec()),
        ("user-agent", format!("{agent}/pipewright").into_bytes()),
        (event_header, event.into()),
        (delivery_header, delivery.into()),
    ];
    if let Some(secret) = secret {
        let proof = if forge == Forge::GitLab {
            secret.bytes().to_vec()
        } else {
            let signature = sign(secret.bytes(), body);
            let digits = signature.strip_prefix(signature::PREFIX).unwrap_or(&signature);
            format!("{}{digits}", scheme.prefix).into_bytes()
        };
        headers.push((scheme.header, proof));
    }
    headers
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::source::secret::Secrets;
    use crate::source::{Authenticated, Delivery, Field, Headers, Source};

    struct Request(Vec<(&'static str, Vec<u8>)>);

    impl Headers for Request {
        fn get(&self, name: &str) -> Field<'_> {
            self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).into()
        }
    }

    #[test]
    fn what_plays_a_forge_is_taken_for_it_and_for_no_other() {
        // Not even UTF-8: a secret is bytes, whichever way it is shown.
        for secret in [&b"s"[..], "dév☃".as_bytes(), b"a=b\"c\\d<e>", b"\xff\xfe"] {
            plays(&Secret::literal(secret).unwrap());
        }
    }

    fn plays(secret: &Secret) {
        let other_secret = Secret::literal("other").unwrap();
        let secrets = || Secrets::literal([secret.clone()]).unwrap();
        let forges: Vec<Forge> = Forge::names().iter().map(|name| name.parse().unwrap()).collect();
        for forge in &forges {
            let body = Bytes::from_static(b"{\"a\": 1}");
            let send = |to: Forge, secret: Option<&Secret>| {
                let request = Request(headers(*forge, "push", "d-1", secret, &body));
                Source::signed("it", to, secrets()).receive(
                    &request,
                    body.clone(),
                    jiff::Timestamp::UNIX_EPOCH,
                )
            };
            let (delivery, authenticated) = send(*forge, Some(secret)).unwrap();
            let Delivery::Webhook(webhook) = delivery else { panic!("a forge's") };
            assert_eq!(authenticated, Authenticated::Secret(0));
            assert_eq!((webhook.forge, &*webhook.event, &*webhook.delivery), (*forge, "push", "d-1"));
            for secret in [Some(&other_secret), None] {
                assert_eq!(send(*forge, secret).unwrap_err().status(), 401, "{forge:?}");
            }
            for other in forges.iter().filter(|other| *other != forge) {
                // Nothing but the names of events tells the two Bitbuckets apart, and `push` is of neither.
                let alike = [Forge::Bitbucket, Forge::BitbucketDataCenter];
                if !(alike.contains(forge) && alike.contains(other)) {
                    send(*other, Some(secret)).unwrap_err();
                }
            }
        }
    }
}

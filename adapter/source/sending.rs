//! The other side: what a forge sends with a payload, for whoever plays one.

use super::signature::{self, sign};
use crate::vocabulary::Forge;

/// The headers of a delivery of `forge`, with what proves that its sender knows `secret`.
///
/// Only a forge's own headers: Gitea and Forgejo send those of others besides.
pub fn headers(
    forge: Forge,
    event: &str,
    delivery: &str,
    secret: Option<&[u8]>,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let (agent, event_header, delivery_header, scheme) = match forge {
        Forge::GitHub => ("GitHub-Hookshot", "X-GitHub-Event", "X-GitHub-Delivery", signature::GITHUB),
        Forge::Gitea => ("Gitea", "X-Gitea-Event", "X-Gitea-Delivery", signature::GITEA),
        Forge::Forgejo => ("Forgejo", "X-Forgejo-Event", "X-Forgejo-Delivery", signature::FORGEJO),
        Forge::GitLab => ("GitLab", "X-Gitlab-Event", "Idempotency-Key", signature::GITLAB_TOKEN),
        Forge::Bitbucket => ("Bitbucket-Webhooks", "X-Event-Key", "X-Request-UUID", signature::BITBUCKET),
        Forge::BitbucketDataCenter => ("Bitbucket", "X-Event-Key", "X-Request-Id", signature::BITBUCKET),
    };
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", format!("{agent}/pipewright")),
        (event_header, event.to_owned()),
        (delivery_header, delivery.to_owned()),
    ];
    if let Some(secret) = secret {
        let proof = if forge == Forge::GitLab {
            String::from_utf8_lossy(secret).into_owned()
        } else {
            let signature = sign(secret, body);
            let digits = signature.strip_prefix(signature::PREFIX).unwrap_or(&signature);
            format!("{}{digits}", scheme.prefix)
        };
        headers.push((scheme.header, proof));
    }
    headers
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::source::secret::{Secret, Secrets};
    use crate::source::{Authenticated, Delivery, Headers, Source};

    struct Request(Vec<(&'static str, String)>);

    impl Headers for Request {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
        }
    }

    #[test]
    fn what_plays_a_forge_is_taken_for_it_and_for_no_other() {
        let secrets = || Secrets::literal([Secret::literal("s").unwrap()]).unwrap();
        let forges: Vec<Forge> = Forge::names().iter().map(|name| name.parse().unwrap()).collect();
        for forge in &forges {
            let body = Bytes::from_static(b"{\"a\": 1}");
            let send = |to: Forge, secret: Option<&[u8]>| {
                let request = Request(headers(*forge, "push", "d-1", secret, &body));
                Source::signed("it", to, secrets()).receive(
                    &request,
                    body.clone(),
                    jiff::Timestamp::UNIX_EPOCH,
                )
            };
            let (delivery, authenticated) = send(*forge, Some(b"s")).unwrap();
            let Delivery::Webhook(webhook) = delivery else { panic!("a forge's") };
            assert_eq!(authenticated, Authenticated::Secret(0));
            assert_eq!((webhook.forge, &*webhook.event, &*webhook.delivery), (*forge, "push", "d-1"));
            for secret in [Some(&b"other"[..]), None] {
                assert_eq!(send(*forge, secret).unwrap_err().status(), 401, "{forge:?}");
            }
            for other in forges.iter().filter(|other| *other != forge) {
                // Nothing but the names of events tells the two Bitbuckets apart, and `push` is of neither.
                let alike = [Forge::Bitbucket, Forge::BitbucketDataCenter];
                if !(alike.contains(forge) && alike.contains(other)) {
                    send(*other, Some(b"s")).unwrap_err();
                }
            }
        }
    }
}

//! `leaderElection`: which replica watches runs.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::cluster::lease::{Election, Timing};

/// Where a pod finds its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// How the replica that watches runs is found.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Document")]
pub struct LeaderElection {
    /// Whether there is an election; without one every replica watches.
    pub enabled: bool,
    /// The Lease's name; the replicas of one installation share it.
    pub lease_name: String,
    /// Its namespace; absent: that of the pod.
    pub namespace: Option<String>,
    /// The times.
    pub timing: Timing,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    enabled: bool,
    lease_name: String,
    namespace: Option<String>,
    #[serde(deserialize_with = "super::duration")]
    lease_duration: Duration,
    #[serde(deserialize_with = "super::duration")]
    renew_deadline: Duration,
    #[serde(deserialize_with = "super::duration")]
    retry_period: Duration,
}

// === impl LeaderElection ===

impl Default for LeaderElection {
    fn default() -> Self {
        Self { enabled: true, lease_name: "pipewright".into(), namespace: None, timing: Timing::default() }
    }
}

impl LeaderElection {
    /// The Lease, if there is an election. `outside` says that a kubeconfig leads to the cluster, so that the files of
    /// the pod, if there is one, are about another.
    pub fn election(&self, process_namespace: &str, outside: bool) -> Option<Election> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let variable = |name| given(std::env::var(name).ok());
        let file = || {
            let text = (!outside).then(|| std::fs::read_to_string(Path::new(NAMESPACE_FILE)).ok())?;
            given(text)
        };
        self.enabled.then(|| Election {
            namespace: given(self.namespace.clone())
                .or_else(|| variable("POD_NAMESPACE"))
                .or_else(|| variable("NAMESPACE"))
                .or_else(file)
                .map_or_else(|| process_namespace.to_owned(), |name| name.trim().to_owned()),
            name: self.lease_name.clone(),
            timing: self.timing,
        })
    }
}

// === impl Document ===

impl Default for Document {
    fn default() -> Self {
        let LeaderElection { enabled, lease_name, namespace, timing } = LeaderElection::default();
        let Timing { lease_duration, renew_deadline, retry_period } = timing;
        Self { enabled, lease_name, namespace, lease_duration, renew_deadline, retry_period }
    }
}

impl TryFrom<Document> for LeaderElection {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let Document { enabled, lease_name, namespace, lease_duration, renew_deadline, retry_period } =
            document;
        let seconds = |duration: Duration| format!("PT{}S", duration.as_secs_f64());
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let named = (1..=253).contains(&lease_name.len())
            && lease_name.bytes().all(|b| inner(b) || b == b'-' || b == b'.')
            && lease_name.bytes().next().is_some_and(inner)
            && lease_name.bytes().last().is_some_and(inner);
        if !named {
            return Err(format!(
                "`leaderElection.leaseName: {lease_name}` is not the name of an object: write lower-case letters, digits, \
                 `-` and `.`, at most 253"
            ));
        }
        if lease_duration < Duration::from_secs(1) {
            return Err(format!(
                "`leaderElection.leaseDuration` is {}: a Lease counts whole seconds; write at least PT1S",
                seconds(lease_duration)
            ));
        }
        if renew_deadline >= lease_duration {
            return Err(format!(
                "`leaderElection.renewDeadline` ({}) must be shorter than `leaderElection.leaseDuration` ({}): a leader \
                 has to stop before another may begin",
                seconds(renew_deadline),
                seconds(lease_duration)
            ));
        }
        if retry_period >= renew_deadline {
            return Err(format!(
                "`leaderElection.retryPeriod` ({}) must be shorter than `leaderElection.renewDeadline` ({}): a leader \
                 needs more than one try",
                seconds(retry_period),
                seconds(renew_deadline)
            ));
        }
        if retry_period < Duration::from_millis(10) {
            return Err(format!(
                "`leaderElection.retryPeriod` is {}: the API server would be flooded; write at least PT0.01S",
                seconds(retry_period)
            ));
        }
        Ok(Self {
            enabled,
            lease_name,
            namespace,
            timing: Timing { lease_duration, renew_deadline, retry_period },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn parse(fields: &str) -> Result<LeaderElection, String> {
        let text = format!(
            "apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {{leaderElection: {{{fields}}}}}\n"
        );
        Settings::parse(&text).map(|settings| settings.process.leader_election)
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let read = parse("leaseDuration: PT30S, leaseName: other").unwrap();
        assert!(read.enabled);
        assert_eq!(read.lease_name, "other");
        assert_eq!(read.timing, Timing { lease_duration: Duration::from_secs(30), ..Timing::default() });
    }

    #[test]
    fn times_that_allow_two_leaders_or_a_single_try_are_refused_with_both_names() {
        for (fields, needles) in [
            ("leaseDuration: PT10S", ["renewDeadline` (PT10S)", "leaseDuration` (PT10S)"]),
            ("retryPeriod: PT10S", ["retryPeriod` (PT10S)", "renewDeadline` (PT10S)"]),
            ("leaseDuration: PT0.5S", ["leaseDuration` is PT0.5S", "PT1S"]),
            ("retryPeriod: PT0S", ["retryPeriod` is PT0S", "PT0.01S"]),
            ("leaseName: ''", ["leaseName", "lower-case"]),
            ("leaseName: ../pods", ["leaseName: ../pods", "lower-case"]),
            ("leesName: x", ["leesName", "leaseName"]),
        ] {
            let error = parse(fields).unwrap_err();
            assert!(needles.iter().all(|needle| error.contains(needle)), "{fields}: {error}");
        }
    }

    #[test]
    fn the_lease_is_where_the_settings_say_and_there_is_none_without_an_election() {
        let named = parse("namespace: ci").unwrap();
        assert_eq!(named.election("default", true).unwrap().namespace, "ci");
        assert!(parse("enabled: false").unwrap().election("default", true).is_none());
    }
}

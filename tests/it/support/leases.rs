//! The Lease of the leader, as others see it and write it.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};

/// The Leases of the client's own namespace.
pub fn api(client: &kube::Client) -> Api<Lease> {
    Api::default_namespaced(client.clone())
}

/// Puts another holder into the Lease, whoever is in it.
pub async fn write(client: &kube::Client, holder: &str, seconds: i32, renewed: &str) {
    let api = api(client);
    loop {
        let old = api.get_opt("pipewright").await.unwrap();
        let metadata = old.as_ref().map_or_else(
            || ObjectMeta { name: Some("pipewright".into()), ..ObjectMeta::default() },
            |old| old.metadata.clone(),
        );
        let before = old.as_ref().and_then(|old| old.spec.clone()).unwrap_or_default();
        let time = Some(MicroTime(renewed.parse().unwrap()));
        let spec = LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(seconds),
            acquire_time: time.clone(),
            renew_time: time,
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + 1),
            ..before
        };
        let lease = Lease { metadata, spec: Some(spec) };
        let written = match old {
            Some(_) => api.replace("pipewright", &PostParams::default(), &lease).await,
            None => api.create(&PostParams::default(), &lease).await,
        };
        match written {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
    }
}

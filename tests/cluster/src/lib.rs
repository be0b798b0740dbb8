//! A real Kubernetes API server, scheduler and Tekton on loopback, with KWOK in the kubelet's place.
//!
//! [`Cluster`] is one that runs. Whoever starts it is the supervisor ([`supervisor`]), a process of its own that ends all
//! that it started; everybody else talks to it through its folder: `cluster.json`, `kubeconfig`, the logs, and a socket
//! by which single processes are stopped and started again.

mod certificates;
pub mod commands;
mod components;
mod control;
mod description;
mod forge;
mod manifests;
mod process;
mod programs;
pub mod supervisor;
mod tekton;
mod triggers;

pub use description::{Cluster, FOLDER, Forge, PROGRAM, Process};

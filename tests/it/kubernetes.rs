//! The contract of a Kubernetes API with Tekton: what holds on the real cluster holds on the embedded one.

mod exchanges;
mod wire;

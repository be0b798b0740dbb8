//! cluster

pub mod memory;

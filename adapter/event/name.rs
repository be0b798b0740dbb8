//! Names as Kubernetes has them.

/// Whether `name` is a DNS label (RFC 1123), as names of Services and namespaces are: at most 63 of `a-z`, `0-9` and `-`,
/// neither first nor last a `-`.
pub fn is_dns_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

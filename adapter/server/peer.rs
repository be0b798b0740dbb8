//! Who is at the other end of a connection.

use actix_web::HttpRequest;

/// The peer's address, for the log; empty when it has gone already.
pub(super) fn address(request: &HttpRequest) -> String {
    request.peer_addr().map(|peer| peer.to_string()).unwrap_or_default()
}

/// Whether a request comes from this machine itself. What a proxy on this machine passes on does not: a sidecar's
/// connections come from loopback, whoever is behind it.
pub(super) fn is_local(request: &HttpRequest) -> bool {
    let loopback = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let passed_on = |name: &str| name == "via" || name == "forwarded" || name.starts_with("x-forwarded-");
    loopback && !request.headers().keys().any(|name| passed_on(name.as_str()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_loopback_without_a_proxy_is_local() {
        let request = |peer: &str| TestRequest::get().peer_addr(peer.parse().unwrap());
        for peer in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(is_local(&request(peer).to_http_request()), "{peer}");
            for header in ["X-Forwarded-For", "x-forwarded-proto", "Forwarded", "Via"] {
                let passed_on = request(peer).insert_header((header, "x"));
                assert!(!is_local(&passed_on.to_http_request()), "{peer} {header}");
            }
        }
        for peer in ["10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1", "0.0.0.0:1", "[::]:1"] {
            assert!(!is_local(&request(peer).to_http_request()), "{peer}");
        }
        assert!(!is_local(&TestRequest::get().to_http_request()));
    }
}

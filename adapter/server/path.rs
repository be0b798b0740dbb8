//! Paths as people and proxies write them: people write a slash at the end, and proxies join two paths with two of them.

use actix_web::dev::{ServiceRequest, Url};
use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;

/// Takes the slashes out of the path of a request that make no difference. Almost none has any, and this is quick to see;
/// `NormalizePath` of actix-web asks a regular expression every time.
pub(super) fn normalize(request: &mut ServiceRequest) {
    let Some(path) = normal(request.uri().path()) else { return };
    let text = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let Ok(path) = PathAndQuery::try_from(text) else { return };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().set(Url::new(uri.clone()));
    request.head_mut().uri = uri;
}

/// The path with one slash in place of several and none at its end; `None` when it is so already.
fn normal(path: &str) -> Option<String> {
    let has_two = || path.as_bytes().windows(2).any(|two| two == b"//");
    if path.len() < 2 || !(path.ends_with('/') || has_two()) {
        return None;
    }
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        normal.push('/');
        normal.push_str(segment);
    }
    Some(if normal.is_empty() { "/".to_owned() } else { normal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slashes_that_make_no_difference_go() {
        for path in ["", "*", "/", "/a", "/a/b", "/a/b%2F", "/a.b/c"] {
            assert_eq!(normal(path), None, "{path}");
        }
        for (path, expected) in [
            ("//", "/"),
            ("///", "/"),
            ("/a/", "/a"),
            ("//a", "/a"),
            ("/a//b///c//", "/a/b/c"),
            ("/a/%2F/", "/a/%2F"),
        ] {
            assert_eq!(normal(path).as_deref(), Some(expected), "{path}");
        }
    }
}

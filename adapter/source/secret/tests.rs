use std::convert::Infallible;
use std::sync::Mutex;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use kube::client::Body;
use serde_json::json;

use super::*;

/// A Kubernetes API with one Secret, which the test changes.
type Answer = Arc<Mutex<(StatusCode, serde_json::Value)>>;

fn cluster(answer: &Answer) -> Client {
    let answer = Arc::clone(answer);
    let service = tower::service_fn(move |request: Request<Body>| {
        assert_eq!(request.uri().path(), "/api/v1/namespaces/ci/secrets/hook");
        let (status, body) = answer.lock().unwrap().clone();
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Full::new(bytes::Bytes::from(body.to_string())))
            .unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    Client::new(service, "default")
}

/// `value` in base64.
fn holding(value: &str) -> (StatusCode, serde_json::Value) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hook"}, "data": {"secret": value}});
    (StatusCode::OK, secret)
}

fn failing(code: u16, message: &str) -> (StatusCode, serde_json::Value) {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code});
    (StatusCode::from_u16(code).unwrap(), status)
}

fn key_ref() -> SecretReference {
    SecretReference::SecretKeyRef(SecretKeyRef { name: "hook".into(), key: "secret".into(), namespace: None })
}

fn current(secrets: &Secrets) -> Vec<String> {
    let text = |slot: &Slot| String::from_utf8(slot.current.load().secret.0.to_vec()).unwrap();
    secrets.0.slots.iter().map(text).collect()
}

fn file(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pipewright-secret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

#[test]
fn a_secret_is_never_printed() {
    let secret = Secret::literal("hunter2").unwrap();
    let secrets = Secrets::literal([secret.clone()]).unwrap();
    let text = format!(
        "{secret:?} {secrets:?} {:?} {}",
        SecretReference::Literal(secret.clone()),
        SecretReference::Literal(secret.clone())
    );
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.starts_with("Secret(…) [Literal(Secret(…))]"), "{text}");
}

#[test]
fn one_line_end_is_not_part_of_a_secret() {
    for text in ["a b", "a b\n", "a b\r\n"] {
        assert_eq!(Secret::literal(text).unwrap(), Secret::literal("a b").unwrap());
    }
    assert_ne!(Secret::literal("a\n\n").unwrap(), Secret::literal("a").unwrap());
}

#[test]
fn an_empty_or_huge_value_is_no_secret() {
    for empty in ["", "\n", "\r\n"] {
        assert_eq!(Secret::literal(empty).unwrap_err().to_string(), "the secret is empty");
    }
    for blank in [" ", "\n\n", "\t", "\0", "\0\0\n", " \r\n", "\u{feff}"] {
        assert_eq!(Secret::literal(blank).unwrap_err().to_string(), "the secret holds nothing but blanks");
    }
    assert_eq!(
        Secret::literal("x".repeat(16_385)).unwrap_err().to_string(),
        "the secret is longer than 16384 bytes"
    );
}

#[test]
fn a_list_of_secrets_is_neither_empty_nor_unbounded() {
    let of = |count: usize| Secrets::literal((0..count).map(|it| Secret::literal(it.to_string()).unwrap()));
    assert_eq!(of(0).unwrap_err().to_string(), "there is no secret: name at least one");
    assert_eq!(of(8).unwrap().count(), 8);
    assert_eq!(
        of(9).unwrap_err().to_string(),
        "there are 9 secrets: at most 8 can be valid at the same time"
    );
}

#[test]
fn references_are_written_as_in_kubernetes() {
    let read = |text: &str| serde_saphyr::from_str::<Vec<SecretReference>>(text);
    assert_eq!(
        read("- file: /etc/hook\n- secretKeyRef: {name: hook, key: secret}\n- secretKeyRef: {namespace: x, name: a, key: b}").unwrap(),
        [
            SecretReference::File("/etc/hook".into()),
            key_ref(),
            SecretReference::SecretKeyRef(SecretKeyRef { name: "a".into(), key: "b".into(), namespace: Some("x".into()) }),
        ]
    );
    for bad in [
        "- literal: hunter2",
        "- secretKeyRef: {name: hook, key: a, kye: b}",
        "- secretKeyRef: {name: hook}",
        "- hunter2",
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_file_is_read_again_and_its_last_good_value_stays() {
    let path = file("rotated");
    std::fs::write(&path, "one\n").unwrap();
    let secrets = Secrets::load(&[SecretReference::File(path.clone())], None, "").await.unwrap();
    assert_eq!(current(&secrets), ["one"]);
    std::fs::write(&path, "two\n").unwrap();
    secrets.refresh_once().await;
    secrets.refresh_once().await;
    assert_eq!(current(&secrets), ["two"]);
    for unreadable in [Some(""), None] {
        match unreadable {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        secrets.refresh_once().await;
        assert_eq!(current(&secrets), ["two"]);
        assert!(secrets.unreadable_for() > Duration::ZERO);
    }
    std::fs::write(&path, "three").unwrap();
    secrets.refresh_once().await;
    assert_eq!(secrets.unreadable_for(), Duration::ZERO);
    secrets.refresh_once().await;
    assert_eq!(current(&secrets), ["three"]);
}

#[tokio::test]
async fn a_secret_that_is_being_written_does_not_count_by_half() {
    let path = file("written");
    std::fs::write(&path, "old secret").unwrap();
    let secrets = Secrets::load(&[SecretReference::File(path.clone())], None, "").await.unwrap();
    for part in ["n", "new", "new sec", "new secret"] {
        std::fs::write(&path, part).unwrap();
        secrets.refresh_once().await;
        assert_eq!(current(&secrets), ["old secret"], "{part}");
    }
    secrets.refresh_once().await;
    assert_eq!(current(&secrets), ["new secret"]);
    // Back within one look is no change at all.
    std::fs::write(&path, "other").unwrap();
    secrets.refresh_once().await;
    std::fs::write(&path, "new secret").unwrap();
    secrets.refresh_once().await;
    std::fs::write(&path, "other").unwrap();
    secrets.refresh_once().await;
    assert_eq!(current(&secrets), ["new secret"]);
}

#[tokio::test]
async fn a_change_of_a_secret_changes_what_verifies() {
    use crate::source::signature::{GITHUB, SignatureError, sign, verify};

    let path = file("verified");
    std::fs::write(&path, "old").unwrap();
    let secrets = Secrets::load(&[SecretReference::File(path.clone())], None, "").await.unwrap();
    std::fs::write(&path, "new").unwrap();
    secrets.clone().refresh_once().await;
    secrets.refresh_once().await;
    assert_eq!(verify(&secrets, GITHUB, Some(&sign(b"new", b"{}")).into(), b"{}"), Ok(0));
    assert_eq!(
        verify(&secrets, GITHUB, Some(&sign(b"old", b"{}")).into(), b"{}"),
        Err(SignatureError::Mismatch(GITHUB))
    );
}

#[tokio::test]
async fn refreshing_goes_on_in_the_background() {
    let answer: Answer = Arc::new(Mutex::new(holding("b25l")));
    let secrets = Secrets::open(&[key_ref()], &cluster(&answer), "ci").await.unwrap();
    let background = tokio::spawn({
        let secrets = secrets.clone();
        async move { secrets.refresh_every(Duration::from_millis(1), |_| {}).await }
    });
    *answer.lock().unwrap() = holding("dHdv");
    let changed = async {
        while current(&secrets) != ["two"] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), changed).await.expect("the change is seen");
    background.abort();
}

#[tokio::test]
async fn a_kubernetes_secret_is_read_and_survives_an_outage_and_a_deletion() {
    let answer: Answer = Arc::new(Mutex::new(holding("b25lCg==")));
    let secrets = Secrets::open(&[key_ref()], &cluster(&answer), "ci").await.unwrap();
    assert_eq!(current(&secrets), ["one"]);
    for outage in [failing(500, "etcd is down"), failing(404, "not found"), holding("")] {
        *answer.lock().unwrap() = outage;
        secrets.refresh_once().await;
        assert_eq!(current(&secrets), ["one"]);
    }
    *answer.lock().unwrap() = holding("dHdv");
    secrets.refresh_once().await;
    assert_eq!(current(&secrets), ["two"]);
}

#[tokio::test]
async fn what_cannot_be_read_at_first_is_an_error_that_names_it() {
    let path = file("absent");
    let missing =
        Secrets::load(&[SecretReference::File(path.clone())], None, "").await.unwrap_err().to_string();
    assert!(missing.starts_with(&format!("file `{}` cannot be read: ", path.display())), "{missing}");

    let answer: Answer = Arc::new(Mutex::new(failing(404, "secrets \"hook\" not found")));
    let client = cluster(&answer);
    let open = async |reference: SecretReference| {
        Secrets::open(&[reference], &client, "ci").await.unwrap_err().to_string()
    };
    assert_eq!(open(key_ref()).await, "Secret `ci/hook` cannot be read: secrets \"hook\" not found");
    *answer.lock().unwrap() = holding("");
    assert_eq!(open(key_ref()).await, "key `secret` of Secret `ci/hook` is empty");
    let other = SecretReference::SecretKeyRef(SecretKeyRef {
        name: "hook".into(),
        key: "x".into(),
        namespace: Some("ci".into()),
    });
    assert_eq!(open(other).await, "key `x` of Secret `ci/hook` does not exist");
    let huge = file("huge");
    std::fs::write(&huge, "x".repeat(1 << 20)).unwrap();
    assert_eq!(
        open(SecretReference::File(huge.clone())).await,
        format!("file `{}` is longer than 16384 bytes", huge.display())
    );
}

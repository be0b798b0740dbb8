//! The ports of operators: who fills them keeps nobody out, and who may read may not silence.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::http;
use crate::support::process::{Adapter, Cluster, Folder, shipped_mappings};
use crate::support::service::{Setup, raw};

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Opens so many connections, each of which sends the same and then nothing more.
fn hold(address: SocketAddr, count: usize, begin: &[u8]) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).unwrap();
        // It may have been closed already, to make room.
        let _ = stream.write_all(begin);
        held.push(stream);
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn half_requests_at_the_admin_port_keep_neither_probes_nor_operators_out() {
    let setup = Setup::new().with(|it| it.process.probe_listen = Some("127.0.0.1:0".to_owned()));
    let service = setup.start().await;
    let (admin, probe) = (service.admin, service.probe.unwrap());
    for address in [admin, probe] {
        let held = hold(address, 500, b"GET /livez HTTP/1.1\r\nhost:");
        for _ in 0..20 {
            for port in [admin, probe] {
                let answer = raw(port, LIVEZ).await;
                assert_eq!((answer.status, answer.text.as_str()), (200, "ok\n"), "{answer:?}");
            }
        }
        assert_eq!(service.get("/metrics").await.status, 200);
        drop(held);
    }
    let refused = |port| format!("pipewright_connections_refused_total{{port=\"{port}\",bound=\"oldest\"}}");
    assert!(service.metric(&refused("admin")).await > 200.0);
    assert!(service.metric(&refused("probe")).await > 400.0);
    assert!(service.metric("pipewright_connections{port=\"admin\"}").await < 330.0);
    // The port for probes has nothing else.
    assert_eq!(
        raw(probe, b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.status,
        404
    );
    let ready = raw(probe, b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!((ready.status, ready.text.as_str()), (200, "ok\n"));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_ends_at_its_deadline_at_the_admin_port_too() {
    let folder = Folder::new("operators");
    let cluster = Cluster::start(&folder, "", None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.settings("{limits: {bodyDeadline: PT2S}}");
    adapter.start();
    adapter.ready().await;
    let address: SocketAddr = adapter.admin.strip_prefix("http://").unwrap().parse().unwrap();
    let begin = b"PUT /log-level HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n";
    let held = hold(address, 256, begin);
    let answers = tokio::task::spawn_blocking(move || {
        let mut answers = Vec::new();
        for mut stream in held {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut text = String::new();
            let read = stream.read_to_string(&mut text);
            answers.push((read.is_ok(), text));
        }
        answers
    });
    let answers = answers.await.unwrap();
    let timely = answers.iter().filter(|(closed, text)| *closed && text.starts_with("HTTP/1.1 408 ")).count();
    // A few may have made room for the requests that look whether it is ready.
    assert!(timely >= 250, "{timely}: {:?}", answers.first());
    assert_eq!(http().get(format!("{}/livez", adapter.admin)).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_level_is_changed_from_here_or_with_a_token_and_the_change_is_told_before_it_holds() {
    let folder = Folder::new("silence");
    let cluster = Cluster::start(&folder, "", None);
    let token = folder.write("token", "operator's");
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.settings(&format!("{{adminTokens: [{{file: {}}}]}}", token.display()));
    adapter.start();
    adapter.ready().await;
    let put = async |level: &'static str, headers: &[(&'static str, &'static str)]| {
        let mut request = http().put(format!("{}/log-level", adapter.admin)).body(level);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    // What a proxy passes on comes from whoever is behind it.
    for proxied in [("x-forwarded-for", "10.0.0.1"), ("forwarded", "for=10.0.0.1"), ("via", "1.1 a")] {
        let (status, text) = put("off", &[proxied]).await;
        assert_eq!(status, 401, "{text}");
        assert!(text.contains("`adminTokens`"), "{text}");
        assert_eq!(put("off", &[proxied, ("authorization", "Bearer operator")]).await.0, 401);
        assert_eq!(put("off", &[proxied, ("authorization", "Basic operator's")]).await.0, 401);
        assert_eq!(put("warn", &[proxied, ("authorization", "Bearer operator's")]).await.0, 200);
    }
    assert_eq!(put("loud", &[]).await.0, 400);
    let lines = |to: &str| {
        adapter.log().lines().filter(|line| line.contains("log level changed") && line.contains(to)).count()
    };
    for (level, told) in [("error", 1), ("off", 1), ("info", 1)] {
        assert_eq!(put(level, &[]).await, (200, format!("{level}\n")));
        let quoted = format!("\"to\":\"{level}\"");
        let until = Instant::now() + Duration::from_secs(10);
        while lines(&quoted) < told && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(lines(&quoted), told, "{level}: {}", adapter.log());
    }
    assert!(adapter.log().contains("\"peer\":\"127.0.0.1:"), "{}", adapter.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_told_which_sources_there_are_and_their_address_is_in_the_log() {
    let folder = Folder::new("strangers");
    let cluster = Cluster::start(&folder, "", None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.start();
    adapter.ready().await;
    let post = async |headers: &[(&'static str, &'static str)]| {
        let mut request = http().post(format!("{}/webhooks/x", adapter.url)).body("{}");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, text) = post(&[]).await;
    assert!(status == 404 && text.contains("the sources are: github"), "{text}");
    let (status, text) = post(&[("x-forwarded-for", "203.0.113.7")]).await;
    assert!(status == 404 && text.contains("there is no source `x`") && !text.contains("github"), "{text}");
    let (status, text) = post(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]).await;
    assert!(status == 404, "{text}");
    let twice = http().post(format!("{}/webhooks/github", adapter.url)).body("{}");
    let twice = twice.header("authorization", "Bearer a").header("authorization", "Bearer a");
    let answer = twice.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.text().await.unwrap().contains("`authorization` appears twice"));
    let log = adapter.log();
    let refused = log.lines().filter(|line| line.contains("request refused"));
    assert!(
        refused.clone().count() >= 3 && refused.clone().all(|line| line.contains("\"peer\":\"127.0.0.1:")),
        "{log}"
    );
}

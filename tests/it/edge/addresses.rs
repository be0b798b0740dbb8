//! Addresses come from the configuration only: an event may be full of them, and nobody calls any.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pipewright::mapping::{Catalog, File, MappingSet};
use pipewright::sink::DEFAULT;
use serde_json::json;

use crate::support::process::fixture;
use crate::support::service::{Receiver, Setup};

/// Listeners on every loopback address at one port, that count who comes.
struct Trap {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl Trap {
    fn set() -> Self {
        let first = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![first];
        // Where there is IPv6.
        listeners.extend(TcpListener::bind(("::1", port)).ok());
        let visits = Arc::new(AtomicUsize::new(0));
        for listener in listeners {
            let visits = Arc::clone(&visits);
            std::thread::spawn(move || {
                for _ in listener.incoming() {
                    visits.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { port, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

/// Ways to write loopback and metadata addresses that filters have missed.
fn spellings(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.127.127.127",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0177.0.0.01",
        "00000177.0.0.1",
        "127.0.0.1.",
        "127.000.000.001",
        "0",
        "0.0.0.0",
        "00000000",
        "0x0",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[::1%25lo]",
        "[fe80::1%25eth0]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost.localdomain",
        "foo.localhost",
        "ip6-localhost",
        "127.0.0.1.nip.io",
        "127-0-0-1.sslip.io",
        "localtest.me",
        "user@127.0.0.1",
        "user:password@127.0.0.1",
        "github.com@127.0.0.1",
        "127.0.0.1#github.com",
        "127.0.0.1?github.com",
        "github.com%40127.0.0.1",
        "github.com%2f@127.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.169.254.",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "169.254.170.2",
        "metadata.google.internal",
        "metadata.google.internal.",
        "METADATA.goog",
        "metadata",
        "instance-data",
        "100.100.100.200",
        "kubernetes.default.svc",
        "7f000001.7f000002.rbndr.us",
    ];
    let mut spellings: Vec<String> =
        hosts.iter().map(|host| format!("http://{host}:{port}/latest/meta-data")).collect();
    for other in ["gopher", "file", "ftp", "dict", "ldap", "https", "HTTP", "jar:http"] {
        spellings.push(format!("{other}://127.0.0.1:{port}/"));
    }
    spellings.push(format!("//127.0.0.1:{port}/"));
    spellings.push(format!("http:127.0.0.1:{port}/"));
    spellings.push(format!("http:\\\\127.0.0.1:{port}\\"));
    spellings
}

/// A mapping that carries what it is given on, so that addresses get as far as they can.
const CARRY: &str = r#"
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: carry}
spec:
  events: [{type: dev.cdevents.*}, {type: com.example.*}]
  let:
    to: {cel: event.source}
  do:
    - name: carry
      emit: {type: dev.cdeventsx.test-carried.done.0.1.0, to: default, content: {to: "{{to}}"}}
    - name: pass
      emit: {forward: true, to: onward}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_address_in_an_event_is_ever_called() {
    let trap = Trap::set();
    let sink = Receiver::start().await;
    let service = Setup::new()
        .mapping("carry", CARRY)
        .sink(DEFAULT, sink.spec())
        .sink("onward", sink.spec())
        .with(|settings| settings.process.allowed_origins = vec!["*".into()])
        .start()
        .await;
    let spellings = spellings(trap.port);
    assert!(spellings.len() >= 60, "{}", spellings.len());
    let mut accepted = 0;
    for address in &spellings {
        // A forge's delivery, with the address wherever a URL stands in it, and in places where some look for one.
        let mut payload = fixture("pull_request.opened.json");
        poison(&mut payload, address);
        for place in ["hooks_url", "callback_url", "webhook", "reply_to", "sink", "url", "to"] {
            payload[place] = json!(address);
            payload["repository"][place] = json!(address);
        }
        let answer = service.github("pull_request", serde_json::to_vec(&payload).unwrap()).await;
        assert!(answer.status < 500, "{address}: {answer:?}");
        accepted += usize::from(answer.status == 202);
        // CloudEvents, in each mode and each attribute that is a reference or that somebody made one of.
        let event = json!({
            "specversion": "1.0", "id": "1", "source": address, "type": "com.example.probe", "subject": address,
            "dataschema": address, "replyto": address, "sink": address, "callbackurl": address, "to": address,
            "knativeerrordest": address, "data": {"to": address, "url": address, "callback_url": address},
        });
        let structured = [("content-type", "application/cloudevents+json"), ("host", "127.0.0.1")];
        let answer = service.send("POST", "/", &structured, event.to_string()).await;
        assert!(answer.status < 500, "{address}: {answer:?}");
        accepted += usize::from(answer.status == 202);
        let binary = [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "2"),
            ("ce-source", address),
            ("ce-type", "com.example.probe"),
            ("ce-dataschema", address),
            ("ce-replyto", address),
            ("ce-sink", address),
            ("reply-to", address),
            ("prefer", "reply"),
            ("x-forwarded-host", address),
            ("forwarded", address),
            ("link", address),
            ("origin", address),
            ("referer", address),
        ];
        let answer = service.send("POST", "/events", &binary, event["data"].to_string()).await;
        assert!(answer.status < 500, "{address}: {answer:?}");
        accepted += usize::from(answer.status == 202);
        let handshake = [
            ("webhook-request-origin", "example.com"),
            ("webhook-request-callback", address.as_str()),
            ("webhook-request-rate", "10"),
        ];
        let answer = service.send("OPTIONS", "/events", &handshake, "").await;
        assert_eq!(answer.status, 200, "{address}: {answer:?}");
        assert!(!connected_to_metadata(), "{address}");
    }
    let arrived = sink.take();
    println!(
        "{} spellings, {accepted} requests accepted, {} events at the sink",
        spellings.len(),
        arrived.len()
    );
    assert!(accepted > spellings.len(), "{accepted}: too few were accepted to show anything");
    assert!(arrived.len() > accepted, "the events went to the sink that is configured");
    // The trap works.
    assert_eq!(trap.visits(), 0);
    drop(std::net::TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], trap.port))).unwrap());
    service.until("the trap counts", async || trap.visits() == 1).await;
    service.stop().await;
}

/// Puts the address in the place of every URL of a payload.
fn poison(value: &mut serde_json::Value, address: &str) {
    match value {
        serde_json::Value::String(text) if text.contains("://") => address.clone_into(text),
        serde_json::Value::Array(list) => list.iter_mut().for_each(|item| poison(item, address)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|item| poison(item, address)),
        _ => {}
    }
}

/// Whether any socket of this machine talks, or tries to talk, to the metadata address.
fn connected_to_metadata() -> bool {
    // 169.254.169.254 as the kernel writes it.
    std::fs::read_to_string("/proc/net/tcp").unwrap_or_default().contains(" FEA9FEA9:")
}

#[test]
fn a_mapping_cannot_send_where_its_data_says() {
    let compile = |to: &str| {
        let text = CARRY.replace("to: default, content", &format!("to: {to}, content"));
        let file = File { path: "carry.yaml".into(), text: Arc::from(text) };
        let sinks = vec!["default".to_owned(), "onward".to_owned()];
        MappingSet::compile(&[file], &Catalog { sinks, ..Catalog::default() })
    };
    compile("default").unwrap();
    for to in [
        "\"{{to}}\"",
        "\"{{event.source}}\"",
        "\"default{{to}}\"",
        "http://127.0.0.1/",
        "\"//127.0.0.1/\"",
        "https://sink.example.com/",
        "localhost",
        "\" default\"",
        "{cel: event.source}",
        "[default]",
    ] {
        let report = compile(to).expect_err(to);
        let finding = report.errors().next().unwrap();
        assert!(finding.line > 0 && finding.column > 0, "{to}: {finding:?}");
        assert!(finding.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{to}: {finding:?}");
        println!("{to}: {}; {}", finding.message, finding.hint.as_deref().unwrap());
    }
}

//! How connections and attempts count together.

use std::io::{Read, Write};

use super::*;

#[tokio::test]
async fn a_sink_that_closes_idle_connections_takes_every_event_without_a_retry() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let log = bodies.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut text = Vec::new();
            let mut buffer = [0; 4096];
            while !text.ends_with(b"}") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => text.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            log.lock().unwrap().push(text);
            // It says nothing of closing, and closes.
            let _ = stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mut spec = quick(&url);
    spec.delivery.retry = 0;
    let sinks = sinks(spec);
    for _ in 0..50 {
        sinks.send("out", &event(), soon()).await.unwrap();
    }
    // The connection may close before or after the next event is written; either way it is delivered.
    assert!(bodies.lock().unwrap().len() >= 50);
}

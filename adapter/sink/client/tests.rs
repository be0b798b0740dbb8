//! The client against raw sockets: what goes over the wire, and what comes of odd answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use super::*;

const TAKEN: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// A server that hands each connection to `serve`, with its number from 0.
fn server(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in?key=hush#part", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            serve(number, stream.unwrap());
        }
    });
    url.parse().unwrap()
}

/// The text of one request whose body is `{}`; empty when the client has closed.
fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with("{}") {
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => text.push_str(std::str::from_utf8(&buffer[..read]).unwrap()),
            _ => return String::new(),
        }
    }
    text
}

async fn post(client: &Client, repeated: &mut u32) -> Result<Answer, ClientError> {
    let body = Bytes::from_static(b"{}");
    client.post(&client.headers(), &body, Duration::from_secs(10), repeated).await
}

#[tokio::test]
async fn a_request_is_what_http_1_1_asks_for_and_no_more() {
    let (seen, texts) = channel();
    let url = server(move |_, mut stream| {
        seen.send(request(&mut stream)).unwrap();
        stream.write_all(TAKEN.as_bytes()).unwrap();
    });
    let client = Client::new(&url, &Tls::default()).unwrap();
    assert_eq!(post(&client, &mut 0).await.unwrap().status, 202);
    let text = texts.recv().unwrap();
    let authority = url.authority();
    assert_eq!(
        text,
        format!(
            "POST /in?key=hush HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {AGENT}\r\ncontent-length: 2\r\n\r\n{{}}"
        )
    );
}

#[tokio::test]
async fn an_address_of_ipv6_is_called_and_named_with_its_brackets() {
    // Where the kernel has no IPv6 there is nothing to see.
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let url: Url = format!("http://{}/in", listener.local_addr().unwrap()).parse().unwrap();
    let (seen, texts) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        seen.send(request(&mut stream)).unwrap();
        stream.write_all(TAKEN.as_bytes()).unwrap();
    });
    let client = Client::new(&url, &Tls::default()).unwrap();
    assert_eq!(post(&client, &mut 0).await.unwrap().status, 202);
    let text = texts.recv().unwrap();
    assert!(text.contains(&format!("\r\nhost: [::1]:{}\r\n", url.port().unwrap())), "{text}");
}

/// A server that answers the first request of the first connection, and then does `then` with it.
fn once(then: impl Fn(TcpStream) + Send + Sync + 'static) -> (Url, Receiver<usize>) {
    let (seen, numbers) = channel();
    let url = server(move |number, mut stream| {
        if request(&mut stream).is_empty() {
            return;
        }
        seen.send(number).unwrap();
        stream.write_all(TAKEN.as_bytes()).unwrap();
        if number == 0 {
            then(stream);
        } else {
            std::mem::forget(stream);
        }
    });
    (url, numbers)
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_is_not_used() {
    let (closed, is_closed) = channel();
    let (url, numbers) = once(move |stream| {
        drop(stream);
        closed.send(()).unwrap();
    });
    let client = Client::new(&url, &Tls::default()).unwrap();
    let mut repeated = 0;
    post(&client, &mut repeated).await.unwrap();
    is_closed.recv().unwrap();
    // The runtime must hear of it before we ask.
    tokio::time::sleep(Duration::from_millis(50)).await;
    post(&client, &mut repeated).await.unwrap();
    assert_eq!(repeated, 0);
    assert_eq!(numbers.try_iter().collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_kept_connection_that_closes_under_a_request_costs_no_try() {
    // It reads the second request and closes: as if the server had closed just before.
    let (url, numbers) = once(|mut stream| assert!(!request(&mut stream).is_empty()));
    let client = Client::new(&url, &Tls::default()).unwrap();
    let mut repeated = 0;
    post(&client, &mut repeated).await.unwrap();
    assert_eq!(repeated, 0);
    assert_eq!(post(&client, &mut repeated).await.unwrap().status, 202);
    assert_eq!(repeated, 1);
    assert_eq!(numbers.try_iter().collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn a_new_connection_that_closes_under_a_request_is_the_receivers_failure() {
    let url = server(|_, mut stream| drop(request(&mut stream)));
    let client = Client::new(&url, &Tls::default()).unwrap();
    let mut repeated = 0;
    let error = post(&client, &mut repeated).await.unwrap_err().to_string();
    assert!(error.starts_with("it did not answer: ") && !error.contains("hush"), "{error}");
    assert_eq!(repeated, 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_a_while() {
    let (closed, is_closed) = channel();
    let (url, _numbers) = once(move |mut stream| {
        // Nothing comes but the end.
        closed.send(request(&mut stream)).unwrap();
    });
    let mut client = Client::new(&url, &Tls::default()).unwrap();
    client.pool = Pool::new(Duration::from_millis(40));
    post(&client, &mut 0).await.unwrap();
    let end = tokio::task::spawn_blocking(move || is_closed.recv_timeout(Duration::from_secs(10)));
    assert_eq!(end.await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn what_is_no_http_is_no_answer() {
    let head = format!("HTTP/1.1 202 Accepted\r\nx-long: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    for garbage in ["\u{15}\u{3}\u{3}\0\u{2}\u{2}F".to_owned(), "SSH-2.0-OpenSSH_9.6\r\n".to_owned(), head] {
        let url = server(move |_, mut stream| {
            request(&mut stream);
            // The client may have closed before the end of it.
            let _ = stream.write_all(garbage.as_bytes());
        });
        let client = Client::new(&url, &Tls::default()).unwrap();
        let error = post(&client, &mut 0).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken(_)), "{error}");
    }
}

#[test]
fn an_address_without_a_path_asks_for_the_root() {
    for (url, target, host) in [
        ("http://a", "/", "a"),
        ("http://a?b=1", "/?b=1", "a"),
        ("http://a:80/b", "/b", "a"),
        ("https://[::1]:8443/b%20c", "/b%20c", "[::1]:8443"),
    ] {
        let client = Client::new(&url.parse().unwrap(), &Tls::default()).unwrap();
        assert_eq!(
            (client.target.to_string().as_str(), client.host.to_str().unwrap()),
            (target, host),
            "{url}"
        );
    }
}

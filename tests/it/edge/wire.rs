//! Request smuggling and other protocols: one request is understood, or it is refused and the connection closed; the
//! bytes of a body are never a request.

use futures::future::join_all;

use super::{Conversation, announcing, delivery, head};

/// What must come of an attack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// 400, and the connection closes.
    Refused,
    /// Exactly one request, that of the outer head, with exactly its body.
    One,
}
use Expected::{One, Refused};

/// A chunked body that holds `{}`.
const CHUNKED: &str = "2\r\n{}\r\n0\r\n\r\n";

#[expect(clippy::too_many_lines, reason = "it is a table")]
/// Name, bytes up to where the attacker hopes that another request begins, and what must come of it.
fn attacks() -> Vec<(&'static str, String, Expected)> {
    let hidden = delivery("smuggled", "{}");
    let whole = hidden.len();
    let signed = |lines: &str| head("outer", b"{}", lines);
    let with = |lines: &str, body: &str| signed(lines) + body;
    let mut attacks = vec![
        ("the same length twice", with("content-length: 2\r\ncontent-length: 2\r\n", "{}"), Refused),
        (
            "two lengths",
            with(&format!("content-length: 2\r\ncontent-length: {}\r\n", 2 + whole), "{}"),
            Refused,
        ),
        (
            "length, then chunked",
            with("content-length: 2\r\ntransfer-encoding: chunked\r\n", CHUNKED),
            Refused,
        ),
        (
            "chunked, then length",
            with("transfer-encoding: chunked\r\ncontent-length: 2\r\n", CHUNKED),
            Refused,
        ),
        ("chunked twice", with(&"transfer-encoding: chunked\r\n".repeat(2), CHUNKED), Refused),
        (
            "chunked and identity",
            with("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", CHUNKED),
            Refused,
        ),
        ("identity", with("transfer-encoding: identity\r\n", "{}"), Refused),
        (
            "a coding list that ends in chunked",
            with("transfer-encoding: gzip, chunked\r\n", CHUNKED),
            Refused,
        ),
        (
            "a coding list that begins with it",
            with("transfer-encoding: chunked, identity\r\n", CHUNKED),
            Refused,
        ),
        ("a misspelt coding", with("transfer-encoding: xchunked\r\n", CHUNKED), Refused),
        ("a quoted coding", with("transfer-encoding: \"chunked\"\r\n", CHUNKED), Refused),
        ("a vertical tab before the coding", with("transfer-encoding: \x0bchunked\r\n", CHUNKED), Refused),
        ("a space before the colon", with("transfer-encoding : chunked\r\n", CHUNKED), Refused),
        ("a space before the colon of the length", with("content-length : 2\r\n", "{}"), Refused),
        ("a folded coding", with("transfer-encoding:\r\n chunked\r\n", CHUNKED), Refused),
        (
            "a folded header that hides one",
            with("x-a: b\r\n transfer-encoding: chunked\r\n", CHUNKED),
            Refused,
        ),
        ("a bare CR in a value", with("x-a: b\rcontent-length: 2\r\n", "{}"), Refused),
        ("NUL in a value", with("content-length: 2\r\nx-a: b\0c\r\n", "{}"), Refused),
        ("a control character in a name", with("content-length: 2\r\nx-\x01a: b\r\n", "{}"), Refused),
        ("no name", with("content-length: 2\r\n: b\r\n", "{}"), Refused),
        ("two hosts", with("content-length: 2\r\nhost: other\r\n", "{}"), Refused),
        ("no host", with("content-length: 2\r\n", "{}").replace("host: pipewright\r\n", ""), Refused),
        (
            "chunked in HTTP/1.0",
            with("transfer-encoding: chunked\r\n", CHUNKED).replacen("1.1", "1.0", 1),
            Refused,
        ),
        ("no length in HTTP/1.0", with("", "").replacen("1.1", "1.0", 1), Refused),
        (
            "a version that does not exist",
            with("content-length: 2\r\n", "{}").replacen("1.1", "1.7", 1),
            Refused,
        ),
        (
            "an upgrade, whose body has no end",
            with("content-length: 2\r\nconnection: upgrade\r\nupgrade: websocket\r\n", "{}"),
            Refused,
        ),
        (
            "a trailer that looks like a header",
            with("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\ncontent-length: 9\r\n\r\n"),
            One,
        ),
        ("a chunk extension", with("transfer-encoding: chunked\r\n", "2;a=b\r\n{}\r\n0\r\n\r\n"), One),
        ("a coding in capitals", with("Transfer-Encoding: CHUNKED\r\n", CHUNKED), One),
        ("lines that end in LF only", with("content-length: 2\r\n", "{}").replace("\r\n", "\n"), One),
        (
            "upgrade to HTTP/2",
            with(
                "content-length: 2\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
                "{}",
            ),
            One,
        ),
    ];
    for length in ["-1", "+2", "0x2", "2 2", "2,2", "2;", "1e0", "", "2.0", "18446744073709551618", "٢"] {
        attacks.push((
            "a length that is none",
            with(&format!("content-length: {length}\r\n"), "{}"),
            Refused,
        ));
    }
    for chunks in [
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2;a\n\r\n{}\r\n0\r\n\r\n",
        "\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        attacks.push(("chunks that are none", with("transfer-encoding: chunked\r\n", chunks), Refused));
    }
    for (_, bytes, _) in &mut attacks {
        bytes.push_str(&hidden);
    }
    attacks
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_body_is_taken_for_a_request() {
    let service = announcing().start().await;
    let attacks = attacks();
    assert!(attacks.len() > 50, "{}", attacks.len());
    let held = attacks.iter().map(|(_, bytes, _)| Conversation::hold(service.address, bytes.as_bytes()));
    let conversations = join_all(held).await;
    let (mut refused, mut one) = (0, 0);
    for ((name, bytes, expected), conversation) in attacks.iter().zip(conversations) {
        let said = || format!("{name}:\n{bytes:?}\n{conversation:?}");
        match expected {
            Refused => {
                assert_eq!(conversation.statuses(), [400], "{}", said());
                assert!(conversation.closed, "{}", said());
                refused += 1;
            }
            // What follows a whole request is the next one.
            One => {
                assert_eq!(conversation.statuses(), [202, 202], "{}", said());
                one += 1;
            }
        }
    }
    let events = service.events.take();
    let count = |ty: &str| events.iter().filter(|event| event.ty() == ty).count();
    assert_eq!((count("com.github.outer"), count("com.github.smuggled")), (one, one));
    println!("{refused} refused with the connection closed, {one} understood as one request");
    service.github("after", "{}").await.accepted("sent");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_their_order() {
    let service = announcing().start().await;
    let mut bytes = String::new();
    for number in 0..40 {
        // Every third is refused for what is in it, and every seventh for its path; the rest must not suffer.
        let event = if number % 3 == 1 { "../no".to_owned() } else { format!("number{number}") };
        bytes.push_str(&delivery(&event, "{}"));
    }
    bytes.push_str(
        &delivery("last", "{}").replace("\r\ncontent-type", "\r\nconnection: close\r\ncontent-type"),
    );
    let conversation = Conversation::hold(service.address, bytes.as_bytes()).await;
    let expected: Vec<u16> =
        (0..41).map(|number| if number % 3 == 1 && number < 40 { 400 } else { 202 }).collect();
    assert_eq!(conversation.statuses(), expected, "{conversation:?}");
    assert!(conversation.closed);
    let types: Vec<String> = service.events.take().iter().map(|event| event.ty().to_owned()).collect();
    let sent = (0..40).filter(|number| number % 3 != 1).map(|number| format!("com.github.number{number}"));
    assert_eq!(types, sent.chain(["com.github.last".to_owned()]).collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_ends_its_connection() {
    let service = announcing().start().await;
    let hidden = delivery("smuggled", "{}");
    let length = format!("content-length: {}\r\n", hidden.len());
    let refused = [
        (405, head("outer", b"", &length).replacen("POST", "PUT", 1)),
        (405, head("outer", b"", &length).replacen("POST", "GET", 1)),
        (405, head("outer", b"", &length).replacen("POST", "CONNECT", 1)),
        (410, head("outer", b"", &length).replacen("/webhooks/github", "/elsewhere", 1)),
        (404, head("outer", b"", &length).replacen("/github", "/nobody", 1)),
        (415, head("outer", b"", &(length.clone() + "content-encoding: gzip\r\n"))),
        (413, head("outer", b"", "content-length: 99999999999\r\n")),
    ];
    let held = refused.iter().map(|(_, head)| {
        let bytes = head.clone() + &hidden;
        async move { Conversation::hold(service.address, bytes.as_bytes()).await }
    });
    let conversations = join_all(held).await;
    for ((status, head), conversation) in refused.into_iter().zip(conversations) {
        assert_eq!(conversation.statuses(), [status], "{head}{conversation:?}");
        assert!(conversation.closed, "{head}{conversation:?}");
        assert!(conversation.text.contains("connection: close"), "{conversation:?}");
    }
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_not_spoken_and_its_rapid_resets_meet_nobody() {
    let service = announcing().start().await;
    let mut attack = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    attack.extend(frame(4, 0, 0, &[]));
    for number in 0..20_000 {
        let stream = 2 * number + 1;
        // HEADERS with `:method: POST, :scheme: http, :path: /` from the static table, and the reset at once.
        attack.extend(frame(1, 5, stream, &[0x83, 0x86, 0x84]));
        attack.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    let attackers = (0..20).map(|_| Conversation::hold(service.address, &attack));
    for conversation in join_all(attackers).await {
        // A reset may overtake the answer while the client still writes.
        assert!(matches!(*conversation.statuses(), [400] | []), "{conversation:?}");
        assert!(conversation.closed, "{conversation:?}");
    }
    let alone = Conversation::hold(service.address, &attack[..24]).await;
    assert_eq!((alone.statuses(), alone.closed), (vec![400], true), "{alone:?}");
    assert!(service.metric("pipewright_inflight").await.abs() < 0.5);
    assert_eq!(service.events.count(), 0);
    service.github("after", "{}").await.accepted("sent");
    service.stop().await;
}

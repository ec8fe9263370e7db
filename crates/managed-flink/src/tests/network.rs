//! `HttpsTransport` against servers on this machine that misbehave.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{Endpoint, FlinkResponse, FlinkTransport, HttpsTransport, SecretUrl, TransportError};

const TOKEN: &str = "eyJ-a-bearer-secret";

/// A server that answers each connection by the same bytes, then closes it; and the requests that it got.
struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` makes the bytes of the answer from the server's address and the path that was asked for.
    async fn start(answer: impl Fn(std::net::SocketAddr, &str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = head(&mut stream).await;
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                seen.lock().unwrap().push(request);
                // A client that has had enough closes the connection: that is no fault of the server's.
                let _ = stream.write_all(&answer(address, &path)).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, requests }
    }

    async fn get(&self) -> Result<FlinkResponse, TransportError> {
        HttpsTransport::new().get(&self.url("http")).await
    }

    fn url(&self, scheme: &str) -> SecretUrl {
        let url = format!("{scheme}://{}/flinkdashboard/jobs/overview?authToken={TOKEN}", self.address);
        SecretUrl::parse(&url, Endpoint::Overridden).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads until the end of a request's head, or of what the client sends.
async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
        // A TLS handshake, not HTTP: its first byte says enough.
        if bytes.first() == Some(&0x16) {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn redirect(to: &str) -> Vec<u8> {
    response("302 Found", &format!("location: {to}\r\ncontent-length: 0\r\n"), b"")
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    for status in ["200 OK", "404 Not Found", "503 Service Unavailable"] {
        let server = Server::start(move |_, _| response(status, "content-length: 2\r\n", b"{}")).await;
        let answer = server.get().await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (status[..3].parse().unwrap(), &b"{}"[..]));
        let request = &server.requests()[0];
        assert!(request.starts_with(&format!("GET /flinkdashboard/jobs/overview?authToken={TOKEN} HTTP/1.1")));
        assert!(!request.to_lowercase().contains("accept-encoding"), "nothing is to be decompressed: {request}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_given_up_whatever_it_says_of_itself() {
    let body = vec![b'x'; 4 * 1024 * 1024 + 1];
    for headers in ["", "content-length: 4194305\r\n"] {
        let body = body.clone();
        let server = Server::start(move |_, _| response("200 OK", headers, &body)).await;
        assert_eq!(server.get().await.unwrap_err(), TransportError::TooLarge, "{headers}");
    }
    let whole = body[1..].to_vec();
    let server = Server::start(move |_, _| response("200 OK", "", &whole)).await;
    assert_eq!(server.get().await.unwrap().body.len(), 4 * 1024 * 1024);
}

#[tokio::test]
async fn a_compressed_answer_stays_compressed() {
    let server =
        Server::start(|_, _| response("200 OK", "content-encoding: gzip\r\ncontent-length: 4\r\n", b"\x1f\x8b\x08\0"))
            .await;
    assert_eq!(server.get().await.unwrap().body, b"\x1f\x8b\x08\0");
}

#[tokio::test]
async fn a_redirect_of_the_same_origin_is_followed_with_its_cookies() {
    let server = Server::start(|_, path| match path {
        "/home" => response("200 OK", "content-length: 4\r\n", b"home"),
        "/next" => {
            response("307 Temporary Redirect", "location: home\r\nset-cookie: b=2\r\ncontent-length: 0\r\n", b"")
        }
        _ => response(
            "302 Found",
            "location: /next\r\nset-cookie: a=1; Path=/; HttpOnly\r\nset-cookie: b=1\r\ncontent-length: 0\r\n",
            b"",
        ),
    })
    .await;
    assert_eq!(server.get().await.unwrap().body, b"home");
    let cookies: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.lines().find(|line| line.starts_with("cookie: ")).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(cookies, ["", "cookie: a=1; b=1", "cookie: a=1; b=2"]);
}

#[tokio::test]
async fn redirects_elsewhere_are_not_followed() {
    let elsewhere = Server::start(|_, _| response("200 OK", "", b"got you")).await;
    let port = elsewhere.address.port();
    let targets = [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://evil.example/".to_owned(),
        "//evil.example/".to_owned(),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("//127.0.0.1:{port}/?authToken={TOKEN}"),
        format!("/\\127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        "http://[::ffff:169.254.169.254]/latest/meta-data/".to_owned(),
        "http://2852039166/latest/meta-data/".to_owned(),
        "file:///proc/self/environ".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "https://[".to_owned(),
    ];
    for target in targets {
        let to = target.clone();
        let server = Server::start(move |_, _| redirect(&to)).await;
        let error = server.get().await.unwrap_err();
        assert!(matches!(error, TransportError::Redirect { .. }), "{target}: {error}");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
        assert_eq!(server.requests().len(), 1, "{target}");
    }
    assert!(elsewhere.requests().is_empty());
    let server = Server::start(|address, _| redirect(&format!("http://user:password@{address}/"))).await;
    assert!(matches!(server.get().await.unwrap_err(), TransportError::Redirect { .. }));
    let server = Server::start(|_, _| response("302 Found", "content-length: 0\r\n", b"")).await;
    assert!(matches!(server.get().await.unwrap_err(), TransportError::Redirect { .. }));
}

#[tokio::test]
async fn redirects_without_an_end_are_given_up() {
    let server = Server::start(|_, _| redirect("/again")).await;
    assert!(matches!(server.get().await.unwrap_err(), TransportError::Redirect { .. }));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn connections_that_fail_say_so_without_the_url() {
    let broken = Server::start(|_, _| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()).await;
    let silent = Server::start(|_, _| Vec::new()).await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Server { address: listener.local_addr().unwrap(), requests: Arc::default() }
    };
    for server in [broken, silent, closed] {
        let error = server.get().await.unwrap_err();
        assert!(matches!(error, TransportError::Connection { .. }), "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains(TOKEN) && !text.contains("flinkdashboard"), "{text}");
    }
}

#[tokio::test]
async fn https_begins_with_a_handshake() {
    let server = Server::start(|_, _| Vec::new()).await;
    let error = HttpsTransport::new().get(&server.url("https")).await.unwrap_err();
    assert!(matches!(error, TransportError::Connection { .. }), "{error}");
    assert!(server.requests()[0].starts_with('\u{16}'), "TLS is built in");
}

/// A server that sends `start`, and then `more` again and again until the client has had enough or `most` bytes are sent.
/// The task ends with the number of bytes that were taken off it.
fn flood(start: &str, more: Vec<u8>) -> (Server, tokio::task::JoinHandle<usize>) {
    // What the system takes without the client's reading must not count for much.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let start = start.as_bytes().to_vec();
    let sent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        let mut sent = 0;
        let mut next = start;
        while sent < FLOOD && stream.write_all(&next).await.is_ok() {
            sent += next.len();
            next.clone_from(&more);
        }
        sent
    });
    (Server { address, requests: Arc::default() }, sent)
}

/// Bytes that a flood would come to.
const FLOOD: usize = 100 * 1024 * 1024;
/// What is read of a body, and what the system's buffers hold beside it.
const MOST_TAKEN: usize = (4 + 12) * 1024 * 1024;

#[tokio::test]
async fn of_a_flood_no_more_is_taken_than_an_answer_may_have() {
    let block = vec![b'x'; 64 * 1024];
    let chunk = [b"10000\r\n", &block[..], b"\r\n"].concat();
    let bodies = [
        (format!("HTTP/1.1 200 OK\r\ncontent-length: {FLOOD}\r\n\r\n"), block.clone()),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), block.clone()),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), chunk.clone()),
        ("HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), chunk),
    ];
    for (start, more) in bodies {
        let (server, sent) = flood(&start, more);
        assert_eq!(server.get().await.unwrap_err(), TransportError::TooLarge, "{start}");
        let sent = sent.await.unwrap();
        assert!(sent < MOST_TAKEN, "{start}: {sent} bytes");
    }
    // What comes around a body is no better.
    let around = [
        ("HTTP/1.1 200 OK\r\n".to_owned(), b"x-more: more\r\n".repeat(1_000)),
        ("HTTP/1.1 200 OK\r\nx-long: ".to_owned(), block.clone()),
        ("HTTP/1.1 200 ".to_owned(), block.clone()),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;".to_owned(), block.clone()),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), b"1".repeat(64 * 1024)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n".to_owned(), b"x-more: more\r\n".repeat(1_000)),
        ("HTTP/1.1 302 Found\r\nlocation: /".to_owned(), block),
    ];
    for (start, more) in around {
        let (server, sent) = flood(&start, more);
        let error = server.get().await.unwrap_err();
        assert!(matches!(error, TransportError::Connection { .. }), "{start}: {error}");
        let sent = sent.await.unwrap();
        assert!(sent < MOST_TAKEN, "{start}: {sent} bytes");
    }
}

/// What a slow server sends a byte of each second.
#[derive(Debug, Clone, Copy)]
enum Drip {
    Nothing,
    Head,
    Body,
    Chunks,
}

/// A server that, once it has a request, freezes the test's time, which then runs on by itself whenever nothing else
/// happens; and that sends a little of an endless answer each second.
async fn slow_server(drip: Drip) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        tokio::time::pause();
        let (start, more): (Vec<u8>, &[u8]) = match drip {
            Drip::Nothing => (Vec::new(), b""),
            Drip::Head => (b"HTTP/1.1 200 OK\r\nx: ".to_vec(), b"x"),
            Drip::Body => (response("200 OK", "", b""), b"x"),
            Drip::Chunks => (response("200 OK", "transfer-encoding: chunked\r\n", b""), b"1\r\nx\r\n"),
        };
        let _ = stream.write_all(&start).await;
        if !more.is_empty() {
            while stream.write_all(more).await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
        std::future::pending::<()>().await;
    });
    Server { address, requests: Arc::default() }
}

async fn assert_given_up(drip: Drip) {
    assert_eq!(slow_server(drip).await.get().await.unwrap_err(), TransportError::TimedOut, "{drip:?}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    assert_given_up(Drip::Nothing).await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    assert_given_up(Drip::Head).await;
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    assert_given_up(Drip::Body).await;
}

#[tokio::test]
async fn chunks_that_never_end_are_given_up() {
    assert_given_up(Drip::Chunks).await;
}

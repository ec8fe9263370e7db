//! As much of S3 as an upload of code needs, in path style: `PutObject`, `HeadObject`, `GetObject`, `HeadBucket`,
//! `CreateBucket` and `GetBucketVersioning`, over the [`CodeStore`]. All buckets are versioned. There are those that were
//! created, and those that have had an object.
//!
//! Bodies in chunks (`aws-chunked`) are taken; checksums and signatures of chunks are not verified. Uploads in parts are
//! refused. When an object was written is not kept and not told, and an ETag is not its MD5.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::code::{CodeStore, LARGEST_CODE_BYTES, hash};
use crate::data_plane::CodeObject;
use crate::wire::{HttpRequest, HttpResponse, Protocol, answer, error_answer, text_header};

/// What a request asks S3 for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Request {
    /// Name of the operation; for those that are not offered here, method and what tells them from others.
    pub(crate) operation: String,
    pub(crate) bucket: String,
    /// Empty where the bucket itself is meant.
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

impl S3Request {
    /// Reads method, path and query.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let path = request.uri().path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = request.uri().query().unwrap_or_default();
        let parameters: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parameter = |name: &str| parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
        let version = parameter("versionId");
        // Whatever else is named in the query or copied makes another operation of it.
        let other = parameters.iter().map(|(name, _)| name.as_str()).find(|name| !["versionId", "x-id"].contains(name));
        let other = other.or_else(|| request.headers().contains_key("x-amz-copy-source").then_some("copy"));
        let operation = match (request.method(), bucket.is_empty(), key.is_empty(), other) {
            (&Method::PUT, false, false, None) => "PutObject",
            (&Method::HEAD, false, false, None) => "HeadObject",
            (&Method::GET, false, false, None) => "GetObject",
            (&Method::PUT, false, true, None) => "CreateBucket",
            (&Method::HEAD, false, true, None) => "HeadBucket",
            (&Method::GET, false, true, Some("versioning")) => "GetBucketVersioning",
            (method, ..) => {
                let operation = format!("{method} {}", other.unwrap_or(if bucket.is_empty() { "service" } else { "" }));
                let operation = operation.trim_end().to_owned();
                return Self { operation, bucket: decoded(bucket), key: decoded(key), version };
            }
        };
        Self { operation: operation.to_owned(), bucket: decoded(bucket), key: decoded(key), version }
    }

    /// It as the record has it: without the object.
    pub(crate) fn for_record(&self) -> Value {
        let mut told = json!({ "Bucket": self.bucket });
        if !self.key.is_empty() {
            told["Key"] = json!(self.key);
        }
        if let Some(version) = &self.version {
            told["VersionId"] = json!(version);
        }
        told
    }
}

/// Whether S3 is meant: by the service that the request was signed for.
pub(crate) fn is_s3(headers: &HeaderMap) -> bool {
    let signed = text_header(headers, header::AUTHORIZATION.as_str()).and_then(|it| it.split_once("Credential="));
    let scope = signed.map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default());
    scope.is_some_and(|scope| scope.ends_with("/s3/aws4_request"))
}

/// A path without its percent signs.
fn decoded(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut plain = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(escaped.unwrap_or(*first));
        rest = after.get(if escaped.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// What S3 says of an upload that is too large.
pub(crate) fn too_large() -> HttpResponse {
    let most = LARGEST_CODE_BYTES;
    let message =
        format!("Your proposed upload exceeds the maximum allowed size: {most} bytes, the most that code may have");
    error_answer(Protocol::S3, 400, "EntityTooLarge", &message)
}

/// Answers a request.
pub(crate) fn handle(store: &CodeStore, request: &HttpRequest) -> HttpResponse {
    let asked = S3Request::of(request);
    let refuse = |status, code, message: &str| error_answer(Protocol::S3, status, code, message);
    let S3Request { operation, bucket, key, version } = &asked;
    if operation == "CreateBucket" {
        return create(store, bucket);
    }
    let mut response = if !bucket.is_empty() && !store.has_bucket(bucket) {
        refuse(404, "NoSuchBucket", "The specified bucket does not exist")
    } else {
        match operation.as_str() {
            "PutObject" => put(store, bucket, key, request),
            "HeadObject" | "GetObject" => match (store.get(bucket, key, version.as_deref()), version) {
                (Some(object), _) => object_answer(object),
                (None, None) => refuse(404, "NoSuchKey", "The specified key does not exist."),
                (None, Some(_)) => refuse(404, "NoSuchVersion", "The specified version does not exist."),
            },
            "HeadBucket" => answer(StatusCode::OK, "application/xml", ""),
            "GetBucketVersioning" => {
                let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<VersioningConfiguration \
                            xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status>\
                            </VersioningConfiguration>";
                answer(StatusCode::OK, "application/xml", body)
            }
            other => refuse(501, "NotImplemented", &format!("The emulator has no {other} of S3.")),
        }
    };
    if request.method() == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    response
}

fn create(store: &CodeStore, bucket: &str) -> HttpResponse {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(is_name) {
        return error_answer(Protocol::S3, 400, "InvalidBucketName", "The specified bucket is not valid.");
    }
    store.create_bucket(bucket);
    let mut response = answer(StatusCode::OK, "application/xml", "");
    if let Ok(location) = HeaderValue::from_str(&format!("/{bucket}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn put(store: &CodeStore, bucket: &str, key: &str, request: &HttpRequest) -> HttpResponse {
    let content = match content_of(request) {
        Ok(content) => content,
        Err(message) => return error_answer(Protocol::S3, 400, "IncompleteBody", message),
    };
    if content.len() as u64 > LARGEST_CODE_BYTES {
        return too_large();
    }
    let etag = hash(&content);
    let version = store.put(bucket, key, content);
    described(answer(StatusCode::OK, "application/xml", ""), &etag, Some(&version))
}

fn object_answer(object: CodeObject) -> HttpResponse {
    let CodeObject { object_version, content, .. } = object;
    let (etag, length) = (hash(&content), content.len());
    let mut response = answer(StatusCode::OK, "binary/octet-stream", content);
    // Said here, because the body of an answer to HEAD goes.
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    described(response, &etag, object_version.as_deref())
}

fn described(mut response: HttpResponse, etag: &str, version: Option<&str>) -> HttpResponse {
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        headers.insert(header::ETAG, etag);
    }
    if let Some(Ok(version)) = version.map(HeaderValue::from_str) {
        headers.insert("x-amz-version-id", version);
    }
    response
}

/// The object in a request's body, put together from its chunks where it comes in such.
fn content_of(request: &HttpRequest) -> Result<Bytes, &'static str> {
    let has = |name: &str, text: &str| text_header(request.headers(), name).is_some_and(|value| value.contains(text));
    if !has("content-encoding", "aws-chunked") && !has("x-amz-content-sha256", "STREAMING-") {
        return Ok(request.body().clone());
    }
    let content = without_chunks(request.body()).ok_or("The chunks of the body cannot be read.")?;
    let length =
        text_header(request.headers(), "x-amz-decoded-content-length").and_then(|text| text.parse::<usize>().ok());
    match length {
        Some(length) if length != content.len() => {
            Err("You did not provide the number of bytes specified by the x-amz-decoded-content-length header")
        }
        _ => Ok(content),
    }
}

/// The content of `<length in hex>[;…]\r\n<content>\r\n`, repeated until a length of 0; what follows that are trailers. None
/// where it ends before.
fn without_chunks(body: &Bytes) -> Option<Bytes> {
    let mut content = BytesMut::with_capacity(body.len());
    let mut rest = &body[..];
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(rest.get(..line)?).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(content.freeze());
        }
        let begin = line + 2;
        let end = begin.checked_add(size)?;
        content.extend_from_slice(rest.get(begin..end)?);
        rest = rest.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, uri: &str) -> S3Request {
        let request = http::Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap();
        S3Request::of(&request)
    }

    #[test]
    fn what_requests_ask_for() {
        let put = asked(Method::PUT, "/code/applications/a%20b%2B+%c3%a9.jar?x-id=PutObject");
        assert_eq!((put.operation.as_str(), put.bucket.as_str()), ("PutObject", "code"));
        assert_eq!((put.key.as_str(), put.version), ("applications/a b++é.jar", None));
        let head = asked(Method::HEAD, "/code/a?versionId=5");
        assert_eq!((head.operation.as_str(), head.version.as_deref()), ("HeadObject", Some("5")));
        let table = [
            (Method::GET, "/code?versioning", "GetBucketVersioning"),
            (Method::GET, "/code/?versioning=", "GetBucketVersioning"),
            (Method::HEAD, "/code", "HeadBucket"),
            (Method::PUT, "/code/", "CreateBucket"),
            (Method::GET, "/code/a", "GetObject"),
            (Method::GET, "/", "GET service"),
            (Method::GET, "/code?list-type=2", "GET list-type"),
            (Method::POST, "/code/a?uploads", "POST uploads"),
            (Method::PUT, "/code/a?partNumber=1&uploadId=2", "PUT partNumber"),
            (Method::DELETE, "/code/a", "DELETE"),
        ];
        for (method, uri, operation) in table {
            assert_eq!(asked(method, uri).operation, operation, "{uri}");
        }
    }

    #[test]
    fn a_lone_percent_sign_stands_for_itself() {
        for (text, expected) in [("a%", "a%"), ("a%4", "a%4"), ("%zz", "%zz"), ("%41%", "A%")] {
            assert_eq!(decoded(text), expected);
        }
    }

    #[test]
    fn s3_is_known_by_what_was_signed_for() {
        let signed = |scope: &str| {
            let value = format!("AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{scope}, SignedHeaders=host");
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            is_s3(&headers)
        };
        assert!(signed("s3/aws4_request"));
        assert!(!signed("kinesisanalytics/aws4_request"));
        assert!(!is_s3(&HeaderMap::new()));
    }

    #[test]
    fn chunks_are_put_together() {
        let put = |body: &'static str, length: &str| {
            let request = http::Request::put("/code/a")
                .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                .header("x-amz-decoded-content-length", length);
            content_of(&request.body(Bytes::from_static(body.as_bytes())).unwrap())
        };
        let trailer = "5\r\nhello\r\n6;chunk-signature=0a\r\n\r\nhere\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(put(trailer, "11").unwrap(), "hello\r\nhere");
        assert_eq!(put("0\r\n\r\n", "0").unwrap(), "");
        for (body, length) in [
            (trailer, "12"),
            ("5\r\nhel", "3"),
            ("5\r\nhello", "5"),
            ("5\r\nhello\r\n", "5"),
            ("x\r\nhello\r\n0\r\n\r\n", "5"),
            ("ffffffffffffffff\r\nhello\r\n0\r\n\r\n", "5"),
            ("", "0"),
        ] {
            assert!(put(body, length).is_err(), "{body:?}");
        }
    }
}

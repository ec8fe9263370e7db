//! Fetches presigned URLs of Flink's REST API. Such a URL is a password: it is vetted before anything is sent to it,
//! shown by its host only, followed nowhere else, and what comes back is bounded in size and time.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use url::{Host, Url};

use crate::{Endpoint, Redactor};

/// A future that a [`FlinkTransport`] returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Domains in which the service's dashboards are.
const DOMAINS: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];
/// Bytes of an answer that are read. Flink's longest answer here, 16 exceptions, has some hundred thousand.
const LARGEST_BODY: usize = 4 * 1024 * 1024;
/// Redirects that are followed: the dashboard sets a cookie and sends on.
const MOST_REDIRECTS: usize = 2;
/// Cookies that are kept while redirects are followed.
const MOST_COOKIES: usize = 16;
const CONNECT_TIME_OUT: Duration = Duration::from_secs(3);
const TIME_OUT: Duration = Duration::from_secs(10);

/// A vetted URL with a token in it. It shows its host only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Vets a URL: https and a host of Amazon's, or a loopback address where the endpoint is overridden; no user, no
    /// password, no unusual port. The refusal does not quote it.
    pub fn parse(text: &str, endpoint: Endpoint) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "it is no URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it has a user name or a password");
        }
        if endpoint == Endpoint::Overridden && is_loopback(&url) && ["http", "https"].contains(&url.scheme()) {
            return Ok(Self(url));
        }
        if url.scheme() != "https" {
            return Err("its scheme is not https");
        }
        if url.port().is_some() {
            return Err("its port is not the one of https");
        }
        let Some(Host::Domain(host)) = url.host() else { return Err("its host is not a name") };
        let is_amazons = DOMAINS
            .iter()
            .any(|domain| host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.')));
        if is_amazons { Ok(Self(url)) } else { Err("its host is not one of Amazon's") }
    }

    /// The URL of a path of the REST API below this one, with the same token.
    pub(crate) fn below(&self, path: &str, query: Option<&str>) -> Self {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        let query: Vec<&str> = self.0.query().into_iter().chain(query).collect();
        url.set_query((!query.is_empty()).then(|| query.join("&")).as_deref());
        url.set_fragment(None);
        Self(url)
    }

    /// Whatever in the URL is a secret: the values of its query.
    pub(crate) fn hide_in(&self, redactor: &mut Redactor) {
        for (_, value) in self.0.query_pairs() {
            redactor.add(&value);
        }
        // As they stand in the text, where that differs.
        for pair in self.0.query().unwrap_or_default().split('&') {
            redactor.add(pair.split_once('=').map_or(pair, |(_, value)| value));
        }
    }

    /// The URL itself, for whoever sends the request and nobody else.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Where a redirect from here leads, if it stays with the same scheme, host and port.
    fn redirected(&self, location: &str) -> Result<Self, TransportError> {
        let to = self.0.join(location).map_err(|_| TransportError::Redirect { why: "to no URL" })?;
        if to.origin() != self.0.origin() {
            return Err(TransportError::Redirect { why: "to another scheme, host or port" });
        }
        if !to.username().is_empty() || to.password().is_some() {
            return Err(TransportError::Redirect { why: "to a URL with a user name or a password" });
        }
        Ok(Self(to))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}/[redacted]", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// What Flink's REST API answered.
#[derive(Clone, PartialEq, Eq)]
pub struct FlinkResponse {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Without the body, which may quote a token or a runtime property value.
impl fmt::Debug for FlinkResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FlinkResponse(HTTP {}, {} bytes)", self.status, self.body.len())
    }
}

/// Why no answer came. Never with a URL in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The connection could not be made or broke off.
    #[error("the connection failed: {why}")]
    Connection {
        /// What the network layer said.
        why: String,
    },
    /// No answer in time.
    #[error("no answer within {} s", TIME_OUT.as_secs())]
    TimedOut,
    /// The answer is too long.
    #[error("the answer is longer than {LARGEST_BODY} bytes")]
    TooLarge,
    /// A redirect that is not followed.
    #[error("refused to follow a redirect {why}")]
    Redirect {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The client could not be set up.
    #[error("the HTTPS client could not be set up: {why}")]
    Setup {
        /// What the client said.
        why: String,
    },
}

impl TransportError {
    /// Names a failure of the network layer, which may quote the URL.
    fn connection(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::TimedOut;
        }
        let error = error.without_url();
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            why = format!("{why}: {inner}");
            cause = inner.source();
        }
        Self::Connection { why: Redactor::default().strike_out(&why) }
    }
}

/// Fetches a vetted URL. In production that is [`HttpsTransport`]; tests answer in the process.
pub trait FlinkTransport: Send + Sync {
    /// GETs the URL. An answer of any HTTP status is an answer.
    fn get<'a>(&'a self, url: &'a SecretUrl) -> BoxFuture<'a, Result<FlinkResponse, TransportError>>;
}

/// Fetches over the network: TLS by rustls with the system's roots, no proxy, no compression, redirects to the same
/// origin only, everything bounded.
#[derive(Debug, Default)]
pub struct HttpsTransport {
    /// Made when first used: most functions never look at a job, and should not read certificates at start-up.
    client: OnceLock<Client>,
}

impl HttpsTransport {
    /// A transport that opens its first connection when it is first used.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self) -> Result<&Client, TransportError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .connect_timeout(CONNECT_TIME_OUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .build()
            .map_err(|error| TransportError::Setup { why: error.without_url().to_string() })?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn follow(&self, url: &SecretUrl) -> Result<FlinkResponse, TransportError> {
        let client = self.client()?;
        let mut cookies = Cookies::default();
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = client.get(url.expose().clone());
            if let Some(header) = cookies.header() {
                request = request.header(COOKIE, header);
            }
            let response = request.send().await.map_err(TransportError::connection)?;
            if !is_redirect(response.status()) {
                return read(response).await;
            }
            cookies.keep(&response);
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            url = url.redirected(location.ok_or(TransportError::Redirect { why: "to nowhere" })?)?;
        }
        Err(TransportError::Redirect { why: "after others" })
    }
}

impl FlinkTransport for HttpsTransport {
    fn get<'a>(&'a self, url: &'a SecretUrl) -> BoxFuture<'a, Result<FlinkResponse, TransportError>> {
        Box::pin(async move {
            tokio::time::timeout(TIME_OUT, self.follow(url)).await.unwrap_or(Err(TransportError::TimedOut))
        })
    }
}

fn is_redirect(status: StatusCode) -> bool {
    // 303 as well: every request here is a GET.
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Reads the body chunk by chunk, because its stated length may be a lie or missing.
async fn read(mut response: Response) -> Result<FlinkResponse, TransportError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(TransportError::connection)? {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(FlinkResponse { status: response.status().as_u16(), body })
}

/// The cookies of one request and its redirects, all of one origin.
#[derive(Default)]
struct Cookies(Vec<(String, String)>);

impl Cookies {
    fn keep(&mut self, response: &Response) {
        for header in response.headers().get_all(SET_COOKIE) {
            let pair = header.to_str().ok().and_then(|text| text.split(';').next()?.split_once('='));
            let Some((name, value)) = pair else { continue };
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            self.0.retain(|(known, _)| *known != name);
            if self.0.len() < MOST_COOKIES {
                self.0.push((name, value));
            }
        }
    }

    fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_the_service_are_accepted() {
        let accepted = [
            "https://amazonaws.com/x",
            "https://abc.kinesisanalytics.eu-west-1.amazonaws.com/flinkdashboard?authToken=t",
            "https://abc.kinesisanalytics.cn-north-1.amazonaws.com.cn/flinkdashboard?authToken=t",
            "https://ABC.AmazonAWS.com:443/flinkdashboard",
        ];
        let refused = [
            "http://abc.amazonaws.com/x",
            "ftp://abc.amazonaws.com/x",
            "file:///etc/passwd",
            "https://abc.amazonaws.com:8443/x",
            "https://user@abc.amazonaws.com/x",
            "https://:password@abc.amazonaws.com/x",
            "https://abc.amazonaws.com@evil.example/x",
            "https://abc.amazonaws.com.evil.example/x",
            "https://evilamazonaws.com/x",
            "https://amazonaws.com.cn.evil.example/x",
            "https://amazonaws.co/x",
            "https://abc.amazonaws.com./x",
            "https://evil.example/?amazonaws.com",
            "https://evil.example/#.amazonaws.com",
            "https://evil.example\\.amazonaws.com/x",
            "https://169.254.169.254/x",
            "https://[::ffff:169.254.169.254]/x",
            "https://2852039166/x",
            "//abc.amazonaws.com/x",
            "",
        ];
        for endpoint in [Endpoint::Aws, Endpoint::Overridden] {
            for url in accepted {
                assert!(SecretUrl::parse(url, endpoint).is_ok(), "{url}");
            }
            for url in refused {
                assert!(SecretUrl::parse(url, endpoint).is_err(), "{url}");
            }
        }
    }

    #[test]
    fn loopback_is_accepted_only_where_the_endpoint_is_overridden() {
        let loopback = [
            "http://127.0.0.1:4600/flinkdashboard?authToken=t",
            "http://127.9.9.9/x",
            "http://[::1]:4600/x",
            "http://localhost:4600/x",
            "https://localhost/x",
        ];
        for url in loopback {
            assert!(SecretUrl::parse(url, Endpoint::Overridden).is_ok(), "{url}");
            assert!(SecretUrl::parse(url, Endpoint::Aws).is_err(), "{url}");
        }
        for url in [
            "http://user@127.0.0.1/x",
            "ftp://127.0.0.1/x",
            "http://localhost.evil.example/x",
            "http://10.0.0.1/x",
            "http://0.0.0.0/x",
            "http://[::ffff:127.0.0.1]/x",
        ] {
            assert!(SecretUrl::parse(url, Endpoint::Overridden).is_err(), "{url}");
        }
    }

    #[test]
    fn a_redirect_stays_where_it_is() {
        let from =
            SecretUrl::parse("https://abc.amazonaws.com/flinkdashboard?authToken=secret", Endpoint::Aws).unwrap();
        for to in
            ["/x", "x?y=z", "https://abc.amazonaws.com/x", "https://abc.amazonaws.com:443/x", "//ABC.amazonaws.com/x"]
        {
            assert!(from.redirected(to).is_ok(), "{to}");
        }
        let refused = [
            "http://abc.amazonaws.com/x",
            "http://abc.amazonaws.com:443/x",
            "https://abc.amazonaws.com:8443/x",
            "https://other.amazonaws.com/x",
            "https://abc.amazonaws.com./x",
            "https://abc.amazonaws.com.evil.example/x",
            "https://user@abc.amazonaws.com/x",
            "https://169.254.169.254/latest/meta-data/",
            "//169.254.169.254/latest/meta-data/",
            "\\\\169.254.169.254\\latest",
            "https://[fd00:ec2::254]/latest/meta-data/",
            "file:///proc/self/environ",
            "data:text/html,x",
            "https://",
        ];
        for to in refused {
            let error = from.redirected(to).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{to}");
        }
    }

    #[test]
    fn a_url_shows_its_host_only() {
        let url = SecretUrl::parse("https://abc.amazonaws.com/flinkdashboard?authToken=secret", Endpoint::Aws).unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "https://abc.amazonaws.com/[redacted] https://abc.amazonaws.com/[redacted]"
        );
    }

    #[test]
    fn paths_go_below_the_url_with_its_token() {
        let below = |url: &str, query| {
            let url = SecretUrl::parse(url, Endpoint::Aws).unwrap();
            url.below("/jobs/overview", query).expose().to_string()
        };
        let url = "https://abc.amazonaws.com/flinkdashboard?authToken=a%2Fb";
        assert_eq!(below(url, None), "https://abc.amazonaws.com/flinkdashboard/jobs/overview?authToken=a%2Fb");
        let with_query = "https://abc.amazonaws.com/flinkdashboard/jobs/overview?authToken=a%2Fb&get=x,y";
        assert_eq!(below(url, Some("get=x,y")), with_query);
        let slash = "https://abc.amazonaws.com/#/overview";
        assert_eq!(below(slash, Some("get=x")), "https://abc.amazonaws.com/jobs/overview?get=x");
        assert_eq!(below(slash, None), "https://abc.amazonaws.com/jobs/overview");
    }

    #[test]
    fn tokens_are_hidden_as_they_are_and_as_they_are_written() {
        let mut redactor = Redactor::default();
        let url = "https://abc.amazonaws.com/x?authToken=ab%2Fcd&other=value";
        SecretUrl::parse(url, Endpoint::Aws).unwrap().hide_in(&mut redactor);
        assert_eq!(redactor.strike_out("ab/cd ab%2Fcd value"), "[redacted] [redacted] [redacted]");
    }
}

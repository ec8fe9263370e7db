//! Reading objects by the S3 API: one signed GET, in path style. A client of all of S3 would take longer to compile than the
//! rest of the emulator.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use clock::Clock;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::{CodeError, CodeLocation, LARGEST_CODE_BYTES, S3EndpointError};
use crate::data_plane::CodeObject;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the whole of an object.
const TIMEOUT: Duration = Duration::from_mins(5);
/// How much of an error's text is told.
const ERROR_CHARACTERS: usize = 300;

/// An endpoint of the S3 API, and how requests to it are signed.
#[derive(Debug)]
pub(super) struct S3 {
    endpoint: Url,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    http: Client,
}

impl S3 {
    pub(super) fn new(endpoint: Url, config: &SdkConfig) -> Result<Self, S3EndpointError> {
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host().is_none() {
            return Err(S3EndpointError::Address(endpoint));
        }
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A signature holds for one host.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(S3EndpointError::Client)?;
        let region = config.region().map_or_else(|| "us-east-1".to_owned(), ToString::to_string);
        Ok(Self { endpoint, region, credentials: config.credentials_provider(), http })
    }

    /// The object. Why it cannot be had is logged, since the service does not tell its callers.
    pub(super) async fn get(&self, location: &CodeLocation) -> Result<CodeObject, CodeError> {
        let CodeLocation { bucket, key, version } = location;
        let told = |reason: &dyn std::fmt::Display| {
            tracing::warn!(bucket, key, version, %reason, "the code cannot be read from S3");
            CodeError::Unreadable
        };
        let address = self.address(location).ok_or_else(|| told(&"S3 has no such key"))?;
        let credentials = self.credentials().await;
        let headers =
            signature(&address, &self.region, credentials, Clock::wall().now().into()).map_err(|error| told(&error))?;
        let request = headers.iter().fold(self.http.get(address), |request, (name, value)| request.header(name, value));
        // The address is told, and holds no secret: what signs it is in the headers.
        let mut response = request.send().await.map_err(|error| told(&error))?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let text: String = response.text().await.unwrap_or_default().chars().take(ERROR_CHARACTERS).collect();
            return Err(told(&format!("{status} {text}")));
        }
        let object_version = response.headers().get("x-amz-version-id").and_then(|id| id.to_str().ok());
        let object_version = object_version.filter(|id| *id != "null").map(str::to_owned);
        let content = limited_body(&mut response).await.map_err(|error| told(&error))?.ok_or(CodeError::TooLarge)?;
        Ok(CodeObject { bucket: bucket.clone(), key: key.clone(), object_version, content: content.into() })
    }

    /// Address of the object; none for what no address can name.
    fn address(&self, location: &CodeLocation) -> Option<Url> {
        let segments: Vec<&str> = std::iter::once(location.bucket.as_str()).chain(location.key.split('/')).collect();
        // These go up and down in an address, whatever a bucket makes of them.
        if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
            return None;
        }
        let path = segments.into_iter().map(encoded).collect::<Vec<_>>().join("/");
        let mut address = self.endpoint.clone();
        address.set_path(&format!("{}/{path}", self.endpoint.path().trim_end_matches('/')));
        let query = location.version.as_ref().map(|version| format!("versionId={}", encoded(version)));
        address.set_query(query.as_deref());
        Some(address)
    }

    async fn credentials(&self) -> Option<Credentials> {
        let provided = self.credentials.as_ref()?.provide_credentials().await;
        provided.inspect_err(|error| tracing::warn!(%error, "requests to S3 are not signed")).ok()
    }
}

/// As a signature needs it: everything but what no address has to escape.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The headers that sign a GET.
fn signature(
    address: &Url,
    region: &str,
    credentials: Option<Credentials>,
    now: SystemTime,
) -> Result<Vec<(String, String)>, Box<dyn std::error::Error + Send + Sync>> {
    let Some(credentials) = credentials else { return Ok(Vec::new()) };
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let request = SignableRequest::new("GET", address.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (signed, _) = sign(request, &parameters)?.into_parts();
    Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The body; none if it is over the limit.
async fn limited_body(response: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let too_large = |bytes: u64| bytes > LARGEST_CODE_BYTES;
    if response.content_length().is_some_and(too_large) {
        return Ok(None);
    }
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        content.extend_from_slice(&chunk);
        if too_large(content.len() as u64) {
            return Ok(None);
        }
    }
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(endpoint: &str, key: &str, version: Option<&str>) -> Option<String> {
        let s3 = S3::new(Url::parse(endpoint).unwrap(), &SdkConfig::builder().build()).unwrap();
        let version = version.map(str::to_owned);
        let location = CodeLocation { bucket: "code".to_owned(), key: key.to_owned(), version };
        Some(s3.address(&location)?.to_string())
    }

    #[test]
    fn keys_and_versions_are_escaped() {
        assert_eq!(
            address("http://127.0.0.1:9000", "team a/orders+1.jar", None).unwrap(),
            "http://127.0.0.1:9000/code/team%20a/orders%2B1.jar"
        );
        assert_eq!(
            address("http://127.0.0.1:9000/s3/", "orders.jar", Some("a/b=")).unwrap(),
            "http://127.0.0.1:9000/s3/code/orders.jar?versionId=a%2Fb%3D"
        );
        assert_eq!(address("http://127.0.0.1:9000", "../other/orders.jar", None), None);
    }

    #[test]
    fn an_endpoint_is_a_web_address() {
        let refused = S3::new(Url::parse("ftp://127.0.0.1").unwrap(), &SdkConfig::builder().build()).unwrap_err();
        assert_eq!(refused.to_string(), "an S3 endpoint is an http or https address, not ftp://127.0.0.1/");
    }
}

//! Which applications there are in the account and region, and how they are tagged.

use std::collections::BTreeMap;

use lifecycle::evidence::ApplicationSummary;
use lifecycle::status::ApplicationStatus;
use serde::Deserialize;
use serde_json::json;

use crate::read::none_if_missing;
use crate::wire::Wire;
use crate::{Error, ManagedFlink, words};

/// Applications on a page: as many as the service gives.
const PAGE: u32 = 50;
/// Pages of applications that are read, so that an endless list ends.
const MOST_PAGES: usize = 200;

/// A page of the list of all applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationPage {
    /// The applications, in the service's order.
    pub applications: Vec<ApplicationSummary>,
    /// By what the next page is asked for; none on the last.
    pub next: Option<String>,
}

impl ManagedFlink {
    /// A page of all applications, at most 50 (`ListApplications`): the first, or the one that the page before names.
    pub async fn application_page(&self, next: Option<&str>) -> Result<ApplicationPage, Error> {
        const OPERATION: &str = "ListApplications";
        let mut body = json!({ "Limit": PAGE });
        if let Some(next) = next {
            body["NextToken"] = next.into();
        }
        let wire = Wire::new(OPERATION, &body);
        let call = self.reads.list_applications().customize().interceptor(wire.clone());
        call.send().await.map_err(|error| Error::from_sdk(OPERATION, error))?;
        let page: ListedPage = wire.read()?;
        Ok(ApplicationPage {
            applications: page.application_summaries.into_iter().map(ApplicationSummary::from).collect(),
            next: page.next_token.filter(|token| !token.is_empty()),
        })
    }

    /// All applications, in the service's order (`ListApplications`, every page).
    pub async fn applications(&self) -> Result<Vec<ApplicationSummary>, Error> {
        let mut page = self.application_page(None).await?;
        let mut applications = page.applications;
        for _ in 1..MOST_PAGES {
            let Some(next) = page.next else { return Ok(applications) };
            page = self.application_page(Some(&next)).await?;
            applications.append(&mut page.applications);
        }
        if page.next.is_none() {
            return Ok(applications);
        }
        Err(Error::unreadable("ListApplications", format!("the list does not end after {MOST_PAGES} pages")))
    }

    /// The tags of the application with this ARN (`ListTagsForResource`); none if there is no such application.
    pub async fn tags(&self, arn: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        const OPERATION: &str = "ListTagsForResource";
        let wire = Wire::new(OPERATION, &json!({ "ResourceARN": arn }));
        let call = self.reads.list_tags_for_resource().resource_arn(arn).customize().interceptor(wire.clone());
        match call.send().await {
            Ok(_) => {
                let tags = wire.read::<Tags>()?.tags;
                Ok(Some(tags.into_iter().map(|tag| (tag.key, tag.value.unwrap_or_default())).collect()))
            }
            Err(error) => none_if_missing(Error::from_sdk(OPERATION, error)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPage {
    application_summaries: Vec<ListedApplication>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedApplication {
    #[serde(deserialize_with = "words::read")]
    application_name: String,
    #[serde(rename = "ApplicationARN", deserialize_with = "words::read")]
    application_arn: String,
    #[serde(deserialize_with = "words::read")]
    application_status: ApplicationStatus,
    #[serde(deserialize_with = "words::read")]
    runtime_environment: String,
}

impl From<ListedApplication> for ApplicationSummary {
    fn from(listed: ListedApplication) -> Self {
        Self {
            name: listed.application_name,
            arn: listed.application_arn,
            status: listed.application_status,
            runtime: listed.runtime_environment,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tags {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: Option<String>,
}

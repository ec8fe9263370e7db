use std::collections::BTreeMap;

use lifecycle::status::ApplicationStatus;
use serde_json::{Value, json};

use super::script::{Stage, ok, refused};
use crate::ErrorKind;

fn summary(name: &str) -> Value {
    json!({
        "ApplicationName": name,
        "ApplicationARN": format!("arn:aws:kinesisanalytics:eu-west-1:123456789012:application/{name}"),
        "ApplicationStatus": "RUNNING",
        "ApplicationVersionId": 3,
        "RuntimeEnvironment": "FLINK-1_20",
    })
}

#[tokio::test(start_paused = true)]
async fn the_list_of_applications_is_read_page_by_page() {
    let first = ok(&json!({ "ApplicationSummaries": [summary("a"), summary("b")], "NextToken": "b" }));
    let second = ok(&json!({ "ApplicationSummaries": [summary("c")], "NextToken": "" }));
    let stage = Stage::new([first, second]);
    let page = stage.managed.application_page(None).await.unwrap();
    let names: Vec<&str> = page.applications.iter().map(|application| application.name.as_str()).collect();
    assert_eq!((names, page.next.as_deref()), (vec!["a", "b"], Some("b")));
    assert_eq!(page.applications[0].status, ApplicationStatus::Running);
    assert_eq!(page.applications[0].runtime, "FLINK-1_20");
    let page = stage.managed.application_page(page.next.as_deref()).await.unwrap();
    assert_eq!((page.applications[0].name.as_str(), page.next), ("c", None));
    let bodies: Vec<Value> = stage.calls().iter().map(super::script::Call::json).collect();
    assert_eq!(bodies, [json!({ "Limit": 50 }), json!({ "Limit": 50, "NextToken": "b" })]);
    stage.assert_over();
}

#[tokio::test(start_paused = true)]
async fn tags_are_read_and_an_application_that_is_gone_has_none() {
    let tags = ok(&json!({ "Tags": [{ "Key": "snapshots", "Value": "daily" }, { "Key": "flag" }] }));
    let stage =
        Stage::new([tags, refused("ResourceNotFoundException", "gone"), refused("AccessDeniedException", "no")]);
    let expected = BTreeMap::from([("snapshots".to_owned(), "daily".to_owned()), ("flag".to_owned(), String::new())]);
    assert_eq!(stage.managed.tags("arn:a").await.unwrap(), Some(expected));
    assert_eq!(stage.managed.tags("arn:b").await.unwrap(), None);
    assert_eq!(stage.managed.tags("arn:c").await.unwrap_err().kind(), ErrorKind::AccessDenied);
    stage.assert_over();
}

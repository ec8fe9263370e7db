//! Uploads from end to end, in virtual time: an event of S3 goes through the shipped start-deployment, the shipped definition
//! and handlers, and the nets below. For each: what became of the executions, the calls that changed the application, and
//! what people were told. That nine safety rules are kept, and that every end is told of exactly once, is asserted of all.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

use std::path::Path;

use emulator::record::Event;
use emulator::simulated::{Behaviour, JobFault, RestartDelay};
use emulator::{Effect, Fault, Loss, Occurrences, RecordEntry};
use jiff::{SignedDuration, Timestamp};
use lifecycle::report::Outcome::{self, Deployed, NeedsAttention, Refused, RolledBack, Superseded};
use scenarios::permissions::policy::matches;
use scenarios::permissions::template::read;
use scenarios::scenario::calls_of;
use scenarios::upload_scenarios::{Account, Delivery, START_DEPLOYMENT, Story};
use scenarios::world::{App, BUCKET, OPERATOR};
use serde_json::{Value, json};

const KEY: &str = "applications/orders/orders.jar";
const OTHER_KEY: &str = "applications/orders/orders-other.jar";
const UPDATE: &str = "UpdateApplication";
const UPDATE_REFUSED: &str = "UpdateApplication (refused)";
const ROLLBACK: &str = "RollbackApplication";

async fn account() -> Account {
    Account::with(&App::default()).await.unwrap()
}

fn healthy() -> Behaviour {
    Behaviour::healthy()
}

fn crash_loop() -> Behaviour {
    Behaviour::from(JobFault::OpenFails).restarting(RestartDelay::Fixed { seconds: 10 })
}

/// All that happened, if it came to these outcomes with these changing calls, and people were told of each.
async fn comes_to(account: &Account, expected: &[(Outcome, &[&str])]) -> Story {
    let endings: Vec<_> = expected.iter().map(|(outcome, changes)| (Some(*outcome), changes.to_vec())).collect();
    let story = account.story().await.unwrap();
    assert_eq!(story.mismatches, [""; 0], "{story:#?}");
    assert_eq!(story.endings(), endings);
    let mut subjects: Vec<_> = story.executions.iter().map(told).collect();
    let mut told: Vec<_> = story.subjects();
    subjects.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, subjects);
    story
}

/// The subject under which people are told of an execution that came to an outcome.
fn told(ending: &scenarios::upload_scenarios::Ending) -> String {
    format!("{}: {}", ending.trace.application, ending.outcome().unwrap())
}

/// Nothing was started; people were told once, in a letter with this subject and these words.
async fn is_refused(account: &Account, event: &Value, words: &str) -> Story {
    let delivery = account.deliver(event).await;
    assert_eq!((delivery.outcome(), delivery.attempts.len()), (Some("Refused"), 1));
    let story = account.story().await.unwrap();
    assert_eq!(story.executions.len(), 0);
    let [letter] = &story.letters[..] else { panic!("{:?}", story.letters) };
    let object = &event["detail"]["object"]["key"].as_str().unwrap();
    let bucket = &event["detail"]["bucket"]["name"].as_str().unwrap();
    assert_eq!(letter.subject, format!("Upload refused: s3://{bucket}/{object}"));
    assert!(letter.text.contains(words), "{}", letter.text);
    let [(kind, detail)] = &story.events[..] else { panic!("{:?}", story.events) };
    let mut told = delivery.reply().unwrap().clone();
    told["schemaVersion"] = json!(notify::SCHEMA_VERSION);
    assert_eq!((kind.as_str(), detail), ("Upload Refused", &told));
    assert_eq!(version(account).await, 1, "the application is as it was");
    story
}

async fn application(account: &Account) -> Value {
    let body = json!({ "ApplicationName": "orders" });
    account.world.call(OPERATOR, "DescribeApplication", &body).await.unwrap()["ApplicationDetail"].take()
}

async fn version(account: &Account) -> u64 {
    application(account).await["ApplicationVersionId"].as_u64().unwrap()
}

/// The object version that the application runs.
async fn code(account: &Account) -> Value {
    let detail = application(account).await;
    let path = "/ApplicationConfigurationDescription/ApplicationCodeConfigurationDescription/CodeContentDescription/\
                S3ApplicationCodeLocationDescription/ObjectVersion";
    assert_eq!(detail["ApplicationStatus"], "RUNNING");
    detail.pointer(path).unwrap().clone()
}

fn version_id(event: &Value) -> &Value {
    &event["detail"]["object"]["version-id"]
}

fn fails(operation: &str, effect: Effect) -> Fault {
    Fault::new(operation, effect).by(START_DEPLOYMENT)
}

fn unavailable() -> Effect {
    Effect::Error { code: "InternalServerError".to_owned(), status: 500, message: "injected".to_owned() }
}

fn errors(delivery: &Delivery) -> Vec<&str> {
    delivery.attempts.iter().filter_map(|attempt| attempt.as_ref().err()).map(String::as_str).collect()
}

// ---- what becomes of an upload

#[tokio::test(start_paused = true)]
async fn an_upload_goes_live() {
    let account = account().await;
    let event = account.upload(KEY, &healthy());
    let delivery = account.deliver(&event).await;
    assert_eq!((delivery.outcome(), delivery.attempts.len()), (Some("Started"), 1));
    let story = comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(code(&account).await, *version_id(&event));
    assert_eq!(delivery.reply().unwrap()["execution"], story.executions[0].trace.name);
    assert_eq!(story.calls(START_DEPLOYMENT), ["dynamodb:PutItem", "states:StartExecution"]);
    assert!(story.letters[0].text.contains(&format!("Asked for because: upload of s3://{BUCKET}/{KEY}")));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_crash_loops_comes_back() {
    let account = account().await;
    let before = code(&account).await;
    account.deliver(&account.upload(KEY, &crash_loop())).await;
    let story = comes_to(&account, &[(RolledBack, &[UPDATE, ROLLBACK])]).await;
    assert_eq!(code(&account).await, before);
    let net = story.executions[0].net.as_ref().unwrap();
    assert_eq!(net.reply().unwrap()["toldItself"], true, "its execution failed, and nothing more is told of it");
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_uploads_is_that_of_their_deployments() {
    let policy = json!({ "bakeSeconds": 900, "onFailure": "hold" });
    let account = Account::configured(&App::default(), &[("DEPLOYMENT_POLICY", &policy.to_string())]).await.unwrap();
    account.deliver(&account.upload(KEY, &healthy())).await;
    let story = comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    let trace = &story.executions[0].trace;
    assert_eq!(trace.input["policy"], policy);
    let took = trace.ended_at.duration_since(trace.started_at);
    assert!(took > SignedDuration::from_secs(900), "{took:?}");

    account.deliver(&account.upload(KEY, &crash_loop())).await;
    comes_to(&account, &[(Deployed, &[UPDATE]), (NeedsAttention, &[UPDATE])]).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_for_a_stopped_application_leaves_it_stopped() {
    let account = Account::with(&App { is_running: false, ..App::default() }).await.unwrap();
    account.deliver(&account.upload(KEY, &healthy())).await;
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(account.world.status("orders").await.unwrap(), "READY");
}

#[tokio::test(start_paused = true)]
async fn a_mapped_key_is_deployed_to_its_application() {
    let map = json!({ "builds/": "orders", "applications/": "payments" }).to_string();
    let account = Account::configured(&App::default(), &[("APPLICATION_MAP", &map)]).await.unwrap();
    let event = account.upload("builds/2026/orders.zip", &healthy());
    account.deliver(&event).await;
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(code(&account).await, *version_id(&event));
}

/// Its role lets it write no other items: not those that say whose turn it is.
#[tokio::test(start_paused = true)]
async fn an_upload_writes_items_that_its_role_allows() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = read(&std::fs::read_to_string(template).unwrap()).unwrap();
    let role = &template["Resources"]["StartDeploymentRole"]["Properties"]["Policies"][0]["PolicyDocument"];
    let statements = role["Statement"].as_array().unwrap();
    let uploads = statements.iter().find(|statement| statement["Sid"] == "Uploads").unwrap();
    let allowed = uploads["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].as_str().unwrap();

    let account = account().await;
    account.deliver(&account.upload(KEY, &healthy())).await;
    let story = comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    let keys_of = |principal| -> Vec<&str> {
        let puts = calls_of(&story.record, principal).filter(|call| call.operation == "PutItem");
        puts.map(|call| call.request["Item"]["application"]["S"].as_str().unwrap()).collect()
    };
    let [upload] = keys_of(START_DEPLOYMENT)[..] else { panic!("{:?}", story.record) };
    assert!(matches(allowed, upload), "{upload}");
    let turns = keys_of(&story.executions[0].trace.principal);
    assert_eq!(turns, ["orders"]);
    assert!(!matches(allowed, turns[0]));
}

// ---- events that come twice, or in another order

#[tokio::test(start_paused = true)]
async fn the_same_event_twice_is_one_execution_and_one_update() {
    let account = account().await;
    let event = account.upload(KEY, &healthy());
    let (one, other) = tokio::join!(account.deliver(&event), account.deliver(&event));
    assert_eq!((one.outcome(), other.outcome()), (Some("Started"), Some("Started")));
    account.wait(120).await;
    assert_eq!(account.deliver(&event).await.outcome(), Some("Started"), "it still runs");
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(account.deliver(&event).await.outcome(), Some("AlreadyDeployed"));
    let story = account.story().await.unwrap();
    assert_eq!((story.executions.len(), story.letters.len()), (1, 1), "nothing more came of it");
    assert_eq!(version(&account).await, 2);
}

#[tokio::test(start_paused = true)]
async fn the_event_of_an_upload_that_came_back_does_not_deploy_it_again() {
    let account = account().await;
    let event = account.upload(KEY, &crash_loop());
    account.deliver(&event).await;
    comes_to(&account, &[(RolledBack, &[UPDATE, ROLLBACK])]).await;
    assert_eq!(account.deliver(&event).await.outcome(), Some("AlreadyDeployed"));
    assert_eq!(account.story().await.unwrap().letters.len(), 1);
    assert_eq!(version(&account).await, 3);
}

#[tokio::test(start_paused = true)]
async fn of_one_key_an_event_that_comes_late_is_dropped() {
    let account = account().await;
    let older = account.upload(KEY, &crash_loop());
    account.wait(5).await;
    let newer = account.upload(KEY, &healthy());
    assert_eq!(account.deliver(&newer).await.outcome(), Some("Started"));
    assert_eq!(account.deliver(&older).await.outcome(), Some("Overtaken"));
    let story = comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(story.executions[0].trace.input["upload"]["versionId"], *version_id(&newer));
    assert_eq!(code(&account).await, *version_id(&newer));
}

#[tokio::test(start_paused = true)]
async fn of_one_key_uploads_in_the_same_second_are_told_apart() {
    let account = account().await;
    let older = account.upload(KEY, &crash_loop());
    let newer = account.upload(KEY, &healthy());
    assert_eq!(older["time"], newer["time"]);
    assert_eq!(account.deliver(&newer).await.outcome(), Some("Started"));
    assert_eq!(account.deliver(&older).await.outcome(), Some("Overtaken"));
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(code(&account).await, *version_id(&newer));
}

#[tokio::test(start_paused = true)]
async fn of_two_keys_an_event_that_comes_late_is_superseded() {
    let account = account().await;
    let older = account.upload(OTHER_KEY, &crash_loop());
    account.wait(5).await;
    let newer = account.upload(KEY, &healthy());
    assert_eq!(account.deliver(&newer).await.outcome(), Some("Started"));
    account.wait(30).await;
    assert_eq!(account.deliver(&older).await.outcome(), Some("Started"));
    comes_to(&account, &[(Deployed, &[UPDATE]), (Superseded, &[])]).await;
    assert_eq!(code(&account).await, *version_id(&newer));
}

#[tokio::test(start_paused = true)]
async fn of_two_keys_an_event_that_comes_after_the_newer_one_is_live_is_superseded() {
    let account = account().await;
    let older = account.upload(OTHER_KEY, &crash_loop());
    account.wait(5).await;
    let newer = account.upload(KEY, &healthy());
    account.deliver(&newer).await;
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(account.deliver(&older).await.outcome(), Some("Started"));
    comes_to(&account, &[(Deployed, &[UPDATE]), (Superseded, &[])]).await;
    assert_eq!(code(&account).await, *version_id(&newer));
}

// ---- several at once

#[tokio::test(start_paused = true)]
async fn of_three_uploads_in_a_minute_the_newest_wins() {
    let account = account().await;
    for behaviour in [healthy(), crash_loop()] {
        assert_eq!(account.deliver(&account.upload(KEY, &behaviour)).await.outcome(), Some("Started"));
        account.wait(25).await;
    }
    let newest = account.upload(KEY, &healthy());
    assert_eq!(account.deliver(&newest).await.outcome(), Some("Started"));
    comes_to(&account, &[(Deployed, &[UPDATE]), (Superseded, &[]), (Deployed, &[UPDATE])]).await;
    assert_eq!(code(&account).await, *version_id(&newest));
}

#[tokio::test(start_paused = true)]
async fn of_three_uploads_in_a_minute_a_newest_that_is_bad_comes_back_to_the_first() {
    let account = account().await;
    let first = account.upload(KEY, &healthy());
    account.deliver(&first).await;
    account.wait(25).await;
    account.deliver(&account.upload(KEY, &healthy())).await;
    account.wait(25).await;
    account.deliver(&account.upload(KEY, &crash_loop())).await;
    comes_to(&account, &[(Deployed, &[UPDATE]), (Superseded, &[]), (RolledBack, &[UPDATE, ROLLBACK])]).await;
    assert_eq!(code(&account).await, *version_id(&first));
}

#[tokio::test(start_paused = true)]
async fn of_uploads_at_once_of_two_keys_the_newest_is_live_in_the_end() {
    let account = account().await;
    let older = account.upload(OTHER_KEY, &healthy());
    account.wait(1).await;
    let newer = account.upload(KEY, &healthy());
    let (one, other) = tokio::join!(account.deliver(&newer), account.deliver(&older));
    assert_eq!((one.outcome(), other.outcome()), (Some("Started"), Some("Started")));
    comes_to(&account, &[(Deployed, &[UPDATE]), (Superseded, &[])]).await;
    assert_eq!(code(&account).await, *version_id(&newer));
}

/// What somebody starts by hand: a change of a runtime property.
fn by_hand() -> Value {
    json!({ "application": "orders", "reason": "by hand", "update": { "ApplicationConfigurationUpdate": {
        "FlinkApplicationConfigurationUpdate": { "ParallelismConfigurationUpdate": { "ConfigurationTypeUpdate": "CUSTOM",
            "ParallelismUpdate": 4, "ParallelismPerKPUUpdate": 1, "AutoScalingEnabledUpdate": false } } } } })
}

#[tokio::test(start_paused = true)]
async fn an_upload_waits_for_a_persons_execution_to_end() {
    let account = account().await;
    account.start_by_hand("by-hand", &by_hand()).await.unwrap();
    account.wait(60).await;
    let event = account.upload(KEY, &healthy());
    account.deliver(&event).await;
    let story = comes_to(&account, &[(Deployed, &[UPDATE]), (Deployed, &[UPDATE])]).await;
    assert_eq!(story.executions[0].trace.name, "by-hand");
    assert_eq!(code(&account).await, *version_id(&event));
    let detail = application(&account).await;
    let parallelism = "/ApplicationConfigurationDescription/FlinkApplicationConfigurationDescription/\
                       ParallelismConfigurationDescription/Parallelism";
    assert_eq!(detail.pointer(parallelism), Some(&json!(4)), "the upload keeps what the person has changed");
}

#[tokio::test(start_paused = true)]
async fn a_persons_execution_waits_for_an_upload_and_is_not_overtaken_by_the_next() {
    let account = account().await;
    account.deliver(&account.upload(KEY, &healthy())).await;
    account.wait(20).await;
    account.start_by_hand("by-hand", &by_hand()).await.unwrap();
    account.wait(20).await;
    account.deliver(&account.upload(KEY, &crash_loop())).await;
    let rolled_back: (Outcome, &[&str]) = (RolledBack, &[UPDATE, ROLLBACK]);
    comes_to(&account, &[(Deployed, &[UPDATE]), (Deployed, &[UPDATE]), rolled_back]).await;
    assert_eq!(version(&account).await, 5);
}

// ---- executions that are aborted

/// What an aborted execution leaves: the net has told of it, once.
fn was_aborted(story: &Story, index: usize, changes: &[&str]) {
    let aborted = &story.executions[index];
    assert!(aborted.trace.was_aborted);
    assert_eq!(
        (aborted.outcome(), &aborted.changes[..]),
        (None, &changes.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..])
    );
    let net = aborted.net.as_ref().unwrap();
    assert_eq!((net.attempts.len(), &net.reply().unwrap()["toldItself"]), (1, &json!(false)));
    let about: Vec<_> = story.letters.iter().filter(|letter| letter.text.contains(&aborted.trace.name)).collect();
    let [letter] = about[..] else { panic!("{about:?}") };
    assert_eq!(letter.subject, "orders: was aborted");
    assert!(letter.text.contains("Nothing watches orders any more"), "{}", letter.text);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_aborted_is_told_of_and_does_not_block_the_next_upload() {
    // During the update, and while it bakes.
    for seconds in [20, 200] {
        let account = account().await;
        let delivery = account.deliver(&account.upload(KEY, &healthy())).await;
        account.wait(seconds).await;
        account.abort(delivery.reply().unwrap()["execution"].as_str().unwrap()).await.unwrap();
        account.wait(10).await;
        let next = account.upload(KEY, &healthy());
        account.deliver(&next).await;
        let story = account.story().await.unwrap();
        assert_eq!(story.mismatches, [""; 0], "{seconds}");
        assert_eq!(story.executions[1].outcome(), Some(Deployed), "{seconds}");
        assert_eq!(story.subjects(), ["orders: was aborted", "orders: Deployed"], "{seconds}");
        assert_eq!(code(&account).await, *version_id(&next));
        let changes = story.executions[0].changes.clone();
        was_aborted(&story, 0, &changes.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_of_an_aborted_execution_starts_no_other() {
    let account = account().await;
    let event = account.upload(KEY, &healthy());
    let delivery = account.deliver(&event).await;
    account.wait(200).await;
    account.abort(delivery.reply().unwrap()["execution"].as_str().unwrap()).await.unwrap();
    account.wait(10).await;
    assert_eq!(account.deliver(&event).await.outcome(), Some("AlreadyDeployed"));
    let story = account.story().await.unwrap();
    assert_eq!((&story.mismatches[..], story.executions.len()), (&[][..], 1));
    was_aborted(&story, 0, &[UPDATE]);
}

#[tokio::test(start_paused = true)]
async fn where_bad_code_was_left_running_the_next_upload_asks_for_a_person() {
    let account = account().await;
    let delivery = account.deliver(&account.upload(KEY, &crash_loop())).await;
    account.wait(20).await;
    account.abort(delivery.reply().unwrap()["execution"].as_str().unwrap()).await.unwrap();
    account.deliver(&account.upload(KEY, &healthy())).await;
    let story = account.story().await.unwrap();
    assert_eq!(story.mismatches, [""; 0]);
    was_aborted(&story, 0, &[UPDATE]);
    assert_eq!(story.subjects(), ["orders: was aborted", "orders: NeedsAttention"]);
    assert!(story.letters[1].text.contains("could not be stopped with a snapshot"), "{}", story.letters[1].text);
    assert_eq!(story.executions[1].changes, [UPDATE], "a job that cannot be stopped with its state is not given up");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_aborted_while_it_waits_touches_nothing() {
    let account = account().await;
    account.start_by_hand("by-hand", &by_hand()).await.unwrap();
    let delivery = account.deliver(&account.upload(KEY, &healthy())).await;
    account.wait(60).await;
    account.abort(delivery.reply().unwrap()["execution"].as_str().unwrap()).await.unwrap();
    let story = account.story().await.unwrap();
    assert_eq!(story.mismatches, [""; 0]);
    assert_eq!(story.executions[0].outcome(), Some(Deployed));
    was_aborted(&story, 1, &[]);
}

// ---- bad input

#[tokio::test(start_paused = true)]
async fn a_key_of_no_application_is_refused() {
    let account = account().await;
    for (letters, key) in
        ["orders.jar", "applications/orders.jar", "applications/orders/old/orders.jar"].into_iter().enumerate()
    {
        let delivery = account.deliver(&account.upload(key, &healthy())).await;
        assert_eq!((delivery.outcome(), delivery.attempts.len()), (Some("Refused"), 1), "{key}");
        let story = account.story().await.unwrap();
        assert_eq!((story.executions.len(), story.letters.len()), (0, letters + 1), "{key}");
    }
    assert_eq!(version(&account).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_file_beside_the_code_is_ignored() {
    let account = account().await;
    let delivery = account.deliver(&account.upload("applications/orders/orders.jar.sha256", &healthy())).await;
    assert_eq!(delivery.outcome(), Some("Ignored"));
    let story = account.story().await.unwrap();
    assert_eq!((story.executions.len(), story.letters.len(), story.calls(START_DEPLOYMENT)), (0, 0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn another_bucket_is_refused() {
    let account = account().await;
    let mut event = account.upload(KEY, &healthy());
    event["detail"]["bucket"]["name"] = json!("elsewhere");
    let story = is_refused(&account, &event, "not the bucket whose uploads are deployed").await;
    assert_eq!(story.calls(START_DEPLOYMENT), ["sns:Publish", "events:PutEvents"]);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_without_versions_is_refused() {
    let account = account().await;
    let mut event = account.upload(KEY, &healthy());
    event["detail"]["object"].as_object_mut().unwrap().remove("version-id");
    let story = is_refused(&account, &event, "switch on the bucket's versioning").await;
    assert_eq!(story.calls(START_DEPLOYMENT), ["sns:Publish", "events:PutEvents"]);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_exist_is_refused() {
    let account = account().await;
    account.deliver(&account.upload("applications/payments/payments.jar", &healthy())).await;
    let story = comes_to(&account, &[(Refused, &[])]).await;
    assert_eq!(story.subjects(), ["payments: Refused"]);
    assert!(story.letters[0].text.contains("application"), "{}", story.letters[0].text);
    assert_eq!(version(&account).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_deleted_before_its_deployment_looks_is_refused() {
    let account = account().await;
    let before = code(&account).await;
    account.start_by_hand("by-hand", &by_hand()).await.unwrap();
    account.wait(10).await;
    account.deliver(&account.upload(KEY, &healthy())).await;
    account.wait(60).await;
    account.world.emulator.code().delete_all_versions(BUCKET, KEY);
    let story = comes_to(&account, &[(Deployed, &[UPDATE]), (Refused, &[UPDATE_REFUSED; 3])]).await;
    assert_eq!((code(&account).await, version(&account).await), (before, 2));
    assert!(story.letters[1].text.contains(KEY), "{}", story.letters[1].text);
}

#[tokio::test(start_paused = true)]
async fn an_object_with_a_delete_marker_is_deployed_in_its_version() {
    let account = account().await;
    let event = account.upload(KEY, &healthy());
    account.world.emulator.code().delete(BUCKET, KEY);
    account.deliver(&event).await;
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(code(&account).await, *version_id(&event));
}

// ---- start-deployment fails halfway

#[tokio::test(start_paused = true)]
async fn start_deployment_dies_between_its_write_and_the_start() {
    let account = account().await;
    let event = account.upload(KEY, &healthy());
    let delivery = account.deliver_dying_after("PutItem", &event).await;
    assert_eq!((errors(&delivery), delivery.outcome()), (vec!["Runtime.ExitError"], Some("Started")));
    let story = comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    let calls = story.calls(START_DEPLOYMENT);
    assert_eq!(calls, ["dynamodb:PutItem", "dynamodb:PutItem", "states:StartExecution"]);
}

#[tokio::test(start_paused = true)]
async fn start_deployment_dies_after_the_start() {
    let account = account().await;
    let event = account.upload(KEY, &healthy());
    let delivery = account.deliver_dying_after("StartExecution", &event).await;
    assert_eq!((errors(&delivery), delivery.outcome()), (vec!["Runtime.ExitError"], Some("Started")));
    let story = comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(story.calls(START_DEPLOYMENT).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn start_deployment_dies_and_a_newer_upload_comes_before_it_is_run_again() {
    let account = account().await;
    let older = account.upload(KEY, &crash_loop());
    let newer = async {
        account.wait(30).await;
        let newer = account.upload(KEY, &healthy());
        assert_eq!(account.deliver(&newer).await.outcome(), Some("Started"));
        newer
    };
    let (older, newer) = tokio::join!(account.deliver_dying_after("PutItem", &older), newer);
    assert_eq!(older.outcome(), Some("Overtaken"));
    comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    assert_eq!(code(&account).await, *version_id(&newer));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_start_is_no_second_execution() {
    for loss in [Loss::ServerError, Loss::ConnectionReset] {
        let account = account().await;
        let fault = fails("states:StartExecution", Effect::LostResponse(loss)).on(Occurrences::First(4));
        account.world.emulator.inject(fault);
        let delivery = account.deliver(&account.upload(KEY, &healthy())).await;
        assert_eq!(delivery.outcome(), Some("Started"), "{delivery:?}");
        assert_eq!(delivery.attempts.len(), 2, "{delivery:?}");
        comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn services_that_are_throttled_or_down_for_a_while_delay_the_deployment() {
    let cases = [
        ("dynamodb:PutItem", Effect::Throttle, "Throttled"),
        ("dynamodb:PutItem", unavailable(), "ServiceUnavailable"),
        ("states:StartExecution", Effect::Throttle, "Throttled"),
        ("states:StartExecution", unavailable(), "ServiceUnavailable"),
        ("states:StartExecution", Effect::Unreachable, "ServiceUnavailable"),
    ];
    for (operation, effect, error) in cases {
        let account = account().await;
        let from = account.world.clock.now();
        let until = from + SignedDuration::from_secs(100);
        account.world.emulator.inject(fails(operation, effect).on(Occurrences::Between { from, until }));
        let delivery = account.deliver(&account.upload(KEY, &healthy())).await;
        assert_eq!((errors(&delivery), delivery.outcome()), (vec![error, error], Some("Started")), "{operation}");
        comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn services_that_stay_down_leave_a_dead_letter_that_can_be_sent_again() {
    for operation in ["dynamodb:PutItem", "states:StartExecution"] {
        let account = account().await;
        account.world.emulator.inject(fails(operation, unavailable()));
        let event = account.upload(KEY, &healthy());
        let delivery = account.deliver(&event).await;
        assert_eq!((errors(&delivery), delivery.outcome()), (vec!["ServiceUnavailable"; 3], None), "{operation}");
        let story = account.story().await.unwrap();
        assert_eq!((story.executions.len(), story.letters.len()), (0, 0), "{operation}");
        let tried = story.calls(START_DEPLOYMENT).iter().filter(|call| *call == operation).count();
        assert_eq!(tried, 9, "three attempts of three calls");

        account.world.emulator.clear_faults();
        assert_eq!(account.deliver(&event).await.outcome(), Some("Started"));
        comes_to(&account, &[(Deployed, &[UPDATE])]).await;
    }
}

// ---- missing permissions

#[tokio::test(start_paused = true)]
async fn a_permission_that_start_deployment_lacks_is_told_once() {
    let cases: [(&str, &str, &[&str]); 2] = [
        ("dynamodb:PutItem", "table/turns", &["dynamodb:PutItem"]),
        ("states:StartExecution", "stateMachine:deploy", &["dynamodb:PutItem", "states:StartExecution"]),
    ];
    for (action, resource, calls) in cases {
        let account = account().await;
        account.world.emulator.inject(fails(action, Effect::AccessDenied));
        let event = account.upload(KEY, &healthy());
        let story = is_refused(&account, &event, &format!("not authorized to perform: {action} on resource: ")).await;
        assert!(story.letters[0].text.contains(resource), "{}", story.letters[0].text);
        let all = [calls, &["sns:Publish", "events:PutEvents"]].concat();
        assert_eq!(story.calls(START_DEPLOYMENT), all, "no retry storm");

        account.world.emulator.clear_faults();
        account.deliver(&event).await;
        let story = account.story().await.unwrap();
        assert_eq!(story.endings(), [(Some(Deployed), vec![UPDATE])], "it can be sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_the_deployment_lacks_is_told_once() {
    let cases =
        [("dynamodb:GetItem", "TakeTurn"), ("DescribeApplication", "Prepare"), ("UpdateApplication", "SubmitUpdate")];
    for (operation, step) in cases {
        let account = account().await;
        let event = account.upload(KEY, &healthy());
        let execution = account.deliver(&event).await.reply().unwrap()["execution"].as_str().unwrap().to_owned();
        account.world.emulator.inject(Fault::new(operation, Effect::AccessDenied).by(&execution));
        let story = account.story().await.unwrap();
        assert_eq!(story.mismatches, [""; 0], "{operation}");
        assert_eq!(story.executions[0].outcome(), Some(NeedsAttention), "{operation}");
        assert_eq!(story.subjects(), ["orders: NeedsAttention"], "{operation}");
        let text = &story.letters[0].text;
        assert!(text.contains(&format!("the step {step} failed with AccessDenied")), "{text}");
        assert!(story.executions[0].changes.iter().all(|change| change == UPDATE_REFUSED), "{operation}");
        assert_eq!(version(&account).await, 1, "{operation}");
        let denied = denials(&story);
        let is_storm = denied.windows(2).any(|pair| pair[1].duration_since(pair[0]) < SignedDuration::from_secs(10));
        assert!(!denied.is_empty() && !is_storm, "{operation}: {denied:?}");
    }
}

/// When calls were denied.
fn denials(story: &Story) -> Vec<Timestamp> {
    let is_denied = |entry: &&RecordEntry| match &entry.event {
        Event::Call(call) => call.error.as_deref() == Some("AccessDeniedException"),
        _ => false,
    };
    story.record.iter().filter(is_denied).map(|entry| entry.at).collect()
}

// ---- what cannot be told

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_down_for_a_moment_is_told_when_it_is_back() {
    for effect in [Effect::Throttle, unavailable(), Effect::Unreachable] {
        let account = account().await;
        account.world.emulator.inject(Fault::new("sns:Publish", effect).on(Occurrences::First(7)));
        account.deliver(&account.upload(KEY, &crash_loop())).await;
        let story = account.story().await.unwrap();
        assert_eq!(story.endings(), [(Some(RolledBack), vec![UPDATE, ROLLBACK])]);
        assert_eq!(story.subjects(), ["orders: RolledBack"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_may_not_be_written_to_keeps_nothing_from_machines() {
    let account = account().await;
    account.world.emulator.inject(Fault::new("sns:Publish", Effect::AccessDenied));
    account.deliver(&account.upload(KEY, &healthy())).await;
    let story = account.story().await.unwrap();
    assert_eq!(story.endings(), [(Some(Deployed), vec![UPDATE])], "the outcome stands");
    let tried = story.calls(&story.executions[0].trace.name).iter().filter(|call| *call == "sns:Publish").count();
    assert_eq!((tried, story.letters.len()), (6, 0), "it is tried again, in case it was lately permitted");
    let (kind, detail) = &story.events[0];
    assert_eq!((kind.as_str(), &detail["outcome"]), ("Deployment Ended", &json!("Deployed")));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_takes_nothing_does_not_make_people_read_it_twice() {
    let gone = Effect::Error { code: "ResourceNotFoundException".to_owned(), status: 400, message: "gone".to_owned() };
    let not_taken = Effect::Answer {
        status: 200,
        body: json!({ "FailedEntryCount": 1, "Entries": [{ "ErrorCode": "NotAuthorizedForSourceException" }] })
            .to_string(),
    };
    for effect in [Effect::AccessDenied, gone, not_taken] {
        let account = account().await;
        account.world.emulator.inject(Fault::new("events:PutEvents", effect.clone()));
        account.deliver(&account.upload(KEY, &crash_loop())).await;
        let story = account.story().await.unwrap();
        assert_eq!(story.endings(), [(Some(RolledBack), vec![UPDATE, ROLLBACK])]);
        assert_eq!((story.subjects(), story.events.len()), (vec!["orders: RolledBack"], 0), "{effect:?}");
    }
}

/// A step failed for good, and then its last one: the report is the state machine's, and its end is told by the net for that.
#[tokio::test(start_paused = true)]
async fn what_the_last_step_could_not_tell_is_told_when_the_execution_has_ended() {
    let account = account().await;
    account.world.emulator.inject(Fault::new("dynamodb:GetItem", Effect::AccessDenied));
    account.world.emulator.inject(Fault::new("sns:Publish", Effect::Throttle).on(Occurrences::First(18)));
    account.deliver(&account.upload(KEY, &Behaviour::healthy())).await;
    let story = account.story().await.unwrap();
    assert_eq!(story.endings(), [(Some(NeedsAttention), vec![])]);
    assert_eq!(story.subjects(), ["orders: failed"]);
    let cause = story.executions[0].trace.cause.as_deref().unwrap();
    let report: Value = serde_json::from_str(cause).unwrap();
    assert_eq!((&report["told"], &report["because"][0]["state"]), (&json!(false), &json!("TakeTurn")));
}

/// Issue 4, "Bad input": the service's `AccessDenied` surfaces with the action and the resource.
#[tokio::test(start_paused = true)]
async fn a_permission_that_the_deployment_lacks_is_named_with_its_resource() {
    let cases = [
        ("dynamodb:GetItem", "dynamodb:GetItem on resource: ", "table/turns"),
        ("DescribeApplication", "kinesisanalytics:DescribeApplication on resource: ", "application/orders"),
        ("UpdateApplication", "kinesisanalytics:UpdateApplication on resource: ", "application/orders"),
    ];
    for (operation, action, resource) in cases {
        let account = account().await;
        let event = account.upload(KEY, &healthy());
        let execution = account.deliver(&event).await.reply().unwrap()["execution"].as_str().unwrap().to_owned();
        account.world.emulator.inject(Fault::new(operation, Effect::AccessDenied).by(&execution));
        let story = account.story().await.unwrap();
        let text = &story.letters[0].text;
        assert!(text.contains(action) && text.contains(resource), "{operation}: {text}");
    }
}

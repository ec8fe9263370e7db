use serde_json::json;

use super::*;

fn started() -> Timestamp {
    "2026-11-20T09:45:10.5Z".parse().unwrap()
}

fn parse(input: &Value) -> Result<SnapshotRequest, Vec<Refusal>> {
    SnapshotRequest::parse(input, started())
}

fn refused(input: &Value) -> Vec<String> {
    parse(input).expect_err("should be refused").into_iter().map(|refusal| refusal.field).collect()
}

fn blackout(from: &str, to: &str) -> Blackout {
    Blackout { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

#[test]
fn a_minimal_request_gets_the_defaults() {
    let request = parse(&json!({ "application": "orders" })).unwrap();
    let plan = Plan {
        scheduled_at: started(),
        snapshot: "scheduled-20261120T094510Z".into(),
        timeout_seconds: 1_800,
        retention: Retention { dry_run: true, ..Retention::default() },
        blackouts: Vec::new(),
        dry_run: false,
    };
    let selection = Selection::Named(vec!["orders".into()]);
    assert_eq!(request, SnapshotRequest { selection, plan, concurrency: 10, reason: None });
}

#[test]
fn everything_that_is_given_is_taken() {
    let request = parse(&json!({
        "tag": { "key": "snapshots", "value": "daily" },
        "scheduledAt": "2026-11-20T11:00:00+02:00",
        "concurrency": 40,
        "timeoutSeconds": 600,
        "retention": { "keepNewest": 3, "prefix": "nightly-" },
        "blackouts": [{ "from": "22:00", "to": "02:00" }],
        "dryRun": true,
        "reason": "every night",
        "comment": "For whoever reads it.",
    }))
    .unwrap();
    assert_eq!(request.selection, Selection::Tagged(TagFilter { key: "snapshots".into(), value: "daily".into() }));
    assert_eq!(request.plan.snapshot, "nightly-20261120T090000Z");
    assert_eq!(request.plan.retention.keep_newest, 3);
    assert_eq!(request.plan.blackouts, [blackout("22:00", "02:00")]);
    assert!(request.plan.dry_run && request.concurrency == 40 && request.plan.timeout_seconds == 600);
    assert_eq!(request.reason.as_deref(), Some("every night"));
    let written = serde_json::to_value(&request.plan).unwrap();
    assert_eq!(written["blackouts"], json!([{ "from": "22:00", "to": "02:00" }]));
    assert_eq!(serde_json::from_value::<Plan>(written).unwrap(), request.plan);
}

#[test]
fn the_same_time_gives_the_same_name_however_it_is_written() {
    for written in ["2026-11-20T09:45:00Z", "2026-11-20T10:45:00+01:00", "2026-11-20T09:45:00.9Z"] {
        let request = parse(&json!({ "application": "orders", "scheduledAt": written })).unwrap();
        assert_eq!(request.plan.snapshot, "scheduled-20261120T094500Z", "{written}");
    }
}

#[test]
fn an_application_that_is_named_twice_is_taken_once_and_in_its_place() {
    let request = parse(&json!({ "applications": ["b", "a", "b", "c", "a"] })).unwrap();
    assert_eq!(request.selection, Selection::Named(vec!["b".into(), "a".into(), "c".into()]));
}

#[test]
fn every_mistake_is_named_with_a_cure() {
    let with = |field: &str, value: Value| {
        let mut input = json!({ "application": "orders" });
        input[field] = value;
        input
    };
    let cases = [
        (json!([]), "input"),
        (json!(null), "input"),
        (json!("orders"), "input"),
        (json!({}), "application"),
        (with("applications", json!(["a"])), "applications"),
        (with("tag", json!({ "key": "k", "value": "v" })), "tag"),
        (json!({ "applications": ["a"], "tag": { "key": "k", "value": "v" } }), "tag"),
        (json!({ "applications": [] }), "applications"),
        (json!({ "applications": "orders" }), "applications"),
        (json!({ "applications": ["orders", "arn:aws:x"] }), "applications[1]"),
        (json!({ "application": "" }), "application"),
        (json!({ "application": 7 }), "application"),
        (json!({ "tag": ["k", "v"] }), "tag"),
        (json!({ "tag": { "key": "k" } }), "tag.value"),
        (json!({ "tag": { "key": "", "value": "v" } }), "tag.key"),
        (json!({ "tag": { "key": "k", "value": "v".repeat(257) } }), "tag.value"),
        (json!({ "tag": { "key": "k", "value": "v", "other": 1 } }), "tag.other"),
        (with("scheduledAt", json!("yesterday")), "scheduledAt"),
        (with("scheduledAt", json!("2026-11-20T09:45:00")), "scheduledAt"),
        (with("scheduledAt", json!("2026-13-20T09:45:00Z")), "scheduledAt"),
        (with("scheduledAt", json!("<aws.scheduler.scheduled-time>")), "scheduledAt"),
        (with("scheduledAt", json!("2026-11-21T09:45:11Z")), "scheduledAt"),
        (with("scheduledAt", json!("1969-12-31T23:59:59Z")), "scheduledAt"),
        (with("scheduledAt", json!(1_795_151_949)), "scheduledAt"),
        (with("concurrency", json!(0)), "concurrency"),
        (with("concurrency", json!(41)), "concurrency"),
        (with("timeoutSeconds", json!(59)), "timeoutSeconds"),
        (with("timeoutSeconds", json!(21_601)), "timeoutSeconds"),
        (with("timeoutSeconds", json!("30m")), "timeoutSeconds"),
        (with("retention", json!({ "keepNewest": 0 })), "retention.keepNewest"),
        (with("retention", json!({ "keep": 3 })), "retention.keep"),
        (with("retention", json!([3])), "retention"),
        (with("blackouts", json!([{ "from": "22:00" }])), "blackouts[0].to"),
        (with("blackouts", json!([["22:00", "02:00"]])), "blackouts[0]"),
        (with("blackouts", json!([{ "from": "22:00", "to": "26:00" }])), "blackouts[0].to"),
        (with("blackouts", json!([{ "from": "22:00", "to": "2:00" }])), "blackouts[0].to"),
        (with("blackouts", json!([{ "from": "10pm", "to": "02:00" }])), "blackouts[0].from"),
        (with("blackouts", json!([{ "from": "22:00", "to": "22:00" }])), "blackouts[0].to"),
        (with("blackouts", json!(vec![json!({ "from": "22:00", "to": "23:00" }); 21])), "blackouts"),
        (with("dryRun", json!("yes")), "dryRun"),
        (with("reason", json!("r".repeat(1_001))), "reason"),
        (with("dryrun", json!(true)), "dryrun"),
    ];
    for (input, field) in cases {
        let refusals = parse(&input).expect_err("should be refused");
        assert_eq!(refused(&input), [field], "{input}");
        assert!(refusals.iter().all(|refusal| !refusal.problem.is_empty() && !refusal.cure.is_empty()), "{input}");
    }
}

#[test]
fn a_part_that_is_no_object_is_told_to_be_one() {
    let sweep = json!({ "application": "orders", "retention": { "sweep": "all" } });
    for (input, field) in [(sweep, "retention.sweep"), (json!({ "tag": "daily" }), "tag")] {
        let refusals = parse(&input).expect_err("should be refused");
        let told: Vec<_> = refusals.iter().map(|refusal| (refusal.field.as_str(), refusal.cure.as_str())).collect();
        assert_eq!(told, [(field, "give an object")], "{input}");
    }
}

#[test]
fn values_at_their_limits_are_taken() {
    for more in [
        json!({ "concurrency": 1 }),
        json!({ "concurrency": 40 }),
        json!({ "timeoutSeconds": 60 }),
        json!({ "timeoutSeconds": 21_600 }),
        json!({ "reason": "r".repeat(1_000) }),
        json!({ "scheduledAt": "2026-11-21T09:45:10.5Z" }),
        json!({ "scheduledAt": "1970-01-01T00:00:00Z" }),
        json!({ "blackouts": vec![json!({ "from": "00:00", "to": "23:59" }); 20] }),
    ] {
        let mut input = json!({ "application": "orders" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(parse(&input).is_ok(), "{input}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let input =
        json!({ "applications": [], "scheduledAt": "soon", "concurrency": 0, "retention": { "keepNewest": 0 } });
    assert_eq!(refused(&input), ["applications", "scheduledAt", "concurrency", "retention.keepNewest"]);
}

#[test]
fn nothing_is_deleted_that_nobody_asked_to_delete() {
    let cases = [
        (json!({ "application": "orders" }), true),
        (json!({ "application": "orders", "retention": {} }), false),
        (json!({ "application": "orders", "retention": { "dryRun": true } }), true),
        (json!({ "application": "orders", "retention": {}, "dryRun": true }), true),
    ];
    for (input, keeps_all) in cases {
        let plan = parse(&input).unwrap().plan;
        assert_eq!(plan.retention.dry_run, keeps_all, "{input}");
        assert_eq!(plan.dry_run, input.get("dryRun").is_some(), "{input}");
    }
}

#[test]
fn what_is_null_counts_as_left_out() {
    let input = json!({ "application": "orders", "applications": null, "tag": null, "scheduledAt": null,
        "retention": null, "reason": null });
    assert_eq!(parse(&input).unwrap(), parse(&json!({ "application": "orders" })).unwrap());
}

#[test]
fn a_blackout_may_span_midnight() {
    let at = |time: &str| format!("2026-11-20T{time}Z").parse::<Timestamp>().unwrap();
    let cases = [
        (("22:00", "02:00"), [("21:59:59", false), ("22:00:00", true), ("00:00:00", true), ("01:59:59", true)]),
        (("22:00", "02:00"), [("02:00:00", false), ("12:00:00", false), ("23:59:59", true), ("02:00:01", false)]),
        (("09:00", "17:30"), [("08:59:59", false), ("09:00:00", true), ("17:29:59", true), ("17:30:00", false)]),
        (("22:00", "00:00"), [("21:59:00", false), ("23:59:59", true), ("00:00:00", false), ("00:01:00", false)]),
    ];
    for ((from, to), times) in cases {
        for (time, expected) in times {
            assert_eq!(blackout(from, to).contains(at(time)), expected, "{from} to {to} at {time}");
        }
    }
}

#[test]
fn as_many_applications_as_fit_are_taken() {
    let names =
        |count: usize, length: usize| -> Vec<String> { (0..count).map(|index| format!("{index:0length$}")).collect() };
    let input = |names: Vec<String>| json!({ "applications": names, "concurrency": 40 });
    assert!(parse(&input(names(1_000, 60))).is_ok());
    assert!(parse(&input(names(800, 128))).is_ok());
    assert_eq!(refused(&input(names(1_001, 4))), ["applications"]);
    assert_eq!(refused(&input(names(1_000, 128))), ["applications"]);
    let slow = json!({ "applications": names(1_000, 8), "concurrency": 1 });
    assert_eq!(refused(&slow), ["concurrency"]);
    // With longer names there are too few words left for each to say why.
    assert!(parse(&input(names(1_000, 80))).is_ok());
    assert_eq!(refused(&input(names(1_000, 81))), ["applications"]);
}

#[test]
fn a_run_has_to_fit_the_time_of_its_state_machine() {
    // Each round takes 20,000 s, and there is time for 25.
    let input = |applications: usize, concurrency: u32| {
        let names: Vec<String> = (0..applications).map(|index| format!("orders-{index}")).collect();
        json!({ "applications": names, "concurrency": concurrency, "timeoutSeconds": 19_100 })
    };
    for (applications, concurrency, fits) in
        [(25, 1, true), (26, 1, false), (50, 2, true), (51, 2, false), (1_000, 40, true), (1_000, 39, false)]
    {
        let read = parse(&input(applications, concurrency));
        assert_eq!(read.is_ok(), fits, "{applications} with {concurrency} at a time: {read:?}");
    }
}

#[test]
fn the_results_of_a_run_fit_the_state_machine() {
    for (count, length) in [(1_000, 60), (800, 128), (1_000, 1), (1, 128), (100, 20)] {
        let names: Vec<String> = (0..count).map(|index| format!("{index:0length$}")).collect();
        let words = words_each(&names);
        assert!((FEWEST_WORDS..=MOST_WORDS).contains(&words), "{count} of {length}: {words}");
        let results = names.iter().map(|name| {
            json!({ "application": name, "outcome": "WouldTake", "code": "likelyPermissions", "why": "w".repeat(words),
                "warning": "nearQuota" })
        });
        assert!(results.collect::<Value>().to_string().len() < 250_000, "{count} of {length}");
    }
}

use super::*;

const COMPLETE: [(&str, &str); 3] = [
    ("STATE_MACHINE_ARN", "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:deploy"),
    ("TURNS_TABLE", "turns"),
    ("CODE_BUCKET", "code"),
];

/// Settings from these variables, given in place of or beside the complete ones.
fn read(given: &[(&str, &str)]) -> Result<Settings, String> {
    let find = |variables: &[(&str, &str)], name: &str| {
        variables.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::read(|name| find(given, name).or_else(|| find(&COMPLETE, name))).map_err(|error| error.to_string())
}

#[test]
fn little_has_to_be_configured() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.prefix, "applications/");
    assert!(settings.applications.is_empty() && settings.policy.is_none());
    assert_eq!(settings.partition(), "aws-cn");
}

#[test]
fn what_is_empty_in_the_template_is_not_configured() {
    let settings = read(&[("APPLICATION_MAP", ""), ("DEPLOYMENT_POLICY", "")]).unwrap();
    assert!(settings.applications.is_empty() && settings.policy.is_none());
}

#[test]
fn what_cannot_be_meant_is_refused_at_start_up_by_name() {
    let cases = [
        ("STATE_MACHINE_ARN", "", "is not set"),
        ("STATE_MACHINE_ARN", "deploy", "is not the ARN of a state machine"),
        ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:execution:deploy:one", "not the ARN"),
        ("STATE_MACHINE_ARN", "arn:aws:states:us-east-1::stateMachine:deploy", "not the ARN"),
        ("TURNS_TABLE", "", "is not set"),
        ("CODE_BUCKET", "", "is not set"),
        ("CODE_PREFIX", "applications", "does not end with a slash"),
        ("APPLICATION_MAP", "orders", "is not a JSON object of application names by key: expected value"),
        ("APPLICATION_MAP", r#"["orders"]"#, "is not a JSON object"),
        ("APPLICATION_MAP", r#"{"a/": 7}"#, "is not a JSON object"),
        ("APPLICATION_MAP", r#"{"a/": "order book"}"#, "names no application for the key `a/`: application: not the"),
        ("DEPLOYMENT_POLICY", "{", "is not JSON: EOF"),
        ("DEPLOYMENT_POLICY", "[]", "is refused: policy: wrong type or value; give an object"),
        ("DEPLOYMENT_POLICY", r#"{"bake": 5}"#, "is refused: policy.bake: unknown field"),
        ("DEPLOYMENT_POLICY", r#"{"bakeSeconds": 99999}"#, "is refused: policy.bakeSeconds: 99999 is out of bounds"),
    ];
    for (variable, value, problem) in cases {
        let error = read(&[(variable, value)]).unwrap_err();
        assert!(error.starts_with(&format!("the environment variable {variable} ")), "{error}");
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_key_has_the_application_of_its_folder() {
    let cases = [
        ("applications/", "applications/orders/orders-2.jar", Some("orders")),
        ("applications/", "applications/orders/", Some("orders")),
        ("applications/", "applications/orders.jar", None),
        ("applications/", "applications/orders/lib/json.jar", None),
        ("applications/", "other/orders/orders.jar", None),
        ("applications/", "applications", None),
        ("a/b/", "a/b/orders/orders.jar", Some("orders")),
        ("", "orders/orders.jar", Some("orders")),
        ("", "orders.jar", None),
        ("", "/orders.jar", Some("")),
    ];
    for (prefix, key, application) in cases {
        let settings = read(&[("CODE_PREFIX", prefix)]).unwrap();
        assert_eq!(settings.application_of(key), application, "{key} in {prefix}");
    }
}

#[test]
fn the_map_goes_before_the_folder_and_its_longest_match_before_others() {
    let map = r#"{"team/": "first", "team/second-": "second", "team/second-3.jar": "third", "applications/x/": "y"}"#;
    let settings = read(&[("APPLICATION_MAP", map)]).unwrap();
    let cases = [
        ("team/any.jar", Some("first")),
        ("team/lib/any.jar", Some("first")),
        ("team/second-2.jar", Some("second")),
        ("team/second-3.jar", Some("third")),
        ("applications/x/any.jar", Some("y")),
        ("applications/orders/any.jar", Some("orders")),
        ("tea/any.jar", None),
    ];
    for (key, application) in cases {
        assert_eq!(settings.application_of(key), application, "{key}");
    }
}

//! Roles as the template gives them, and whether they allow a call, as IAM matches actions and resources.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::template::{Stack, TemplateError, texts};

/// What a role allows.
#[derive(Debug, Clone, Default)]
pub struct Role {
    /// Logical id of the role in the template.
    pub id: String,
    /// All its statements, those of its managed policies included.
    pub statements: Vec<Statement>,
}

/// A statement that allows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is called, for findings.
    pub sid: String,
    /// Actions, such as `sns:Publish`.
    pub actions: BTreeSet<String>,
    /// Patterns of ARNs, with `*` and `?`.
    pub resources: BTreeSet<String>,
    /// Whether it holds for a call of ours, as far as that can be told here.
    pub holds: bool,
}

impl Role {
    /// Reads the role of that logical id, its managed policies included.
    ///
    /// # Errors
    /// When a statement denies, or speaks of what it does not mean (`NotAction`), or a policy is not the template's own.
    pub fn read(stack: &Stack, id: &str) -> Result<Self, TemplateError> {
        let mut statements = Vec::new();
        let inline = stack.member(id, "/Properties/Policies")?.unwrap_or_default();
        for policy in inline.as_array().into_iter().flatten() {
            statements.extend(read_statements(&policy["PolicyDocument"])?);
        }
        let managed = stack.member(id, "/Properties/ManagedPolicyArns")?;
        for arn in managed.iter().flat_map(|list| list.as_array().into_iter().flatten()) {
            let own = stack
                .resources_of("AWS::IAM::ManagedPolicy")
                .find(|policy| stack.arn(policy).is_ok_and(|own| arn.as_str() == Some(&own)));
            let own = own.ok_or_else(|| TemplateError::Unknown(format!("the managed policy {arn} of {id}")))?;
            let document = stack.member(own, "/Properties/PolicyDocument")?.unwrap_or_default();
            statements.extend(read_statements(&document)?);
        }
        Ok(Self { id: id.to_owned(), statements })
    }

    /// Whether a statement that holds allows this action on this resource.
    pub fn allows(&self, action: &str, resource: &str) -> bool {
        self.statements.iter().any(|statement| {
            statement.holds
                && statement.actions.iter().any(|pattern| is_same_action(pattern, action))
                && statement.resources.iter().any(|pattern| matches(pattern, resource))
        })
    }
}

fn read_statements(document: &Value) -> Result<Vec<Statement>, TemplateError> {
    const KNOWN: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];
    let statements = document["Statement"].as_array();
    let statements = statements.ok_or_else(|| TemplateError::Unknown(format!("the policy {document}")))?;
    let read = |statement: &Value| {
        let members = statement.as_object().into_iter().flat_map(|members| members.keys());
        let unknown = members.into_iter().find(|member| !KNOWN.contains(&member.as_str()));
        if unknown.is_some() || statement["Effect"] != "Allow" {
            return Err(TemplateError::Unknown(format!("the statement {statement}")));
        }
        Ok(Statement {
            sid: statement["Sid"].as_str().unwrap_or_default().to_owned(),
            actions: texts("an Action", &statement["Action"])?,
            resources: texts("a Resource", &statement["Resource"])?,
            holds: statement.get("Condition").is_none_or(holds),
        })
    };
    statements.iter().map(read).collect()
}

/// Whether a condition is met by our calls. A role that is handed to kinesisanalyticsv2 is handed to that service; what
/// start-deployment writes is of uploads (`tests/tests/uploads.rs`); events have the one source that the code knows; of
/// anything else nothing is known here.
fn holds(condition: &Value) -> bool {
    let met = [
        json!({ "StringEquals": { "iam:PassedToService": "kinesisanalytics.amazonaws.com" } }),
        json!({ "ForAllValues:StringLike": { "dynamodb:LeadingKeys": "upload#*" } }),
        json!({ "ForAllValues:StringEquals": { "events:source": notify::EVENT_SOURCE } }),
    ];
    met.contains(condition)
}

/// Whether the pattern of an action matches, as IAM does it: letters' case does not count.
pub fn is_same_action(pattern: &str, action: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

/// Whether an ARN fits the pattern, as IAM does it: `*` stands for any text, also for none and across `:` and `/`, and `?`
/// for one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&expected) if expected == '?' || expected == text[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((position, taken)) => {
                    star = Some((position, taken + 1));
                    at = position + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::template::read;
    use super::*;

    #[test]
    fn patterns_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "arn:aws:sns:us-east-1:1:topic", true),
            ("arn:aws:sns:us-east-1:1:topic", "arn:aws:sns:us-east-1:1:topic", true),
            ("arn:aws:sns:us-east-1:1:topic", "arn:aws:sns:us-east-1:1:topic2", false),
            ("arn:aws:sns:*:1:topic", "arn:aws:sns:us-east-1:1:topic", true),
            ("application/orders-*", "application/orders-", true),
            ("application/orders-*", "application/orders", false),
            ("application/*", "application/a/b:c", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-", false),
            ("order?", "orders", true),
            ("order?", "order", false),
            ("*x", "xyx", true),
            ("", "", true),
            ("", "a", false),
            ("Topic", "topic", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(is_same_action("SNS:publish", "sns:Publish"));
    }

    const TEMPLATE: &str = r#"
Resources:
  Shared:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Statement:
          - { Sid: Traces, Effect: Allow, Action: "xray:PutTraceSegments", Resource: "*" }
  Worker:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Shared]
      Policies:
        - PolicyDocument:
            Statement:
              - { Sid: A, Effect: Allow, Action: ["s:Get", "s:Put"], Resource: ["arn:a", "arn:b*"] }
              - Sid: C
                Effect: Allow
                Action: iam:PassRole
                Resource: arn:role
                Condition: { StringEquals: { "iam:PassedToService": kinesisanalytics.amazonaws.com } }
              - { Sid: B, Effect: Allow, Action: "k:Use", Resource: "*", Condition: { StringEquals: { a: b } } }
"#;

    fn role(template: &str) -> Result<Role, TemplateError> {
        let stack = Stack::new(&read(template).unwrap(), "s", &BTreeMap::new(), &BTreeMap::new()).unwrap();
        Role::read(&stack, "Worker")
    }

    #[test]
    fn a_role_allows_what_its_policies_and_the_managed_ones_say() {
        let role = role(TEMPLATE).unwrap();
        assert_eq!(role.statements.iter().map(|it| it.sid.as_str()).collect::<Vec<_>>(), ["A", "C", "B", "Traces"]);
        for (action, resource, expected) in [
            ("s:Get", "arn:a", true),
            ("s:Put", "arn:bcd", true),
            ("s:Get", "arn:c", false),
            ("s:Delete", "arn:a", false),
            ("xray:PutTraceSegments", "*", true),
            ("k:Use", "arn:key", false),
            ("iam:PassRole", "arn:role", true),
            ("iam:PassRole", "arn:other", false),
        ] {
            assert_eq!(role.allows(action, resource), expected, "{action} {resource}");
        }
    }

    #[test]
    fn what_a_reader_would_have_to_guess_is_refused() {
        let denied = TEMPLATE.replacen("Effect: Allow, Action: [", "Effect: Deny, Action: [", 1);
        let negated = TEMPLATE.replacen("Action: [", "NotAction: [", 1);
        let foreign = TEMPLATE.replacen("!Ref Shared", "\"arn:aws:iam::aws:policy/AdministratorAccess\"", 1);
        for (template, expected) in
            [(denied, "the statement"), (negated, "the statement"), (foreign, "the managed policy")]
        {
            let error = role(&template).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(texts("x", &json!(["b", "a"])).unwrap().len(), 2);
    }
}

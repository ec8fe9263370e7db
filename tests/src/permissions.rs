//! Least privilege, measured: what each role of `template.yaml` allows, against what its function is seen to call in the
//! scenarios. Both ways: nothing is allowed that nobody does, and nothing is done that is not allowed. Beside the calls
//! of the functions' code stand those that the template makes AWS do with a role: logs, dead letters, schedules, and the
//! tasks of the state machines.

pub mod policy;
pub mod template;
pub mod usage;
pub mod ways_in;
pub mod wiring;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use thiserror::Error;

use self::policy::{Role, is_same_action, matches};
use self::template::{ACCOUNT, REGION, Stack, TemplateError};
use self::wiring::Actor;
use crate::world::{BUCKET, BUS, TOPIC, TURNS};

/// The stack's name.
const STACK: &str = "world";
/// The service execution roles of the scenarios' applications.
const SERVICE_ROLES: &str = "arn:aws:iam::123456789012:role/orders*";
/// A customer managed key.
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000";
/// The applications of the scenarios, with the one that is misspelt.
const APPLICATIONS: &str = "arn:aws:kinesisanalytics:us-east-1:123456789012:application/ord*";

/// Actions of functions for which IAM knows no resource, or none that would do: `*` is all that can be said. Those that
/// the template makes AWS do are in [`wiring`].
const WITHOUT_RESOURCE: [&str; 3] = [
    // CloudWatch knows no resources of metrics.
    "cloudwatch:GetMetricData",
    // Composite alarms are shown to those only who may see all alarms.
    "cloudwatch:DescribeAlarms",
    // The list of all applications is no resource.
    "kinesisanalytics:ListApplications",
];

/// Actions that nothing here can show, each with the only resource that it may have and the reason. They are in the
/// template under conditions.
const UNSEEN: [(&str, &str, &str); 5] = [
    ("kms:DescribeKey", KEY, CALLERS_KEY),
    ("kms:Decrypt", KEY, CALLERS_KEY),
    ("kms:GenerateDataKey", KEY, CALLERS_KEY),
    ("kms:GenerateDataKeyWithoutPlaintext", KEY, CALLERS_KEY),
    ("kms:CreateGrant", KEY, CALLERS_KEY),
];
/// Calls that use a key: of the service, those that change an application; of SNS, publishing.
const USE_A_KEY: [&str; 7] = [
    "kinesisanalytics:CreateApplicationSnapshot",
    "kinesisanalytics:DeleteApplicationSnapshot",
    "kinesisanalytics:RollbackApplication",
    "kinesisanalytics:StartApplication",
    "kinesisanalytics:StopApplication",
    "kinesisanalytics:UpdateApplication",
    "sns:Publish",
];
const CALLERS_KEY: &str = "the service, or SNS, uses the key with the caller's permissions; only with a key's ARN";

/// Why permissions cannot be compared.
#[derive(Debug, Error)]
pub enum PermissionError {
    /// The template has something that is not known here.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A definition is no JSON.
    #[error("{path} is no JSON")]
    Definition {
        /// The definition.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A scenario could not be run.
    #[error("the scenario {scenario} could not be run: {problem}")]
    Scenario {
        /// Its name.
        scenario: String,
        /// Why.
        problem: String,
    },
}

/// A call that somebody makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Who makes it: a Lambda's name, a state machine's file, a schedule.
    pub actor: String,
    /// The action, as IAM names it.
    pub action: String,
    /// ARN of what it concerns; `*` where IAM knows no resource for it.
    pub resource: String,
    /// The scenario in which it was seen, or what makes AWS do it.
    pub seen: String,
}

impl Use {
    /// A call.
    pub fn new(actor: &str, action: &str, resource: &str, seen: &str) -> Self {
        Self {
            actor: actor.to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            seen: seen.to_owned(),
        }
    }
}

/// The stack that the scenarios are played in, as this template makes it, with everything that can be switched on.
///
/// # Errors
/// When the template has something that is not known here.
pub fn full_stack(template: &Value) -> Result<Stack, TemplateError> {
    let parameters = BTreeMap::from([
        ("ApplicationArns", json!([APPLICATIONS])),
        ("ServiceRoleArns", json!([SERVICE_ROLES])),
        ("KmsKeyArns", json!([KEY])),
        ("CodeBucketName", json!(BUCKET)),
        ("SnapshotSchedule", json!("rate(1 day)")),
        ("NotificationTopicArn", json!(TOPIC)),
        ("NotificationKeyArn", json!(KEY)),
        ("EventBusName", json!(BUS)),
    ]);
    Stack::new(template, STACK, &parameters, &BTreeMap::from([("TurnsTable", TURNS)]))
}

/// The same with nothing but what a stack must have.
///
/// # Errors
/// When the template has something that is not known here.
pub fn bare_stack(template: &Value) -> Result<Stack, TemplateError> {
    let parameters = BTreeMap::from([("ApplicationArns", json!([APPLICATIONS]))]);
    Stack::new(template, STACK, &parameters, &BTreeMap::from([("TurnsTable", TURNS)]))
}

/// Names in the world stand without the stack's name, which a stack's machines have before theirs.
fn in_stack(resource: &str) -> String {
    let mut parts: Vec<String> = resource.splitn(8, ':').map(str::to_owned).collect();
    if let [_, _, service, _, _, kind, name, ..] = parts.as_mut_slice()
        && service == "states"
        && ["stateMachine", "execution"].contains(&kind.as_str())
    {
        *name = format!("{STACK}-{name}");
    }
    parts.join(":")
}

/// What the roles of a stack allow, and to whom.
#[derive(Debug, Clone)]
pub struct Permissions {
    actors: Vec<Actor>,
    roles: BTreeMap<String, Role>,
}

impl Permissions {
    /// Reads all roles of a stack. Definitions are read from `root`, the repository.
    ///
    /// # Errors
    /// When the template or a definition has something that is not known here.
    pub fn read(stack: &Stack, root: &Path) -> Result<Self, PermissionError> {
        let mut roles = BTreeMap::new();
        for id in stack.resources_of("AWS::IAM::Role") {
            roles.insert(id.to_owned(), Role::read(stack, id)?);
        }
        Ok(Self { actors: wiring::actors(stack, root)?, roles })
    }

    /// What each Lambda's own code may call: the actions of its role without those that AWS does for it or asks for beside
    /// a call (keys, and roles that are handed over).
    pub fn calls(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let is_beside = |actor: &Actor, action: &str| {
            action.starts_with("iam:") || action.starts_with("kms:") || actor.uses.iter().any(|it| it.action == action)
        };
        let lambdas = self.actors.iter().filter(|actor| actor.is_lambda);
        let calls = lambdas.map(|actor| {
            let statements = self.roles.get(&actor.role).into_iter().flat_map(|role| &role.statements);
            let actions = statements.flat_map(|statement| statement.actions.iter().map(String::as_str));
            (actor.name.as_str(), actions.filter(|action| !is_beside(actor, action)).collect())
        });
        calls.collect()
    }

    /// The actions of each role, its managed policies' included, by the role's logical id.
    pub fn of_roles(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let actions = |role: &Role| -> BTreeSet<String> {
            role.statements.iter().flat_map(|statement| statement.actions.iter().cloned()).collect()
        };
        self.roles.iter().map(|(id, role)| (id.as_str(), actions(role))).collect()
    }

    /// Every action in any role.
    pub fn actions(&self) -> BTreeSet<&str> {
        let statements = self.roles.values().flat_map(|role| &role.statements);
        statements.flat_map(|statement| statement.actions.iter().map(String::as_str)).collect()
    }

    /// What the roles allow beyond these calls of the functions' code and what the template makes AWS do, and what of both
    /// they do not allow; a sentence each, empty when all is well.
    pub fn findings(&self, calls: &[Use]) -> Vec<String> {
        let mut findings = Vec::new();
        let mut acting: BTreeMap<&str, &str> = BTreeMap::new();
        for actor in &self.actors {
            if let Some(other) = acting.insert(&actor.role, &actor.name) {
                findings.push(format!("{} and {other} have one role, {}", actor.name, actor.role));
            }
            let own = calls.iter().filter(|call| call.actor == actor.name);
            let uses: Vec<&Use> = own.chain(&actor.uses).collect();
            if let Some(role) = self.roles.get(&actor.role) {
                findings.extend(missing(role, &uses));
                findings.extend(superfluous(&actor.name, role, &uses));
            }
        }
        let idle = self.roles.keys().filter(|role| !acting.contains_key(role.as_str()));
        findings.extend(idle.map(|role| format!("{role} is nobody's role")));
        let known: BTreeSet<&str> = self.actors.iter().map(|actor| actor.name.as_str()).collect();
        let strangers: BTreeSet<&str> = calls.iter().map(|call| call.actor.as_str()).collect();
        findings.extend(
            strangers.difference(&known).map(|actor| format!("{actor} makes calls and is not in the template")),
        );
        let allowed = self.actions();
        let stale = UNSEEN.iter().map(|(action, ..)| *action).filter(|action| !allowed.contains(action));
        findings.extend(stale.map(|action| format!("{action} is excused, and no role has it")));
        findings
    }

    /// The table of who may do what, and where it was seen.
    pub fn table(&self, calls: &[Use]) -> String {
        let mut text = String::new();
        for actor in &self.actors {
            let _ = writeln!(text, "{} ({})", actor.name, actor.role);
            let Some(role) = self.roles.get(&actor.role) else { continue };
            let own = calls.iter().filter(|call| call.actor == actor.name);
            let uses: Vec<&Use> = own.chain(&actor.uses).collect();
            let actions: BTreeSet<&String> = role.statements.iter().flat_map(|statement| &statement.actions).collect();
            let width = actions.iter().map(|action| action.len()).max().unwrap_or_default();
            for action in actions {
                let seen: BTreeSet<&str> =
                    uses.iter().filter(|it| is_same_action(action, &it.action)).map(|it| it.seen.as_str()).collect();
                let excuse = UNSEEN.iter().find(|(unseen, ..)| unseen == action).map(|(.., reason)| *reason);
                let first = seen.first().copied().or(excuse).unwrap_or("never seen");
                let more = if seen.len() > 1 { format!(" and {} more", seen.len() - 1) } else { String::new() };
                let _ = writeln!(text, "  {action:width$}  {first}{more}");
            }
        }
        text
    }
}

/// The calls that the role does not allow.
fn missing(role: &Role, uses: &[&Use]) -> Vec<String> {
    let mut told = BTreeSet::new();
    let refused = uses.iter().filter(|it| !role.allows(&it.action, &it.resource));
    refused
        .filter(|it| told.insert((&it.action, stem(&it.resource))))
        .map(|it| {
            format!(
                "{} calls {} on {} ({}), and {} does not allow it",
                it.actor, it.action, it.resource, it.seen, role.id
            )
        })
        .collect()
}

/// What the role allows and nobody does.
fn superfluous(actor: &str, role: &Role, uses: &[&Use]) -> Vec<String> {
    let mut findings = Vec::new();
    for statement in &role.statements {
        for action in &statement.actions {
            for pattern in &statement.resources {
                let allowed = format!("{} allows {action} on {pattern} ({})", role.id, statement.sid);
                if action.contains(['*', '?']) {
                    findings.push(format!("{allowed}: actions have to be named one by one"));
                } else if let Some((_, only, _)) = UNSEEN.iter().find(|(unseen, ..)| unseen == action) {
                    if pattern != only {
                        findings.push(format!("{allowed}, and may on {only} alone"));
                    }
                    if !uses.iter().any(|it| USE_A_KEY.contains(&it.action.as_str())) {
                        findings.push(format!("{allowed}, and {actor} makes no call that uses a key"));
                    }
                } else if let Some(seen) =
                    uses.iter().find(|it| is_same_action(action, &it.action) && matches(pattern, &it.resource))
                {
                    let is_excused = WITHOUT_RESOURCE.contains(&action.as_str()) || wiring::is_without_resource(action);
                    let other = strangers(&seen.resource).into_iter().find(|other| matches(pattern, other));
                    if let Some(other) = other.filter(|_| !is_excused) {
                        findings.push(format!("{allowed}, which is too wide: {other} is nobody's"));
                    }
                } else {
                    findings.push(format!("{allowed}, and {actor} is not seen to do it"));
                }
            }
        }
    }
    findings
}

/// The resource without what differs from run to run, so that a finding is told once.
fn stem(resource: &str) -> String {
    resource.splitn(8, ':').take(7).collect::<Vec<_>>().join(":")
}

/// ARNs that are like this one and yet nobody's: of another name, account and Region. `*` has only itself.
fn strangers(arn: &str) -> Vec<String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, service, region, account, resource] = parts.as_slice() else { return vec![arn.to_owned()] };
    let named = match resource.find(['/', ':']) {
        Some(at) => {
            let (kind, name) = resource.split_at(at + 1);
            let rest = name.find(':').map_or("", |end| &name[end..]);
            format!("{kind}stranger{rest}")
        }
        None => "stranger".to_owned(),
    };
    let like =
        |region: &str, account: &str, resource: &str| [prefix, partition, service, region, account, resource].join(":");
    let mut strangers = vec![like(region, account, &named)];
    if *account == ACCOUNT {
        strangers.push(like(region, "210987654321", resource));
    }
    if *region == REGION {
        strangers.push(like("eu-west-3", account, resource));
    }
    strangers
}

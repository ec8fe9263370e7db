use fastrand::Rng;
use serde_json::json;

use super::*;
use crate::deployment::Rung;
use crate::fixtures::{at, goes_on, request};

const NOBODY: BTreeMap<String, Execution> = BTreeMap::new();

fn by_hand(execution: &str, second: i64) -> Claim {
    Claim::new(execution, at(second), None)
}

fn upload(execution: &str, key: &str, sequencer: &str, second: i64) -> Claim {
    let upload = Upload {
        bucket: "code".into(),
        key: key.into(),
        version_id: "1".into(),
        sequencer: sequencer.into(),
        at: at(second),
    };
    Claim::new(execution, at(second + 5), Some(upload))
}

fn known<const N: usize>(states: [(&str, Execution); N]) -> BTreeMap<String, Execution> {
    states.map(|(execution, state)| (execution.to_owned(), state)).into()
}

/// Asks as the Lambda does: whoever is to be looked at is looked at.
fn ask(turns: &mut Turns, claim: &Claim, running: &[&str], second: i64) -> Answer {
    let mut known = NOBODY;
    loop {
        let mut next = turns.clone();
        match next.ask(claim, &known, at(second)) {
            Answer::LookAt { execution } => {
                let state = if running.contains(&execution.as_str()) { Execution::Running } else { Execution::Over };
                assert_eq!(known.insert(execution, state), None, "nobody is looked at twice");
            }
            answer => {
                *turns = next;
                return answer;
            }
        }
    }
}

fn wait(behind: &str) -> Answer {
    Answer::Wait { behind: behind.into() }
}

fn overtaken(by: &str) -> Answer {
    Answer::Overtaken { by: by.into() }
}

#[test]
fn the_first_to_ask_has_its_turn_however_often_it_asks() {
    let mut turns = Turns::default();
    assert_eq!(turns.ask(&by_hand("a", 1), &NOBODY, at(1)), Answer::Yours);
    let after = turns.clone();
    assert_eq!(turns.ask(&by_hand("a", 1), &NOBODY, at(99)), Answer::Yours);
    assert_eq!(turns, after);
}

#[test]
fn others_queue_in_the_order_in_which_they_were_wanted() {
    let mut turns = Turns::default();
    let (a, b, c) = (by_hand("a", 1), by_hand("b", 2), by_hand("c", 3));
    let all = ["a", "b", "c"];
    assert_eq!(ask(&mut turns, &a, &all, 4), Answer::Yours);
    assert_eq!(ask(&mut turns, &c, &all, 5), wait("a"));
    assert_eq!(ask(&mut turns, &b, &all, 6), wait("a"));
    assert_eq!(ask(&mut turns, &c, &["b", "c"], 7), wait("b"), "b was wanted before c, though it asked later");
    assert_eq!(ask(&mut turns, &b, &["b", "c"], 8), Answer::Yours);
    assert_eq!(ask(&mut turns, &c, &["b", "c"], 9), wait("b"));
    assert_eq!(ask(&mut turns, &c, &["c"], 10), Answer::Yours);
    assert_eq!(turns.waiting, []);
}

#[test]
fn whoever_has_ended_is_in_nobodys_way() {
    let mut turns = Turns::default();
    assert_eq!(ask(&mut turns, &by_hand("aborted", 1), &["aborted"], 1), Answer::Yours);
    assert_eq!(ask(&mut turns, &by_hand("tired", 2), &["aborted", "tired"], 2), wait("aborted"));
    assert_eq!(ask(&mut turns, &by_hand("next", 3), &["next"], 3), Answer::Yours);
    assert_eq!(turns.waiting, [], "the place of the one that is gone is, too");
}

#[test]
fn who_is_in_the_way_has_to_be_looked_at_first() {
    let mut turns = Turns::default();
    turns.ask(&by_hand("a", 1), &NOBODY, at(1));
    let look = Answer::LookAt { execution: "a".into() };
    assert_eq!(turns.ask(&by_hand("b", 2), &NOBODY, at(2)), look);
    assert_eq!(turns.ask(&by_hand("b", 2), &known([("c", Execution::Over)]), at(2)), look);
    assert_eq!(turns.ask(&by_hand("b", 2), &known([("a", Execution::Over)]), at(2)), Answer::Yours);
}

#[test]
fn an_execution_that_is_not_known_yet_counts_as_running_for_a_while() {
    let mut turns = Turns::default();
    turns.ask(&by_hand("young", 0), &NOBODY, at(0));
    let unknown = known([("young", Execution::Unknown)]);
    assert_eq!(turns.ask(&by_hand("b", 2), &unknown, at(599)), wait("young"));
    assert_eq!(turns.ask(&by_hand("b", 2), &unknown, at(600)), Answer::Yours);
}

#[test]
fn of_uploads_the_newest_wins() {
    let all = ["a", "old", "new"];
    let mut turns = Turns::default();
    ask(&mut turns, &by_hand("a", 0), &all, 0);
    let (old, new) = (upload("old", "orders.jar", "09", 1), upload("new", "orders.jar", "0A0", 1));
    assert_eq!(ask(&mut turns, &old, &all, 2), wait("a"));
    assert_eq!(ask(&mut turns, &new, &all, 3), wait("a"), "an overtaken one in front is not waited for in vain");
    assert_eq!(ask(&mut turns, &old, &all, 4), overtaken("new"));
    assert_eq!(ask(&mut turns, &new, &["new"], 5), Answer::Yours);
    assert_eq!(ask(&mut turns, &old, &[], 6), overtaken("new"), "an event that comes late, too");
    assert_eq!(ask(&mut turns, &new, &[], 7), Answer::Yours);
}

#[test]
fn an_upload_that_has_its_turn_keeps_it() {
    let mut turns = Turns::default();
    let (old, new) = (upload("old", "orders-1.jar", "9", 1), upload("new", "orders-2.jar", "1", 2));
    assert_eq!(ask(&mut turns, &old, &["old", "new"], 3), Answer::Yours);
    assert_eq!(ask(&mut turns, &new, &["old", "new"], 4), wait("old"));
    assert_eq!(ask(&mut turns, &old, &["old", "new"], 5), Answer::Yours);
}

#[test]
fn a_change_by_hand_neither_overtakes_nor_is_overtaken() {
    let all = ["a", "old", "hand", "new"];
    let mut turns = Turns::default();
    ask(&mut turns, &by_hand("a", 0), &all, 0);
    let (old, hand, new) = (upload("old", "1.jar", "1", 1), by_hand("hand", 2), upload("new", "2.jar", "1", 3));
    for claim in [&old, &hand, &new, &hand] {
        assert_eq!(ask(&mut turns, claim, &all, 4), wait("a"));
    }
    assert_eq!(ask(&mut turns, &old, &all, 5), overtaken("new"));
    assert_eq!(ask(&mut turns, &new, &["hand", "new"], 6), wait("hand"));
    assert_eq!(ask(&mut turns, &hand, &["hand", "new"], 7), Answer::Yours);
}

#[test]
fn too_many_are_told_so() {
    let mut turns = Turns::default();
    let all: Vec<_> = (0..=MOST_WAITING).map(|number| format!("{number:02}")).collect();
    let running: Vec<&str> = all.iter().map(String::as_str).collect();
    for name in &running {
        assert!(matches!(ask(&mut turns, &by_hand(name, 1), &running, 1), Answer::Yours | Answer::Wait { .. }));
    }
    assert_eq!(ask(&mut turns, &by_hand("more", 2), &running, 2), Answer::Full);
    assert_eq!(turns.waiting.len(), MOST_WAITING);
    let longest = "x".repeat(2_048);
    for place in &mut turns.waiting {
        place.claim = upload(&longest, &longest[..1_024], &longest[..64], 1);
    }
    assert!(serde_json::to_string(&turns).unwrap().len() < 400_000, "an item of DynamoDB holds so much");
}

#[test]
fn sequencers_compare_digit_by_digit_and_of_one_key_only() {
    let order = |one: (&str, &str, i64), other: (&str, &str, i64)| {
        let [one, other] = [one, other].map(|(key, sequencer, second)| upload("a", key, sequencer, second).upload);
        one.unwrap().order(&other.unwrap())
    };
    for (one, other, wanted) in [
        (("k", "0F", 9), ("k", "10", 1), Ordering::Less),
        (("k", "f00", 1), ("k", "F", 1), Ordering::Equal),
        (("k", "A", 1), ("k", "0000b", 9), Ordering::Greater),
        (("k", "0A", 1), ("k", "0A01", 1), Ordering::Less),
        (("k", "1", 1), ("l", "0", 2), Ordering::Less),
        (("k", "1", 2), ("l", "0", 2), Ordering::Less),
    ] {
        assert_eq!((order(one, other), order(other, one)), (wanted, wanted.reverse()), "{one:?} {other:?}");
    }
}

/// Executions come, ask, end and are aborted as chance has it. At no time do two have their turn, everybody is answered
/// in the end, and no upload is deployed after a newer one.
#[test]
fn whatever_happens_one_has_its_turn_and_nobody_waits_for_ever() {
    for seed in 0..2_000 {
        let mut chance = Rng::with_seed(seed);
        let claims: Vec<Claim> = (0..chance.usize(2..7))
            .map(|number| {
                let (name, second) = (format!("e{number}"), chance.i64(0..4));
                // As S3 gives them: later ones are greater.
                let sequencer = format!("{:02x}", second * 16 + chance.i64(1..16));
                match chance.u8(0..3) {
                    0 => by_hand(&name, second),
                    1 => upload(&name, "orders.jar", &sequencer, second),
                    _ => upload(&name, &format!("orders-{number}.jar"), &sequencer, second),
                }
            })
            .collect();
        let mut turns = Turns::default();
        let mut running: Vec<&Claim> = claims.iter().collect();
        let mut deployed: Vec<&Claim> = Vec::new();
        let mut holder: Option<&Claim> = None;
        for second in 0..1_000 {
            if running.is_empty() {
                break;
            }
            let claim = running[chance.usize(0..running.len())];
            let names: Vec<&str> = running.iter().map(|claim| claim.execution.as_str()).collect();
            let is_over = match ask(&mut turns, claim, &names, second) {
                Answer::Yours => {
                    assert!(holder.is_none_or(|holder| holder == claim), "seed {seed}: two at once");
                    if holder.is_none() {
                        assert!(!deployed.iter().any(|before| before.overtakes(claim)), "seed {seed}: too old");
                        deployed.push(claim);
                    }
                    holder = Some(claim);
                    chance.u8(0..3) == 0
                }
                Answer::Wait { behind } => {
                    assert!(names.contains(&behind.as_str()) && behind != claim.execution, "seed {seed}");
                    chance.u8(0..10) == 0
                }
                Answer::Overtaken { by } => {
                    assert!(claims.iter().any(|other| other.execution == by && other.overtakes(claim)), "seed {seed}");
                    true
                }
                answer @ (Answer::Full | Answer::LookAt { .. }) => panic!("seed {seed}: {answer:?}"),
            };
            if is_over {
                running.retain(|other| *other != claim);
                holder = holder.filter(|holder| *holder != claim);
            }
        }
        assert_eq!(running, Vec::<&Claim>::new(), "seed {seed}: somebody waits for ever");
    }
}

fn heeded(answer: Answer, second: i64) -> Deployment {
    let request = request(&json!({ "policy": { "turnTimeoutSeconds": 3_600, "deadlineSeconds": 5_000 } }));
    let mut deployment = Deployment::new(&request, "run-1", at(0));
    heed(&mut deployment, answer, at(second));
    deployment
}

#[test]
fn a_deployment_has_its_time_from_its_turn_on() {
    let deployment = heeded(Answer::Yours, 3_000);
    assert_eq!(goes_on(&deployment), "Prepare 0");
    assert_eq!((deployment.turn_at, deployment.deadline), (Some(at(3_000)), at(8_000)));
    assert_eq!(deployment.report, None);
}

#[test]
fn it_asks_again_ever_more_seldom_and_not_for_ever() {
    let waiting = |second| heeded(Answer::Wait { behind: "arn:aws:states:r:1:execution:deploy:other".into() }, second);
    for (waited, wanted) in [(0, 15), (60, 15), (64, 16), (1_196, 299), (1_204, 300), (3_599, 300)] {
        let deployment = waiting(waited);
        assert_eq!(goes_on(&deployment), format!("WaitForTurn {wanted}"), "after {waited} s");
        assert_eq!(deployment.events[0].what, "Waiting: it is the turn of the deployment other");
    }
    let report = waiting(3_600).report.unwrap();
    assert_eq!((report.outcome, report.refusals[0].field.as_str()), (Outcome::Refused, "policy.turnTimeoutSeconds"));
    assert!(report.summary.contains("the turn of the deployment other"), "{}", report.summary);
}

#[test]
fn whoever_is_overtaken_succeeds_and_touches_nothing() {
    let deployment = heeded(overtaken("arn:aws:states:r:1:execution:deploy:newer"), 60);
    let report = deployment.report.unwrap();
    assert_eq!((report.outcome, deployment.next), (Outcome::Superseded, Next::Notify));
    assert_eq!(report.because, [Reason::NewerUpload { execution: "newer".into() }]);
    let report = heeded(Answer::Full, 60).report.unwrap();
    assert_eq!((report.outcome, report.refusals[0].field.as_str()), (Outcome::Refused, "application"));
}

/// Whoever was redriven goes on where it was, unless another had the turn since.
#[test]
fn whoever_is_redriven_goes_on_only_if_nobody_had_the_turn_since() {
    let own = "arn:aws:states:r:1:execution:deploy:own";
    let other = "arn:aws:states:r:1:execution:deploy:other";
    let table = [
        (Some(own), false, Next::Prepare, None),
        (Some(own), true, Next::Decide, None),
        (None, true, Next::Decide, None),
        (Some(other), false, Next::Notify, Some(Outcome::Superseded)),
        (Some(other), true, Next::Notify, Some(Outcome::NeedsAttention)),
    ];
    for (holder, has_acted, next, outcome) in table {
        let mut deployment = heeded(Answer::Yours, 60);
        deployment.execution = "own".into();
        if has_acted {
            deployment.take(Rung::Update);
        }
        resume(&mut deployment, holder, at(120));
        let report = deployment.report.as_ref();
        assert_eq!((deployment.next, report.map(|report| report.outcome)), (next, outcome), "{holder:?} {has_acted}");
        let because = report.map(|report| report.because.clone()).unwrap_or_default();
        let passed_on = Reason::TurnPassedOn { execution: "other".into() };
        assert_eq!(because, if outcome.is_some() { vec![passed_on] } else { vec![] });
    }
}

#[test]
fn whoever_is_redriven_asks_again_once() {
    let mut deployment = heeded(Answer::Yours, 60);
    assert!(!deployment.asks_again(0));
    assert!(deployment.asks_again(1));
    assert_eq!(deployment.next, Next::TakeTurn);
    deployment.redrives = 1;
    assert!(!deployment.asks_again(1) && deployment.asks_again(2));
}

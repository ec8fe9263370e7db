//! An execution's history as visits to the states of its state machine, with the deployment as each left it.

use aws_sdk_sfn::types::HistoryEvent;
use jiff::Timestamp;
use lifecycle::deployment::Deployment;

/// A visit to a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// Name of the state, such as `CheckSubtasks`.
    pub state: String,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// When it was left; none while the execution is there, and where it ended there.
    pub exited_at: Option<Timestamp>,
    /// The deployment as it left the state, or entered it where it has not left; none where the state's data hold none.
    pub deployment: Option<Deployment>,
}

/// The visits that these events tell of, in their order.
pub fn visits(events: &[HistoryEvent]) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    for event in events {
        let Some(at) = moment(event.timestamp()) else { continue };
        if let Some(entered) = event.state_entered_event_details() {
            visits.push(Visit {
                state: entered.name().to_owned(),
                entered_at: at,
                exited_at: None,
                deployment: deployment_in(entered.input()),
            });
        } else if let Some(exited) = event.state_exited_event_details()
            && let Some(visit) = visits.iter_mut().rfind(|visit| visit.state == exited.name())
        {
            visit.exited_at = Some(at);
            visit.deployment = deployment_in(exited.output()).or(visit.deployment.take());
        }
    }
    visits
}

/// The newest state of the deployment in these events, whatever their order; none where they hold none.
pub fn newest_deployment(events: &[HistoryEvent]) -> Option<Deployment> {
    let mut events: Vec<&HistoryEvent> = events.iter().collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.id()));
    events.into_iter().find_map(|event| {
        let input = event.state_entered_event_details().and_then(|details| details.input());
        let output = event.state_exited_event_details().and_then(|details| details.output());
        deployment_in(input.or(output))
    })
}

/// A state's data, where they are a deployment.
fn deployment_in(data: Option<&str>) -> Option<Deployment> {
    serde_json::from_str(data?).ok()
}

/// A moment of the SDK's.
pub(crate) fn moment(at: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::from_nanosecond(at.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::types::{HistoryEventType, StateEnteredEventDetails, StateExitedEventDetails};
    use aws_smithy_types::DateTime;

    use super::*;

    fn event(id: i64, kind: HistoryEventType) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder().id(id).timestamp(DateTime::from_secs(id)).r#type(kind)
    }

    fn entered(id: i64, state: &str, input: &str) -> HistoryEvent {
        let details = StateEnteredEventDetails::builder().name(state).input(input).build().unwrap();
        event(id, HistoryEventType::TaskStateEntered).state_entered_event_details(details).build().unwrap()
    }

    fn exited(id: i64, state: &str, output: &str) -> HistoryEvent {
        let details = StateExitedEventDetails::builder().name(state).output(output).build().unwrap();
        event(id, HistoryEventType::TaskStateExited).state_exited_event_details(details).build().unwrap()
    }

    fn deployment(version: u64) -> String {
        let mut deployment = Deployment::unread("orders".to_owned(), "deploy-1", Timestamp::UNIX_EPOCH);
        deployment.version = version;
        serde_json::to_string(&deployment).unwrap()
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_visit_has_its_times_and_the_deployment_as_it_left() {
        let events = [
            entered(2, "Prepare", r#"{"application": "orders"}"#),
            event(3, HistoryEventType::TaskScheduled).build().unwrap(),
            exited(5, "Prepare", &deployment(7)),
            entered(5, "SubmitUpdate", &deployment(7)),
            exited(8, "SubmitUpdate", &deployment(8)),
            entered(8, "WaitForOperation", &deployment(8)),
        ];
        let told: Vec<_> = visits(&events)
            .into_iter()
            .map(|it| (it.state, it.entered_at, it.exited_at, it.deployment.map(|deployment| deployment.version)))
            .collect();
        let expected = [
            ("Prepare".to_owned(), second(2), Some(second(5)), Some(7)),
            ("SubmitUpdate".to_owned(), second(5), Some(second(8)), Some(8)),
            ("WaitForOperation".to_owned(), second(8), None, Some(8)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_newest_deployment_is_found_in_either_order() {
        let mut events = vec![
            entered(2, "Prepare", "{}"),
            exited(5, "Prepare", &deployment(7)),
            entered(6, "SubmitUpdate", &deployment(8)),
            event(7, HistoryEventType::TaskScheduled).build().unwrap(),
        ];
        assert_eq!(newest_deployment(&events).map(|it| it.version), Some(8));
        events.reverse();
        assert_eq!(newest_deployment(&events).map(|it| it.version), Some(8));
        assert_eq!(newest_deployment(&[entered(2, "Prepare", "{}")]), None);
    }
}

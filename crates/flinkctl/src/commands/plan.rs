//! What a deployment would change, and whether it could be made.

use lifecycle::configuration::{Difference, differences};
use lifecycle::deployment::Deployment;
use lifecycle::preflight::{Preflight, prepare};
use lifecycle::refusal::Refusal;
use lifecycle::report::{Outcome, Report};
use lifecycle::request::Request;
use serde::Serialize;
use serde_json::{Value, json};
use submit_update::preflight_look;

use crate::arguments::Plan;
use crate::change::request;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::follow::facts;
use crate::terminal::line::{Line, Style, wrap};

/// Stands for the value of a runtime property.
const HIDDEN: &str = "(not shown)";

/// A plan, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Planned {
    /// `Deploy`, `NoChange` or `Refused`.
    would: &'static str,
    application: String,
    version: Option<u64>,
    status: Option<String>,
    changes: Vec<Difference>,
    notes: Vec<String>,
    refusals: Vec<Refusal>,
}

/// Tells what the change would be.
pub(super) async fn plan(context: &mut Context, plan: &Plan) -> Result<Exit, Failure> {
    let input = request(context, &plan.change, true).await?;
    let request = Request::parse(&input).map_err(|refusals| Failure::refused(&refusals))?;
    let planned = planned(context, &request, plan.show_values).await?;
    let lines = lines(&planned, context.output.columns);
    context.output.result(&lines, &planned)?;
    Ok(if planned.refusals.is_empty() { Exit::Done } else { Exit::Refused })
}

async fn planned(context: &Context, request: &Request, shows_values: bool) -> Result<Planned, Failure> {
    let now = context.clock.now();
    let look = match preflight_look(&context.flink, request).await? {
        Ok(look) => look,
        Err(refusal) => return Ok(refused(request, vec![refusal])),
    };
    let mut deployment = Deployment::new(request, "plan", now);
    let preflight = prepare(&mut deployment, request, &look, now);
    let mut notes: Vec<String> =
        deployment.events.iter().map(|event| event.what.clone()).filter(|what| !what.starts_with("Baseline")).collect();
    if let Preflight::TakeSnapshot(_) = preflight {
        notes.push("A snapshot would be taken first, as the policy asks.".to_owned());
    }
    let mut changes = differences(&request.update, &look.detail);
    for change in changes.iter_mut().filter(|change| change.is_property && !shows_values) {
        for value in [&mut change.now, &mut change.then].into_iter().filter(|value| !value.is_null()) {
            *value = json!(HIDDEN);
        }
    }
    let (would, refusals) = match deployment.report {
        Some(Report { outcome: Outcome::Refused, refusals, .. }) => ("Refused", refusals),
        Some(Report { outcome: Outcome::NoChange, .. }) => ("NoChange", Vec::new()),
        _ if changes.is_empty() && !deployment.is_update_due && !request.start && request.stop.is_none() => {
            ("NoChange", Vec::new())
        }
        _ => ("Deploy", Vec::new()),
    };
    let application = look.application.as_ref();
    Ok(Planned {
        would,
        application: request.application.clone(),
        version: application.map(|it| it.version),
        status: application.map(|it| it.status.to_string()),
        changes,
        notes,
        refusals,
    })
}

fn refused(request: &Request, refusals: Vec<Refusal>) -> Planned {
    Planned {
        would: "Refused",
        application: request.application.clone(),
        version: None,
        status: None,
        changes: Vec::new(),
        notes: Vec::new(),
        refusals,
    }
}

fn lines(planned: &Planned, columns: usize) -> Vec<Line> {
    let (style, head) = match planned.would {
        "Refused" => (Style::Bad, "✖ would be refused"),
        "NoChange" => (Style::Good, "✔ nothing to change"),
        _ => (Style::Good, "✔ can be deployed"),
    };
    let mut lines = vec![Line::new().and(style, head).and(Style::Plain, format!("  {}", planned.application))];
    if let (Some(version), Some(status)) = (planned.version, &planned.status) {
        facts(&mut lines, columns, "now", &[format!("version {version}, {status}")]);
    }
    for change in &planned.changes {
        lines.extend(wrap(&short(change), columns).into_iter().map(|text| Line::new().and(Style::Strong, text)));
        for (sign, style, value) in [("-", Style::Bad, &change.now), ("+", Style::Good, &change.then)] {
            if !value.is_null() {
                let texts = wrap(&in_words(value), columns.saturating_sub(4));
                let marked = texts.into_iter().map(|text| Line::new().and(style, format!("  {sign} {text}")));
                lines.extend(marked);
            }
        }
    }
    for note in &planned.notes {
        facts(&mut lines, columns, "note", std::slice::from_ref(note));
    }
    for Refusal { field, problem, cure } in &planned.refusals {
        facts(&mut lines, columns, "refused", &[format!("{field}: {problem}"), cure.clone()]);
    }
    lines
}

/// The field as people know it: its name and that of what it is in, without what updates add to names.
fn short(change: &Difference) -> String {
    if change.is_property {
        let property = change.field.rsplit_once("PropertyUpdates.").map_or(&*change.field, |(_, property)| property);
        return format!("property {property}");
    }
    let plain = |name: &str| name.trim_end_matches("Updates").trim_end_matches("Update").to_owned();
    let mut names: Vec<String> = change.field.rsplit('.').take(2).map(plain).collect();
    names.reverse();
    names.join(".")
}

fn in_words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_shows_what_goes_and_what_comes() {
        let change = |field: &str, now, then| Difference { field: field.to_owned(), now, then, is_property: false };
        let property =
            Difference { is_property: true, ..change("A.EnvironmentPropertyUpdates.b:new", json!(null), json!("x")) };
        let planned = Planned {
            would: "Deploy",
            application: "orders".to_owned(),
            version: Some(3),
            status: Some("RUNNING".to_owned()),
            changes: vec![change("A.ParallelismConfigurationUpdate.ParallelismUpdate", json!(2), json!(4)), property],
            notes: vec!["A snapshot would be taken first.".to_owned()],
            refusals: Vec::new(),
        };
        let told: Vec<String> = lines(&planned, 80).iter().map(Line::plain).collect();
        let expected = [
            "✔ can be deployed  orders",
            "now         version 3, RUNNING",
            "ParallelismConfiguration.Parallelism",
            "  - 2",
            "  + 4",
            "property b:new",
            "  + x",
            "note        A snapshot would be taken first.",
        ];
        assert_eq!(told, expected);
    }
}

//! The page of a deployment in a real browser: on a desk and on a phone, in the light, in the dark and on paper, it fetches
//! nothing, complains of nothing, needs no scrolling to the side, and can be read by everybody.

#![expect(clippy::unwrap_used, reason = "the helpers below are part of the tests")]

use std::path::{Path, PathBuf};

use flinkctl::executions::Execution;
use flinkctl::html;
use flinkctl::visits::Visit;
use jiff::SignedDuration;
use scenarios::browser::{Browser, Page, View};
use scenarios::catalogue::scenario;
use scenarios::pages::executions;
use tempfile::TempDir;

const DESK: u32 = 1_280;
const PHONE: u32 = 360;
/// Installed beside the browser.
const AXE: &str = "../target/tools/browser/node_modules/axe-core/axe.min.js";
/// How much wider the page is than the window, in pixels.
const TOO_WIDE: &str = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
/// What keeps somebody from reading the page, a line each.
const HINDRANCES: &str = "axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 120)}: ${failureSummary}`)).join('\\n'))";
/// The lowest contrast of a text in the drawing, which axe does not look at, with its text: against the colour that is
/// painted below it.
const LOWEST_CONTRAST: &str = r"(() => {
    const luminance = (colour) => {
        const [red, green, blue] = colour.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ground = getComputedStyle(document.body).backgroundColor;
    const below = (text) => {
        const { left, top, width, height } = text.getBoundingClientRect();
        const shapes = [...text.ownerSVGElement.closest('.scroll').querySelectorAll('rect.fill, rect.pill')];
        const under = shapes.filter((shape) => {
            const box = shape.getBoundingClientRect();
            const [x, y] = [left + width / 2, top + height / 2];
            return box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
        });
        return under.length ? getComputedStyle(under.at(-1)).fill : ground;
    };
    return [...document.querySelectorAll('.scroll svg text')].map((text) => {
        const [one, other] = [luminance(getComputedStyle(text).fill), luminance(below(text))];
        return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text.textContent];
    }).sort(([one], [other]) => one - other)[0];
})()";

/// The browser; where there is none, the cure is told.
fn browser() -> Browser {
    Browser::start().unwrap_or_else(|error| panic!("{error}"))
}

/// A page in a file.
struct Written {
    file: PathBuf,
    _folder: TempDir,
}

fn written(execution: &Execution, visits: &[Visit]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deployment.html");
    let now = visits.last().map_or(execution.started_at, |visit| visit.entered_at);
    std::fs::write(&file, html::page(execution, visits, now)).unwrap();
    Written { file, _folder: folder }
}

/// The last deployment of a scenario.
fn played(name: &str) -> (Execution, Vec<Visit>) {
    executions(&scenario(name).unwrap()).unwrap().pop().unwrap()
}

/// The same as if it had got no further than so many visits.
fn begun(status: &str, count: usize) -> (Execution, Vec<Visit>) {
    let (mut execution, mut visits) = played("crash-loop-in-open");
    visits.truncate(count);
    status.clone_into(&mut execution.status);
    execution.report = None;
    execution.ended_at = execution.ended_at.filter(|_| !execution.is_running());
    (execution, visits)
}

/// As many visits as a history can tell of, over days: the same over and over.
fn longest() -> (Execution, Vec<Visit>) {
    let (mut execution, once) = played("loop-of-90-seconds");
    let mut visits = Vec::new();
    for round in 0..200 {
        let later = SignedDuration::from_mins(20) * round;
        visits.extend(once.iter().cloned().map(|visit| Visit {
            entered_at: visit.entered_at + later,
            exited_at: visit.exited_at.map(|at| at + later),
            ..visit
        }));
    }
    visits.truncate(12_500);
    execution.ended_at = visits.last().map(|visit| visit.entered_at);
    (execution, visits)
}

/// Everything that is wrong with a page, in words.
fn faults(page: &mut Page<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let too_wide = page.evaluate(TOO_WIDE).unwrap();
    if too_wide != 0 {
        faults.push(format!("wider than the window by {too_wide} px"));
    }
    let axe = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE)).unwrap();
    page.evaluate(&format!("{axe}; null")).unwrap();
    faults.extend(page.evaluate(HINDRANCES).unwrap().as_str().unwrap().lines().map(str::to_owned));
    let lowest = page.evaluate(LOWEST_CONTRAST).unwrap();
    if lowest[0].as_f64().is_some_and(|contrast| contrast < 4.5) {
        faults.push(format!("contrast of {lowest}"));
    }
    faults.extend(page.requests().into_iter().map(|address| format!("fetches {address}")));
    faults.extend(page.complaints().into_iter().map(|complaint| format!("complaint: {complaint}")));
    faults
}

fn can_be_read(page: &mut Page<'_>, case: &str) {
    assert_eq!(faults(page), Vec::<String>::new(), "{case}");
}

#[test]
fn a_page_that_is_not_so_is_noticed() {
    const BROKEN: &str = "<!doctype html><meta name=viewport content='width=device-width'><title>x</title><body style='background: #fff'>
        <p style='color: #bbb'>pale</p><div style='width: 900px'>wide</div><img src='http://127.0.0.1:9/x.png'>
        <div class=scroll><svg><text y=20 fill='#ccc'>drawn pale</text></svg></div><script>console.error('oops')</script>";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.html");
    std::fs::write(&file, BROKEN).unwrap();
    let mut browser = browser();
    let told = faults(&mut browser.open(&file, View::of_width(PHONE)).unwrap()).join("\n");
    let expected = [
        "wider than the window by ",
        "html-has-lang",
        "image-alt",
        "color-contrast",
        "drawn pale",
        "fetches http://127.0.0.1:9/x.png",
        "oops",
    ];
    for fault in expected {
        assert!(told.contains(fault), "no {fault} in {told}");
    }
}

#[test]
fn everybody_can_read_it_everywhere() {
    let mut browser = browser();
    let (mut hostile, visits) = played("crash-loop-in-open");
    hostile.name = "a-name-without-a-place-to-break-".repeat(9);
    hostile.reason = Some("<script>alert(1)</script><img src=x onerror=alert(2)>".repeat(3));
    let cases = [
        ("deployed", played("property-change")),
        ("deployed by an upload, after a wait", played("newest-upload-wins")),
        ("needs attention", played("policy-hold")),
        ("refused", played("wrong-type")),
        ("never readable", played("flink-never-readable")),
        ("running", begun("RUNNING", 9)),
        ("cut short", begun("ABORTED", 12)),
        ("cut short before anything", begun("TIMED_OUT", 0)),
        ("hostile", (hostile, visits)),
        ("longest", longest()),
    ];
    for (case, (execution, visits)) in &cases {
        let written = written(execution, visits);
        for view in [View::of_width(DESK), View::of_width(PHONE).dark()] {
            can_be_read(&mut browser.open(&written.file, view).unwrap(), &format!("{case}, {view:?}"));
        }
    }
    let (execution, visits) = played("crash-loop-in-open");
    let written = written(&execution, &visits);
    for width in [DESK, 760, PHONE] {
        let view = View::of_width(width);
        for view in [view, view.dark(), view.printed()] {
            can_be_read(&mut browser.open(&written.file, view).unwrap(), &format!("rolled back, {view:?}"));
        }
    }
}

#[test]
fn screen_readers_are_told_the_outcome_and_the_timeline_in_words() {
    let mut browser = browser();
    let (execution, visits) = played("crash-loop-in-open");
    let written = written(&execution, &visits);
    let mut page = browser.open(&written.file, View::of_width(PHONE)).unwrap();
    let told = page.accessible().unwrap();
    let says = |role: &str, name: &str| told.iter().any(|it| it.0 == role && it.1.starts_with(name));
    let expected = [
        ("heading", "Rolled back"),
        ("heading", "Timeline"),
        ("main", ""),
        ("banner", ""),
        ("contentinfo", ""),
        ("region", "What came of it"),
        ("image", "Timeline"),
        ("table", ""),
        ("columnheader", "What was seen or done"),
        ("rowheader", "Application"),
        ("rowheader", "Checkpoints"),
        ("cell", "3 restarts"),
    ];
    for (role, name) in expected {
        assert!(says(role, name), "no {role} {name} in {told:#?}");
    }
}

#[test]
fn the_browser_lets_the_page_fetch_and_run_nothing() {
    let mut browser = browser();
    let (mut execution, visits) = played("crash-loop-in-open");
    execution.reason = Some("<script>document.title = 'run'</script>".to_owned());
    let written = written(&execution, &visits);
    let mut page = browser.open(&written.file, View::of_width(DESK)).unwrap();
    assert_eq!(page.evaluate("document.title").unwrap(), "Rolled back: orders");
    assert_eq!(page.evaluate("document.scripts.length").unwrap(), 0);
    let refused = "new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
        document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/' }));
    })";
    assert_eq!(page.evaluate(refused).unwrap(), "img-src");
}

//! All of it together: the executions, the table of turns, the service, the events, and a person; every step that any of
//! them may take next, and the judge of what was done.

use lifecycle::deployment::Rung;
use lifecycle::report::Outcome;
use std::cmp::Ordering;

use crate::bounds::{Bounds, Change, Mischief, Sabotage};
use crate::execution::{Answer, Call, Execution, Handlers, LATEST_CLOCK, Life, Seen, Table, Task, place_of};
use crate::explore::{Space, Step};
use crate::intern::{Interner, Map};
use crate::service::{Act, Ended, PERSON, PERSONS_CONFIGURATION, Restore, SERVICE, Service, Started, View, Write};

/// The most executions of one configuration.
const MOST: usize = 3;

/// A state, by the numbers of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    service: u32,
    table: u32,
    executions: [u32; MOST],
    rest: u32,
}

/// What is neither the service nor an execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Rest {
    /// The newest upload that start-deployment has written down.
    newest_upload: Option<u8>,
    /// Whose event has been delivered, and who is about to be started for it.
    is_delivered: [bool; MOST],
    is_announced: [bool; MOST],
    /// How often each kind of mischief has happened.
    spent: [u8; Mischief::ALL.len()],
    /// A call that is on its way: whose, what, of which rung.
    on_its_way: Option<(u8, Write, u8)>,
    broken: Option<Property>,
}

/// What must hold always. Rules are those of the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Property {
    /// Rule 1: a call that carries a version is of one that the execution observed or made, and meets it.
    ActsOnItsOwnVersion,
    /// Rule 1: right before a stop or a start lies a look, which shows the execution's own version.
    LooksBeforeItStopsOrStarts,
    /// Rule 1: what ends as Refused or `NoChange` has touched nothing.
    TouchesNothingWhereItSaysSo,
    /// Rule 2: no job is started without state.
    StartsWithState,
    /// Rule 2: what is brought back does not come from the state of what was bad.
    StartsFromItsOwnLineage,
    /// Rule 3: each rung is taken at most once.
    TakesEachRungOnce,
    /// Rule 3: at most one rollback for a deployment, the service's own included.
    RollsBackOnce,
    /// Rule 4: a verified outcome is true when it is told.
    TellsTheTruth,
    /// Rule 6: where everything has ended, the application is well, or a person was told, or took over.
    EndsWellOrTells,
    /// Rule 9: at most one execution is in its turn.
    OneAtATime,
    /// Rule 9: the acts of two executions do not interleave.
    ActsDoNotInterleave,
    /// Rule 9: an older upload is not made after a newer one.
    NewestUploadWins,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ActsOnItsOwnVersion,
        Self::LooksBeforeItStopsOrStarts,
        Self::TouchesNothingWhereItSaysSo,
        Self::StartsWithState,
        Self::StartsFromItsOwnLineage,
        Self::TakesEachRungOnce,
        Self::RollsBackOnce,
        Self::TellsTheTruth,
        Self::EndsWellOrTells,
        Self::OneAtATime,
        Self::ActsDoNotInterleave,
        Self::NewestUploadWins,
    ];
}

/// What a person does at the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByHand {
    Update,
    StopWithForce,
    Stop,
    RollBack,
    Start,
}

const BY_HAND: [ByHand; 5] = [ByHand::Update, ByHand::StopWithForce, ByHand::Stop, ByHand::RollBack, ByHand::Start];

/// How a call goes, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Luck {
    Good,
    Stale,
    NotDone,
    AnswerLost,
    OnItsWay,
    CrashBefore,
    CrashAfter,
}

/// One step of anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The event of an execution's upload is delivered.
    Event(u8),
    /// Step Functions starts an execution.
    Start(u8),
    /// An execution's task comes to its next call.
    Call(u8, Luck),
    Retry(u8),
    GiveUp(u8),
    /// Time passes for an execution.
    Later(u8),
    Abort {
        who: u8,
        is_lambda_alive: bool,
    },
    Redrive(u8),
    /// The service comes further with what it is at work on.
    Service,
    ServiceFails,
    /// The call that was on its way is done.
    Arrives,
    Person(ByHand),
}

/// The configuration that is checked, with all values that have come up.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) bounds: Bounds,
    pub(crate) handlers: Handlers,
    pub(crate) services: Interner<Service>,
    tables: Interner<Table>,
    pub(crate) executions: Interner<Execution>,
    rests: Interner<Rest>,
    calls: Interner<Call>,
    answers: Interner<Answer>,
    pending: Map<u32, Option<u32>>,
    answered: Map<(u32, u32), u32>,
    written: Map<(u32, u32), (u32, u32, Option<Property>)>,
    went_on: Map<(u32, bool), (u32, Option<Property>)>,
    /// How often a stop or a start met a change that was made since the look right before it.
    pub(crate) in_the_window: usize,
}

fn index(who: u8) -> usize {
    usize::from(who)
}

impl World {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let handlers = Handlers::new(&bounds.changes, bounds.sabotage);
        Self {
            bounds,
            handlers,
            services: Interner::new(),
            tables: Interner::new(),
            executions: Interner::new(),
            rests: Interner::new(),
            calls: Interner::new(),
            answers: Interner::new(),
            pending: Map::default(),
            answered: Map::default(),
            written: Map::default(),
            went_on: Map::default(),
            in_the_window: 0,
        }
    }

    /// The executions, by their numbers.
    pub(crate) fn everyone(&self) -> std::ops::Range<u8> {
        0..u8::try_from(self.bounds.changes.len()).unwrap_or_default()
    }

    pub(crate) fn execution(&self, state: &State, who: u8) -> &Execution {
        self.executions.get(state.executions[index(who)])
    }

    pub(crate) fn service(&self, state: &State) -> &Service {
        self.services.get(state.service)
    }

    pub(crate) fn table(&self, state: &State) -> &Table {
        self.tables.get(state.table)
    }

    fn with_execution(&mut self, state: &State, execution: Execution) -> State {
        let (mut after, place) = (*state, index(execution.who));
        after.executions[place] = self.executions.number(execution);
        after
    }

    fn with_rest(&mut self, state: &State, rest: Rest) -> State {
        State { rest: self.rests.number(rest), ..*state }
    }

    /// The state after so much mischief more; none where that is more than there may be.
    fn spend(&mut self, state: &State, mischief: Mischief) -> Option<State> {
        let most = self.bounds.most.iter().find(|(it, _)| *it == mischief).map_or(0, |(_, most)| *most);
        let rest = self.rests.get(state.rest);
        let place = Mischief::ALL.iter().position(|it| *it == mischief)?;
        let is_too_much = rest.spent[place] >= most || rest.spent.iter().sum::<u8>() >= self.bounds.most_together;
        if is_too_much {
            return None;
        }
        let mut rest = rest.clone();
        rest.spent[place] += 1;
        Some(self.with_rest(state, rest))
    }

    fn with_broken(&mut self, state: &State, broken: Option<Property>) -> State {
        let Some(broken) = broken else { return *state };
        let rest = Rest { broken: Some(broken), ..self.rests.get(state.rest).clone() };
        self.with_rest(state, rest)
    }

    // ---- calls

    /// The call that an execution's task stands at.
    fn pending(&mut self, execution: u32) -> Option<u32> {
        if let Some(call) = self.pending.get(&execution) {
            return *call;
        }
        let call = self.handlers.pending(self.executions.get(execution));
        let call = call.map(|call| self.calls.number(call));
        self.pending.insert(execution, call);
        call
    }

    /// The call that an execution stands at, for people.
    pub(crate) fn pending_of(&mut self, state: &State, who: u8) -> Option<Call> {
        let number = self.pending(state.executions[index(who)])?;
        Some(self.call(number).clone())
    }

    fn call(&self, number: u32) -> &Call {
        self.calls.get(number)
    }

    /// The state once an execution's call has this answer.
    fn answer(&mut self, state: &State, who: u8, answer: Answer) -> State {
        let answer = self.answers.number(answer);
        let before = state.executions[index(who)];
        let known = self.answered.get(&(before, answer)).copied();
        let after = known.unwrap_or_else(|| {
            let after = self.handlers.answered(self.executions.get(before), self.answers.get(answer).clone());
            self.executions.number(after)
        });
        self.answered.insert((before, answer), after);
        let mut next = *state;
        next.executions[index(who)] = after;
        let broken = self.judge_outcome(&next, before, after, self.answers.get(answer));
        self.with_broken(&next, broken)
    }

    /// What a call that changes nothing is answered.
    fn look(&self, state: &State, call: &Call) -> Answer {
        let service = self.service(state);
        match call {
            Call::ReadTurns => Answer::Turns(self.table(state).clone()),
            Call::LookAtExecution(who) => Answer::Execution(match self.execution(state, *who).life {
                _ if self.bounds.sabotage == Sabotage::OverNeverShown => Seen::Running,
                Life::Running | Life::Unborn => Seen::Running,
                Life::Over | Life::Aborted { .. } => Seen::Over,
            }),
            Call::LookAtApplication => Answer::Application(service.view()),
            Call::LookAtOperation(id) => match service.operations.get(index(*id)) {
                Some(operation) => Answer::Operation(*operation),
                None => Answer::None,
            },
            Call::NewestOperations => Answer::Newest(service.newest(None).take(2).collect()),
            Call::NewestOperation(name) => Answer::Newest(service.newest(Some(*name)).take(1).collect()),
            Call::Snapshots => Answer::Snapshots(service.snapshots.iter().map(|snapshot| snapshot.version).collect()),
            Call::LookAtJob => Answer::Job { is_bad: service.is_job_bad() },
            Call::Restarts => Answer::Restarts { are_many: service.is_job_bad() },
            Call::WriteTurns { .. } | Call::Write(..) => Answer::None,
        }
    }

    /// What a call may be answered that is not so any more.
    fn stale(&self, state: &State, call: &Call) -> Option<(Mischief, Answer)> {
        match call {
            Call::LookAtApplication => {
                let (before, now) = (self.service(state).before, self.service(state).view());
                let is_other = View { acts: now.acts, ..before } != now;
                is_other.then_some((Mischief::StaleApplication, Answer::Application(before)))
            }
            Call::LookAtExecution(who) => {
                let seen = match self.execution(state, *who).life {
                    Life::Running if self.bounds.sabotage == Sabotage::RunningShownAsOver => Seen::Over,
                    Life::Running | Life::Unborn => Seen::Unknown,
                    Life::Over | Life::Aborted { .. } => Seen::Running,
                };
                Some((Mischief::StaleExecution, Answer::Execution(seen)))
            }
            _ => None,
        }
    }

    /// Does a call that changes something. Returns the state with its answer.
    fn write(&mut self, state: &State, who: u8, call: u32) -> (State, Answer) {
        match self.call(call).clone() {
            Call::WriteTurns { after, read } => {
                let is_met = self.table(state).revision == read;
                if !is_met && self.bounds.sabotage != Sabotage::TurnsAreWrittenBlindly {
                    return (*state, Answer::Written(false));
                }
                (State { table: self.tables.number(after), ..*state }, Answer::Written(true))
            }
            Call::Write(write, rung) => {
                let key = (state.service, state.executions[index(who)]);
                let known = self.written.get(&key).copied();
                let (service, answer, broken) = known.unwrap_or_else(|| {
                    let (service, answer, broken) = self.act(state, who, write, rung);
                    (self.services.number(service), self.answers.number(answer), broken)
                });
                self.written.insert(key, (service, answer, broken));
                let after = State { service, ..*state };
                (self.with_broken(&after, broken), self.answers.get(answer).clone())
            }
            _ => (*state, Answer::None),
        }
    }

    /// An execution's call that changes the application, and what it breaks.
    fn act(&mut self, state: &State, who: u8, what: Write, rung: u8) -> (Service, Answer, Option<Property>) {
        let execution = self.execution(state, who);
        let is_outside_turn = execution.is_redriven || execution.life != Life::Running;
        let act = Act { by: who, what, version: 0, operation: 0, is_of_stopped: false, rung, is_outside_turn };
        let mut service = self.service(state).clone();
        let is_fenced = self.bounds.sabotage != Sabotage::FenceIsDown;
        match service.write(act, is_fenced) {
            Err(refused) => (service, Answer::Refused(refused), None),
            Ok((operation, version)) => {
                let (broken, is_window) = self.judge(state, act);
                self.in_the_window += usize::from(is_window);
                (service, Answer::Accepted { operation, version }, broken)
            }
        }
    }

    // ---- the judge

    /// The version that an execution may act on, once it has acted, as far as it could know: the one that it met first, then those that it made,
    /// that the service made to undo its change, or that is somebody's rollback which it has adopted
    /// (`docs/adr/0005-adoption-instead-of-tokens.md`).
    fn fence(service: &Service, who: u8, adopted: Option<u8>, up_to: u8) -> Option<u8> {
        let mut fence = service.acts.iter().find(|act| act.by == who)?.version;
        for (id, version) in (1..=up_to).zip(&service.versions).skip(index(fence)) {
            let is_rollback = version.rolled_back_to.is_some();
            let is_own = version.by == who || version.by == SERVICE || (is_rollback && adopted == Some(id));
            if id == fence + 1 && is_own {
                fence = id;
            }
        }
        Some(fence)
    }

    /// What an act breaks that the service has just taken on, and whether it met a change made since its look. `state` is the
    /// one before.
    fn judge(&self, state: &State, act: Act) -> (Option<Property>, bool) {
        let (service, execution) = (self.service(state), self.execution(state, act.by));
        let deployment = self.handlers.deployment(execution.deployment);
        let met = service.version();
        let own: Vec<&Act> = service.acts.iter().filter(|it| it.by == act.by).collect();
        let observed = deployment.baseline.as_ref().and_then(|baseline| u8::try_from(baseline.version).ok());
        let adopted = deployment.has_taken(Rung::RollBack).then_some(deployment.version);
        let adopted = adopted.and_then(|version| u8::try_from(version).ok());
        let fence = |up_to| Self::fence(service, act.by, adopted, up_to).or(observed);
        let mut horizon = service.acts.len();
        let mut is_window = false;
        if let Some(condition) = act.what.condition() {
            if condition != met || fence(met) != Some(met) {
                return (Some(Property::ActsOnItsOwnVersion), false);
            }
        } else {
            // What was changed after the look cannot be known: that is the window.
            let is_own = |look: &View| {
                u64::from(look.version) == deployment.version && Some(look.version) == fence(look.version)
            };
            let Some(look) = execution.last_look().filter(is_own) else {
                return (Some(Property::LooksBeforeItStopsOrStarts), false);
            };
            horizon = index(look.acts);
            is_window = look.version != met;
        }
        if own.iter().any(|it| it.rung == act.rung && !Self::has_come_to_nothing(service, it)) {
            return (Some(Property::TakesEachRungOnce), false);
        }
        let is_answered = own.first().is_some_and(|first| {
            service.versions.iter().skip(index(first.version)).any(|version| version.by == SERVICE)
        });
        if matches!(act.what, Write::Rollback { .. }) && is_answered {
            return (Some(Property::RollsBackOnce), false);
        }
        if !act.is_outside_turn {
            let first = service.acts.iter().position(|it| it.by == act.by);
            let others = service.acts.iter().take(horizon).enumerate();
            let others = others.filter(|(_, it)| it.by != act.by && it.by < PERSON && !it.is_outside_turn);
            for (place, other) in others {
                if first.is_some_and(|first| first < place) {
                    return (Some(Property::ActsDoNotInterleave), false);
                }
                if other.rung == place_of(Rung::Update) && self.is_older(act.by, other.by) {
                    return (Some(Property::NewestUploadWins), false);
                }
            }
        }
        (None, is_window)
    }

    /// Whether a stop or a start has failed, or was undone by somebody else, so that a step that is run again finds the
    /// application as if nothing had been done, and does it once more. A call that carries a version cannot be repeated so.
    fn has_come_to_nothing(service: &Service, act: &Act) -> bool {
        let ended = service.operations[index(act.operation)].status;
        let since = service.acts.iter().skip_while(|it| it.operation <= act.operation);
        let is_undone = since.into_iter().any(|it| it.by != act.by);
        act.what.condition().is_none() && (matches!(ended, Ended::Failed | Ended::Cancelled) || is_undone)
    }

    fn is_older(&self, one: u8, other: u8) -> bool {
        match (self.handlers.upload(one), self.handlers.upload(other)) {
            (Some(one), Some(other)) => one.order(other) == Ordering::Less,
            _ => false,
        }
    }

    /// What the start of a job breaks.
    fn judge_start(service: &Service, started: Started) -> Option<Property> {
        if started.by >= PERSON {
            return None;
        }
        let Some(lineage) = started.restored.filter(|lineage| lineage & 1 != 0) else {
            return Some(Property::StartsWithState);
        };
        let changes = service.acts.iter().filter(|act| act.by == started.by && act.rung == place_of(Rung::Update));
        let is_of_the_change = changes.into_iter().any(|act| lineage & (1 << (act.version + 1)) != 0);
        (started.rung == place_of(Rung::StartBack) && is_of_the_change).then_some(Property::StartsFromItsOwnLineage)
    }

    /// What an execution's end breaks.
    fn judge_outcome(&self, state: &State, before: u32, after: u32, last: &Answer) -> Option<Property> {
        let (before, after) = (self.executions.get(before), self.executions.get(after));
        if before.life != Life::Running {
            return None;
        }
        let outcome = self.handlers.outcome(after)?;
        let service = self.service(state);
        let look = match last {
            Answer::Application(view) => Some(*view),
            _ => before.last_look(),
        };
        let is_as_seen = look == Some(service.view());
        let first = service.acts.iter().find(|act| act.by == after.who);
        let was_running = self.handlers.deployment(after.deployment).was_running();
        // Whatever stopped it meanwhile: verified is only what was seen to run.
        let is_to_run = match (first, outcome) {
            (None, _) => false,
            (Some(_), Outcome::Deployed) if self.handlers.is_to_start(after.who) => true,
            (Some(_), _) => was_running,
        };
        let is_so = service.is_well() || service.status.is_stopped() && !is_to_run;
        let is_false = is_as_seen && !is_so;
        let undoes = [Rung::RollBack, Rung::ForceStop, Rung::PutBack].map(place_of);
        let is_undone = service.acts.iter().any(|act| act.by == after.who && undoes.contains(&act.rung));
        match outcome {
            Outcome::Refused | Outcome::NoChange if first.is_some() => Some(Property::TouchesNothingWhereItSaysSo),
            Outcome::Deployed if is_undone => Some(Property::TellsTheTruth),
            Outcome::Deployed | Outcome::NoChange | Outcome::RolledBack | Outcome::Restored => {
                is_false.then_some(Property::TellsTheTruth)
            }
            Outcome::Refused | Outcome::Superseded | Outcome::NeedsAttention => None,
        }
    }

    /// Whether the application may be left as it is where everything has ended.
    fn is_left_well(&self, state: &State) -> bool {
        let service = self.service(state);
        let is_told = |who| {
            let execution = self.execution(state, who);
            let has_acted = service.acts.iter().any(|act| act.by == who);
            let is_aborted = matches!(execution.life, Life::Aborted { .. }) || execution.is_redriven;
            // What was cut short, and did not run when it was looked at, is brought back stopped, and told so.
            let was_running = self.handlers.deployment(execution.deployment).was_running();
            let is_told = match self.handlers.outcome(execution) {
                Some(Outcome::NeedsAttention) => true,
                Some(Outcome::Restored) => !was_running && service.status.is_stopped(),
                _ => false,
            };
            is_told || is_aborted && has_acted
        };
        let is_taken_over = service.acts.iter().any(|act| act.by == PERSON);
        service.is_well() || is_taken_over || self.everyone().any(is_told)
    }

    // ---- steps

    fn steps_of_events(&mut self, state: &State, steps: &mut Vec<Step<State, Action>>) {
        for who in self.everyone() {
            let rest = self.rests.get(state.rest).clone();
            let upload = match self.bounds.changes[index(who)] {
                Change::Upload { order } => Some(order),
                _ => None,
            };
            let is_unborn = self.execution(state, who).life == Life::Unborn;
            let is_delivered = rest.is_delivered[index(who)];
            if let Some(order) = upload {
                let spent = if is_delivered { self.spend(state, Mischief::DuplicateEvent) } else { Some(*state) };
                if let Some(spent) = spent {
                    let mut after = self.rests.get(spent.rest).clone();
                    after.is_delivered[index(who)] = true;
                    if after.newest_upload.is_none_or(|newest| newest <= order) {
                        after.newest_upload = Some(order);
                        after.is_announced[index(who)] = true;
                    }
                    let to = self.with_rest(&spent, after);
                    steps.push(Step { action: Action::Event(who), is_fair: !is_delivered, to });
                }
            }
            if rest.is_announced[index(who)] || (upload.is_none() && is_unborn) {
                let mut after = rest;
                after.is_announced[index(who)] = false;
                let mut to = self.with_rest(state, after);
                // A second start under the same name is answered as the first.
                if is_unborn {
                    let born = Execution { life: Life::Running, ..self.execution(state, who).clone() };
                    to = self.with_execution(&to, born);
                }
                steps.push(Step { action: Action::Start(who), is_fair: true, to });
            }
        }
    }

    fn steps_of_execution(&mut self, state: &State, who: u8, steps: &mut Vec<Step<State, Action>>) {
        let execution = self.execution(state, who).clone();
        let is_running = execution.life == Life::Running;
        if execution.has_failed {
            let retried = self.with_execution(state, Handlers::retried(&execution));
            steps.push(Step { action: Action::Retry(who), is_fair: true, to: retried });
            let given_up = self.handlers.given_up(&execution, "ServiceUnavailable");
            let given_up = self.with_execution(state, given_up);
            steps.push(Step { action: Action::GiveUp(who), is_fair: true, to: given_up });
        } else if execution.is_alive()
            && let Some(call) = self.pending(state.executions[index(who)])
        {
            self.steps_of_call(state, who, call, is_running, steps);
        }
        if is_running && execution.is_idle && execution.clock < LATEST_CLOCK && execution.task != Task::TakeTurn {
            let later = Handlers::later(&execution);
            let to = self.with_execution(state, later);
            steps.push(Step { action: Action::Later(who), is_fair: true, to });
        }
        if is_running {
            for is_lambda_alive in [false, true] {
                let Some(spent) = self.spend(state, Mischief::Abort) else { break };
                if is_lambda_alive && execution.has_failed {
                    break;
                }
                let answers = if is_lambda_alive { execution.answers.clone() } else { Vec::new() };
                let life = Life::Aborted { is_lambda_alive };
                let aborted = Execution { life, answers, has_failed: false, is_idle: false, ..execution.clone() };
                let to = self.with_execution(&spent, aborted);
                steps.push(Step { action: Action::Abort { who, is_lambda_alive }, is_fair: false, to });
            }
        }
        if execution.life == (Life::Aborted { is_lambda_alive: false })
            && let Some(spent) = self.spend(state, Mischief::Redrive)
        {
            let redriven = Execution { life: Life::Running, is_redriven: true, ..execution };
            let to = self.with_execution(&spent, redriven);
            steps.push(Step { action: Action::Redrive(who), is_fair: false, to });
        }
    }

    fn steps_of_call(
        &mut self,
        state: &State,
        who: u8,
        number: u32,
        is_running: bool,
        steps: &mut Vec<Step<State, Action>>,
    ) {
        let call = self.call(number).clone();
        let mut push = |luck, to| steps.push(Step { action: Action::Call(who, luck), is_fair: luck == Luck::Good, to });
        let (done, answer) =
            if call.is_write() { self.write(state, who, number) } else { (*state, self.look(state, &call)) };
        let answered = self.answer(&done, who, answer);
        push(Luck::Good, answered);
        if !is_running {
            return;
        }
        if let Some((mischief, answer)) = self.stale(state, &call)
            && let Some(spent) = self.spend(state, mischief)
        {
            push(Luck::Stale, self.answer(&spent, who, answer));
        }
        if let Some(spent) = self.spend(state, Mischief::Unanswered) {
            push(Luck::NotDone, self.answer(&spent, who, Answer::None));
        }
        let dead = Handlers::failed(self.execution(state, who));
        if let Some(spent) = self.spend(state, Mischief::Crash) {
            push(Luck::CrashBefore, self.with_execution(&spent, dead.clone()));
        }
        if !call.is_write() {
            return;
        }
        if let Some(spent) = self.spend(&done, Mischief::Crash) {
            push(Luck::CrashAfter, self.with_execution(&spent, dead));
        }
        if let Some(spent) = self.spend(&done, Mischief::LostAnswer) {
            push(Luck::AnswerLost, self.answer(&spent, who, Answer::None));
        }
        let is_on_its_way = self.rests.get(state.rest).on_its_way.is_some();
        if let Call::Write(write, rung) = call
            && write.condition().is_some()
            && !is_on_its_way
            && let Some(spent) = self.spend(state, Mischief::LateCall)
        {
            let rest = Rest { on_its_way: Some((who, write, rung)), ..self.rests.get(spent.rest).clone() };
            let late = self.with_rest(&spent, rest);
            push(Luck::OnItsWay, self.answer(&late, who, Answer::None));
        }
    }

    fn steps_of_service(&mut self, state: &State, steps: &mut Vec<Step<State, Action>>) {
        if self.service(state).is_at_work() {
            let to = self.went_on(state, false);
            steps.push(Step { action: Action::Service, is_fair: true, to });
            if let Some(spent) = self.spend(state, Mischief::OperationFails) {
                let to = self.went_on(&spent, true);
                steps.push(Step { action: Action::ServiceFails, is_fair: false, to });
            }
        }
        if let Some((who, write, rung)) = self.rests.get(state.rest).on_its_way {
            let rest = Rest { on_its_way: None, ..self.rests.get(state.rest).clone() };
            let state = self.with_rest(state, rest);
            let (service, _, broken) = self.act(&state, who, write, rung);
            let after = State { service: self.services.number(service), ..state };
            let to = self.with_broken(&after, broken);
            steps.push(Step { action: Action::Arrives, is_fair: true, to });
        }
        if let Some(spent) = self.spend(state, Mischief::Person) {
            for by_hand in BY_HAND {
                let version = self.service(state).version();
                let what = match by_hand {
                    ByHand::Update => {
                        Write::Update { version, configuration: PERSONS_CONFIGURATION, restore: Restore::Latest }
                    }
                    ByHand::StopWithForce => Write::Stop { is_forced: true },
                    ByHand::Stop => Write::Stop { is_forced: false },
                    ByHand::RollBack => Write::Rollback { version },
                    ByHand::Start => Write::Start { restore: Restore::Latest },
                };
                let mut service = self.service(state).clone();
                let act = Act {
                    by: PERSON,
                    what,
                    version: 0,
                    operation: 0,
                    is_of_stopped: false,
                    rung: 0,
                    is_outside_turn: true,
                };
                if service.write(act, true).is_ok() {
                    let to = State { service: self.services.number(service), ..spent };
                    steps.push(Step { action: Action::Person(by_hand), is_fair: false, to });
                }
            }
        }
    }

    /// The state once the service has come a step further.
    fn went_on(&mut self, state: &State, is_failing: bool) -> State {
        let key = (state.service, is_failing);
        let known = self.went_on.get(&key).copied();
        let (service, broken) = known.unwrap_or_else(|| {
            let mut service = self.service(state).clone();
            let started = service.go_on(is_failing);
            let broken = started.and_then(|started| Self::judge_start(&service, started));
            (self.services.number(service), broken)
        });
        self.went_on.insert(key, (service, broken));
        let after = State { service, ..*state };
        self.with_broken(&after, broken)
    }
}

impl Space for World {
    type State = State;
    type Action = Action;
    type Broken = Property;

    /// One start for each choice of which changes are bad.
    fn starts(&mut self) -> Vec<State> {
        let mut configurations: Vec<u8> = self.everyone().filter_map(|who| self.handlers.configuration(who)).collect();
        configurations.sort_unstable();
        configurations.dedup();
        let choices = 0..1_u16 << configurations.len();
        let mut executions = [0; MOST];
        for who in self.everyone() {
            let unborn = self.handlers.unborn(who);
            executions[index(who)] = self.executions.number(unborn);
        }
        let table = self.tables.number(Table::default());
        let rest = self.rests.number(Rest::default());
        let start = |choice: u16| {
            let is_bad = |place: usize| choice & (1 << place) != 0;
            let bad = configurations.iter().enumerate().filter(|(place, _)| is_bad(*place));
            let bad = bad.fold(0, |bad, (_, configuration)| bad | 1 << configuration);
            let service = Service::new(bad, self.bounds.rolls_back);
            State { service: self.services.number(service), table, executions, rest }
        };
        choices.map(start).collect()
    }

    fn steps(&mut self, from: &State, steps: &mut Vec<Step<State, Action>>) {
        self.steps_of_events(from, steps);
        for who in self.everyone() {
            self.steps_of_execution(from, who, steps);
        }
        self.steps_of_service(from, steps);
    }

    fn broken(&mut self, state: &State) -> Option<Property> {
        let broken = self.rests.get(state.rest).broken;
        let in_turn = self.everyone().filter(|who| self.execution(state, *who).is_in_its_turn()).count();
        let together = (in_turn > 1).then_some(Property::OneAtATime);
        let is_left_ill = || self.is_ended(state) && !self.is_left_well(state);
        broken.or(together).or_else(|| is_left_ill().then_some(Property::EndsWellOrTells))
    }

    fn is_end(&mut self, state: &State) -> bool {
        self.is_ended(state)
    }
}

impl World {
    /// Whether every execution has ended, or will never be started, and the service is at rest.
    fn is_ended(&self, state: &State) -> bool {
        let rest = self.rests.get(state.rest);
        let has_ended = |who| match self.execution(state, who).life {
            Life::Over | Life::Aborted { is_lambda_alive: false } => true,
            Life::Unborn => rest.is_delivered[index(who)] && !rest.is_announced[index(who)],
            Life::Running | Life::Aborted { is_lambda_alive: true } => false,
        };
        let is_at_rest = !self.service(state).is_at_work() && rest.on_its_way.is_none();
        is_at_rest && self.everyone().all(has_ended)
    }
}

//! The emulator itself: what it holds, and the one entry for every request.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clock::Clock;
use http::{Method, Request, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use tokio::task::{AbortHandle, JoinSet};

use crate::application::{Application, Log};
use crate::callers::Callers;
use crate::calls::{Answer, Fetched, Wanted, is_mutating};
use crate::cloudwatch::{CloudWatch, Publication, codec};
use crate::code::CodeStore;
use crate::configuration;
use crate::data_plane::DataPlane;
use crate::dynamodb::{DynamoDb, Table};
use crate::faults::{Effect, Fault, Faults, Loss, Stage, Who};
use crate::in_process::Unreachable;
use crate::logs::{Delivery, Logs};
use crate::presigned::Session;
use crate::record::{Call, Event, RecordEntry, StatusAndVersion};
use crate::s3::{self, S3Request};
use crate::sinks::Sinks;
use crate::step_functions::ExecutionLedger;
use crate::timings::Timings;
use crate::wire::{self, ConnectionReset, HttpRequest, HttpResponse, Identified, Protocol, Service};

/// What every secret of this emulator begins with, so that a test can look for leaks.
pub const TOKEN_MARKER: &str = "emulator-secret-";

/// What an emulator is made of.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// Its time.
    pub clock: Clock,
    /// What runs the jobs.
    pub data_plane: Arc<dyn DataPlane>,
    /// Where the applications' code lies.
    pub code: CodeStore,
    /// How long transitions take.
    pub timings: Timings,
    /// What ids, tokens and chance come from: the same seed and calls give the same answers.
    pub seed: u64,
    /// How CloudWatch publishes the service's metrics.
    pub publication: Publication,
    /// What presigned URLs begin with.
    pub public_url: String,
    /// DynamoDB's tables.
    pub tables: Vec<Table>,
    /// Names of Step Functions' state machines.
    pub state_machines: Vec<String>,
    /// Region in ARNs.
    pub region: String,
    /// Account in ARNs.
    pub account: String,
}

impl EmulatorConfig {
    /// The defaults: code in memory, the service's own timings.
    pub fn new(clock: Clock, data_plane: Arc<dyn DataPlane>) -> Self {
        Self {
            clock,
            data_plane,
            code: CodeStore::in_memory(),
            timings: Timings::default(),
            seed: 0,
            publication: Publication::default(),
            public_url: "https://emulator.amazonaws.com".to_owned(),
            tables: Vec::new(),
            state_machines: Vec::new(),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
        }
    }
}

/// What the other services (CloudWatch) need to know of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationView {
    /// Its name.
    pub name: String,
    /// The runtime of its current version, such as `FLINK-1_20`.
    pub runtime: String,
    /// Its status, as the service writes it.
    pub status: String,
    /// Its version id.
    pub version: u64,
    /// The parallelism that its job has.
    pub parallelism: u32,
    /// Parallel tasks per KPU.
    pub parallelism_per_kpu: u32,
}

fn view_of(application: &Application) -> Option<ApplicationView> {
    let version = application.current()?;
    Some(ApplicationView {
        name: application.name.clone(),
        runtime: version.runtime.clone(),
        status: application.status.name().to_owned(),
        version: application.version,
        parallelism: configuration::current_parallelism(&version.configuration),
        parallelism_per_kpu: configuration::parallelism_per_kpu(&version.configuration),
    })
}

/// Managed Service for Apache Flink, with all that belongs to it. Clones are the same emulator; its background tasks end
/// with the last of them.
#[derive(Clone)]
pub struct Emulator {
    guard: Arc<Guard>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emulator").finish_non_exhaustive()
    }
}

/// Background tasks hold the inner part only; they are aborted when the last [`Emulator`] goes.
struct Guard {
    inner: Arc<Inner>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.inner.tasks).abort_all();
    }
}

/// What calls and background tasks share.
pub(crate) struct Inner {
    pub(crate) config: EmulatorConfig,
    pub(crate) state: Mutex<State>,
    tasks: Mutex<JoinSet<()>>,
    /// What presigned URLs begin with; a server sets its own address.
    public_url: Mutex<String>,
    cloudwatch: CloudWatch,
    pub(crate) logs: Logs,
    sinks: Sinks,
    dynamodb: DynamoDb,
    executions: ExecutionLedger,
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inner").finish_non_exhaustive()
    }
}

/// All that changes, under one lock that is never held across an await.
pub(crate) struct State {
    pub(crate) applications: BTreeMap<String, Application>,
    /// Applications created so far.
    pub(crate) instances: u64,
    pub(crate) faults: Faults,
    callers: Callers,
    pub(crate) log: Log,
    /// By token.
    pub(crate) sessions: BTreeMap<String, Session>,
    /// What applications were, by name, the oldest first.
    history: BTreeMap<String, VecDeque<(Timestamp, Option<Application>)>>,
}

/// How long it is remembered what applications and items were.
pub(crate) const MEMORY: SignedDuration = SignedDuration::from_mins(15);

impl State {
    /// Notes what an application is now, for reads that tell of the past.
    pub(crate) fn remember(&mut self, name: &str, now: Timestamp) {
        let application = self.applications.get(name).cloned();
        if application.is_none() && !self.history.contains_key(name) {
            return;
        }
        let history = self.history.entry(name.to_owned()).or_default();
        history.push_back((now, application));
        while history.get(1).is_some_and(|(at, _)| now.duration_since(*at) > MEMORY) {
            history.pop_front();
        }
    }

    /// What an application was at a moment; none if there was none, or if that is too long ago to know.
    pub(crate) fn as_it_was(&self, name: &str, moment: Timestamp) -> Option<&Application> {
        let history = self.history.get(name)?;
        history.iter().rev().find(|(at, _)| *at <= moment).and_then(|(_, application)| application.as_ref())
    }

    fn status_and_version(&self, name: Option<&str>) -> Option<StatusAndVersion> {
        name.and_then(|name| self.applications.get(name)).map(Application::status_and_version)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Emulator {
    /// An emulator without applications. Needs a tokio runtime, in which its background tasks run.
    pub fn new(config: EmulatorConfig) -> Self {
        let state = State {
            applications: BTreeMap::new(),
            instances: 0,
            faults: Faults::new(config.seed),
            callers: Callers::default(),
            log: Log::new(config.seed),
            sessions: BTreeMap::new(),
            history: BTreeMap::new(),
        };
        let public_url = Mutex::new(config.public_url.clone());
        let EmulatorConfig { clock, publication, region, account, tables, state_machines, .. } = &config;
        let cloudwatch = CloudWatch::new(clock.clone(), *publication, region, account);
        let sinks = Sinks::new(clock.clone());
        let dynamodb = DynamoDb::new(clock, region, account, tables);
        let executions = ExecutionLedger::new(clock, region, account, state_machines);
        let data_plane = Arc::clone(&config.data_plane);
        let (state, tasks) = (Mutex::new(state), Mutex::default());
        let logs = Logs::default();
        let inner = Arc::new(Inner { config, state, tasks, public_url, cloudwatch, logs, sinks, dynamodb, executions });
        data_plane.send_log_to(Arc::new(Delivery(Arc::downgrade(&inner))));
        let watched = Arc::clone(&inner);
        inner.spawn(inner.cloudwatch.clone().run(data_plane, move || watched.applications()));
        Self { guard: Arc::new(Guard { inner }) }
    }

    /// The emulator's time.
    pub fn clock(&self) -> &Clock {
        &self.inner().config.clock
    }

    /// What runs the jobs.
    pub fn data_plane(&self) -> &Arc<dyn DataPlane> {
        &self.inner().config.data_plane
    }

    /// Where the applications' code lies.
    pub fn code(&self) -> &CodeStore {
        &self.inner().config.code
    }

    /// The applications that there are, by name.
    pub fn applications(&self) -> Vec<ApplicationView> {
        self.inner().applications()
    }

    /// The application of this name, if there is one.
    pub fn application(&self, name: &str) -> Option<ApplicationView> {
        lock(&self.inner().state).applications.get(name).and_then(view_of)
    }

    /// CloudWatch's metrics and alarms.
    pub fn cloudwatch(&self) -> &CloudWatch {
        &self.inner().cloudwatch
    }

    /// What SNS and EventBridge were sent.
    pub fn sinks(&self) -> &Sinks {
        &self.inner().sinks
    }

    /// DynamoDB's tables.
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.inner().dynamodb
    }

    /// Step Functions' executions.
    pub fn executions(&self) -> &ExecutionLedger {
        &self.inner().executions
    }

    /// What happened so far.
    pub fn record(&self) -> Vec<RecordEntry> {
        lock(&self.inner().state).log.entries.clone()
    }

    /// Lets something go wrong from now on.
    pub fn inject(&self, fault: Fault) {
        lock(&self.inner().state).faults.inject(fault);
    }

    /// How often each kind of fault has struck so far, in words.
    pub fn struck(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.inner().state).faults.struck().clone()
    }

    /// Lets everything go right again.
    pub fn clear_faults(&self) {
        lock(&self.inner().state).faults.clear();
    }

    /// How many calls of any service this caller has made so far.
    pub fn calls_made_by(&self, principal: &str) -> u32 {
        lock(&self.inner().state).callers.made_by(principal)
    }

    /// Waits until this caller's call of this number (1 is the first, of whatever service) was done or refused. Its answer
    /// is not yet on its way then.
    pub fn call_of(&self, principal: &str, number: u32) -> impl Future<Output = ()> + Send + use<> {
        let mut answered = lock(&self.inner().state).callers.answered_to(principal);
        async move {
            if answered.wait_for(|highest| *highest >= number).await.is_err() {
                // The emulator is gone, and nobody calls it any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Answers a request of any protocol, and writes it down.
    pub async fn handle(&self, request: HttpRequest) -> HttpResponse {
        let identified = wire::identify(&request);
        let body = match identified.service {
            // An object is not for the record.
            Service::S3 => S3Request::of(&request).for_record(),
            _ => codec::decode(identified.protocol, request.body()).unwrap_or_default(),
        };
        let arrival = self.arrive(&identified, &request, &body);
        let refusal = refusal(&identified, &arrival);
        let refused = refusal.is_some();
        let mut response = match refusal {
            Some(response) => response,
            None => self.answer(&identified, &request, &body, arrival.effect.as_ref()).await,
        };
        let done = !refused && (response.status().is_success() || response.status().is_redirection());
        self.answered(&arrival, &response, done);
        if let Some((principal, number)) = &arrival.caller {
            lock(&self.inner().state).callers.answered(principal, *number);
        }
        match arrival.effect {
            Some(Effect::Delay(delay)) => self.clock().sleep(delay).await,
            Some(Effect::LostResponse(Loss::ServerError)) => {
                response = wire::error_answer(identified.protocol, 500, "InternalFailure", "the answer got lost");
            }
            Some(Effect::LostResponse(Loss::ConnectionReset)) => response = connection_reset(),
            Some(Effect::Truncated(length)) => {
                let length = length.min(response.body().len());
                response = response.map(|body| body.slice(..length));
            }
            _ => {}
        }
        self.answered(&arrival, &response, done);
        if let Ok(id) = header::HeaderValue::from_str(&format!("emulated-{}", arrival.entry)) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        response
    }

    /// Writes down that a call came, and finds what is to go wrong with it.
    fn arrive(&self, identified: &Identified, request: &HttpRequest, body: &Value) -> Arrival {
        let mut state = lock(&self.inner().state);
        // Under the lock, so that the record is in order whatever thread gets there first.
        let now = self.clock().now();
        let session = token(request).and_then(|token| state.sessions.get(&token)).cloned();
        let (application, principal) = match session.filter(|_| identified.service == Service::Flink) {
            Some(session) => (Some(session.application), session.principal),
            None => (application_name(body), wire::principal(request.headers())),
        };
        let name = identified.fault_name();
        let who = Who { application: application.as_deref(), principal: principal.as_deref() };
        let effect = state.faults.effect(Stage::Call, &name, who, now);
        let caller = principal.clone().map(|principal| {
            let number = state.callers.count(&principal);
            (principal, number)
        });
        let before = state.status_and_version(application.as_deref());
        let call = Call {
            service: identified.service.name().to_owned(),
            operation: identified.operation.clone(),
            principal,
            application: application.clone(),
            request: body.clone(),
            status: 0,
            error: None,
            mutating: identified.service == Service::ManagedFlink && is_mutating(&identified.operation),
            done: false,
            before,
            after: None,
        };
        let denial = matches!(effect, Some(Effect::AccessDenied)).then(|| self.denial(&call));
        let entry = state.log.entries.len();
        state.log.add(now, Event::Call(call));
        Arrival { entry, application, caller, effect, denial }
    }

    /// What a call is told that is not permitted.
    fn denial(&self, call: &Call) -> String {
        let EmulatorConfig { region, account, .. } = &self.inner().config;
        let user = call.principal.as_deref().unwrap_or("anonymous");
        let action = call.iam_action().unwrap_or_else(|| call.operation.clone());
        let resources = call.resources(region, account);
        let resource = resources.first().map_or("*", String::as_str);
        format!(
            "User: arn:aws:iam::{account}:user/{user} is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        )
    }

    /// Writes down how a call was answered.
    fn answered(&self, arrival: &Arrival, response: &HttpResponse, done: bool) {
        let mut state = lock(&self.inner().state);
        let after = state.status_and_version(arrival.application.as_deref());
        if let Some(RecordEntry { event: Event::Call(call), .. }) = state.log.entries.get_mut(arrival.entry) {
            let reset = response.extensions().get::<ConnectionReset>().is_some();
            call.status = if reset { 0 } else { response.status().as_u16() };
            let code = wire::text_header(response.headers(), "x-amzn-errortype");
            call.error = if reset { Some("ConnectionReset".to_owned()) } else { code.map(str::to_owned) };
            call.done = done;
            call.after = after;
        }
    }

    async fn answer(
        &self,
        identified: &Identified,
        request: &HttpRequest,
        body: &Value,
        effect: Option<&Effect>,
    ) -> HttpResponse {
        let Identified { service, operation, protocol } = identified;
        match service {
            Service::ManagedFlink => self.managed_flink(operation, request, body, effect).await,
            Service::Flink => self.dashboard(request, operation).await,
            Service::CloudWatch => self.cloudwatch().handle(operation, *protocol, request.body()),
            Service::Logs => self.inner().logs(operation, body),
            Service::Sns | Service::EventBridge => self.sinks().handle(*service, operation, request.body()),
            Service::DynamoDb => self.dynamodb().handle(operation, body, stale(effect)),
            Service::StepFunctions => self.executions().handle(operation, body, stale(effect)),
            Service::S3 => s3::handle(self.code(), request),
            Service::Emulator => self.control(operation, request).await,
            Service::Unknown => {
                wire::error_answer(*protocol, 400, "UnknownOperationException", "there is no such operation")
            }
        }
    }

    async fn managed_flink(
        &self,
        operation: &str,
        request: &HttpRequest,
        body: &Value,
        effect: Option<&Effect>,
    ) -> HttpResponse {
        let age = stale(effect);
        let none = Map::new();
        let fields = match body {
            Value::Object(fields) => fields,
            Value::Null if request.body().is_empty() => &none,
            _ => {
                let text = "the body is not a JSON object";
                return wire::error_answer(Protocol::Json11, 400, "SerializationException", text);
            }
        };
        let principal = wire::principal(request.headers());
        let answer = answer_with_code(self.inner(), operation, fields, principal.as_deref(), age).await;
        match answer {
            Ok(answer) => wire::json_answer(StatusCode::OK, &answer),
            Err(error) => wire::error_answer(Protocol::Json11, 400, error.code, &error.message),
        }
    }

    /// Flink's REST API behind a presigned URL.
    async fn dashboard(&self, request: &HttpRequest, path_and_query: &str) -> HttpResponse {
        let refuse = |status, text| wire::error_answer(Protocol::Rest, status, "", text);
        if request.method() != Method::GET {
            return refuse(405, "the dashboard is there to be looked at");
        }
        let now = self.clock().now();
        let token = token(request);
        let (application, has_job) = {
            let mut state = lock(&self.inner().state);
            let state = &mut *state;
            let session = token.as_ref().and_then(|token| state.sessions.get_mut(token));
            let Some(session) = session.and_then(|session| session.admit(now).then_some(session)) else {
                return refuse(403, "Forbidden");
            };
            let application = state.applications.get(&session.application);
            let application = application.filter(|it| it.instance == session.instance);
            (session.application.clone(), application.is_some_and(|it| it.job.is_some()))
        };
        if !has_job {
            return refuse(503, "the application has no cluster");
        }
        if request.uri().path() == wire::DASHBOARD {
            return dashboard_redirect(&token.unwrap_or_default());
        }
        let answer = self.data_plane().rest(&application, path_and_query).await;
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        wire::answer(status, "application/json;charset=UTF-8", answer.body)
    }

    /// Answers a GET of a presigned URL with status and body.
    pub async fn get(&self, url: &str) -> Result<(u16, Bytes), Unreachable> {
        let request = Request::get(url).body(Bytes::new()).map_err(|_| Unreachable)?;
        let response = self.handle(request).await;
        if response.extensions().get::<ConnectionReset>().is_some() {
            return Err(Unreachable);
        }
        Ok((response.status().as_u16(), response.into_body()))
    }

    /// Ends the background tasks and everything that the data plane runs.
    pub async fn shut_down(&self) {
        lock(&self.inner().tasks).abort_all();
        self.data_plane().shut_down().await;
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.guard.inner
    }
}

impl Inner {
    /// Runs `task` in the background until it ends or the emulator does.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task)
    }

    fn applications(&self) -> Vec<ApplicationView> {
        lock(&self.state).applications.values().filter_map(view_of).collect()
    }

    /// Lets presigned URLs begin with something else.
    pub(crate) fn set_public_url(&self, url: String) {
        *lock(&self.public_url) = url;
    }

    /// What presigned URLs begin with.
    pub(crate) fn public_url(&self) -> String {
        lock(&self.public_url).clone()
    }
}

/// Answers a call of kinesisanalyticsv2, and fetches the code that it needs in between, since nothing waits under the lock.
async fn answer_with_code(
    inner: &Arc<Inner>,
    operation: &str,
    request: &Map<String, Value>,
    principal: Option<&str>,
    age: Option<Duration>,
) -> Answer {
    let mut fetched = None;
    loop {
        match inner.call(operation, request, principal, age, fetched.as_ref()) {
            Ok(answer) => return answer,
            Err(Wanted(location)) => {
                let result = inner.config.code.fetch(&location).await;
                fetched = Some(Fetched { location, result });
            }
        }
    }
}

/// A call that came.
struct Arrival {
    /// Its place in the record.
    entry: usize,
    application: Option<String>,
    /// Who called, and which of its calls this is.
    caller: Option<(String, u32)>,
    effect: Option<Effect>,
    /// What it is told, if it is not permitted.
    denial: Option<String>,
}

/// How old what a read tells is to be.
fn stale(effect: Option<&Effect>) -> Option<Duration> {
    match effect {
        Some(Effect::StaleRead(age)) => Some(*age),
        _ => None,
    }
}

/// The answer of a call that a fault keeps from being done.
fn refusal(identified: &Identified, arrival: &Arrival) -> Option<HttpResponse> {
    let protocol = identified.protocol;
    match arrival.effect.as_ref()? {
        Effect::AccessDenied => {
            let (status, code) = match identified.service {
                Service::CloudWatch | Service::S3 => (403, "AccessDenied"),
                Service::Sns => (403, "AuthorizationError"),
                Service::Flink | Service::Emulator | Service::Unknown => (403, "Forbidden"),
                _ => (400, "AccessDeniedException"),
            };
            let message = arrival.denial.as_deref().unwrap_or_default();
            Some(wire::error_answer(protocol, status, code, message))
        }
        Effect::Error { code, status, message } => Some(wire::error_answer(protocol, *status, code, message)),
        Effect::Throttle if protocol == Protocol::S3 => {
            Some(wire::error_answer(protocol, 503, "SlowDown", "Please reduce your request rate."))
        }
        Effect::Throttle => Some(wire::error_answer(protocol, 400, "ThrottlingException", "Rate exceeded")),
        Effect::Unreachable => Some(connection_reset()),
        Effect::Answer { status, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Some(wire::answer(status, "application/json", body.clone()))
        }
        _ => None,
    }
}

fn connection_reset() -> HttpResponse {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.extensions_mut().insert(ConnectionReset);
    response
}

/// The dashboard's own answer to a presigned URL: the token goes into a cookie.
fn dashboard_redirect(token: &str) -> HttpResponse {
    let mut response = wire::answer(StatusCode::FOUND, "text/html", "");
    let location = header::HeaderValue::from_static("/flinkdashboard/");
    response.headers_mut().insert(header::LOCATION, location);
    if let Ok(cookie) = header::HeaderValue::from_str(&format!("{COOKIE}={token}; Path=/flinkdashboard; HttpOnly")) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Name of the dashboard's cookie.
const COOKIE: &str = "emulatorDashboard";

/// The token of a request, from its query or its cookie.
fn token(request: &HttpRequest) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let from_query = query.split('&').find_map(|pair| pair.strip_prefix("authToken="));
    let cookies = wire::text_header(request.headers(), header::COOKIE.as_str()).unwrap_or_default();
    let from_cookie = cookies.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    from_query.or(from_cookie).map(str::to_owned)
}

/// The application that a request's body names.
fn application_name(body: &Value) -> Option<String> {
    let named = body.get("ApplicationName").and_then(Value::as_str);
    let by_arn = || body.get("ResourceARN").and_then(Value::as_str).and_then(|arn| arn.rsplit(":application/").next());
    named.or_else(by_arn).map(str::to_owned)
}

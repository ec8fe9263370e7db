//! Inline Maps: their items, the iterations that run beside each other, and what becomes of them when one fails.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use serde_json::{Value, json};

use crate::definition::{MOST_SECONDS, MapState, State};
use crate::evaluation::{Template, Variables, unexpected_type};
use crate::failure::{Failure, RUNTIME};
use crate::random::Generator;
use crate::run::{At, Entered, Extras, Progress, Running, Step, Walk, evaluate};

/// How many iterations of an inline Map the service runs beside each other, whatever the Map asks for.
const MOST_ITERATIONS: u64 = 40;

/// An iteration of a Map that is under way, or was when its execution stopped.
#[derive(Debug, Clone)]
pub(crate) struct Iteration {
    /// The item as the context object shows it.
    item: Arc<Value>,
    /// How far it is, once it has begun.
    progress: Option<Progress>,
    /// What it ended with.
    output: Option<Arc<Value>>,
}

impl Iteration {
    fn new(index: usize, value: Value) -> Self {
        let mut item = json!({ "Item": { "Index": index } });
        item["Item"]["Value"] = value;
        Self { item: Arc::new(item), progress: None, output: None }
    }
}

/// What the iterations of a Map have in common.
struct Surroundings<'a> {
    running: &'a Running<'a>,
    state: &'a State,
    map: &'a MapState,
    entered: Entered,
    input: &'a Arc<Value>,
    outer: &'a Variables,
    path: &'a [usize],
    extras: Extras<'a>,
    seed: u64,
}

type Boxed<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

impl<'a> Walk<'a> {
    /// One attempt of a Map, from its items to its output. A redrive goes on with the iterations that are still open.
    pub(crate) async fn iterate(&mut self, state: &'a State, map: &'a MapState, attempt: u64) -> Result<Step, Failure> {
        let extras = Extras { retries: attempt, ..Extras::default() };
        if self.progress.iterations.is_none() {
            let items = self.items(state, map, extras)?;
            let items = items.into_iter().enumerate();
            self.progress.iterations = Some(items.map(|(index, item)| Iteration::new(index, item)).collect());
        }
        let most = match &map.concurrency {
            None => 0,
            Some(template) => {
                self.evaluate(state, extras, |scope| template.evaluate_integer(scope, 0, MOST_SECONDS))?
            }
        };
        let most = if most == 0 { MOST_ITERATIONS } else { most.min(MOST_ITERATIONS) };
        self.running.record(1)?;
        let seed = self.generator.next();
        let Self { running, entered, path, progress, .. } = self;
        let Progress { position, variables, iterations } = &mut **progress;
        let surroundings = Surroundings {
            running,
            state,
            map,
            entered: *entered,
            input: &position.input,
            outer: variables,
            path,
            extras,
            seed,
        };
        let iterations = iterations.get_or_insert_default();
        surroundings.run(iterations, usize::try_from(most).unwrap_or(usize::MAX)).await?;
        let outputs = iterations.iter().filter_map(|iteration| iteration.output.as_deref().cloned());
        let result = Arc::new(Value::Array(outputs.collect()));
        self.running.record(1)?;
        self.running.measure(&state.name, &result)?;
        let step = self.exit(state, &map.exit, Extras { result: Some(&result), ..extras })?;
        self.progress.iterations = None;
        Ok(step)
    }

    fn items(&mut self, state: &State, map: &MapState, extras: Extras<'_>) -> Result<Vec<Value>, Failure> {
        let items = match &map.items {
            None => Arc::clone(&self.progress.position.input),
            Some(items) => self.evaluate(state, extras, |scope| items.evaluate(scope))?,
        };
        self.running.measure(&state.name, &items)?;
        match Arc::unwrap_or_clone(items) {
            Value::Array(items) => Ok(items),
            other => {
                let field = map.items.as_ref().map_or("Items", Template::field);
                Err(self.located(state, unexpected_type(field, "Array", &other)))
            }
        }
    }
}

impl Surroundings<'_> {
    /// Runs all iterations that are open, at most so many beside each other, until they have succeeded or one has failed. The
    /// first that fails, and of several at the same moment that of the first item, is the Map's failure; the others are
    /// dropped. All are polled in the items' order, so that the same seed makes the same trace.
    async fn run(&self, iterations: &mut [Iteration], most: usize) -> Result<(), Failure> {
        let mut open = iterations.iter_mut().enumerate().filter(|(_, iteration)| iteration.output.is_none());
        let mut under_way: Vec<Boxed<'_>> = Vec::new();
        let ended = poll_fn(|context| {
            loop {
                while under_way.len() < most
                    && let Some((index, iteration)) = open.next()
                {
                    under_way.push(self.boxed(index, iteration));
                }
                if under_way.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let before = under_way.len();
                let mut failed = None;
                under_way.retain_mut(|iteration| match iteration.as_mut().poll(context) {
                    Poll::Pending => true,
                    Poll::Ready(Ok(())) => false,
                    Poll::Ready(Err(failure)) => {
                        failed.get_or_insert(failure);
                        false
                    }
                });
                if let Some(failure) = failed {
                    return Poll::Ready(Err((failure, under_way.len())));
                }
                if under_way.len() == before {
                    return Poll::Pending;
                }
            }
        })
        .await;
        let Err((failure, others)) = ended else { return Ok(()) };
        drop(under_way);
        // The service ends the execution at once of a States.Runtime. Otherwise it writes of each of the others that its
        // state was aborted and then the iteration, and that the Map failed.
        if failure.name() != RUNTIME {
            self.running.record(2 * others as u64 + 1)?;
        }
        Err(failure)
    }

    /// An iteration may hold a Map again, so that its future has no size that is known.
    fn boxed<'b>(&'b self, index: usize, iteration: &'b mut Iteration) -> Boxed<'b> {
        Box::pin(self.iteration(index, iteration))
    }

    async fn iteration(&self, index: usize, iteration: &mut Iteration) -> Result<(), Failure> {
        self.running.record(1)?;
        let ended = self.walk(index, iteration).await;
        if !matches!(&ended, Err(failure) if failure.name() == RUNTIME) {
            self.running.record(1)?;
        }
        iteration.output = Some(ended?);
        iteration.progress = None;
        Ok(())
    }

    async fn walk(&self, index: usize, iteration: &mut Iteration) -> Result<Arc<Value>, Failure> {
        let Self { running, map, entered, path, .. } = *self;
        let mut generator = Generator::new(self.seed ^ (index as u64).rotate_left(32));
        let progress = match &mut iteration.progress {
            Some(progress) => progress,
            none => {
                let input = self.input_of(&iteration.item, &mut generator)?;
                none.insert(Progress::new(map.processor.start, input, self.outer.clone()))
            }
        };
        let mut walk = Walk {
            running,
            states: &map.processor,
            progress,
            generator,
            entered,
            item: Some(Arc::clone(&iteration.item)),
            path: path.iter().copied().chain([index]).collect(),
        };
        walk.drive().await
    }

    /// An iteration's input: what the `ItemSelector` makes of the item, or the item itself.
    fn input_of(&self, item: &Arc<Value>, generator: &mut Generator) -> Result<Arc<Value>, Failure> {
        let Some(selector) = &self.map.selector else {
            return Ok(Arc::new(item["Item"]["Value"].clone()));
        };
        let at = At {
            running: self.running,
            entered: self.entered,
            input: self.input,
            variables: self.outer,
            item: Some(item),
        };
        let input = evaluate(&at, self.state, generator, self.extras, |scope| selector.evaluate(scope))?;
        self.running.measure(&self.state.name, &input)?;
        Ok(input)
    }
}

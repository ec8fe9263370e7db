//! Many situations, several at a time.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::account::Account;
use super::scene::Scene;
use super::situations::Situation;

/// How many situations a machine plays at a time, unless it is told otherwise: most of the time they wait.
pub fn seats() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (4 * processors).clamp(4, 16)
}

/// What a situation came to.
#[derive(Debug, Clone, Serialize)]
pub struct Played {
    /// The situation's name.
    pub situation: &'static str,
    /// What it came to, in words; else what is wrong.
    pub result: Result<String, String>,
    /// How long it took, in real time.
    pub took: Duration,
}

impl Played {
    /// In a line.
    pub fn line(&self) -> String {
        let sign = if self.result.is_ok() { '✔' } else { '✖' };
        let (Ok(text) | Err(text)) = &self.result;
        format!("{sign} {:<28} {:>4} s  {text}", self.situation, self.took.as_secs())
    }
}

/// Plays the situations in this account, so many at a time; `ended` gets each as soon as it has ended. If this is dropped,
/// all that still goes on ends.
pub async fn run(account: Arc<Account>, situations: Vec<Situation>, at_once: usize, ended: UnboundedSender<Played>) {
    let seats = Arc::new(Semaphore::new(at_once));
    // They wait most of the time: one thread is enough for all of them.
    let local = LocalSet::new();
    let mut tasks = JoinSet::new();
    for situation in situations {
        let (account, seats, ended) = (Arc::clone(&account), Arc::clone(&seats), ended.clone());
        let playing = async move {
            // Nobody closes it.
            let _seat = seats.acquire().await;
            let began = Instant::now();
            let result = (situation.play)(&Scene::new(&account, situation.name)).await;
            // Nobody may be listening any more.
            let _ = ended.send(Played { situation: situation.name, result, took: began.elapsed() });
        };
        tasks.spawn_local_on(playing, &local);
    }
    drop(ended);
    local.run_until(async { while tasks.join_next().await.is_some() {} }).await;
}

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
    (12 * processors).clamp(12, 48)
}

/// What a situation came to.
#[derive(Debug, Clone)]
pub struct Played {
    /// The situation's name.
    pub situation: &'static str,
    /// What it came to, in words; else what is wrong.
    pub result: Result<String, String>,
    /// How long it took, in real time.
    pub took: Duration,
}

/// [`Played`], as the suite prints it for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    situation: &'a str,
    success: bool,
    text: &'a str,
    seconds: u64,
}

impl Serialize for Played {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Ok(text) | Err(text)) = &self.result;
        let success = self.result.is_ok();
        Summary { situation: self.situation, success, text, seconds: self.took.as_secs() }.serialize(serializer)
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_came_of_it_is_told_to_people_and_programs() {
        let took = Duration::from_millis(61_900);
        let right = Played { situation: "upload", result: Ok("runs version 2".to_owned()), took };
        let wrong = Played { situation: "upload", result: Err("never".to_owned()), took };
        assert_eq!(right.line(), "✔ upload                         61 s  runs version 2");
        assert!(wrong.line().starts_with("✖ upload"));
        let told = json!({ "situation": "upload", "success": false, "text": "never", "seconds": 61 });
        assert_eq!(serde_json::to_value(&wrong).unwrap(), told);
    }
}

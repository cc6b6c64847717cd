//! Steps under load, and how long they take.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::is_test;

pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A step on the token of a number.
pub(crate) type Step = Arc<dyn Fn(u32) -> Running + Send + Sync>;

/// What some rounds of a step took.
#[derive(Default)]
pub(crate) struct Taken {
    nanos: Vec<u32>,
    rates: Vec<f64>,
}

impl Taken {
    /// The latency that this part of all steps stays below.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut nanos = self.nanos.clone();
        nanos.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        let place = ((nanos.len() as f64 - 1.0) * part).round() as usize;
        f64::from(nanos[place])
    }

    /// Steps a second: the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_unstable_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    pub(crate) fn add(&mut self, nanos: impl IntoIterator<Item = Duration>) {
        let short = |time: Duration| u32::try_from(time.as_nanos()).unwrap_or(u32::MAX);
        self.nanos.extend(nanos.into_iter().map(short));
    }
}

/// How often each row has its turn.
fn rounds() -> usize {
    if is_test() { 1 } else { 8 }
}

fn span() -> Duration {
    Duration::from_millis(if is_test() { 5 } else { 300 })
}

/// Runs several steps in turns, with so many of each in flight, on tokens all over the place. Each
/// begins as many rounds as every other one, so that none always follows the same.
pub(crate) async fn in_turns(in_flight: u32, tokens: u32, steps: &[Step]) -> Vec<Taken> {
    let mut taken: Vec<Taken> = steps.iter().map(|_| Taken::default()).collect();
    for round in 0..=rounds() {
        for place in 0..steps.len() {
            let place = (place + round) % steps.len();
            let (nanos, rate) = one_round(in_flight, tokens, &steps[place], round).await;
            // The first round warms up.
            if round > 0 || is_test() {
                taken[place].nanos.extend(nanos);
                taken[place].rates.push(rate);
            }
        }
    }
    taken
}

async fn one_round(in_flight: u32, tokens: u32, step: &Step, round: usize) -> (Vec<u32>, f64) {
    let begin = Instant::now();
    let end = begin + span();
    let running: Vec<_> = (0..in_flight)
        .map(|lane| {
            let step = step.clone();
            let mut state = u64::from(lane) << 32 | round as u64;
            tokio::spawn(async move {
                let mut nanos = Vec::with_capacity(100_000);
                loop {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let number = u32::try_from((state >> 33) % u64::from(tokens)).expect("small");
                    let start = Instant::now();
                    step(number).await;
                    let now = Instant::now();
                    nanos.push(u32::try_from((now - start).as_nanos()).unwrap_or(u32::MAX));
                    if now >= end {
                        return nanos;
                    }
                }
            })
        })
        .collect();
    let mut nanos = Vec::new();
    for lane in running {
        nanos.extend(lane.await.expect("a lane that ran"));
    }
    let rate = nanos.len() as f64 / begin.elapsed().as_secs_f64();
    (nanos, rate)
}

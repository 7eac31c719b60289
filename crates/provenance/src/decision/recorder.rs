//! Decisions from many callers, recorded in batches by one thread.
//!
//! A batch is what came within a delay of its first decision, or as many as fit. Callers are answered when their
//! decisions are safe on disk, with receipts where they asked for them; a queue that is full refuses at once, so that
//! load turns into refusals that callers see and never into decisions that are lost.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use counterweight_primitives::{UnixMillis, UnixSeconds};

use super::{
    book::{DecisionBook, DecisionError, MOST_BATCH, Recorded},
    profile::CheckedDecision,
    receipt::{DecisionReceipt, ReceiptError, sign_all},
};
use crate::{ledger::LogId, signature::Signer};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// How a recorder batches, and what it promises.
#[derive(Clone)]
pub struct RecorderOptions {
    /// How long the first decision of a batch waits for others.
    pub delay: Duration,
    /// Most decisions that wait at one time.
    pub queue: usize,
    /// Signs receipts: the account that owns the log.
    pub signer: Option<Arc<dyn Signer>>,
    /// Seconds after a decision by which a checkpoint with it is anchored: the maximum merge delay.
    pub merge_delay: u64,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for RecorderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecorderOptions")
            .field("delay", &self.delay)
            .field("queue", &self.queue)
            .field("merge_delay", &self.merge_delay)
            .finish_non_exhaustive()
    }
}

/// Why decisions were not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// More wait than is allowed: try again later.
    #[error("{waiting} decisions are waiting to be recorded: try again later")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// It was told to stop, or ended.
    #[error("decisions are not taken any more")]
    Stopped,
    /// More decisions at once than a batch has.
    #[error("at most {most} decisions are taken at once, these are {got}")]
    TooMany {
        /// How many came.
        got: usize,
        /// How many are taken.
        most: usize,
    },
    /// They could not be recorded, and nothing more will be: open the book again.
    #[error("the decisions could not be recorded")]
    Record(#[source] Arc<DecisionError>),
    /// They are recorded, and their receipts could not be signed.
    #[error("the decisions are recorded, and their receipts could not be signed")]
    Receipt(#[source] Arc<ReceiptError>),
}

impl RecorderError {
    /// Whether the same decisions may be taken later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

/// What is answered for decisions that came together.
pub type Acknowledged = Result<Vec<(Recorded, Option<DecisionReceipt>)>, RecorderError>;

type Answer = Box<dyn FnOnce(Acknowledged) + Send>;

struct Submission {
    decisions: Vec<CheckedDecision>,
    receipts: bool,
    answer: Answer,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Submission>,
    /// Decisions in `waiting`, and in the batch that is being recorded.
    held: usize,
    /// When the first of `waiting` came.
    since: Option<Instant>,
    stopping: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    options: RecorderOptions,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A caller that panicked has changed nothing by halves: each change below is one step.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes decisions from any thread. Dropping the last copy lets what waits be recorded, and ends it.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    _guard: Arc<Guard>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("options", &self.shared.options)
            .finish()
    }
}

struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.queue().stopping = true;
        self.0.changed.notify_all();
    }
}

/// The thread that records; gives the book back at its end.
#[derive(Debug)]
pub struct RecorderThread(JoinHandle<DecisionBook>);

impl RecorderThread {
    /// Waits until everything that was taken is recorded. All copies of the [`Recorder`] must be dropped or stopped.
    ///
    /// # Errors
    /// [`RecorderError::Stopped`] where the thread panicked.
    pub fn join(self) -> Result<DecisionBook, RecorderError> {
        self.0.join().map_err(|_| RecorderError::Stopped)
    }
}

impl Recorder {
    /// Starts recording into a book.
    #[must_use]
    pub fn start(book: DecisionBook, options: RecorderOptions) -> (Self, RecorderThread) {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            options,
        });
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || run(book, &own));
        let guard = Arc::new(Guard(Arc::clone(&shared)));
        (
            Self {
                shared,
                _guard: guard,
            },
            RecorderThread(thread),
        )
    }

    /// Takes decisions and calls `answer` when they are safe on disk, on the recorder's thread. They stay together and in
    /// their order.
    ///
    /// # Errors
    /// [`RecorderError::Full`], [`RecorderError::Stopped`] or [`RecorderError::TooMany`]; `answer` is not called then.
    pub fn submit(
        &self,
        decisions: Vec<CheckedDecision>,
        receipts: bool,
        answer: impl FnOnce(Acknowledged) + Send + 'static,
    ) -> Result<(), RecorderError> {
        let (got, most) = (decisions.len(), MOST_BATCH.min(self.shared.options.queue));
        if got > most {
            return Err(RecorderError::TooMany { got, most });
        }
        let mut queue = self.shared.queue();
        if queue.stopping {
            return Err(RecorderError::Stopped);
        }
        if queue.held + got > self.shared.options.queue {
            return Err(RecorderError::Full { waiting: queue.held });
        }
        queue.held += got;
        queue.since.get_or_insert_with(Instant::now);
        queue.waiting.push(Submission {
            decisions,
            receipts,
            answer: Box::new(answer),
        });
        self.shared.changed.notify_all();
        Ok(())
    }

    /// As [`Recorder::submit`], and waits.
    ///
    /// # Errors
    /// Every variant of [`RecorderError`].
    pub fn record(&self, decisions: Vec<CheckedDecision>, receipts: bool) -> Acknowledged {
        let (send, receive) = mpsc::sync_channel(1);
        self.submit(decisions, receipts, move |answer| {
            // Whoever asked may have gone.
            let _ = send.send(answer);
        })?;
        receive.recv().unwrap_or(Err(RecorderError::Stopped))
    }

    /// How many decisions wait, or are being recorded.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue().held
    }

    /// Takes nothing more; what was taken is still recorded.
    pub fn stop(&self) {
        self.shared.queue().stopping = true;
        self.shared.changed.notify_all();
    }
}

fn run(mut book: DecisionBook, shared: &Shared) -> DecisionBook {
    let origin = book.log().checkpoint().checkpoint().origin.clone();
    while let Some((decisions, answers)) = next_batch(shared) {
        let count = decisions.len();
        let recorded = book
            .record(&decisions)
            .map_err(|error| RecorderError::Record(Arc::new(error)));
        drop(decisions);
        let failed = recorded.is_err();
        answer_all(recorded, answers, &origin, &shared.options);
        let mut queue = shared.queue();
        queue.held = queue.held.saturating_sub(count);
        if failed {
            // The book must be opened again, so nothing that waits can be recorded.
            queue.stopping = true;
            for submission in queue.waiting.drain(..) {
                (submission.answer)(Err(RecorderError::Stopped));
            }
        }
    }
    book
}

/// Who waits for how many decisions, and whether for receipts.
type Waiting = Vec<(usize, bool, Answer)>;

/// The decisions of the next batch, in their order; none at the end.
fn next_batch(shared: &Shared) -> Option<(Vec<CheckedDecision>, Waiting)> {
    let mut queue = shared.queue();
    loop {
        let waiting: usize = queue
            .waiting
            .iter()
            .map(|submission| submission.decisions.len())
            .sum();
        let due = queue.since.map(|since| since + shared.options.delay);
        let now = Instant::now();
        match due {
            None if queue.stopping => return None,
            None => queue = shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            Some(due) if due <= now || queue.stopping || waiting >= MOST_BATCH => break,
            Some(due) => {
                let wait = shared.changed.wait_timeout(queue, due - now);
                queue = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
    let mut total = 0;
    let fits = queue.waiting.iter().take_while(|submission| {
        total += submission.decisions.len();
        total <= MOST_BATCH
    });
    let fits = fits.count();
    let mut decisions = Vec::new();
    let mut answers = Vec::with_capacity(fits);
    for submission in queue.waiting.drain(..fits) {
        answers.push((submission.decisions.len(), submission.receipts, submission.answer));
        decisions.extend(submission.decisions);
    }
    // Those that stay have waited long enough already.
    if queue.waiting.is_empty() {
        queue.since = None;
    }
    Some((decisions, answers))
}

fn answer_all(
    recorded: Result<Vec<Recorded>, RecorderError>,
    answers: Waiting,
    origin: &str,
    options: &RecorderOptions,
) {
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => {
            for (_, _, answer) in answers {
                answer(Err(error.clone()));
            }
            return;
        }
    };
    let receipts = receipts(&recorded, &answers, origin, options)
        .map_err(|error| RecorderError::Receipt(Arc::new(error)));
    let mut recorded = recorded.into_iter();
    let mut receipts = receipts.map(Vec::into_iter);
    for (count, wanted, answer) in answers {
        let own = recorded.by_ref().take(count);
        match &mut receipts {
            Ok(receipts) if wanted => answer(Ok(own.map(|recorded| (recorded, receipts.next())).collect())),
            Err(error) if wanted => {
                own.for_each(drop);
                answer(Err(error.clone()));
            }
            _ => answer(Ok(own.map(|recorded| (recorded, None)).collect())),
        }
    }
}

/// Receipts for those who want them, under one signature.
fn receipts(
    recorded: &[Recorded],
    answers: &Waiting,
    origin: &str,
    options: &RecorderOptions,
) -> Result<Vec<DecisionReceipt>, ReceiptError> {
    let Some(signer) = &options.signer else {
        return Ok(Vec::new());
    };
    let log = LogId::of_origin(origin);
    let deadline = UnixSeconds((options.clock)().seconds().0.saturating_add(options.merge_delay));
    let wanted = answers
        .iter()
        .flat_map(|(count, wanted, _)| std::iter::repeat_n(*wanted, *count));
    let promises: Vec<_> = recorded
        .iter()
        .zip(wanted)
        .filter(|(_, wanted)| *wanted)
        .map(|(recorded, _)| recorded.promise(log, deadline))
        .collect();
    sign_all(origin, &promises, &**signer)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            profile::tests::loan,
            tests::{open, signer, with_loans},
        },
        *,
    };
    use crate::{log::receipt::UncheckedReceipt, signature::MemorySigner};

    fn options(queue: usize, delay: u64) -> RecorderOptions {
        RecorderOptions {
            delay: Duration::from_millis(delay),
            queue,
            signer: Some(Arc::new(MemorySigner::from_secret(&[5; 32]).unwrap())),
            merge_delay: 60,
            clock: Arc::new(|| UnixMillis(1_000_000)),
        }
    }

    #[test]
    fn callers_from_many_threads_are_all_answered_with_receipts_that_hold() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path(), 1);
        let profile = with_loans(&mut book);
        let (recorder, thread) = Recorder::start(book, options(1000, 5));
        let mut answered: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = (0..6)
                .map(|caller| {
                    let (recorder, profile) = (recorder.clone(), Arc::clone(&profile));
                    scope.spawn(move || {
                        let decision = |age| profile.check(loan(&format!("subject {caller}"), age)).unwrap();
                        let mut answered = Vec::new();
                        for round in 0..5 {
                            let own = recorder
                                .record((0..3).map(decision).collect(), round % 2 == 0)
                                .unwrap();
                            assert!(
                                own.iter()
                                    .all(|(_, receipt)| receipt.is_some() == (round % 2 == 0))
                            );
                            assert!(own.windows(2).all(|pair| pair[0].0.index + 1 == pair[1].0.index));
                            answered.extend(own);
                        }
                        answered
                    })
                })
                .collect();
            callers
                .into_iter()
                .flat_map(|caller| caller.join().unwrap())
                .collect()
        });
        drop(recorder);
        let book = thread.join().unwrap();
        answered.sort_by_key(|(recorded, _)| recorded.index);
        assert_eq!(answered.len(), 90);
        let owner = MemorySigner::from_secret(&[5; 32]).unwrap().address();
        for (recorded, receipt) in answered {
            let (entry, proof) = book.prove(recorded.index).unwrap();
            assert_eq!(entry, recorded.entry);
            let proof = UncheckedReceipt::from_text(&proof.to_text()).unwrap();
            proof.verify(&entry.encode(), signer().verifier()).unwrap();
            if let Some(receipt) = receipt {
                let read =
                    super::super::receipt::UncheckedDecisionReceipt::decode(&receipt.encode().unwrap());
                assert_eq!(read.unwrap().verify(owner).unwrap(), receipt);
                assert_eq!(receipt.promise().leaf, recorded.leaf);
                assert_eq!(receipt.promise().deadline, UnixSeconds(1060));
            }
        }
    }

    #[test]
    fn a_full_queue_refuses_and_takes_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path(), 1);
        let profile = with_loans(&mut book);
        // A batch waits for ever: only the end records it.
        let (recorder, thread) = Recorder::start(book, options(4, 1_000_000));
        let decisions = |count| {
            (0..count)
                .map(|age| profile.check(loan("subject", age)).unwrap())
                .collect::<Vec<_>>()
        };
        let (send, receive) = mpsc::channel();
        let answer = send.clone();
        recorder
            .submit(decisions(3), false, move |done| {
                answer.send(done.unwrap().len()).unwrap()
            })
            .unwrap();
        let error = recorder.submit(decisions(2), false, |_| ()).unwrap_err();
        assert!(matches!(error, RecorderError::Full { waiting: 3 }) && error.is_retryable());
        assert!(matches!(
            recorder.record(decisions(5), false),
            Err(RecorderError::TooMany { got: 5, most: 4 })
        ));
        recorder
            .submit(decisions(1), false, move |done| {
                send.send(done.unwrap().len()).unwrap()
            })
            .unwrap();
        recorder.stop();
        assert!(matches!(
            recorder.record(decisions(1), false),
            Err(RecorderError::Stopped)
        ));
        let book = thread.join().unwrap();
        assert_eq!(receive.iter().collect::<Vec<_>>(), [3, 1]);
        // The profile is an entry too.
        assert_eq!(book.log().checkpoint().checkpoint().size, 5);
    }
}

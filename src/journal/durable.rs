//! What is durable, who waits for it, and the proof of it in a type.

use std::{
    ops::Deref,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::Position;

/// How far the journal is durable. Clones watch the same journal.
#[derive(Debug, Clone)]
pub struct DurableMark {
    inner: Arc<Inner>,
}

/// A value that must not leave before a position is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending<T> {
    value: T,
    position: Position,
}

/// A value whose position is durable. Only [`DurableMark`] makes one: who has it, has the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable<T> {
    value: T,
    position: Position,
}

/// Why no later position will ever become durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Another writer has taken over: what is not yet durable must be dropped.
    #[error("fenced: {0}")]
    Fenced(Arc<str>),
    /// A write or sync failed. The process must stop answering.
    #[error("the journal failed: {0}")]
    Failed(Arc<str>),
    /// The journal was shut down in good order.
    #[error("the journal is shut down")]
    ShutDown,
}

impl DurableMark {
    /// The last durable position.
    pub fn current(&self) -> Position {
        Position(self.inner.durable.load(Ordering::Acquire))
    }

    /// Why nothing further becomes durable, if so.
    pub fn fatal(&self) -> Option<Fatal> {
        self.inner.state.borrow().fatal.clone()
    }

    /// Passes a value whose position is durable; hands any other back. Never waits.
    pub fn admit<T>(&self, pending: Pending<T>) -> Result<Durable<T>, Pending<T>> {
        let Pending { value, position } = pending;
        if position <= self.current() { Ok(Durable { value, position }) } else { Err(Pending { value, position }) }
    }

    /// Passes a value when its position is durable.
    pub async fn durable<T>(&self, pending: Pending<T>) -> Result<Durable<T>, Fatal> {
        let Pending { value, position } = pending;
        self.wait_for(position).await?;
        Ok(Durable { value, position })
    }

    /// Waits until a position is durable. Returns how far the journal is durable by then. Cancel safe.
    pub async fn wait_for(&self, position: Position) -> Result<Position, Fatal> {
        if position <= self.current() {
            return Ok(self.current());
        }
        let mut state = self.inner.state.subscribe();
        match state.wait_for(|state| state.answers(position)).await {
            Ok(state) => state.answer(position),
            // The sender lives in `inner`, which `self` keeps alive.
            Err(_) => Err(Fatal::ShutDown),
        }
    }

    /// As [`wait_for`](Self::wait_for), for threads outside of the runtime.
    pub fn wait_for_blocking(&self, position: Position) -> Result<Position, Fatal> {
        let mut guard = self.inner.lock_blocked();
        loop {
            let state = self.inner.state.borrow().clone();
            if state.answers(position) {
                return state.answer(position);
            }
            guard = self.inner.moved.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until nothing further becomes durable and says why. Cancel safe.
    pub async fn failed(&self) -> Fatal {
        let mut ended = self.inner.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(fatal) => fatal.clone().unwrap_or(Fatal::ShutDown),
            Err(_) => Fatal::ShutDown,
        }
    }

    /// For tests of those who look at one.
    #[cfg(test)]
    pub(crate) fn at(durable: Position) -> Self {
        Self::new(durable)
    }

    pub(super) fn new(durable: Position) -> Self {
        let (state, _) = watch::channel(State { durable, fatal: None });
        let inner = Inner {
            durable: AtomicU64::new(durable.0),
            state,
            ended: watch::Sender::new(None),
            blocked: Mutex::new(()),
            moved: Condvar::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Moves the mark, unless the journal has failed: after that no position becomes durable.
    pub(super) fn advance(&self, durable: Position) {
        self.inner.change(|state| {
            if state.fatal.is_none() && durable > state.durable {
                state.durable = durable;
                self.inner.durable.store(durable.0, Ordering::Release);
            }
        });
    }

    /// Ends the journal. The first reason stays.
    pub(super) fn fail(&self, fatal: Fatal) {
        self.inner.change(|state| {
            state.fatal.get_or_insert(fatal);
        });
        self.inner.ended.send_modify(|ended| *ended = self.fatal());
    }
}

impl<T> Pending<T> {
    /// Holds a value until a position is durable; [`Position::ZERO`] for what depends on no change of state.
    pub fn new(value: T, position: Position) -> Self {
        Self { value, position }
    }

    /// The position waited for.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Changes the value; it still waits for the same position.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Pending<U> {
        Pending { value: change(self.value), position: self.position }
    }
}

impl<T> Durable<T> {
    /// The position that is durable.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The value, free to leave.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Changes the value; what follows from something durable is durable.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Durable<U> {
        Durable { value: change(self.value), position: self.position }
    }
}

impl<T> Deref for Durable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[derive(Debug)]
struct Inner {
    /// The same as in `state`, for readers that don't wait.
    durable: AtomicU64,
    state: watch::Sender<State>,
    /// The same as `fatal` in `state`, for those who wait for nothing else: they must not wake with every commit.
    ended: watch::Sender<Option<Fatal>>,
    blocked: Mutex<()>,
    moved: Condvar,
}

#[derive(Debug, Clone)]
struct State {
    durable: Position,
    fatal: Option<Fatal>,
}

impl Inner {
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
        // Taken so that a blocked thread is either before its look at the state or already waiting.
        drop(self.lock_blocked());
        self.moved.notify_all();
    }

    fn lock_blocked(&self) -> MutexGuard<'_, ()> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answers(&self, position: Position) -> bool {
        self.durable >= position || self.fatal.is_some()
    }

    fn answer(&self, position: Position) -> Result<Position, Fatal> {
        match &self.fatal {
            Some(fatal) if self.durable < position => Err(fatal.clone()),
            _ => Ok(self.durable),
        }
    }
}

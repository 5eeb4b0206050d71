//! What a limiter promises, along orders of events that are made up at random.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;

use crate::{KeyedLimiter, Limit, LimitError, Limiter, Permit};

const WAIT: Duration = Duration::from_secs(3);

type Asking = Pin<Box<dyn Future<Output = Result<Permit, LimitError>>>>;

/// What happens next; the numbers choose among those who are there.
#[derive(Debug, Clone)]
enum Event {
    Ask,
    TryAsk,
    GiveBack(usize),
    GiveUp(usize),
    Move(usize),
    Close,
    StayOpen,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Ask),
        1 => Just(Event::TryAsk),
        2 => any::<usize>().prop_map(Event::GiveBack),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => any::<usize>().prop_map(Event::Move),
        1 => Just(Event::Close),
        1 => Just(Event::StayOpen),
    ]
}

/// A limiter that closes once all permits are back.
struct Closing {
    waiting: Pin<Box<dyn Future<Output = ()>>>,
    /// How many callers were in line before it.
    ahead: usize,
}

/// A limiter, and what a plain reading of its promises says about it.
struct Model {
    limiter: Limiter,
    other: Limiter,
    seats: usize,
    held: Vec<Permit>,
    moved: Vec<Permit>,
    line: VecDeque<Asking>,
    closing: Option<Closing>,
    closed: bool,
}

impl Model {
    fn new(seats: usize, line: usize) -> Self {
        Self {
            limiter: Limiter::new("test", Limit::of(seats).with_line(line, WAIT)),
            other: Limiter::new("other", Limit::of(1)),
            seats,
            held: Vec::new(),
            moved: Vec::new(),
            line: VecDeque::new(),
            closing: None,
            closed: false,
        }
    }

    fn poll<T>(asking: &mut Pin<Box<dyn Future<Output = T>>>) -> Poll<T> {
        asking
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A newcomer was let in.
    fn enter(&mut self, permit: Permit) {
        let none_waits = self.line.is_empty() && self.closing.is_none();
        assert!(none_waits, "a newcomer went ahead of the line");
        assert!(!self.closed, "a closed limiter gave a permit");
        self.held.push(permit);
    }

    /// A newcomer was refused.
    fn refuse(&self, refused: LimitError) {
        if self.closed {
            assert_eq!(refused, LimitError::Closed);
            return;
        }
        assert_eq!(refused, LimitError::Full);
        assert!(self.held.len() >= self.seats || self.closing.is_some());
    }

    fn step(&mut self, event: &Event, room: usize) {
        match event {
            Event::Ask => {
                let limiter = self.limiter.clone();
                let mut asking: Asking = Box::pin(async move { limiter.acquire().await });
                match Self::poll(&mut asking) {
                    Poll::Ready(Ok(permit)) => self.enter(permit),
                    Poll::Ready(Err(refused)) => {
                        self.refuse(refused);
                        assert!(self.closed || self.line.len() >= room);
                    }
                    Poll::Pending => self.line.push_back(asking),
                }
            }
            Event::TryAsk => match self.limiter.try_acquire() {
                Ok(permit) => self.enter(permit),
                Err(refused) => self.refuse(refused),
            },
            Event::GiveBack(which) if !self.held.is_empty() => {
                drop(self.held.swap_remove(which % self.held.len()));
            }
            Event::GiveUp(which) if !self.line.is_empty() => {
                let which = which % self.line.len();
                drop(self.line.remove(which));
                if let Some(closing) = &mut self.closing
                    && which < closing.ahead
                {
                    closing.ahead -= 1;
                }
            }
            Event::Close if self.closing.is_none() && !self.closed => {
                let limiter = self.limiter.clone();
                self.closing = Some(Closing {
                    waiting: Box::pin(async move { limiter.close_idle().await }),
                    ahead: self.line.len(),
                });
            }
            Event::Close => {}
            Event::StayOpen => self.closing = None,
            Event::Move(which) if !self.held.is_empty() => {
                let which = which % self.held.len();
                let moved = self.held[which].try_move(&self.other);
                assert_eq!(moved, self.moved.is_empty());
                if moved {
                    self.moved.push(self.held.swap_remove(which));
                }
            }
            Event::GiveBack(_) | Event::GiveUp(_) | Event::Move(_) => self.moved.clear(),
        }
        self.settle();
    }

    /// Those in line take what is free, the first ones first and no others. What waits for all
    /// permits has its place among them, and refuses those behind it.
    fn settle(&mut self) {
        let free = self.seats - self.held.len();
        let ahead = self.closing.as_ref().map_or(usize::MAX, |it| it.ahead);
        let served = free.min(ahead).min(self.line.len());
        // All permits are back, and it is the next in line.
        let closes = ahead == 0 && self.held.is_empty();
        if let Some(closing) = &mut self.closing {
            closing.ahead -= served;
            let closed = Self::poll(&mut closing.waiting).is_ready();
            assert_eq!(closed, closes, "it closes when all permits are back");
            self.closed = closed;
        }
        for place in 0..self.line.len() {
            let polled = Self::poll(&mut self.line[place]);
            if self.closed {
                assert!(matches!(polled, Poll::Ready(Err(LimitError::Closed))));
                continue;
            }
            assert_eq!(polled.is_ready(), place < served, "the line's order");
            if let Poll::Ready(permit) = polled {
                self.held.push(permit.unwrap());
            }
        }
        if self.closed {
            (self.closing, self.line) = (None, VecDeque::new());
        }
        self.line.drain(..served.min(self.line.len()));
        assert_eq!(self.limiter.is_closed(), self.closed);
        assert!(self.held.len() <= self.seats);
        assert_eq!(self.limiter.in_use(), self.held.len());
        assert_eq!(self.other.in_use(), self.moved.len());
        assert_eq!(self.limiter.waiting(), self.line.len());
        assert!(self.limiter.most_in_use() <= self.seats);
    }
}

proptest! {
    #[test]
    fn never_more_than_the_maximum_no_permit_lost_and_the_line_in_order(
        seats in 1..4_usize,
        room in 0..5_usize,
        closes in any::<bool>(),
        events in prop::collection::vec(event(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut world = Model::new(seats, room);
        for event in &events {
            if closes || !matches!(event, Event::Close) {
                world.step(event, room);
            }
        }
        world.closing = None;
        world.line.clear();
        world.held.clear();
        if world.closed {
            prop_assert_eq!(world.limiter.try_acquire().unwrap_err(), LimitError::Closed);
            prop_assert_eq!(world.limiter.in_use(), 0);
            return Ok(());
        }
        let again: Vec<_> = (0..seats).map(|_| world.limiter.try_acquire()).collect();
        prop_assert!(again.iter().all(Result::is_ok), "a permit was lost");
        prop_assert!(world.limiter.try_acquire().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_has_an_end() {
    let limiter = Limiter::new("test", Limit::of(1).with_line(1, WAIT));
    let held = limiter.acquire().await.unwrap();
    assert_eq!(limiter.acquire().await.unwrap_err(), LimitError::TooLate);
    assert_eq!(limiter.waiting(), 0);
    drop(held);
    assert!(limiter.acquire().await.is_ok());
}

#[tokio::test]
async fn closing_refuses_those_in_line_and_takes_nothing_back() {
    let limiter = Limiter::new("test", Limit::of(1).with_line(1, WAIT));
    let held = limiter.acquire().await.unwrap();
    let mut waiting = Box::pin(limiter.acquire());
    assert!(futures::poll!(&mut waiting).is_pending());
    limiter.close();
    assert_eq!(waiting.await.unwrap_err(), LimitError::Closed);
    assert_eq!(limiter.try_acquire().unwrap_err(), LimitError::Closed);
    assert_eq!(limiter.in_use(), 1);
    drop(held);
    assert_eq!(limiter.in_use(), 0);
    assert_eq!(limiter.acquire().await.unwrap_err(), LimitError::Closed);
}

#[test]
fn without_a_maximum_permits_are_only_counted() {
    let limiter = Limiter::new("test", Limit::UNLIMITED);
    let held: Vec<_> = (0..1000).map(|_| limiter.try_acquire().unwrap()).collect();
    assert_eq!(limiter.in_use(), 1000);
    assert!(limiter.acquire().now_or_never().unwrap().is_ok());
    drop(held);
    assert_eq!((limiter.in_use(), limiter.most_in_use()), (0, 1001));
    limiter.close();
    assert_eq!(limiter.try_acquire().unwrap_err(), LimitError::Closed);
}

#[test]
fn many_threads_never_hold_more_than_the_maximum() {
    let limiter = Limiter::new("test", Limit::of(3).with_line(64, WAIT));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let limiter = limiter.clone();
            async move {
                for _ in 0..200 {
                    let permit = limiter.acquire().await.unwrap();
                    assert!(limiter.in_use() <= 3);
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            }
        })
        .collect();
    runtime.block_on(async {
        futures::future::join_all(workers).await;
    });
    assert_eq!((limiter.in_use(), limiter.waiting()), (0, 0));
    assert!(limiter.most_in_use() <= 3);
}

proptest! {
    /// No key ever has more than its maximum, none takes from another, and none is remembered that
    /// holds nothing.
    #[test]
    fn every_key_has_its_own_maximum_and_leaves_nothing_behind(
        each in 0..4_usize,
        events in prop::collection::vec((0..5_u8, any::<Option<usize>>()), 0..80),
    ) {
        let limiter = KeyedLimiter::new("test", each);
        let mut held = Vec::new();
        for (key, give_back) in events {
            match give_back {
                Some(which) if !held.is_empty() => {
                    drop(held.swap_remove(which % held.len()));
                }
                _ => {
                    let before = held.iter().filter(|(of, _)| *of == key).count();
                    match limiter.try_acquire(key) {
                        Ok(permit) => {
                            prop_assert!(before < each);
                            held.push((key, permit));
                        }
                        Err(refused) => {
                            prop_assert_eq!(refused, LimitError::Full);
                            prop_assert_eq!(before, each);
                        }
                    }
                }
            }
            let keys: std::collections::HashSet<_> = held.iter().map(|(key, _)| *key).collect();
            prop_assert_eq!(limiter.keys(), keys.len());
        }
        held.clear();
        prop_assert_eq!(limiter.keys(), 0);
    }
}

/// Notes whether a caller in line was called while the limiter was still open.
struct Called {
    limiter: Limiter,
    while_open: AtomicBool,
}

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        if !self.limiter.is_closed() {
            self.while_open.store(true, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn closing_an_idle_limiter_waits_for_all_and_gives_up_without_a_trace() {
    let limiter = Limiter::new("test", Limit::of(2));
    let (first, second) = (
        limiter.acquire().await.unwrap(),
        limiter.try_acquire().unwrap(),
    );
    let mut closing = Box::pin(limiter.close_idle());
    assert!(futures::poll!(&mut closing).is_pending());
    drop(first);
    assert!(futures::poll!(&mut closing).is_pending());
    drop(closing);
    let first = limiter.try_acquire().unwrap();
    let mut closing = Box::pin(limiter.close_idle());
    drop(first);
    assert!(futures::poll!(&mut closing).is_pending());
    let called = Arc::new(Called {
        limiter: limiter.clone(),
        while_open: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&called));
    let mut behind = Box::pin(limiter.next());
    let first_look = behind.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first_look.is_pending());
    drop(second);
    closing.await;
    let while_open = called.while_open.load(Ordering::Relaxed);
    assert!(!while_open, "the permits went to the line before it closed");
    assert_eq!(behind.await.unwrap_err(), LimitError::Closed);
    assert_eq!(limiter.try_acquire().unwrap_err(), LimitError::Closed);
}

//! What a limiter promises, along orders of events that are made up at random.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
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
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Ask),
        1 => Just(Event::TryAsk),
        2 => any::<usize>().prop_map(Event::GiveBack),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => any::<usize>().prop_map(Event::Move),
    ]
}

/// A limiter, and what a plain reading of its promises says about it.
struct Model {
    limiter: Limiter,
    other: Limiter,
    seats: usize,
    held: Vec<Permit>,
    moved: Vec<Permit>,
    line: VecDeque<Asking>,
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
        }
    }

    fn poll(asking: &mut Asking) -> Poll<Result<Permit, LimitError>> {
        asking
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    }

    fn step(&mut self, event: &Event, room: usize) {
        match event {
            Event::Ask => {
                let limiter = self.limiter.clone();
                let mut asking: Asking = Box::pin(async move { limiter.acquire().await });
                match Self::poll(&mut asking) {
                    Poll::Ready(Ok(permit)) => {
                        assert!(self.line.is_empty(), "a newcomer went ahead of the line");
                        self.held.push(permit);
                    }
                    Poll::Ready(Err(refused)) => {
                        assert_eq!(refused, LimitError::Full);
                        assert!(self.held.len() >= self.seats && self.line.len() >= room);
                    }
                    Poll::Pending => self.line.push_back(asking),
                }
            }
            Event::TryAsk => match self.limiter.try_acquire() {
                Ok(permit) => {
                    assert!(self.line.is_empty(), "a newcomer went ahead of the line");
                    self.held.push(permit);
                }
                Err(refused) => assert_eq!(refused, LimitError::Full),
            },
            Event::GiveBack(which) if !self.held.is_empty() => {
                drop(self.held.swap_remove(which % self.held.len()));
            }
            Event::GiveUp(which) if !self.line.is_empty() => {
                drop(self.line.remove(which % self.line.len()));
            }
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

    /// Those in line take what is free, the first ones first and no others.
    fn settle(&mut self) {
        let free = self.seats - self.held.len();
        for place in 0..self.line.len() {
            let polled = Self::poll(&mut self.line[place]);
            assert_eq!(polled.is_ready(), place < free, "the line's order");
            if let Poll::Ready(permit) = polled {
                self.held.push(permit.unwrap());
            }
        }
        let served = free.min(self.line.len());
        self.line.drain(..served);
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
        events in prop::collection::vec(event(), 0..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let mut world = Model::new(seats, room);
        for event in &events {
            world.step(event, room);
        }
        world.line.clear();
        world.held.clear();
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
    drop(second);
    closing.await;
    assert_eq!(limiter.try_acquire().unwrap_err(), LimitError::Closed);
}

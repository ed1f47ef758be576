//! Memory of requests that are being received: a large one is charged for before it is read.
//!
//! A gRPC message tells its size first. While the messages under way take their share of the memory
//! limit, the next large one is left where HTTP/2's flow control holds it: with its client. They are
//! let in in the order they came, and each counts until it is answered. So a request that is let in
//! never waits for one that is not. It must come on, though: one of which nothing comes for a while, or
//! too little, is given up, so that a client that fell silent does not keep the others out.
//!
//! Not here: what applying a write takes (the shard asks for that), and the limits of a single
//! message (`serve.rs`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::Frame;
use milvus_base::{Governor, Purpose, Reservation, clock};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Bytes, Service, http};
use tower::Layer;

/// Messages up to this size are neither counted nor kept waiting.
const SMALL: u64 = 64 << 10;
/// One part in so many of the memory limit is for messages under way.
const SHARE: u64 = 4;
/// What is counted at a time, in bytes.
const UNIT: u64 = 1024;
/// How much larger a compressed message is taken to be.
const EXPANSION: u64 = 4;

/// For how long a message that was let in may bring nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// It may take so long in all, and a second more for each MiB.
const PATIENCE: Duration = Duration::from_secs(30);

/// The share of memory that messages under way have; clones share it.
#[derive(Clone, Debug)]
pub struct Admission {
    governor: Governor,
    units: u32,
    turns: Arc<Semaphore>,
    silence: Duration,
}

/// A message that was let in; it counts until this is dropped.
#[derive(Debug)]
struct Ticket {
    memory: Reservation,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Ticket {
    fn bytes(&self) -> u64 {
        self.memory.bytes()
    }
}

type Slot = Arc<Mutex<Option<Ticket>>>;

impl Admission {
    /// A share of what `governor` has now.
    pub fn new(governor: Governor) -> Self {
        let units = (governor.limit() / SHARE / UNIT).clamp(1, u64::from(u32::MAX >> 4));
        let units = u32::try_from(units).unwrap_or(1);
        let turns = Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(1)));
        Self { governor, units, turns, silence: SILENCE }
    }

    /// The memory limit of the process, in bytes.
    pub fn memory_limit(&self) -> u64 {
        self.governor.limit()
    }

    /// Waits until a message of `bytes` may be read. One larger than the whole share is read alone.
    async fn enter(self, bytes: u64) -> Ticket {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        // Never closed.
        let turn = self.turns.acquire_many_owned(units).await.ok();
        Ticket { memory: self.governor.reserve(Purpose::Insert, bytes), _turn: turn }
    }
}

impl<S> Layer<S> for Admission {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Admitted<S> {
        Admitted { inner, admission: self.clone() }
    }
}

/// A service whose requests are read when there is memory for them.
#[derive(Clone, Debug)]
pub struct Admitted<S> {
    inner: S,
    admission: Admission,
}

impl<S> Service<http::Request<Body>> for Admitted<S>
where
    S: Service<http::Request<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let slot = Slot::default();
        let (admission, ticket) = (self.admission.clone(), Arc::clone(&slot));
        let request = request.map(|inner| {
            let prefix = Prefix::default();
            let arrival = None;
            Body::new(Waiting { inner, prefix, admission, held: None, ticket, arrival })
        });
        let answered = self.inner.call(request);
        Box::pin(async move {
            let answer = answered.await;
            drop(slot);
            answer
        })
    }
}

/// A body whose first message waits to be let in.
struct Waiting {
    inner: Body,
    prefix: Prefix,
    admission: Admission,
    /// What was read of a message that waits.
    held: Option<(BoxFuture<Ticket, std::convert::Infallible>, Frame<Bytes>)>,
    ticket: Slot,
    /// From when it is let in on.
    arrival: Option<Arrival>,
}

/// How long a message may take to come.
struct Arrival {
    /// On the steady clock.
    until: Duration,
    silence: BoxFuture<(), std::convert::Infallible>,
}

impl Arrival {
    fn of(bytes: u64, silence: Duration) -> Self {
        let until = clock::monotonic() + PATIENCE + Duration::from_secs(bytes >> 20);
        let mut arrival = Self { until, silence: Box::pin(std::future::pending()) };
        arrival.goes_on(silence);
        arrival
    }

    fn goes_on(&mut self, silence: Duration) {
        let most = self.until.saturating_sub(clock::monotonic());
        let silence = clock::sleep(silence.min(most));
        self.silence = Box::pin(async move {
            silence.await;
            Ok(())
        });
    }
}

impl http_body::Body for Waiting {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.held.is_none() {
            let frame = match Pin::new(&mut this.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => {
                    let Some(arrival) = &mut this.arrival else { return Poll::Pending };
                    let _ = ready!(arrival.silence.as_mut().poll(context));
                    let text = "the request did not come on";
                    return Poll::Ready(Some(Err(Status::deadline_exceeded(text))));
                }
            };
            if let Some(arrival) = &mut this.arrival {
                arrival.goes_on(this.admission.silence);
            }
            let size = frame.data_ref().and_then(|data| this.prefix.read(data));
            let Some(size) = size.filter(|size| *size > SMALL) else {
                return Poll::Ready(Some(Ok(frame)));
            };
            let entering = this.admission.clone().enter(size);
            this.held = Some((Box::pin(async move { Ok(entering.await) }), frame));
        }
        if let Some((entering, _)) = &mut this.held
            && let Ok(ticket) = ready!(entering.as_mut().poll(context))
        {
            this.arrival = Some(Arrival::of(ticket.bytes(), this.admission.silence));
            *this.ticket.lock() = Some(ticket);
        }
        Poll::Ready(this.held.take().map(|(_, frame)| Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.inner.is_end_stream()
    }
}

/// The five bytes before a message: whether it is compressed, and its length.
#[derive(Debug, Default)]
struct Prefix {
    bytes: [u8; 5],
    filled: usize,
}

impl Prefix {
    /// The memory that the first message takes, once its prefix is complete.
    fn read(&mut self, data: &[u8]) -> Option<u64> {
        let rest = self.bytes.get_mut(self.filled..).filter(|rest| !rest.is_empty())?;
        let taken = rest.len().min(data.len());
        rest.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        self.filled += taken;
        if self.filled < self.bytes.len() {
            return None;
        }
        let [compressed, length @ ..] = self.bytes;
        let length = u64::from(u32::from_be_bytes(length));
        Some(if compressed == 0 { length } else { length * EXPANSION })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_read_however_it_is_cut() {
        let message = [0_u8, 0, 1, 0, 2, 9, 9];
        for cut in 1..=5 {
            let mut prefix = Prefix::default();
            let (first, rest) = message.split_at(cut);
            let size = prefix.read(first).or_else(|| prefix.read(rest));
            assert_eq!(size, Some(65_538), "cut at {cut}");
            assert_eq!(prefix.read(&message), None, "only the first message counts");
        }
        assert_eq!(Prefix::default().read(&[1, 0, 0, 0, 10]), Some(40));
        assert_eq!(Prefix::default().read(&[]), None);
    }

    /// A body that brings one frame and then nothing.
    struct Silent(Option<Bytes>);

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match self.0.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Poll::Pending,
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_falls_silent_does_not_keep_the_others_out() {
        let governor = Governor::new(4 << 20);
        let ticket = Slot::default();
        let announced = Bytes::from_static(&[0, 0, 0x10, 0, 0]);
        let mut body = Waiting {
            inner: Body::new(Silent(Some(announced))),
            prefix: Prefix::default(),
            admission: Admission {
                silence: Duration::from_millis(20),
                ..Admission::new(governor.clone())
            },
            held: None,
            ticket: Arc::clone(&ticket),
            arrival: None,
        };
        let next = |body: &mut Waiting, context: &mut Context<'_>| {
            http_body::Body::poll_frame(Pin::new(body), context)
        };
        let frame = std::future::poll_fn(|context| next(&mut body, context)).await;
        assert!(frame.unwrap().is_ok());
        assert_eq!(governor.used(), 1 << 20);
        let given_up = std::future::poll_fn(|context| next(&mut body, context)).await;
        assert_eq!(given_up.unwrap().unwrap_err().code(), tonic::Code::DeadlineExceeded);
        drop((body, ticket));
        assert_eq!(governor.used(), 0);
    }

    #[tokio::test]
    async fn large_messages_wait_for_their_share_and_are_charged() {
        let governor = Governor::new(4 << 20);
        let admission = Admission::new(governor.clone());
        let first = admission.clone().enter(700 << 10).await;
        assert_eq!(governor.used_for(Purpose::Insert), 700 << 10);
        let mut second = Box::pin(admission.clone().enter(700 << 10));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        assert_eq!(governor.used(), 700 << 10);
        drop(second);
        let huge = admission.enter(1 << 30).await;
        assert_eq!(governor.used(), 1 << 30, "one that is larger than all is let in alone");
        drop(huge);
        assert_eq!(governor.used(), 0);
    }
}

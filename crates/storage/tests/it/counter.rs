//! A counter by compare-and-swap under every fault there is: no increment that was acknowledged is
//! lost, none that was refused is done. And a client that takes a lost reply for a conflict is caught.

use std::sync::Arc;

use milvus_base::task;
use milvus_s3_double::{Options, Server};
use milvus_storage::{ObjectStore, StoreError};

use crate::remote::{double, open};

const WRITERS: u64 = 8;
const STEPS: u64 = 15;
const FAULTS: &str = "slow_down=0.05,error=0.03,error_after=0.06,cut=0.03,lost_reply=0.06,\
                      conflict=0.05,race=0.2,seed=11";

/// What a step of a writer came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    Again,
    InDoubt,
}

/// What the steps of all writers came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    done: u64,
    in_doubt: u64,
}

fn judge(result: &Result<(), StoreError>) -> Step {
    match result {
        Ok(()) => Step::Done,
        Err(error) if error.is_conflict() => Step::Again,
        Err(StoreError::InDoubt { .. } | StoreError::Unavailable { .. }) => Step::InDoubt,
        Err(error) => panic!("{error:?}"),
    }
}

/// The bug: whatever went wrong, it was a conflict.
fn judge_wrongly(result: &Result<(), StoreError>) -> Step {
    if result.is_ok() { Step::Done } else { Step::Again }
}

async fn count(store: Arc<dyn ObjectStore>, judge: fn(&Result<(), StoreError>) -> Step) -> Tally {
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = Arc::clone(&store);
            task::spawn("counter", async move {
                let mut tally = Tally::default();
                for _ in 0..STEPS {
                    match step(&*store, judge).await {
                        Step::InDoubt => tally.in_doubt += 1,
                        Step::Done | Step::Again => tally.done += 1,
                    }
                }
                tally
            })
        })
        .collect();
    let mut all = Tally::default();
    for writer in writers {
        let tally = writer.await.unwrap();
        all.done += tally.done;
        all.in_doubt += tally.in_doubt;
    }
    all
}

async fn step(store: &dyn ObjectStore, judge: fn(&Result<(), StoreError>) -> Step) -> Step {
    loop {
        let Ok(object) = store.get("counter").await else {
            continue;
        };
        let next = number(&object.bytes) + 1;
        let data = next.to_string().into_bytes().into();
        let put = store.put_if_match("counter", data, &object.meta.etag).await.map(|_| ());
        match judge(&put) {
            Step::Again => {}
            step @ (Step::Done | Step::InDoubt) => return step,
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

fn counted(server: &Server) -> u64 {
    let (_, bytes) = server.objects().read("milvus-test", "files/counter").unwrap().unwrap();
    number(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_increment_is_lost_or_done_twice_under_faults() {
    let server = double(Options::default()).await;
    let store = open(&server).await;
    store.put("counter", b"0".into()).await.unwrap();
    server.set_faults(FAULTS.parse().unwrap());
    let tally = count(Arc::new(store), judge).await;
    assert!(server.faults_shown() > 20, "faults shown {}", server.faults_shown());
    let counted = counted(&server);
    assert!(
        (tally.done..=tally.done + tally.in_doubt).contains(&counted),
        "{counted} counted, {tally:?}"
    );
    assert!(tally.done > WRITERS * STEPS / 4, "hardly a step was acknowledged: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_lost_replies_for_conflicts_is_caught() {
    use milvus_storage::{FaultPlan, FaultyStore};
    let server = double(Options::default()).await;
    let store = open(&server).await;
    store.put("counter", b"0".into()).await.unwrap();
    let plan = FaultPlan { lost_reply: 0.2, ..FaultPlan::default() };
    let faulty = FaultyStore::new(Arc::new(store), plan, 3, milvus_base::Clock::system());
    let tally = count(Arc::new(faulty), judge_wrongly).await;
    assert!(counted(&server) > tally.done, "{} counted, {tally:?}", counted(&server));
}

//! Turns, retries and what runs beside what, without a plan that does anything.

use milvus_types::{PartitionId, VChannel};

use super::super::policy::Action;
use super::super::{CompactionOptions, State};
use super::*;

fn plan(partition: i64, inputs: &[i64]) -> Plan {
    Plan {
        partition: PartitionId(partition),
        vchannel: VChannel::from_name("c_1v0"),
        inputs: inputs.iter().copied().map(SegmentId).collect(),
        action: Action::Fold,
        cutoff_ms: 0,
        is_pressing: false,
    }
}

#[test]
fn only_what_presses_or_was_asked_for_runs_beside_others_while_they_are_busy() {
    let options = CompactionOptions::default();
    let compactions = Compactions::default();
    let unasked = Reason::Policy { is_beside: false };
    compactions.enter(CollectionId(1), &plan(7, &[1]), Reason::Job(11, 0));
    assert_eq!(compactions.hold(&options, false, false), None);
    assert!(compactions.hold(&options, true, false).is_some());
    assert_eq!(compactions.hold(&options, true, true), None);
    let eager = CompactionOptions { max_hold: Duration::ZERO, ..options };
    assert_eq!(compactions.hold(&eager, true, false), None);
    compactions.enter(CollectionId(2), &plan(8, &[2, 3]), unasked);
    assert!(compactions.hold(&eager, true, false).is_some(), "one at a time");
    assert_eq!(compactions.hold(&eager, false, false), None, "unless the others are idle");
    assert_eq!(compactions.taken(), [1, 2, 3].map(SegmentId));
    assert!(compactions.is_running_on(CollectionId(2)));
    assert!(!compactions.is_running_on(CollectionId(3)));
}

#[test]
fn dropping_a_partition_ends_its_plans_and_no_others() {
    let compactions = Compactions::default();
    let unasked = Reason::Policy { is_beside: false };
    let begin = |id, partition| {
        compactions.enter(CollectionId(id), &plan(partition, &[partition]), unasked).1
    };
    let cancels = [begin(1, 7), begin(1, 8), begin(2, 9)];
    let ended = || [0, 1, 2].map(|at: usize| cancels[at].is_triggered());
    compactions.forget_partition(CollectionId(1), PartitionId(8));
    assert_eq!(ended(), [false, true, false]);
    compactions.forget(CollectionId(1));
    assert_eq!(ended(), [true, true, false]);
}

#[test]
fn collections_take_turns() {
    let compactions = Compactions::default();
    let ids = |list: &[i64]| list.iter().map(|id| CollectionId(*id)).collect::<Vec<_>>();
    compactions.state.lock().dirty.extend(ids(&[1, 2, 4]));
    compactions.state.lock().timers.extend([(CollectionId(3), 50), (CollectionId(5), 51)]);
    assert_eq!(compactions.candidates(50), ids(&[1, 2, 3, 4]));
    compactions.state.lock().last = Some(CollectionId(2));
    assert_eq!(compactions.candidates(50), ids(&[3, 4, 1, 2]));
    compactions.settle(CollectionId(4), Some(40));
    assert_eq!(compactions.next_timer(30), Some(Duration::from_millis(10)));
}

#[test]
fn inputs_of_a_failed_plan_wait_twice_as_long_each_time() {
    let mut state = State::default();
    let (a, b) = (SegmentId(1), SegmentId(2));
    state.fail(&[a], Duration::ZERO);
    state.fail(&[a, b], FIRST_RETRY);
    let compactions = Compactions::default();
    *compactions.state.lock() = state;
    let excluded = |at: Duration| {
        let mut excluded: Vec<_> = compactions.failing(at).0.into_iter().collect();
        excluded.sort();
        excluded
    };
    assert_eq!(excluded(FIRST_RETRY), [a, b]);
    assert_eq!(excluded(FIRST_RETRY * 2), [a]);
    assert_eq!(compactions.failing(FIRST_RETRY * 2).1, Some(FIRST_RETRY));
    assert!(excluded(FIRST_RETRY * 3).is_empty());
    for _ in 0..40 {
        compactions.state.lock().fail(&[a], Duration::ZERO);
    }
    let second = Duration::from_secs(1);
    assert_eq!(compactions.failing(MAX_RETRY - second).1, Some(second), "an hour at most");
}

//! Jobs by themselves: turns, passes, and what a restart makes of them.

use milvus_types::{PartitionId, VChannel};

use super::super::policy::Action;
use super::*;

const BOOKS: CollectionId = CollectionId(1);
const FILMS: CollectionId = CollectionId(2);

fn request(collection_id: CollectionId) -> CompactCollection {
    CompactCollection {
        collection_id,
        kind: CompactionKind::Merge,
        partition_id: None,
        vchannel: None,
        segments: Vec::new(),
    }
}

fn plan(inputs: &[i64]) -> Plan {
    Plan {
        partition: PartitionId(7),
        vchannel: VChannel::from_name("c_1v0"),
        inputs: inputs.iter().copied().map(SegmentId).collect(),
        action: Action::Fold,
        cutoff_ms: 0,
        is_pressing: false,
    }
}

fn pass(inputs: &[&[i64]], goes_on: bool) -> Pass {
    Pass { plans: inputs.iter().map(|inputs| plan(inputs)).collect(), goes_on }
}

fn is_done(jobs: &Jobs, id: i64) -> bool {
    jobs.view(id).unwrap().is_done()
}

#[test]
fn a_job_waits_for_its_time_and_for_its_collection_and_no_longer() {
    let mut jobs = Jobs::default();
    jobs.add(11, request(BOOKS), 50, &[plan(&[1, 2])]);
    jobs.add(12, request(BOOKS), 40, &[plan(&[1, 2])]);
    jobs.add(13, request(FILMS), 45, &[plan(&[8])]);
    assert!(matches!(jobs.turn(39, |_| false), Turn::At(40)));
    assert!(!jobs.claims(BOOKS, 39) && jobs.claims(BOOKS, 40));
    let Turn::Of(12, _) = jobs.turn(60, |_| false) else { panic!("the first comes first") };
    let Turn::Of(13, _) = jobs.turn(60, |id| id == BOOKS) else { panic!("who is free") };
    jobs.begin(12, pass(&[&[1, 2]], false), 60);
    assert!(matches!(jobs.turn(60, |id| id == FILMS), Turn::Nobody), "one job of a collection");
    let step = jobs.next_step().unwrap();
    assert_eq!((step.job, step.place, step.collection), (12, 0, BOOKS));
    assert!(jobs.next_step().is_none() && !is_done(&jobs, 12));
    jobs.done(12, 0, Ok(vec![SegmentId(3)]), 70);
    assert!(is_done(&jobs, 12));
    let Turn::Of(11, _) = jobs.turn(70, |id| id == FILMS) else { panic!("then the other") };
    // The other has done its work.
    jobs.begin(11, pass(&[], false), 70);
    assert!(is_done(&jobs, 11) && jobs.view(11).unwrap().plans.is_empty());
    assert!(!jobs.has_of(BOOKS) && jobs.has_of(FILMS));
}

#[test]
fn a_job_goes_on_with_what_it_made_and_is_not_done_in_between() {
    let mut jobs = Jobs::default();
    let segments = [1, 2, 3, 4].map(SegmentId).to_vec();
    jobs.add(11, CompactCollection { segments, ..request(BOOKS) }, 0, &[]);
    jobs.begin(11, pass(&[&[1, 2], &[3, 4]], true), 0);
    assert_eq!([jobs.next_step().unwrap().place, jobs.next_step().unwrap().place], [0, 1]);
    jobs.done(11, 1, Ok(vec![SegmentId(6)]), 1);
    jobs.done(11, 0, Ok(vec![SegmentId(5)]), 2);
    assert!(!is_done(&jobs, 11));
    let Turn::Of(11, again) = jobs.turn(2, |_| false) else { panic!("it goes on") };
    assert_eq!(again.segments, [1, 2, 3, 4, 5, 6].map(SegmentId));
    jobs.begin(11, pass(&[&[5, 6]], false), 2);
    let step = jobs.next_step().unwrap();
    assert_eq!((step.place, step.plan.inputs), (2, [5, 6].map(SegmentId).to_vec()));
    jobs.done(11, 2, Err(()), 3);
    let job = jobs.view(11).unwrap();
    assert!(job.is_done());
    let count = |state| job.count(state);
    assert_eq!([CompactionPlanState::Completed, CompactionPlanState::Failed].map(count), [2, 1]);
}

#[test]
fn a_job_that_never_comes_to_an_end_is_ended() {
    let mut jobs = Jobs::default();
    jobs.add(11, request(BOOKS), 0, &[]);
    for _ in 0..MAX_PASSES {
        assert!(matches!(jobs.turn(0, |_| false), Turn::Of(11, _)));
        jobs.begin(11, pass(&[&[1]], true), 0);
        let place = jobs.next_step().unwrap().place;
        jobs.done(11, place, Ok(Vec::new()), 0);
    }
    assert!(is_done(&jobs, 11));
}

/// What a restart finds of the jobs, where only `segments` are left in manifests.
fn restarted(jobs: &Jobs, segments: &[i64]) -> Jobs {
    let mut restored = Jobs::default();
    for id in jobs.0.keys() {
        restored.restore(jobs.entry(*id).unwrap(), |id| segments.contains(&id.0));
    }
    restored
}

#[test]
fn a_restart_keeps_what_ended_and_takes_up_what_did_not() {
    let mut jobs = Jobs::default();
    for id in [11, 12, 13] {
        jobs.add(id, request(BOOKS), 100, &[plan(&[1, 2])]);
    }
    jobs.begin(11, pass(&[&[1, 2]], false), 100);
    jobs.next_step();
    jobs.done(11, 0, Err(()), 100);
    jobs.begin(12, pass(&[&[1, 2], &[3, 4], &[5, 6]], false), 100);
    jobs.next_step();
    jobs.next_step();
    jobs.done(12, 0, Ok(vec![SegmentId(9)]), 100);
    // The second plan was committed, and nobody wrote down that it was.
    let mut after = restarted(&jobs, &[5, 6, 9, 10]);
    assert_eq!(after.view(11), jobs.view(11));
    assert!(is_done(&after, 11) && !is_done(&after, 12) && !is_done(&after, 13));
    let Turn::Of(12, _) = after.turn(100, |_| false) else { panic!("it waits") };
    after.begin(12, pass(&[&[5, 6]], false), 200);
    let step = after.next_step().unwrap();
    after.done(12, step.place, Ok(vec![SegmentId(11)]), 200);
    let job = after.view(12).unwrap();
    let targets: Vec<_> = job.plans.iter().map(|plan| plan.targets.clone()).collect();
    assert_eq!(targets, [vec![SegmentId(9)], vec![], vec![SegmentId(11)]]);
    assert_eq!((job.is_done(), job.count(CompactionPlanState::Completed)), (true, 3));
}

#[test]
fn jobs_are_kept_for_a_day_and_not_too_many() {
    let mut jobs = Jobs::default();
    jobs.add(1, request(BOOKS), 0, &[]);
    for id in 2..=4 {
        jobs.add(id, request(BOOKS), 0, &[]);
        jobs.begin(id, pass(&[], false), u64::try_from(id).unwrap());
    }
    assert!(jobs.forget_old(KEPT_MS + 2).is_empty());
    assert_eq!(jobs.forget_old(KEPT_MS + 4), [2, 3]);
    for id in 10..1010 {
        jobs.add(id, request(BOOKS), 0, &[]);
        jobs.begin(id, pass(&[], false), KEPT_MS);
    }
    assert_eq!(jobs.forget_old(KEPT_MS), [4, 10]);
    assert!(!is_done(&jobs, 1), "one that has not ended is kept");
}

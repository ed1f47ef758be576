//! Random programs of appends, crashes, takeovers, truncations and faults, beside a model that knows of
//! each record whether it was acknowledged, is in doubt, or cannot be in the log.
//!
//! The same seed draws the same program. A broken promise is an `Err` that tells which one, so that a
//! planted bug can be shown to be found.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{AppendError, TruncateError};
use crate::log::{AppendFuture, LogChannel, Position, Record, Wal, read_all};

const CHANNEL: &str = "model";
const STEPS: u32 = 60;

/// What a model test runs its program on.
#[async_trait]
pub trait World: Send + Sync {
    /// Starts a process. Those started before have crashed, unless [`World::has_many`].
    async fn start(&self) -> Arc<dyn Wal>;

    /// Ends a process: from now on nothing that it does has an effect. It has `channels` open.
    async fn crash(&self, process: Arc<dyn Wal>, channels: Vec<Arc<dyn LogChannel>>);

    /// Lets requests fail, or no longer.
    fn disturb(&self, on: bool);

    /// Whether several processes can use the log at the same time.
    fn has_many(&self) -> bool;
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Acknowledged(Position),
    InDoubt,
    NotInLog,
}

struct Entry {
    owner: u64,
    fate: Fate,
}

struct Owner {
    process: usize,
    channel: Arc<dyn LogChannel>,
}

struct Model<'a> {
    world: &'a dyn World,
    random: u64,
    processes: BTreeMap<usize, Arc<dyn Wal>>,
    started: usize,
    /// By term; the last is the one who owns the channel.
    owners: BTreeMap<u64, Owner>,
    term: u64,
    /// By number; the number is what the record begins with.
    records: BTreeMap<u64, Entry>,
    appended: u64,
    /// The highest position that records were given up before.
    trim: Position,
}

/// Runs the program of `seed` on `world`, which is empty.
pub async fn run(world: &dyn World, seed: u64) -> Result<(), String> {
    let mut model = Model {
        world,
        random: seed,
        processes: BTreeMap::new(),
        started: 0,
        owners: BTreeMap::new(),
        term: 0,
        records: BTreeMap::new(),
        appended: 0,
        trim: Position::START,
    };
    for _ in 0..STEPS {
        model.step().await?;
    }
    world.disturb(false);
    model.crash_all().await;
    model.take_over().await?;
    model.append(3).await?;
    model.check().await
}

impl Model<'_> {
    async fn step(&mut self) -> Result<(), String> {
        if self.owners.is_empty() {
            return self.take_over().await;
        }
        match self.draw(20) {
            0..=8 => {
                let count = 1 + self.draw(6);
                self.append(count).await
            }
            9..=11 => self.check().await,
            12 | 13 => self.truncate().await,
            14 | 15 => self.take_over().await,
            16 => self.crash_in_the_middle().await,
            17 => {
                self.crash_all().await;
                Ok(())
            }
            18 => {
                self.world.disturb(true);
                Ok(())
            }
            _ => {
                self.world.disturb(false);
                Ok(())
            }
        }
    }

    /// A new owner, in a new process if there can be several; else in the one there is.
    async fn take_over(&mut self) -> Result<(), String> {
        let in_new = self.processes.is_empty() || (self.world.has_many() && self.draw(3) > 0);
        if in_new {
            self.started += 1;
            self.processes.insert(self.started, self.world.start().await);
        }
        let Some((process, wal)) = self.processes.last_key_value() else {
            return Ok(());
        };
        self.term += 1;
        let (process, term) = (*process, self.term);
        match wal.open(CHANNEL, term).await {
            Ok(channel) => {
                self.owners.insert(term, Owner { process, channel });
                Ok(())
            }
            // What a fault may answer; without one it must open.
            Err(error) => {
                self.world.disturb(false);
                let again = wal.open(CHANNEL, term).await;
                let channel = again.map_err(|e| format!("channel does not open: {e}, {error}"))?;
                self.owners.insert(term, Owner { process, channel });
                Ok(())
            }
        }
    }

    /// Lets each owner append, older ones too, and waits for what becomes of it.
    async fn append(&mut self, count: usize) -> Result<(), String> {
        let mut under_way = Vec::new();
        for _ in 0..count {
            let terms: Vec<u64> = self.owners.keys().copied().collect();
            // Mostly the owner.
            let pick = if self.draw(4) == 0 { self.draw(terms.len()) } else { usize::MAX };
            let term = terms.get(pick).or(terms.last()).copied();
            under_way.extend(term.and_then(|term| self.start_append(term)));
        }
        for (number, term, outcome) in under_way {
            let fate = match outcome.await {
                Ok(place) => Fate::Acknowledged(place.position),
                Err(error) => fate_of(&error),
            };
            let is_owner = self.owners.last_key_value().is_some_and(|(last, _)| *last == term);
            if !is_owner && matches!(fate, Fate::Acknowledged(_)) {
                return Err(format!("record {number} of fenced term {term} was acknowledged"));
            }
            self.records.entry(number).and_modify(|entry| entry.fate = fate);
        }
        Ok(())
    }

    fn start_append(&mut self, term: u64) -> Option<(u64, u64, AppendFuture)> {
        self.appended += 1;
        let number = self.appended;
        let payload = payload(number);
        let (head, tail) = payload.split_at(payload.len() / 3);
        let parts = [head, tail].map(Bytes::copy_from_slice).to_vec();
        let outcome = self.owners.get(&term)?.channel.append(parts);
        self.records.insert(number, Entry { owner: term, fate: Fate::InDoubt });
        Some((number, term, outcome))
    }

    /// Reads all that is to be read and compares.
    async fn check(&mut self) -> Result<(), String> {
        let Some((_, owner)) = self.owners.last_key_value() else {
            return Ok(());
        };
        self.world.disturb(false);
        let channel = Arc::clone(&owner.channel);
        let from = channel.trim_point();
        if from > self.trim {
            return Err(format!("trimmed to {from}, but no further than {} was asked", self.trim));
        }
        let found = read_all(&*channel, from).await;
        let found = found.map_err(|error| format!("the log does not read: {error}"))?;
        self.compare(&found)
    }

    fn compare(&mut self, found: &[Record]) -> Result<(), String> {
        let mut last_of = BTreeMap::new();
        let mut positions = BTreeMap::new();
        for record in found {
            let number = number(&record.payload);
            let entry = number.and_then(|number| self.records.get_mut(&number));
            let (Some(number), Some(entry)) = (number, entry) else {
                return Err(format!("record at {} was never appended", record.position));
            };
            if record.payload != payload(number) {
                return Err(format!("record {number} is not what was appended"));
            }
            if positions.insert(number, record.position).is_some() {
                return Err(format!("record {number} is there twice"));
            }
            if entry.fate == Fate::NotInLog {
                return Err(format!("record {number} was refused and is there"));
            }
            if last_of.insert(entry.owner, number).is_some_and(|last| last > number) {
                return Err(format!("record {number} is out of order"));
            }
            // Who has seen it relies on it.
            if entry.fate == Fate::InDoubt {
                entry.fate = Fate::Acknowledged(record.position);
            }
        }
        for (number, entry) in &self.records {
            if let Fate::Acknowledged(position) = entry.fate
                && position >= self.trim
                && positions.get(number) != Some(&position)
            {
                let got = positions.get(number);
                return Err(format!("record {number} was acknowledged at {position}, got {got:?}"));
            }
        }
        Ok(())
    }

    /// Gives up what lies before some acknowledged record.
    async fn truncate(&mut self) -> Result<(), String> {
        let kept = self.records.values().filter_map(|entry| match entry.fate {
            Fate::Acknowledged(position) if position >= self.trim => Some(position),
            Fate::Acknowledged(_) | Fate::InDoubt | Fate::NotInLog => None,
        });
        let kept: Vec<Position> = kept.collect();
        let Some(before) = kept.get(self.draw(kept.len() / 2 + 1)) else {
            return Ok(());
        };
        let Some((_, owner)) = self.owners.last_key_value() else {
            return Ok(());
        };
        match owner.channel.truncate(*before).await {
            Err(TruncateError::BeyondEnd { end, .. }) => {
                Err(format!("{before} was acknowledged, but the log ends at {end}"))
            }
            // Whether or not it was done.
            Ok(()) | Err(_) => {
                self.trim = self.trim.max(*before);
                Ok(())
            }
        }
    }

    /// Ends everything while appends are under way.
    async fn crash_in_the_middle(&mut self) -> Result<(), String> {
        let term = self.owners.last_key_value().map(|(term, _)| *term);
        let mut under_way = Vec::new();
        for _ in 0..self.draw(5) {
            under_way.extend(term.and_then(|term| self.start_append(term)));
        }
        for _ in 0..self.draw(4) {
            tokio::task::yield_now().await;
        }
        self.crash_all().await;
        Ok(())
    }

    async fn crash_all(&mut self) {
        let mut owners = std::mem::take(&mut self.owners);
        for (process, wal) in std::mem::take(&mut self.processes) {
            let channels = owners.extract_if(.., |_, owner| owner.process == process);
            let channels: Vec<_> = channels.map(|(_, owner)| owner.channel).collect();
            self.world.crash(wal, channels).await;
        }
    }

    /// A number below `below`, by SplitMix64.
    fn draw(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap_or(0)
    }
}

fn fate_of(error: &AppendError) -> Fate {
    match error {
        AppendError::Fenced { .. }
        | AppendError::Closed { .. }
        | AppendError::TooLarge { .. }
        | AppendError::QueueFull { .. }
        | AppendError::Unavailable { .. } => Fate::NotInLog,
        AppendError::Poisoned { .. } | AppendError::InDoubt { .. } | AppendError::Io(_) => {
            Fate::InDoubt
        }
    }
}

/// The bytes of record `number`.
fn payload(number: u64) -> Bytes {
    let length = number.wrapping_mul(2_654_435_761) % 300;
    let fill = (0..length).map(|i| (number ^ i).to_le_bytes()[0]);
    number.to_le_bytes().into_iter().chain(fill).collect()
}

fn number(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

//! Which faults a server shows, how often, and to which requests; from a seed.

use std::fmt;
use std::time::Duration;

/// Faults, as probabilities from 0.0 to 1.0 for each request that they apply to.
///
/// As text: `name=value` separated by commas, such as
/// `lost_reply=0.1,conflict=0.05,stall=0.01,stall_ms=30000,method=PUT,seed=7`. Empty text is no fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Answered 503 SlowDown, nothing done (`slow_down`).
    pub slow_down: f64,
    /// Answered 500 InternalError, nothing done (`error`).
    pub error: f64,
    /// Done, then answered 500 InternalError (`error_after`).
    pub error_after: f64,
    /// Nothing done, connection cut (`cut`).
    pub cut: f64,
    /// Done, then connection cut (`lost_reply`).
    pub lost_reply: f64,
    /// A conditional put is answered 409 ConditionalRequestConflict, nothing done (`conflict`).
    pub conflict: f64,
    /// The same, but only while another conditional put of the key is under way (`race`).
    pub race: f64,
    /// The request waits for [`Faults::stall_for`] before anything is done (`stall`).
    pub stall: f64,
    /// How long a stall is (`stall_ms`).
    pub stall_for: Duration,
    /// An object is not listed for so long after it was put (`list_delay_ms`).
    pub list_delay: Duration,
    /// Conditions of puts are not looked at, as some stores do not (`ignore_conditions`, 0 or 1).
    pub ignore_conditions: bool,
    /// How long a client that meets `slow_down` is asked to stay away, in seconds; 0 does not say
    /// (`retry_after_s`).
    pub retry_after_s: u64,
    /// The bytes of an object come in pieces of 16 KiB, each after so long (`trickle_ms`).
    pub trickle: Duration,
    /// Each page of a list begins with the last object of the page before (`repeat_listed`, 0 or 1).
    pub repeat_listed: bool,
    /// Only requests of this method, if not empty (`method`).
    pub method: String,
    /// Only requests whose path or query holds this, if not empty (`target`).
    pub target: String,
    /// So many faults, then none any more; 0 for no limit (`count`).
    pub count: u64,
    /// The same seed fails the same requests, if they come in the same order (`seed`).
    pub seed: u64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            slow_down: 0.0,
            error: 0.0,
            error_after: 0.0,
            cut: 0.0,
            lost_reply: 0.0,
            conflict: 0.0,
            race: 0.0,
            stall: 0.0,
            stall_for: Duration::from_secs(30),
            list_delay: Duration::ZERO,
            ignore_conditions: false,
            retry_after_s: 0,
            trickle: Duration::ZERO,
            repeat_listed: false,
            method: String::new(),
            target: String::new(),
            count: 0,
            seed: 1,
        }
    }
}

/// Why a text says no faults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultSpecError {
    /// Not `name=value`.
    #[error("{0:?} is not of the form name=value")]
    Form(String),
    /// No such fault.
    #[error("fault {0} is not known")]
    Unknown(String),
    /// Not a value of the fault.
    #[error("fault {name} is {got:?}, want {want}")]
    Value {
        /// The fault.
        name: String,
        /// Its value.
        got: String,
        /// What it could be.
        want: &'static str,
    },
}

impl std::str::FromStr for Faults {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let mut faults = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let form = || FaultSpecError::Form(item.to_owned());
            let (name, value) = item.split_once('=').ok_or_else(form)?;
            faults.set(name.trim(), value.trim())?;
        }
        Ok(faults)
    }
}

impl Faults {
    fn set(&mut self, name: &str, value: &str) -> Result<(), FaultSpecError> {
        let number = || value.parse::<u64>().map_err(|_| bad(name, value, "a whole number"));
        match name {
            "stall_ms" => self.stall_for = Duration::from_millis(number()?),
            "list_delay_ms" => self.list_delay = Duration::from_millis(number()?),
            "ignore_conditions" => self.ignore_conditions = number()? != 0,
            "retry_after_s" => self.retry_after_s = number()?,
            "trickle_ms" => self.trickle = Duration::from_millis(number()?),
            "repeat_listed" => self.repeat_listed = number()? != 0,
            "count" => self.count = number()?,
            "seed" => self.seed = number()?,
            "method" => self.method = value.to_ascii_uppercase(),
            "target" => self.target = value.to_owned(),
            _ => {
                let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
                let place = self.share(name).ok_or_else(|| FaultSpecError::Unknown(name.into()))?;
                *place = share.ok_or_else(|| bad(name, value, "a number from 0 to 1"))?;
            }
        }
        Ok(())
    }

    fn share(&mut self, name: &str) -> Option<&mut f64> {
        match name {
            "slow_down" => Some(&mut self.slow_down),
            "error" => Some(&mut self.error),
            "error_after" => Some(&mut self.error_after),
            "cut" => Some(&mut self.cut),
            "lost_reply" => Some(&mut self.lost_reply),
            "conflict" => Some(&mut self.conflict),
            "race" => Some(&mut self.race),
            "stall" => Some(&mut self.stall),
            _ => None,
        }
    }
}

fn bad(name: &str, got: &str, want: &'static str) -> FaultSpecError {
    FaultSpecError::Value { name: name.to_owned(), got: got.to_owned(), want }
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Well,
    SlowDown,
    Error,
    ErrorAfter,
    Cut,
    LostReply,
    Conflict,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What is known of a request when its fate is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    /// A put with a condition.
    pub(crate) conditional: bool,
    /// Another one of the same key is under way.
    pub(crate) raced: bool,
}

/// The faults of a server, and how far it is with them.
#[derive(Debug)]
pub(crate) struct Dice {
    faults: Faults,
    random: u64,
    shown: u64,
}

impl Dice {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { random: faults.seed, faults, shown: 0 }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How many requests met a fault since the faults were set.
    pub(crate) fn shown(&self) -> u64 {
        self.shown
    }

    /// What becomes of a request, and how long it waits first.
    pub(crate) fn throw(&mut self, asked: Asked<'_>) -> (Fate, Duration) {
        let faults = &self.faults;
        let meant = (faults.method.is_empty() || faults.method == asked.method)
            && asked.target.contains(&faults.target)
            && (faults.count == 0 || self.shown < faults.count);
        if !meant {
            return (Fate::Well, Duration::ZERO);
        }
        let conflict = if asked.conditional { self.faults.conflict } else { 0.0 };
        let race = if asked.conditional && asked.raced { self.faults.race } else { 0.0 };
        let wait =
            if self.chance(self.faults.stall) { self.faults.stall_for } else { Duration::ZERO };
        let fates = [
            (self.faults.slow_down, Fate::SlowDown),
            (self.faults.error, Fate::Error),
            (self.faults.error_after, Fate::ErrorAfter),
            (self.faults.cut, Fate::Cut),
            (self.faults.lost_reply, Fate::LostReply),
            (conflict, Fate::Conflict),
            (race, Fate::Conflict),
        ];
        let fate = fates.into_iter().find(|(share, _)| self.chance(*share));
        let fate = fate.map_or(Fate::Well, |(_, fate)| fate);
        if fate != Fate::Well || !wait.is_zero() {
            self.shown += 1;
        }
        (fate, wait)
    }

    fn chance(&mut self, share: f64) -> bool {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 11) as f64 / (1_u64 << 53) as f64) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: Asked<'static> =
        Asked { method: "PUT", target: "/b/k", conditional: true, raced: false };

    fn fates(spec: &str) -> Vec<Fate> {
        let mut dice = Dice::new(spec.parse().unwrap());
        (0..200).map(|_| dice.throw(PUT).0).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let first = fates("error=0.3,lost_reply=0.2,seed=7");
        assert_eq!(first, fates("error=0.3,lost_reply=0.2,seed=7"));
        assert_ne!(first, fates("error=0.3,lost_reply=0.2,seed=8"));
        for fate in [Fate::Well, Fate::Error, Fate::LostReply] {
            assert!(first.contains(&fate), "{fate}");
        }
    }

    #[test]
    fn faults_end_after_their_count_and_meet_only_whom_they_are_for() {
        assert_eq!(fates("cut=1,count=3").iter().filter(|fate| **fate == Fate::Cut).count(), 3);
        assert!(fates("cut=1,method=GET").iter().all(|fate| *fate == Fate::Well));
        assert!(fates("cut=1,target=/other/").iter().all(|fate| *fate == Fate::Well));
        assert!(fates("race=1").iter().all(|fate| *fate == Fate::Well), "nobody races");
    }

    #[test]
    fn texts_that_say_no_faults_are_refused() {
        assert_eq!("".parse::<Faults>(), Ok(Faults::default()));
        for (bad, want) in [
            ("error", "\"error\" is not of the form name=value"),
            ("eror=1", "fault eror is not known"),
            ("error=2", "fault error is \"2\", want a number from 0 to 1"),
            ("stall_ms=-1", "fault stall_ms is \"-1\", want a whole number"),
        ] {
            assert_eq!(bad.parse::<Faults>().unwrap_err().to_string(), want);
        }
    }
}

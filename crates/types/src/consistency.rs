//! Consistency levels: how fresh a read must be.

/// How fresh a read must be; numbers and names as on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConsistencyLevel {
    /// Sees every write acknowledged before the read began.
    #[default]
    Strong = 0,
    /// Sees the client's own writes.
    Session = 1,
    /// At most the graceful time behind.
    Bounded = 2,
    /// Whatever is there.
    Eventually = 3,
    /// The client names the timestamp.
    Customized = 4,
}

impl ConsistencyLevel {
    /// The level with wire number `number`.
    pub fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Strong,
            1 => Self::Session,
            2 => Self::Bounded,
            3 => Self::Eventually,
            4 => Self::Customized,
            _ => return None,
        })
    }

    /// The wire number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The name that REST and messages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strong => "Strong",
            Self::Session => "Session",
            Self::Bounded => "Bounded",
            Self::Eventually => "Eventually",
            Self::Customized => "Customized",
        }
    }
}

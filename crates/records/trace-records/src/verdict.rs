//! How a run went: said by whoever watches over the components, printed by the console,
//! believed by whoever runs the system.

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every guest ended as it wanted to.
    Ok,
    /// One did not, or a part of the system has died.
    Failed,
}

impl Verdict {
    /// The line that ends a run, for people.
    pub const fn line(self) -> &'static str {
        match self {
            Self::Ok => "verdict: ok\n",
            Self::Failed => "verdict: failed\n",
        }
    }

    /// Its number in a record or a page; 0 is none.
    pub const fn number(self) -> u64 {
        match self {
            Self::Ok => 1,
            Self::Failed => 2,
        }
    }

    /// From a record or a page.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Ok),
            2 => Some(Self::Failed),
            _ => None,
        }
    }
}

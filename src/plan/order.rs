//! In which order the steps of different places come.

use crate::plan::Place;
use crate::plan::Step;
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Order {
    /// Phase by phase as listed: steps of one phase on different hosts may run side by side, everything else comes
    /// one after the other, and nothing comes after a failure.
    #[default]
    Listed,
    /// Every lane goes through its own steps as listed and at its own pace, but for these gates. A lane that fails
    /// stops, and so do those that wait for it; the others go on.
    Paced(Vec<Gate>),
}

/// A row of steps that come one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    Host(String),
    /// What is written through the API for the cluster as a whole.
    Api,
    /// What is asked and written through the API for one host's Node.
    ApiFor(String),
}

/// Steps that wait for others. All gates of a step must be open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The phase whose steps wait.
    pub phase: String,
    /// Only in this lane; in every lane without one.
    pub lane: Option<Lane>,
    /// The phase that they wait for. One that the plan has no steps of is not waited for.
    pub after: String,
    pub at: At,
}

/// Where a phase must have come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// On the host that the waiting step is about.
    SameHost,
    /// On any host that has the phase.
    AnyHost,
    /// On this host.
    Host(String),
    /// Through the API, for the cluster as a whole.
    Api,
    /// Through the API, for the Node of this host.
    About(String),
}

/// Who can open a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    AnyHost,
    Lane(Lane),
    /// What waits is about no host.
    Nobody,
}

impl Lane {
    /// The lane that a step belongs to.
    pub fn of(step: &Step) -> Self {
        match (&step.place, &step.about) {
            (Place::Host(host), _) => Self::Host(host.clone()),
            (Place::Cluster, Some(host)) => Self::ApiFor(host.clone()),
            (Place::Cluster, None) => Self::Api,
        }
    }

    /// The host that it is about.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Host(host) | Self::ApiFor(host) => Some(host),
            Self::Api => None,
        }
    }
}

impl Gate {
    /// Whether it is for this step.
    pub fn concerns(&self, step: &Step) -> bool {
        self.phase == step.phase && self.lane.as_ref().is_none_or(|lane| *lane == Lane::of(step))
    }

    /// Whether `step` is one of those that it waits for on behalf of `waiting`.
    pub fn is_opened_by(&self, step: &Step, waiting: &Step) -> bool {
        step.phase == self.after && self.looks_at(&Lane::of(step), &Lane::of(waiting))
    }

    /// Whether a lane can open it for a step of `waiting`.
    fn looks_at(&self, lane: &Lane, waiting: &Lane) -> bool {
        match self.keeper(waiting) {
            Keeper::AnyHost => matches!(lane, Lane::Host(_)),
            Keeper::Lane(keeper) => *lane == keeper,
            Keeper::Nobody => false,
        }
    }

    /// Who can open it for a step of `waiting`.
    pub fn keeper(&self, waiting: &Lane) -> Keeper {
        match &self.at {
            At::SameHost => {
                waiting.host().map_or(Keeper::Nobody, |host| Keeper::Lane(Lane::Host(host.to_owned())))
            }
            At::AnyHost => Keeper::AnyHost,
            At::Host(host) => Keeper::Lane(Lane::Host(host.clone())),
            At::Api => Keeper::Lane(Lane::Api),
            At::About(host) => Keeper::Lane(Lane::ApiFor(host.clone())),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.after)?;
        match &self.at {
            At::SameHost => f.write_str("on the same host"),
            At::AnyHost => f.write_str("on any host"),
            At::Host(host) => write!(f, "on {host}"),
            At::About(host) => write!(f, "for {host}"),
            At::Api => f.write_str("through the Kubernetes API"),
        }
    }
}

//! Ways from an adapter to weaker ones, each with a strength from 1, where it begins, down to 0.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::repair::Repair;
use crate::model::lora::Adapter;

/// What a candidate is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// An adapter that was given, by its place.
    Adapter {
        /// From 0.
        index: usize,
    },
    /// The mean of all that were given.
    Mean,
}

/// An adapter to try: a source, changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Of what.
    pub source: Source,
    /// How.
    pub repair: Repair,
}

impl Candidate {
    /// In words; a single adapter needs no name.
    pub fn words(&self, adapters: usize) -> String {
        match self.source {
            Source::Adapter { .. } if adapters == 1 => self.repair.to_string(),
            Source::Adapter { index } => format!("adapter {}: {}", index + 1, self.repair),
            Source::Mean => format!("mean of all: {}", self.repair),
        }
    }
}

/// The kind of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Everywhere alike.
    Lambda,
    /// The first layers weaker, the last as they are.
    Depth,
    /// Nothing at the first layer, ever less at the last.
    Rise,
    /// Attention weaker.
    Attention,
    /// The feed-forward block weaker.
    Mlp,
    /// Fewer singular values.
    Rank,
}

impl Kind {
    /// For legends.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Depth => "lambda by depth",
            Self::Rise => "lambda by depth, from 0",
            Self::Attention => "attention weaker",
            Self::Mlp => "MLP weaker",
            Self::Rank => "rank",
        }
    }

    /// All, in the order of legends.
    pub const ALL: [Self; 6] = [Self::Lambda, Self::Depth, Self::Rise, Self::Attention, Self::Mlp, Self::Rank];

    /// The path that a change is on.
    pub fn of(repair: Repair) -> Self {
        match repair {
            Repair::Lambda { .. } => Self::Lambda,
            Repair::Depth { last, .. } if last < 1.0 => Self::Rise,
            Repair::Depth { .. } => Self::Depth,
            Repair::Modules { attention, .. } if attention < 1.0 => Self::Attention,
            Repair::Modules { .. } => Self::Mlp,
            Repair::Rank { .. } => Self::Rank,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// What it changes.
    pub source: Source,
    /// How.
    pub kind: Kind,
    /// Largest rank of its adapter.
    pub rank: usize,
}

/// Strengths that differ by no more than this part of the higher one are not told apart.
const CLOSE: f64 = 0.1;
/// The weakest strength that is looked at.
const WEAKEST: f64 = 0.001;
/// Part of a strength that is looked at next where nothing weaker was tried.
const NEXT: f64 = 0.25;

impl Path {
    /// The candidate at a strength.
    pub fn at(&self, strength: f64) -> Candidate {
        let repair = match self.kind {
            Kind::Rise => Repair::Depth { first: 0.0, last: strength },
            _ if strength >= 1.0 => Repair::NONE,
            Kind::Lambda => Repair::Lambda { lambda: strength },
            Kind::Depth => Repair::Depth { first: strength, last: 1.0 },
            Kind::Attention => Repair::Modules { attention: strength, mlp: 1.0 },
            Kind::Mlp => Repair::Modules { attention: 1.0, mlp: strength },
            Kind::Rank => Repair::Rank { rank: self.rank_at(strength) },
        };
        Candidate { source: self.source, repair }
    }

    fn rank_at(&self, strength: f64) -> usize {
        ((strength * self.rank as f64).round() as usize).max(1)
    }

    /// Where it is looked at first, from strong to weak.
    pub fn grid(&self) -> Vec<f64> {
        match self.kind {
            Kind::Lambda => vec![0.75, 0.5, 0.25, 0.1],
            Kind::Depth | Kind::Attention | Kind::Mlp => vec![0.5, 0.0],
            Kind::Rise => vec![0.5],
            Kind::Rank => {
                let mut ranks = vec![self.rank_at(0.5), self.rank_at(0.25), 1];
                ranks.dedup();
                ranks.into_iter().filter(|rank| *rank < self.rank).map(|rank| rank as f64 / self.rank as f64).collect()
            }
        }
    }

    /// Whether strength 0 is the base, which forgets nothing.
    pub fn ends_in_base(&self) -> bool {
        matches!(self.kind, Kind::Lambda | Kind::Rise)
    }

    /// A strength between two, where there is one to look at.
    pub fn between(&self, low: f64, high: f64) -> Option<f64> {
        if self.kind == Kind::Rank {
            let (low, high) = (self.rank_at(low), self.rank_at(high));
            return (high > low + 1).then(|| f64::midpoint(low as f64, high as f64).floor() / self.rank as f64);
        }
        if low <= 0.0 {
            return (high > WEAKEST).then_some(NEXT * high);
        }
        (high - low > CLOSE * high).then(|| f64::midpoint(low, high))
    }
}

/// The paths that begin at an adapter: those that say something else than another of them.
pub fn paths(source: Source, adapter: &Adapter) -> Vec<Path> {
    let kinds: Vec<Kind> = adapter.pairs.keys().map(|site| Kind::of_module(site.module)).collect();
    let both = kinds.contains(&Kind::Attention) && kinds.contains(&Kind::Mlp);
    let deep = adapter.pairs.keys().any(|site| site.layer > 0);
    let rank = adapter.config.rank;
    let says = |kind: &Kind| match kind {
        Kind::Lambda => true,
        Kind::Depth | Kind::Rise => deep,
        Kind::Attention | Kind::Mlp => both,
        Kind::Rank => rank > 1,
    };
    Kind::ALL.into_iter().filter(says).map(|kind| Path { source, kind, rank }).collect()
}

impl Kind {
    fn of_module(module: crate::model::lora::Module) -> Self {
        if super::repair::in_attention(module) { Self::Attention } else { Self::Mlp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recover::repair::tests::{adapter, adapter_of};

    const FIRST: Source = Source::Adapter { index: 0 };

    fn path(kind: Kind) -> Path {
        Path { source: FIRST, kind, rank: 8 }
    }

    #[test]
    fn paths_begin_where_the_adapter_is() {
        for kind in Kind::ALL {
            let begin = path(kind).at(1.0).repair;
            assert_eq!(begin, if kind == Kind::Rise { Repair::Depth { first: 0.0, last: 1.0 } } else { Repair::NONE });
            for strength in path(kind).grid() {
                assert_eq!(Kind::of(path(kind).at(strength).repair), kind);
            }
        }
        // One path ends where the other begins.
        assert_eq!(path(Kind::Depth).at(0.0), path(Kind::Rise).at(1.0));
    }

    #[test]
    fn ranks_are_whole_and_told_apart() {
        let ranks = |rank: usize| -> Vec<Repair> {
            let path = Path { rank, ..path(Kind::Rank) };
            path.grid().into_iter().map(|strength| path.at(strength).repair).collect()
        };
        assert_eq!(ranks(8), [4, 2, 1].map(|rank| Repair::Rank { rank }));
        assert_eq!(ranks(2), [Repair::Rank { rank: 1 }]);
        assert_eq!(ranks(3), [2, 1].map(|rank| Repair::Rank { rank }));
        let rank = path(Kind::Rank);
        assert_eq!(rank.between(0.5, 1.0).map(|strength| rank.at(strength).repair), Some(Repair::Rank { rank: 6 }));
        assert_eq!(rank.between(0.5, 0.625), None);
        assert_eq!(path(Kind::Lambda).between(0.5, 0.75), Some(0.625));
        assert_eq!(path(Kind::Lambda).between(0.5, 0.54), None);
        assert_eq!([path(Kind::Lambda).between(0.0, 0.1), path(Kind::Lambda).between(0.0, 0.001)], [Some(0.025), None]);
    }

    #[test]
    fn only_paths_that_say_something_are_walked() {
        let kinds = |adapter: &Adapter| paths(FIRST, adapter).iter().map(|path| path.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&adapter()), Kind::ALL);
        assert!(!kinds(&adapter_of(1, 1, 1.0)).contains(&Kind::Rank));
        let attention = Repair::Modules { attention: 1.0, mlp: 0.0 }.apply(&adapter(), 3).unwrap();
        assert_eq!(kinds(&attention), [Kind::Lambda, Kind::Depth, Kind::Rise, Kind::Rank]);
        let mut shallow = adapter();
        shallow.pairs.retain(|site, _| site.layer == 0);
        assert_eq!(kinds(&shallow), [Kind::Lambda, Kind::Attention, Kind::Mlp, Kind::Rank]);
    }

    #[test]
    fn candidates_say_what_they_are() {
        let candidate = path(Kind::Lambda).at(0.5);
        assert_eq!([candidate.words(1), candidate.words(2)], ["lambda 0.5", "adapter 1: lambda 0.5"]);
        assert_eq!(Candidate { source: Source::Mean, ..candidate }.words(2), "mean of all: lambda 0.5");
    }
}

//! How long the rest will take, from the rates measured so far. Pure: the caller says what took how long.

/// Share of a steady piece over which what was measured before counts as much as itself.
const BORROWED: f64 = 0.05;

/// Work of several kinds, each with a rate of its own.
#[derive(Debug, Clone, Default)]
pub struct Estimator {
    kinds: Vec<Kind>,
    /// The piece that is being done.
    piece: Option<Piece>,
    /// Work and seconds of something like it that is not part of it.
    before: (f64, f64),
}

#[derive(Debug, Clone)]
struct Kind {
    name: String,
    /// Work that is not begun.
    left: f64,
    /// Work of whole pieces, and their seconds.
    done: f64,
    seconds: f64,
}

/// How a piece of work tells what of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Evenly, as training does step by step.
    Steady,
    /// Late: the first answer of a batch comes after every prompt of it was read, so the first say little.
    Late,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    kind: usize,
    work: f64,
    done: f64,
    seconds: f64,
    pace: Pace,
}

impl Piece {
    fn share(&self) -> f64 {
        if self.work > 0.0 { (self.done / self.work).min(1.0) } else { 1.0 }
    }

    /// Seconds of the whole piece, where `rate` is what was expected of it.
    fn total(&self, rate: f64) -> f64 {
        let (share, expected) = (self.share(), rate * self.work);
        match self.pace {
            Pace::Steady => (self.seconds + BORROWED * expected) / (share + BORROWED),
            // What was expected, or half as much again as was spent; the more of it is done, the more what it says itself.
            Pace::Late => {
                let cautious = expected.max(self.seconds * (1.5 - share / 2.0));
                share * self.seconds + (1.0 - share * share) * cautious
            }
        }
    }
}

impl Estimator {
    fn index(&mut self, name: &str) -> usize {
        self.kinds.iter().position(|kind| kind.name == name).unwrap_or_else(|| {
            self.kinds.push(Kind { name: name.to_owned(), left: 0.0, done: 0.0, seconds: 0.0 });
            self.kinds.len() - 1
        })
    }

    /// There is this much more to do.
    pub fn plan(&mut self, kind: &str, work: f64) {
        let kind = self.index(kind);
        self.kinds[kind].left += work;
    }

    /// This much is not to be done after all.
    pub fn skip(&mut self, kind: &str, work: f64) {
        let kind = self.index(kind);
        self.kinds[kind].left = (self.kinds[kind].left - work).max(0.0);
    }

    /// A piece of the planned work begins; the one before it is over.
    pub fn begin(&mut self, kind: &str, work: f64, pace: Pace) {
        if let Some(piece) = self.piece.take() {
            self.kinds[piece.kind].done += piece.done;
            self.kinds[piece.kind].seconds += piece.seconds;
        }
        self.skip(kind, work);
        self.piece = Some(Piece { kind: self.index(kind), work, done: 0.0, seconds: 0.0, pace });
    }

    /// This much was done in so many seconds: of the piece that is being done, or beside it.
    pub fn done(&mut self, kind: &str, work: f64, seconds: f64) {
        let kind = self.index(kind);
        if let Some(piece) = self.piece.as_mut().filter(|piece| piece.kind == kind) {
            piece.done += work;
            piece.seconds += seconds;
            return;
        }
        let kind = &mut self.kinds[kind];
        kind.left = (kind.left - work).max(0.0);
        kind.done += work;
        kind.seconds += seconds;
    }

    /// Something like it, which is not part of it, took so many seconds.
    pub fn learn(&mut self, work: f64, seconds: f64) {
        self.before = (self.before.0 + work, self.before.1 + seconds);
    }

    /// Seconds for each unit of work over everything that is over.
    fn overall(&self) -> Option<f64> {
        let work = self.before.0 + self.kinds.iter().map(|kind| kind.done).sum::<f64>();
        let seconds = self.before.1 + self.kinds.iter().map(|kind| kind.seconds).sum::<f64>();
        let known = (work > 0.0).then(|| seconds / work);
        let Some(piece) = self.piece.filter(|piece| piece.done > 0.0) else { return known };
        // The piece that is being done counts by how much of it is.
        let rate = piece.total(known.unwrap_or(piece.seconds / piece.done)) / piece.work;
        Some((seconds + rate * piece.done) / (work + piece.done))
    }

    /// Seconds that the rest will take; None before anything was measured.
    pub fn seconds_left(&self) -> Option<f64> {
        let overall = self.overall()?;
        let own = |kind: usize| Some(&self.kinds[kind]).filter(|kind| kind.done > 0.0).map(|kind| kind.seconds / kind.done);
        let running = self.piece.map(|piece| (piece, piece.total(own(piece.kind).unwrap_or(overall))));
        let rate = |kind: usize| {
            let of_piece = running.filter(|(piece, _)| piece.kind == kind && piece.done > 0.0).map(|(piece, total)| total / piece.work);
            own(kind).or(of_piece).unwrap_or(overall)
        };
        let later: f64 = (0..self.kinds.len()).map(|kind| self.kinds[kind].left * rate(kind)).sum();
        let now = running.map_or(0.0, |(piece, total)| if piece.share() < 1.0 { (total - piece.seconds).max(0.0) } else { 0.0 });
        Some(later + now)
    }

    /// Share of the whole time that is over, from 0 to 1; 0 before anything was measured.
    pub fn share(&self) -> f64 {
        let spent = self.kinds.iter().map(|kind| kind.seconds).sum::<f64>() + self.piece.map_or(0.0, |piece| piece.seconds);
        match self.seconds_left() {
            Some(left) if spent + left > 0.0 => spent / (spent + left),
            _ => 0.0,
        }
    }
}

/// A duration as people say it: `40 s`, `12 min`, `3 h 20 min`.
pub fn in_words(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let minutes = (seconds / 60.0).round() as u64;
    match () {
        () if seconds < 90.0 => format!("{seconds:.0} s"),
        () if minutes < 90 => format!("{minutes} min"),
        () => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of four cells on a made-up machine: work, seconds for each unit of it, and pieces it is told in.
    struct Machine {
        kinds: Vec<(&'static str, f64, f64, usize)>,
    }

    impl Machine {
        fn new() -> Self {
            let suites = [("facts", 4000.0, 0.010, 100), ("code", 9000.0, 0.006, 40), ("likelihood", 6000.0, 0.002, 50)];
            let mut kinds = Vec::new();
            for cell in 0..4 {
                if cell > 0 {
                    kinds.push(("training", 30_000.0, 0.003, 60));
                }
                kinds.extend(suites);
            }
            Self { kinds }
        }

        fn total(&self) -> f64 {
            self.kinds.iter().map(|(_, work, rate, _)| work * rate).sum()
        }

        /// (seconds passed, estimate of the rest) after each piece.
        fn run(&self, learnt: Option<f64>) -> Vec<(f64, Option<f64>)> {
            let mut estimator = Estimator::default();
            for (kind, work, ..) in &self.kinds {
                estimator.plan(kind, *work);
            }
            if let Some(rate) = learnt {
                estimator.learn(500.0, 500.0 * rate);
            }
            let mut passed = 0.0;
            let mut told = vec![(0.0, estimator.seconds_left())];
            for (kind, work, rate, pieces) in &self.kinds {
                let pace = if *kind == "training" { Pace::Steady } else { Pace::Late };
                estimator.begin(kind, *work, pace);
                for piece in 0..*pieces {
                    // Half the time of a batch passes before its first answer.
                    let share = match (pace, piece) {
                        (Pace::Steady, _) => 1.0 / *pieces as f64,
                        (Pace::Late, 0) => 0.5,
                        (Pace::Late, _) => 0.5 / (*pieces as f64 - 1.0),
                    };
                    let seconds = work * rate * share;
                    passed += seconds;
                    estimator.done(kind, work / *pieces as f64, seconds);
                    told.push((passed, estimator.seconds_left()));
                }
            }
            told
        }
    }

    #[test]
    fn the_estimate_is_sensible_from_the_first_minute_and_ends_at_nothing() {
        let machine = Machine::new();
        let total = machine.total();
        assert!((500.0..900.0).contains(&total), "a ten-minute run: {total}");
        // The base's suites, and the first training.
        let seen: f64 = machine.kinds[..4].iter().map(|(_, work, rate, _)| work * rate).sum();
        // What was learnt before may be wrong by a factor of two.
        for learnt in [0.0025, 0.005, 0.01] {
            let told = machine.run(Some(learnt));
            for (passed, estimate) in &told {
                let (truth, estimate) = (total - passed, estimate.unwrap());
                // Of what was never seen nothing is known but its size; once each kind was seen whole it is close.
                let seen_all = *passed > seen;
                let bound = if seen_all { 1.15 } else { 3.0 };
                assert!(
                    estimate <= bound * truth + 5.0 && truth <= bound * estimate + 5.0,
                    "learnt {learnt}: after {passed:.0} s about {estimate:.0} s, in truth {truth:.0} s"
                );
            }
            assert!(told.last().unwrap().1.unwrap().abs() < 1e-6);
        }
    }

    #[test]
    fn nothing_measured_gives_no_estimate() {
        let told = Machine::new().run(None);
        assert_eq!(told[0].1, None);
        assert!(told[1].1.is_some());
    }

    #[test]
    fn what_is_skipped_costs_nothing_and_shares_grow_to_one() {
        let mut estimator = Estimator::default();
        estimator.plan("training", 100.0);
        estimator.learn(10.0, 20.0);
        assert!((estimator.seconds_left().unwrap() - 200.0).abs() < 1e-9);
        estimator.skip("training", 60.0);
        assert!((estimator.seconds_left().unwrap() - 80.0).abs() < 1e-9);
        estimator.done("training", 20.0, 40.0);
        assert!((estimator.share() - 0.5).abs() < 1e-9);
        estimator.done("training", 20.0, 40.0);
        assert!((estimator.share() - 1.0).abs() < 1e-9);
        // More than was planned is no debt.
        estimator.done("training", 20.0, 40.0);
        assert!(estimator.seconds_left().unwrap().abs() < 1e-9);
    }

    #[test]
    fn durations_are_said_in_words() {
        assert_eq!([0.4, 40.0, 89.0, 100.0, 3600.0, 12_000.0].map(in_words), ["0 s", "40 s", "89 s", "2 min", "60 min", "3 h 20 min"]);
    }
}

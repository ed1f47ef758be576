//! The choice of how to search, by what each way costs.
//!
//! Times are of one core of a server of 2024 and only matter beside each other; `milvus-bench filters`
//! shows where they are wrong.

/// Up to this many live rows are compared exactly at once, without codes.
pub(super) const FEW: usize = 512;
/// From this share of live rows on, walks ignore which rows are live until the end.
const MANY: f64 = 0.7;
/// Larger `ef` than this are not walked with candidates that are dropped at the end.
const LARGE_EF: usize = 1024;
/// Nanoseconds for each candidate of a walk, and before the first; and how many times as much it is for
/// each link between live rows that takes two steps, which goes with the inverse of their share.
const WALKED: f64 = 1000.0;
const DESCENDED: f64 = 12_000.0;
const DETOURS: f64 = 0.15;
/// Nanoseconds to compare with a live row by code, and for exact scores of the best.
const COMPARED: f64 = 20.0;
const RERANKED: f64 = 20_000.0;
/// Nanoseconds to compare with a live row exactly, and for each of its dimensions.
const EXACT: f64 = 5.0;
const EXACT_DIM: f64 = 0.15;
/// How much dearer that is for rows that do not lie side by side.
const APART: f64 = 2.0;
/// Nanoseconds for the sketch of each row, live or not, and for the best of them.
const SKETCHED: f64 = 0.6;
const COLLECTED: f64 = 35_000.0;
/// What a detour costs in candidates, at a share of live rows of 1.
const DETOUR: f64 = 0.09;
/// A walk that has to look in all directions takes so many times the candidates.
const FAR: f64 = 14.0;
/// Live rows are far from the query where so many times fewer are next to it than elsewhere.
const LONELY: f64 = 1.6;
/// A few rows next to the query say the share of live ones only so far.
const DOUBT: f64 = 0.03;

/// What exact scores of rows far from the query cost beside those of codes, which say less of such rows.
const WORTH: f64 = 0.25;
/// Sketches that are compared by code, the most, where live rows are next to the query, and how many
/// times as many where they are far; half of them is the least.
const SKETCHES: f64 = 640.0;
const MOST_FAR: f64 = 12.0;

/// A way to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Compares with every live row, by code first where there are many.
    Scan,
    /// Compares with every live row exactly.
    Exact,
    /// Scans the sketches of all rows, and compares with so many of the best by code: the least, and the
    /// most.
    Sketches((usize, usize)),
    /// Walks as if all rows were live, with so many candidates, and drops the others at the end.
    WalkAll(usize),
    /// Walks among live rows, with so many candidates.
    WalkLive(usize),
}

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) rows: usize,
    pub(super) live: usize,
    pub(super) dim: usize,
    /// Candidates asked for.
    pub(super) ef: usize,
    /// Whether there are codes and sketches.
    pub(super) coded: bool,
    pub(super) sketched: bool,
}

#[expect(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
#[expect(clippy::cast_sign_loss, reason = "shares are positive")]
impl Plan {
    /// The share of live rows.
    pub(super) fn share(&self) -> f64 {
        self.live as f64 / self.rows.max(1) as f64
    }

    /// The way to take, where a share of `near` of the rows next to the query is live.
    pub(super) fn way(&self, near: f64) -> Way {
        let (scan, scanning) = self.scan(near);
        let (walk, walking) = self.walk(near);
        if self.live <= FEW || scanning < walking { scan } else { walk }
    }

    /// Whether rows next to the query being live or not makes a difference.
    pub(super) fn needs_near(&self) -> bool {
        self.live > FEW && !matches!(self.way(1.0), Way::WalkAll(_))
    }

    /// How many times fewer live rows are next to the query than elsewhere: the best live ones lie in
    /// all directions from it then.
    fn loneliness(&self, near: f64) -> f64 {
        ((self.share() + DOUBT) / (near + DOUBT)).max(1.0)
    }

    /// The best way without walking, and its cost.
    fn scan(&self, near: f64) -> (Way, f64) {
        let (live, lonely, exact) = (self.live as f64, self.loneliness(near), self.exact());
        if !self.coded || self.live <= FEW {
            return (Way::Exact, exact);
        }
        let worth = if lonely > LONELY { WORTH } else { 1.0 };
        let scan = live * COMPARED + RERANKED;
        let most = SKETCHES * lonely.min(MOST_FAR);
        let sketches = self.rows as f64 * SKETCHED + COLLECTED + most * COMPARED / 2.0;
        let most = most as usize;
        if exact * worth <= scan && (exact * worth <= sketches || !self.sketched) {
            (Way::Exact, exact)
        } else if self.sketched && sketches < scan {
            (Way::Sketches((most / 2, most)), sketches)
        } else {
            (Way::Scan, scan)
        }
    }

    /// Whether to compare exactly where all live rows are far from the query: codes say less of them, which
    /// is worth something.
    pub(super) fn exact_is_worth(&self) -> bool {
        self.exact() * WORTH <= self.live as f64 * COMPARED + RERANKED
    }

    fn exact(&self) -> f64 {
        let apart = 1.0 + APART * (1.0 - self.share());
        self.live as f64 * (EXACT + EXACT_DIM * self.dim as f64) * apart
    }

    /// The best way to walk, and its cost.
    fn walk(&self, near: f64) -> (Way, f64) {
        let share = self.share();
        let wide = (self.ef as f64 / share).ceil() as usize;
        if share >= MANY && wide <= LARGE_EF {
            return (Way::WalkAll(wide), wide as f64 * WALKED + DESCENDED);
        }
        // Fewer of a row's neighbours are walked on, and those that are may be a detour away. A walk comes
        // by rows in all directions if it looks far around.
        let far = if self.loneliness(near) > LONELY { FAR } else { 1.0 };
        let ef = self.ef as f64 * (1.5 + DETOUR / share) * far;
        (Way::WalkLive(ef as usize), ef * WALKED * (1.0 + DETOURS / share) + DESCENDED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rows: usize, live: usize) -> Plan {
        Plan { rows, live, dim: 384, ef: 20, coded: true, sketched: live < rows }
    }

    #[test]
    fn the_number_of_live_rows_and_where_they_are_decide() {
        let rows = 130_000;
        assert_eq!(plan(rows, 500).way(0.0), Way::Exact);
        assert_eq!(plan(rows, 1_300).way(0.01), Way::Scan);
        assert!(matches!(plan(rows, 13_000).way(0.1), Way::Sketches(_)));
        assert!(matches!(plan(rows, 65_000).way(0.5), Way::WalkLive(_)));
        assert!(matches!(plan(rows, 65_000).way(0.0), Way::Sketches(_)));
        assert_eq!(plan(rows, rows).way(1.0), Way::WalkAll(20));
        assert!(!plan(rows, rows).needs_near() && plan(rows, 65_000).needs_near());
        // Short vectors are compared as fast as codes.
        assert_eq!(Plan { dim: 16, ..plan(8_000, 4_000) }.way(0.0), Way::Exact);
        // Scans of all rows are for segments, not for hundreds of millions.
        assert!(matches!(plan(100_000_000, 10_000_000).way(0.1), Way::WalkLive(_)));
    }

    #[test]
    fn more_sketches_are_compared_where_live_rows_are_far() {
        let of = |near: f64| {
            let way = plan(130_000, 13_000).way(near);
            let Way::Sketches(wanted) = way else {
                panic!("{way:?}");
            };
            wanted
        };
        let (near, far) = (of(0.1), of(0.0));
        assert!(near.0 < near.1 && 2 * near.1 < far.1, "{near:?} {far:?}");
    }

    #[test]
    fn without_sketches_few_rows_are_compared_and_many_walked() {
        let plan = |live| Plan { sketched: false, ..plan(130_000, live) };
        assert_eq!(plan(5_000).way(0.04), Way::Scan);
        assert!(matches!(plan(60_000).way(0.5), Way::WalkLive(_)));
    }
}

//! Sums of groups of affine points, many additions sharing one inversion.

use counterweight_zkml_verifier::G1Affine;
use halo2curves::bn256::Fq;
use halo2curves::ff::Field as _;

/// Additions that share an inversion. An inversion costs about 150 multiplications; more additions at once would
/// leave the cache.
const BATCH: usize = 512;
/// Entries below which a second thread costs more than it gives.
const ENTRIES_PER_THREAD: usize = 4096;

/// A point of a table, to be added or subtracted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry(u32);

impl Entry {
    pub(super) fn new(index: usize, negative: bool) -> Self {
        Self((index as u32) << 1 | u32::from(negative))
    }

    fn point(self, points: &[G1Affine]) -> G1Affine {
        let point = points[(self.0 >> 1) as usize];
        if self.0 & 1 == 1 {
            G1Affine {
                x: point.x,
                y: -point.y,
            }
        } else {
            point
        }
    }
}

/// The sum of each group. Group `g` holds the entries from the end of the group before it up to `ends[g]`.
pub(super) fn sum_groups(points: &[G1Affine], entries: &[Entry], ends: &[u32]) -> Vec<G1Affine> {
    let mut sums = vec![G1Affine::default(); ends.len()];
    split(points, entries, ends, 0, &mut sums);
    sums
}

/// Halves the work between threads, at the group that holds the middle entry.
fn split(points: &[G1Affine], entries: &[Entry], ends: &[u32], start: u32, sums: &mut [G1Affine]) {
    let total = ends.last().map_or(0, |end| end - start);
    let threads = rayon::current_num_threads();
    if threads > 1
        && total as usize > 2 * ENTRIES_PER_THREAD.max(entries.len() / (4 * threads))
        && ends.len() > 1
    {
        let middle = ends
            .partition_point(|end| end - start <= total / 2)
            .clamp(1, ends.len() - 1);
        let (left, right) = sums.split_at_mut(middle);
        rayon::join(
            || split(points, entries, &ends[..middle], start, left),
            || split(points, entries, &ends[middle..], ends[middle - 1], right),
        );
    } else {
        serial(points, entries, ends, start, sums);
    }
}

fn serial(points: &[G1Affine], entries: &[Entry], ends: &[u32], start: u32, sums: &mut [G1Affine]) {
    let mut batch = Batch::new();
    // Round by round each group of `m` points becomes one of ⌈m / 2⌉. The first reads the table.
    let mut current = vec![G1Affine::default(); first_round_size(ends, start)];
    let mut lengths: Vec<u32> = Vec::with_capacity(ends.len());
    let (mut from, mut to) = (start as usize, 0);
    for end in ends {
        let group = &entries[from..*end as usize];
        let (pairs, rest) = group.as_chunks::<2>();
        for [left, right] in pairs {
            batch.add(left.point(points), right.point(points), to, &mut current);
            to += 1;
        }
        for left in rest {
            current[to] = left.point(points);
            to += 1;
        }
        lengths.push(group.len().div_ceil(2) as u32);
        from = *end as usize;
    }
    batch.flush(&mut current);
    while lengths.iter().any(|length| *length > 1) {
        // In place: a sum is written no later than where its first summand was, and a batch holds copies.
        let (mut from, mut to) = (0, 0);
        for length in &mut lengths {
            let end = from + *length as usize;
            while from + 1 < end {
                let (left, right) = (current[from], current[from + 1]);
                batch.add(left, right, to, &mut current);
                from += 2;
                to += 1;
            }
            if from < end {
                current[to] = current[from];
                from += 1;
                to += 1;
            }
            *length = length.div_ceil(2);
        }
        batch.flush(&mut current);
    }
    let mut from = 0;
    for (sum, length) in sums.iter_mut().zip(lengths) {
        if length == 1 {
            *sum = current[from];
            from += 1;
        }
    }
}

fn first_round_size(ends: &[u32], start: u32) -> usize {
    let starts = std::iter::once(&start).chain(ends);
    starts
        .zip(ends)
        .map(|(start, end)| (end - start).div_ceil(2) as usize)
        .sum()
}

/// An addition that waits for its inverse: `slope = rise / run`.
#[derive(Clone, Copy, Default)]
struct Waiting {
    left: G1Affine,
    right_x: Fq,
    rise: Fq,
    run: Fq,
    /// Product of all runs before this one.
    product: Fq,
    to: usize,
}

struct Batch {
    waiting: Vec<Waiting>,
    product: Fq,
}

impl Batch {
    fn new() -> Self {
        Self {
            waiting: Vec::with_capacity(BATCH),
            product: Fq::ONE,
        }
    }

    /// Puts `left + right` into `out[to]`, now or when the batch is full.
    #[inline]
    fn add(&mut self, left: G1Affine, right: G1Affine, to: usize, out: &mut [G1Affine]) {
        // No point of this group has y = 0: that is infinity alone.
        let infinite = |point: &G1Affine| point.y == Fq::ZERO;
        let mut run = right.x - left.x;
        let mut rise = right.y - left.y;
        if run == Fq::ZERO || infinite(&left) || infinite(&right) {
            if infinite(&right) || infinite(&left) {
                out[to] = if infinite(&right) { left } else { right };
                return;
            }
            if left.y != right.y {
                out[to] = G1Affine::default();
                return;
            }
            let square = left.x.square();
            rise = square.double() + square;
            run = left.y.double();
        }
        self.waiting.push(Waiting {
            left,
            right_x: right.x,
            rise,
            run,
            product: self.product,
            to,
        });
        self.product *= run;
        if self.waiting.len() == BATCH {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut [G1Affine]) {
        let mut inverse = self.product.invert().expect("no run is zero");
        for addition in self.waiting.iter().rev() {
            let slope = addition.rise * (inverse * addition.product);
            inverse *= addition.run;
            let x = slope.square() - addition.left.x - addition.right_x;
            let y = slope * (addition.left.x - x) - addition.left.y;
            out[addition.to] = G1Affine { x, y };
        }
        self.waiting.clear();
        self.product = Fq::ONE;
    }
}

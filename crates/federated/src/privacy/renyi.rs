//! Rényi divergences of the Gaussian mechanism under sampling.
//!
//! Poisson sampling: Mironov, Talwar and Zhang, "Rényi Differential Privacy of the Sampled Gaussian Mechanism" (2019,
//! arXiv:1908.10530), section 3.3. Fixed-size sampling: Wang, Balle and Kasiviswanathan (AISTATS 2019,
//! arXiv:1808.00087), theorem 27, with corollary 10 between integer orders.
//!
//! The discrete Gaussian is no worse than the continuous one at any order (Canonne, Kamath and Steinke 2020,
//! arXiv:2004.00010, proposition 5); sampled ones are taken to be alike, which at noise of thousands of units differs in
//! no digit.

/// Largest order for which theorem 27 is evaluated in full; beyond, by its second bound.
const LARGEST_EXACT: usize = 256;
/// Terms of the series for a fractional order before it is given up.
const MOST_TERMS: u32 = 1000;

/// log(eˣ + eʸ).
fn log_add(x: f64, y: f64) -> f64 {
    let (low, high) = if x < y { (x, y) } else { (y, x) };
    if low == f64::NEG_INFINITY {
        return high;
    }
    libm::log1p(libm::exp(low - high)) + high
}

/// log of |n over k| for any real n.
fn log_choose(n: f64, k: f64) -> f64 {
    libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
}

fn log_erfc(x: f64) -> f64 {
    // Beyond, erfc itself leaves the range of normal doubles.
    if x < 20.0 {
        return libm::log(libm::erfc(x));
    }
    let inverse = 1.0 / (x * x);
    let series = 1.0 - inverse / 2.0 + 0.75 * inverse * inverse - 1.875 * inverse * inverse * inverse
        + 6.5625 * inverse * inverse * inverse * inverse;
    -x * x - libm::log(x * std::f64::consts::PI.sqrt()) + libm::log(series)
}

/// Of the Gaussian mechanism with noise this many times the sensitivity.
pub(super) fn gaussian(noise: f64, order: f64) -> f64 {
    order / (2.0 * noise * noise)
}

/// With each record included with a probability, strictly between 0 and 1; neighbours differ by one record more or
/// less. Infinite where the series does not converge: the order is then of no use.
pub(super) fn poisson(probability: f64, noise: f64, order: f64) -> f64 {
    let moment = if order.fract() == 0.0 {
        poisson_integer(probability, noise, order)
    } else {
        poisson_fractional(probability, noise, order)
    };
    moment / (order - 1.0)
}

fn poisson_integer(q: f64, noise: f64, order: f64) -> f64 {
    let (log_q, log_rest) = (libm::log(q), libm::log1p(-q));
    (0..=order as u32)
        .map(f64::from)
        .fold(f64::NEG_INFINITY, |sum, i| {
            let coefficient = log_choose(order, i) + i * log_q + (order - i) * log_rest;
            log_add(sum, coefficient + (i * i - i) / (2.0 * noise * noise))
        })
}

fn poisson_fractional(q: f64, noise: f64, order: f64) -> f64 {
    let (log_q, log_rest) = (libm::log(q), libm::log1p(-q));
    let middle = noise * noise * libm::log(1.0 / q - 1.0) + 0.5;
    let scale = std::f64::consts::SQRT_2 * noise;
    let half = -std::f64::consts::LN_2;
    let (mut below, mut above) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let mut last = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    for i in (0..MOST_TERMS).map(f64::from) {
        let j = order - i;
        let coefficient = log_choose(order, i);
        let tail = |k: f64| (k * k - k) / (2.0 * noise * noise);
        let first = coefficient + i * log_q + j * log_rest + tail(i) + half + log_erfc((i - middle) / scale);
        let second = coefficient + j * log_q + i * log_rest + tail(j) + half + log_erfc((middle - j) / scale);
        below = log_add(below, first);
        above = log_add(above, second);
        let total = log_add(below, above);
        if first < last.0 && second < last.1 && first.max(second) < total - 30.0 {
            return total;
        }
        last = (first, second);
    }
    f64::INFINITY
}

/// With a uniformly drawn subset of fixed size, this part of all records; neighbours differ by one record replaced.
pub(super) struct FixedSize {
    part: f64,
    noise: f64,
    /// Logarithms of the moments of even order, the second first.
    even_moments: Vec<f64>,
}

impl FixedSize {
    pub(super) fn new(part: f64, noise: f64) -> Self {
        Self {
            part,
            noise,
            even_moments: (1..=LARGEST_EXACT / 2)
                .map(|half| log_even_moment(2 * half, noise))
                .collect(),
        }
    }

    pub(super) fn at(&self, order: f64) -> f64 {
        let (low, high) = (order.floor(), order.ceil());
        let moment = if low == high {
            self.moment(order as usize)
        } else {
            let part = order - low;
            (1.0 - part) * self.moment(low as usize) + part * self.moment(high as usize)
        };
        moment / (order - 1.0)
    }

    fn moment(&self, order: usize) -> f64 {
        if order == 1 {
            return 0.0;
        }
        let rate = 1.0 / (2.0 * self.noise * self.noise);
        let log_part = libm::log(self.part);
        let (log_2, log_4) = (std::f64::consts::LN_2, 2.0 * std::f64::consts::LN_2);
        let twice = 2.0 * rate;
        let squared = twice + libm::log1p(-libm::exp(-twice));
        let choose = |i: usize| log_choose(order as f64, i as f64);
        let second = 2.0 * log_part + choose(2) + (log_4 + squared).min(twice + log_2);
        (3..=order).fold(log_add(0.0, second), |sum, i| {
            let x = (i - 1) as f64;
            let plain = log_2 + x * (x + 1.0) * rate;
            let bound = if order <= LARGEST_EXACT {
                // Between even orders by the inequality of Cauchy and Schwarz.
                let (low, high) = (self.even_moments[i / 2 - 1], self.even_moments[i.div_ceil(2) - 1]);
                plain.min(log_4 + (low + high) / 2.0)
            } else {
                plain
            };
            log_add(sum, bound + i as f64 * log_part + choose(i))
        })
    }
}

/// log E[(e^Y − 1)^order] for an even order, where Y is the privacy loss of the Gaussian mechanism. This is the forward
/// difference of theorem 27, which as a difference of nearly equal numbers would lose every digit.
///
/// By the trapezoidal rule: the integrand is a sum of Gaussians of one width, for which steps of a sixth of that are exact
/// to far more digits than a double has.
fn log_even_moment(order: usize, noise: f64) -> f64 {
    let order = order as f64;
    let variance = noise * noise;
    let step = noise / 6.0;
    let reach = (order.sqrt() + 14.0) * noise;
    let count = libm::ceil((2.0 * reach + order) / step) as u32;
    let points = (0..=count).map(|at| {
        let x = f64::from(at) * step - reach;
        let loss = (2.0 * x - 1.0) / (2.0 * variance);
        order * log_abs_expm1(loss) - x * x / (2.0 * variance)
    });
    let largest = points.clone().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = points.map(|point| libm::exp(point - largest)).sum();
    largest + libm::log(sum) + libm::log(step / (noise * (2.0 * std::f64::consts::PI).sqrt()))
}

/// log |eˣ − 1|.
fn log_abs_expm1(x: f64) -> f64 {
    if x > 30.0 {
        // e^-30 is beyond the last digit.
        x
    } else {
        libm::log(libm::expm1(x).abs())
    }
}

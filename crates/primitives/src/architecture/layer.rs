//! Layers, as an architecture lists them.

use super::{MOST_BIAS_DIGITS, MOST_SHIFT};

/// A tensor of the network: 0 is the input, `i + 1` the output of layer `i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u8);

/// One layer. It becomes part of an [`Architecture`](super::Architecture) by a check; on its own it is only a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Sums over the whole input, read as a vector.
    Dense {
        /// What it reads.
        input: Node,
        /// Number of outputs.
        outputs: u16,
        /// Form of its biases.
        bias: Bias,
        /// What becomes of the sums.
        output: Output,
    },
    /// Sums over a window that moves over all channels; outside the plane there are zeros.
    Conv {
        /// What it reads.
        input: Node,
        /// Number of output channels.
        channels: u16,
        /// The window.
        window: Window,
        /// Zeros around each plane.
        padding: Padding,
        /// Form of its biases.
        bias: Bias,
        /// What becomes of the sums.
        output: Output,
    },
    /// Sum over a window in each channel, times a multiplier.
    AveragePool {
        /// What it reads.
        input: Node,
        /// The window.
        window: Window,
        /// From 1 on.
        multiplier: u8,
        /// What becomes of the products.
        output: Requantise,
    },
    /// Sum of two tensors of one shape, each times a multiplier.
    Add {
        /// One summand.
        left: Node,
        /// The other.
        right: Node,
        /// From 1 on.
        left_multiplier: u8,
        /// From 1 on.
        right_multiplier: u8,
        /// What becomes of the sums.
        output: Requantise,
    },
    /// Largest element of a window of at most [`MOST_POOLED`](super::MOST_POOLED), in each channel.
    MaxPool {
        /// What it reads.
        input: Node,
        /// The window.
        window: Window,
    },
}

/// A window and the steps by which it moves, each from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows.
    pub height: u8,
    /// Columns.
    pub width: u8,
    /// Rows from one place to the next.
    pub stride_y: u8,
    /// Columns from one place to the next.
    pub stride_x: u8,
}

/// Rows and columns of zeros around a plane, each fewer than the window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Padding {
    /// Rows above.
    pub top: u8,
    /// Columns before.
    pub left: u8,
    /// Rows below.
    pub bottom: u8,
    /// Columns after.
    pub right: u8,
}

/// Form of a layer's biases: a bias is the sum over `k < digits` of `d_k * 2^(shift + 8 k)`, each `d_k` an int8. Without
/// digits there are no biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bias {
    /// Number of digits, at most [`MOST_BIAS_DIGITS`].
    pub digits: u8,
    /// Power of two of the lowest digit; 0 without digits.
    pub shift: u8,
}

/// What becomes of a weighted layer's accumulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// They are the network's output as they are: the last layer only.
    Raw,
    /// They become int8.
    Requantise(Requantise),
}

/// How an accumulator becomes an int8: divided by 2^shift with halves rounded up, then clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Requantise {
    /// At most [`MOST_SHIFT`].
    pub shift: u8,
    /// Whether negative results become 0.
    pub relu: bool,
}

impl Layer {
    /// Nodes it reads: two for an addition, otherwise one.
    pub fn inputs(&self) -> impl Iterator<Item = Node> + use<> {
        let (first, second) = match *self {
            Self::Dense { input, .. }
            | Self::Conv { input, .. }
            | Self::AveragePool { input, .. }
            | Self::MaxPool { input, .. } => (input, None),
            Self::Add { left, right, .. } => (left, Some(right)),
        };
        std::iter::once(first).chain(second)
    }

    /// What becomes of its accumulators; nothing for a max pool, which has none.
    #[must_use]
    pub fn output(&self) -> Option<Output> {
        match *self {
            Self::Dense { output, .. } | Self::Conv { output, .. } => Some(output),
            Self::AveragePool { output, .. } | Self::Add { output, .. } => Some(Output::Requantise(output)),
            Self::MaxPool { .. } => None,
        }
    }

    /// Form of its biases, if it is a weighted layer.
    #[must_use]
    pub fn bias(&self) -> Option<Bias> {
        match *self {
            Self::Dense { bias, .. } | Self::Conv { bias, .. } => Some(bias),
            _ => None,
        }
    }

    /// Its name in messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dense { .. } => "dense",
            Self::Conv { .. } => "convolution",
            Self::AveragePool { .. } => "average pool",
            Self::Add { .. } => "addition",
            Self::MaxPool { .. } => "max pool",
        }
    }
}

impl Window {
    /// Elements it holds.
    #[must_use]
    pub fn elements(self) -> usize {
        usize::from(self.height) * usize::from(self.width)
    }
}

impl Bias {
    /// Largest and smallest bias of this form: every number between them that 2^shift divides has exactly one row of digits.
    /// Both are 0 without digits. Wide enough for any digits and shift that a checked architecture has.
    #[must_use]
    pub fn range(self) -> std::ops::RangeInclusive<i64> {
        let unit = self.unit();
        -128 * unit..=127 * unit
    }

    /// Sum of the digits' weights: 2^shift + 2^(shift + 8) + …, as many as there are digits.
    pub(super) fn unit(self) -> i64 {
        (0..self.digits.min(MOST_BIAS_DIGITS))
            .map(|digit| 1_i64 << (self.shift.min(31) + 8 * digit))
            .sum()
    }

    /// The digits of a bias, lowest first, the rest 0; nothing if it has none in this form.
    #[must_use]
    pub fn digits_of(self, bias: i32) -> Option<[i8; MOST_BIAS_DIGITS as usize]> {
        let mut rest = i64::from(bias);
        let mut digits = [0; MOST_BIAS_DIGITS as usize];
        let unit = 1_i64 << self.shift.min(31);
        if !self.range().contains(&rest) || rest % unit != 0 {
            return None;
        }
        rest /= unit;
        for digit in digits.iter_mut().take(usize::from(self.digits)) {
            // The low byte read as two's complement is the one digit that leaves a multiple of 256.
            *digit = rest as u8 as i8;
            rest = (rest - i64::from(*digit)) >> 8;
        }
        (rest == 0).then_some(digits)
    }

    /// The bias that digits make.
    #[must_use]
    pub fn from_digits(self, digits: &[i8]) -> i64 {
        digits
            .iter()
            .zip(0..self.digits.min(MOST_BIAS_DIGITS))
            .map(|(digit, k)| i64::from(*digit) << (self.shift.min(31) + 8 * k))
            .sum()
    }
}

impl Requantise {
    /// The int8 that an accumulator becomes.
    #[must_use]
    pub fn apply(self, accumulator: i32) -> i8 {
        let low = if self.relu { 0 } else { -128 };
        self.quotient(accumulator).clamp(low, 127) as i8
    }

    /// The accumulator divided by 2^shift, halves rounded up, before it is clamped.
    #[must_use]
    pub fn quotient(self, accumulator: i32) -> i64 {
        let shift = self.shift.min(MOST_SHIFT);
        let half = if shift == 0 { 0 } else { 1_i64 << (shift - 1) };
        (i64::from(accumulator) + half) >> shift
    }
}

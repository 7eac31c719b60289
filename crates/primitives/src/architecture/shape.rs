//! Shapes of tensors.

use std::fmt;

use super::{MOST_ELEMENTS, Problem};

/// Channels, height and width of a tensor; a vector of `n` elements is `(n, 1, 1)`. Elements are in row-major order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    channels: u16,
    height: u16,
    width: u16,
}

impl Shape {
    /// Each from 1 to 65,535, at most [`MOST_ELEMENTS`] elements.
    ///
    /// # Errors
    /// [`Problem::Shape`].
    pub fn new(channels: usize, height: usize, width: usize) -> Result<Self, Problem> {
        let wrong = Problem::Shape {
            channels,
            height,
            width,
        };
        let side = |length: usize| u16::try_from(length).ok().filter(|length| *length > 0);
        let (Some(c), Some(h), Some(w)) = (side(channels), side(height), side(width)) else {
            return Err(wrong);
        };
        let shape = Self {
            channels: c,
            height: h,
            width: w,
        };
        // Three factors below 2^16 stay below 2^48.
        let elements = u64::from(c) * u64::from(h) * u64::from(w);
        if elements > MOST_ELEMENTS as u64 {
            return Err(wrong);
        }
        Ok(shape)
    }

    /// A vector.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn vector(elements: usize) -> Result<Self, Problem> {
        Self::new(elements, 1, 1)
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(self) -> usize {
        usize::from(self.channels)
    }

    /// Number of rows.
    #[must_use]
    pub fn height(self) -> usize {
        usize::from(self.height)
    }

    /// Number of columns.
    #[must_use]
    pub fn width(self) -> usize {
        usize::from(self.width)
    }

    /// Elements of one channel.
    #[must_use]
    pub fn plane(self) -> usize {
        self.height() * self.width()
    }

    /// Elements in all, at most [`MOST_ELEMENTS`].
    #[must_use]
    pub fn elements(self) -> usize {
        self.channels() * self.plane()
    }

    pub(super) fn sides(self) -> [u16; 3] {
        [self.channels, self.height, self.width]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

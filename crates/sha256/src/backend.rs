//! What the processor can do, found out once.

use std::{fmt, sync::OnceLock};

use crate::BLOCK_BYTES;

/// Instructions that hash. Made only by [`Backend::detect`] and [`Backend::available`], so that a value of this type says
/// that the processor has them: that is what the calls marked `unsafe` rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    ShaExtensions,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Backend {
    /// Plain code for any processor: one message at a time.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest one for many messages that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::PORTABLE)
    }

    /// All that this processor has, the fastest for many messages last.
    #[must_use]
    pub fn available() -> &'static [Self] {
        static FOUND: OnceLock<Vec<Backend>> = OnceLock::new();
        FOUND.get_or_init(|| {
            #[cfg_attr(
                not(target_arch = "x86_64"),
                expect(unused_mut, reason = "other processors have one only")
            )]
            let mut found = vec![Self::PORTABLE];
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx2") {
                    found.push(Self(Kind::Avx2));
                }
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                    found.push(Self(Kind::Avx512));
                }
                // Two messages interleaved are faster than sixteen lanes: 29 ns a block where those take 39.
                if is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("ssse3")
                    && is_x86_feature_detected!("sse4.1")
                {
                    found.push(Self(Kind::ShaExtensions));
                }
            }
            found
        })
    }

    /// The fastest one for so many messages. A vector with one message in it costs as much as a full one, which is what
    /// two messages cost in plain code.
    #[must_use]
    pub fn detect_for(messages: usize) -> Self {
        let best = Self::detect();
        if messages <= 2 && best.lanes() > 2 {
            Self::PORTABLE
        } else {
            best
        }
    }

    /// Messages that it hashes side by side.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::ShaExtensions => 2,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaExtensions => "SHA extensions",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        })
    }
}

/// Compresses one block into each of `LANES` states.
pub(crate) trait Engine<const LANES: usize> {
    /// Words of the states, as the engine likes them.
    type States;

    /// All lanes at the beginning of a message.
    fn start(&self) -> Self::States;

    /// One lane at the beginning of a message.
    fn restart(&self, states: &mut Self::States, lane: usize);

    /// One block for each lane.
    fn compress(&self, states: &mut Self::States, blocks: &[&[u8; BLOCK_BYTES]; LANES]);

    /// The state of a lane.
    fn state(&self, states: &Self::States, lane: usize) -> [u32; 8];
}

//! What the processor can do, found out once.

use std::{
    fmt,
    sync::OnceLock,
    time::{Duration, Instant},
};

use crate::BLOCK_BYTES;

/// Beyond so many messages or blocks the comparison stays the same.
const MOST_COMPARED: usize = 1 << 10;

/// Nanoseconds of four blocks side by side on the SHA extensions.
#[cfg(target_arch = "x86_64")]
const SHA_FOUR_STEP: usize = 63;

/// Instructions that hash. Made only by [`Backend::detect`] and [`Backend::available`], so that a value of this type says
/// that the processor has them: that is what the calls marked `unsafe` rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    ShaPair,
    #[cfg(target_arch = "x86_64")]
    ShaFour,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Backend {
    /// Plain code for any processor: one message at a time.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// All that this processor has.
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
                if is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("ssse3")
                    && is_x86_feature_detected!("sse4.1")
                {
                    found.push(Self(Kind::ShaPair));
                    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                        found.push(Self(Kind::ShaFour));
                    }
                }
            }
            found
        })
    }

    /// The fastest one for so many messages of so many blocks. A vector with one message in it costs as much as a full
    /// one.
    #[must_use]
    pub fn detect_for(messages: usize, blocks: usize) -> Self {
        let cost = |backend: &Self| backend.nanoseconds(messages, blocks);
        let found = Self::available().iter().copied();
        found.min_by_key(cost).unwrap_or(Self::PORTABLE)
    }

    /// Fewer long messages than this are for another one.
    pub(crate) fn fewest(self) -> usize {
        (1..=self.lanes())
            .find(|messages| Self::detect_for(*messages, MOST_COMPARED) == self)
            .unwrap_or(1)
    }

    /// What so many messages took on the processor of `benches/sha256/README.md`. Only how they compare matters.
    fn nanoseconds(self, messages: usize, blocks: usize) -> usize {
        // A block in every lane; a message put into a lane and taken out.
        let (step, message) = match self.0 {
            Kind::Portable => (280, 1),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaPair => (36, 12),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaFour => (SHA_FOUR_STEP, 12),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => (305, 33),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => (avx512_step(messages), 44),
        };
        let messages = messages.min(MOST_COMPARED);
        let lanes = self.lanes();
        step * messages.max(lanes) * blocks.min(MOST_COMPARED) / lanes + message * messages
    }

    /// Messages that it hashes side by side.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self.0 {
            Kind::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::ShaPair => 2,
            #[cfg(target_arch = "x86_64")]
            Kind::ShaFour => 4,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
        }
    }
}

/// A step of sixteen lanes beside one of the SHA extensions: makers differ, so both are timed, once a process. Which one is
/// chosen changes no digest. Few messages never fill sixteen lanes, and are hashed without waiting for that.
#[cfg(target_arch = "x86_64")]
fn avx512_step(messages: usize) -> usize {
    const USUAL: usize = 290;
    static MEASURED: OnceLock<usize> = OnceLock::new();
    if messages <= Backend(Kind::ShaFour).lanes() {
        return USUAL;
    }
    *MEASURED.get_or_init(|| {
        let (sixteen, four) = (Backend(Kind::Avx512), Backend(Kind::ShaFour));
        let both = [sixteen, four]
            .iter()
            .all(|one| Backend::available().contains(one));
        if !both {
            return USUAL;
        }
        let messages = [[0x5a; 4096]; 16];
        // The shortest of a few: a clock counts whatever else the processor did meanwhile.
        let time = |backend| {
            let once = |_| {
                let started = Instant::now();
                std::hint::black_box(crate::digest_all_with(backend, &[], &messages));
                started.elapsed()
            };
            (0..5).map(once).min().unwrap_or(Duration::MAX).as_nanos()
        };
        let (sixteen, four) = (time(sixteen), time(four).max(1));
        let step = SHA_FOUR_STEP as u128 * 4 * sixteen / four;
        usize::try_from(step).unwrap_or(USUAL)
    })
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaPair => "SHA extensions, 2 lanes",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaFour => "SHA extensions, 4 lanes",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        })
    }
}

/// Compresses blocks into each of `LANES` states.
pub(crate) trait Engine<const LANES: usize> {
    /// Words of the states, as the engine likes them.
    type States;

    /// All lanes at the beginning of a message.
    fn start(&self) -> Self::States;

    /// One lane at the beginning of a message, or where another engine left it.
    fn set(&self, states: &mut Self::States, lane: usize, state: [u32; 8]);

    /// As many blocks for each lane as the shortest has.
    fn compress(&self, states: &mut Self::States, blocks: &[&[[u8; BLOCK_BYTES]]; LANES]);

    /// The state of a lane.
    fn state(&self, states: &Self::States, lane: usize) -> [u32; 8];
}

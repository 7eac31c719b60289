//! What the processor can do, found out once.

use std::{fmt, sync::OnceLock, time::Instant};

use crate::BLOCK_BYTES;

/// Beyond so many messages or blocks the comparison stays the same.
const MOST_COMPARED: usize = 1 << 10;

/// Nanoseconds of four blocks side by side on the SHA extensions.
#[cfg(target_arch = "x86_64")]
const SHA_FOUR_STEP: usize = 63;

/// Instructions that hash. Found only by [`Backend::available`], so that a value of this type says that the processor has them:
/// that is what the calls marked `unsafe` rest on.
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
    Woven,
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
                        if is_x86_feature_detected!("avx2") {
                            found.push(Self(Kind::Woven));
                        }
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
        Self::cheapest(|backend| {
            let cost = backend.cost(messages);
            backend.steps(messages, blocks) * cost.step
                + (cost.first + cost.message) * messages.min(MOST_COMPARED)
        })
    }

    /// The fastest one for so many messages of one block each, which is all there: nothing is put into a lane or taken out.
    pub(crate) fn detect_for_single(messages: usize) -> Self {
        Self::cheapest(|backend| {
            let cost = backend.cost(messages);
            backend.steps(messages, 1) * cost.step + cost.first * messages.min(MOST_COMPARED)
        })
    }

    fn cheapest(cost: impl Fn(Self) -> usize) -> Self {
        let found = Self::available().iter().copied();
        found
            .min_by_key(|backend| cost(*backend))
            .unwrap_or(Self::PORTABLE)
    }

    /// Fewer long messages than this are for another one.
    pub(crate) fn fewest(self) -> usize {
        (1..=self.lanes())
            .find(|messages| Self::detect_for(*messages, MOST_COMPARED) == self)
            .unwrap_or(1)
    }

    /// Times that all lanes take a block. Parts of one count, so that what is compared does not jump with every lane.
    fn steps(self, messages: usize, blocks: usize) -> usize {
        let messages = messages.min(MOST_COMPARED).max(self.lanes());
        messages * blocks.min(MOST_COMPARED) / self.lanes()
    }

    fn cost(self, messages: usize) -> Cost {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = messages;
        match self.0 {
            Kind::Portable => Cost::new(280, 0, 1),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaPair => Cost::new(36, 0, 12),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaFour => Cost::new(SHA_FOUR_STEP, 0, 12),
            #[cfg(target_arch = "x86_64")]
            Kind::Woven => Cost::new(WideSteps::for_messages(messages).woven, 32, 12),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => Cost::new(305, 0, 33),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => Cost::new(WideSteps::for_messages(messages).avx512, 0, 44),
        }
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
            Kind::Woven => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
        }
    }
}

/// Nanoseconds on the processor of `benches/sha256/README.md`. Only how they compare matters.
struct Cost {
    /// A block in every lane.
    step: usize,
    /// The first block of a message, beyond that: there is nothing to do beside making its words.
    first: usize,
    /// A message put into a lane and taken out.
    message: usize,
}

impl Cost {
    const fn new(step: usize, first: usize, message: usize) -> Self {
        Self { step, first, message }
    }
}

/// Steps of many lanes beside one of four messages on the SHA extensions: makers differ, so they are timed, once a process.
/// Which one is chosen changes no digest. Few messages never fill the lanes, and are hashed without waiting for that.
#[cfg(target_arch = "x86_64")]
#[derive(Debug, Clone, Copy)]
struct WideSteps {
    woven: usize,
    avx512: usize,
}

#[cfg(target_arch = "x86_64")]
impl WideSteps {
    const USUAL: Self = Self {
        woven: 94,
        avx512: 290,
    };

    fn for_messages(messages: usize) -> Self {
        static MEASURED: OnceLock<WideSteps> = OnceLock::new();
        if messages <= Backend(Kind::ShaFour).lanes() {
            return Self::USUAL;
        }
        *MEASURED.get_or_init(|| Self::measure().unwrap_or(Self::USUAL))
    }

    /// Nothing unless the processor has all three: without the SHA extensions there is nothing to compare.
    fn measure() -> Option<Self> {
        let messages = [[0x5a; 4096]; 16];
        // The shortest of a few: a clock counts whatever else the processor did meanwhile.
        let time = |kind| {
            let backend = Backend::available().iter().find(|found| found.0 == kind)?;
            let once = |_| {
                let started = Instant::now();
                std::hint::black_box(crate::digest_all_with(*backend, &[], &messages));
                started.elapsed()
            };
            (0..5).map(once).min().map(|shortest| shortest.as_nanos())
        };
        let [four, woven, avx512] = [time(Kind::ShaFour)?, time(Kind::Woven)?, time(Kind::Avx512)?];
        let step = |time: u128, lanes: usize| {
            let fours = lanes / Backend(Kind::ShaFour).lanes();
            usize::try_from((SHA_FOUR_STEP * fours) as u128 * time / four.max(1)).ok()
        };
        Some(Self {
            woven: step(woven, Backend(Kind::Woven).lanes())?,
            avx512: step(avx512, Backend(Kind::Avx512).lanes())?,
        })
    }
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
            Kind::Woven => "SHA extensions and AVX-512, 8 lanes",
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

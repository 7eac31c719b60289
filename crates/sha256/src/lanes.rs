//! Eight or sixteen messages side by side: word `i` of all states is one vector, a lane of it for each message.

macro_rules! engine {
    ($(#[$doc:meta])* $engine:ident, $kind:ident, $lanes:literal, $feature:literal, $module:ident) => {
        $(#[$doc])*
        pub(crate) struct $engine(());

        impl $engine {
            pub(crate) fn new(backend: Backend) -> Option<Self> {
                (backend.0 == Kind::$kind).then_some(Self(()))
            }
        }

        impl Engine<$lanes> for $engine {
            type States = [[u32; $lanes]; 8];

            fn start(&self) -> Self::States {
                INITIAL.map(|word| [word; $lanes])
            }

            fn set(&self, states: &mut Self::States, lane: usize, state: [u32; 8]) {
                for (words, word) in states.iter_mut().zip(state) {
                    words[lane] = word;
                }
            }

            fn compress(&self, states: &mut Self::States, blocks: &[&[[u8; BLOCK_BYTES]]; $lanes]) {
                // SAFETY: a value of this type exists only where `Backend::available` has found these instructions.
                unsafe { $module::compress(states, blocks) }
            }

            fn state(&self, states: &Self::States, lane: usize) -> [u32; 8] {
                states.map(|words| words[lane])
            }
        }

        mod $module {
            use self::vector::{
                add, choice, load, lower_one, lower_zero, majority, splat, store, transpose, upper_one, upper_zero,
            };
            use super::{BLOCK_BYTES, ROUNDS};

            /// FIPS 180-4, section 6.2.2, on all lanes at once: as many blocks as the shortest lane has.
            #[target_feature(enable = $feature)]
            pub(super) fn compress(states: &mut [[u32; $lanes]; 8], blocks: &[&[[u8; BLOCK_BYTES]]; $lanes]) {
                let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
                for at in 0..count {
                    compress_one(states, &std::array::from_fn(|lane| &blocks[lane][at]));
                }
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn compress_one(states: &mut [[u32; $lanes]; 8], blocks: &[&[u8; BLOCK_BYTES]; $lanes]) {
                let mut words = transpose(blocks);
                let before = [
                    load(&states[0]), load(&states[1]), load(&states[2]), load(&states[3]),
                    load(&states[4]), load(&states[5]), load(&states[6]), load(&states[7]),
                ];
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
                // Word by word beside the rounds, with literal indices: all words then stay in registers. Made sixteen at
                // a time they went through memory, each waiting for the one two before it, and took half of the time.
                macro_rules! word {
                    (given $i:literal) => {};
                    (scheduled $i:literal) => {
                        words[$i] = add(
                            add(words[$i], lower_zero(words[($i + 1) % 16])),
                            add(words[($i + 9) % 16], lower_one(words[($i + 14) % 16])),
                        );
                    };
                }
                macro_rules! round {
                    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident $constants:ident $word:ident $i:literal) => {
                        word!($word $i);
                        let first = add(
                            add(add($h, upper_one($e)), choice($e, $f, $g)),
                            add(splat($constants[$i]), words[$i]),
                        );
                        $d = add($d, first);
                        $h = add(first, add(upper_zero($a), majority($a, $b, $c)));
                    };
                }
                macro_rules! sixteen {
                    ($constants:ident, $word:ident) => {
                        round!(a b c d e f g h $constants $word 0);
                        round!(h a b c d e f g $constants $word 1);
                        round!(g h a b c d e f $constants $word 2);
                        round!(f g h a b c d e $constants $word 3);
                        round!(e f g h a b c d $constants $word 4);
                        round!(d e f g h a b c $constants $word 5);
                        round!(c d e f g h a b $constants $word 6);
                        round!(b c d e f g h a $constants $word 7);
                        round!(a b c d e f g h $constants $word 8);
                        round!(h a b c d e f g $constants $word 9);
                        round!(g h a b c d e f $constants $word 10);
                        round!(f g h a b c d e $constants $word 11);
                        round!(e f g h a b c d $constants $word 12);
                        round!(d e f g h a b c $constants $word 13);
                        round!(c d e f g h a b $constants $word 14);
                        round!(b c d e f g h a $constants $word 15);
                    };
                }
                let ([first, later @ ..], _) = ROUNDS.as_chunks::<16>() else {
                    return;
                };
                sixteen!(first, given);
                for constants in later {
                    sixteen!(constants, scheduled);
                }
                for ((words, before), after) in states.iter_mut().zip(before).zip([a, b, c, d, e, f, g, h]) {
                    store(words, add(before, after));
                }
            }

            mod vector;
        }
    };
}

use crate::{
    BLOCK_BYTES, INITIAL, ROUNDS,
    backend::{Backend, Engine, Kind},
};

engine! {
    /// Sixteen lanes. Made only where the processor has the instructions.
    Avx512, Avx512, 16, "avx512f,avx512bw", avx512
}
engine! {
    /// Eight lanes. Made only where the processor has the instructions.
    Avx2, Avx2, 8, "avx2", avx2
}

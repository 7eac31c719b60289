//! Hash many messages at once with SHA-256 (FIPS 180-4).
//!
//! One message cannot be hashed faster than its chain of compressions allows; sixteen can be hashed side by side. A
//! Merkle tree hashes nothing but many short messages, so [`digest_all`] and [`node_all`] give each its lane of a vector
//! register, and a lane takes the next message when its own ends.
//!
//! Which instructions do it is found out at run time ([`Backend::detect_for`]): the SHA extensions (two or four messages
//! interleaved, or eight whose words AVX-512 makes), AVX-512 (16 lanes), AVX2 (8 lanes), or portable code. All give the same
//! digests; a test holds each of them, where the processor has it, against the crate `sha2`. [`digest_files`] does the same for
//! files.
//!
//! There is `unsafe` here, each with its reason beside it. A function compiled for instructions is called after they were
//! detected ([`Backend`]), vectors are loaded from and stored to arrays of their size, the inner loop of one engine is written in
//! assembly, and files are mapped.

mod backend;
mod digest;
mod files;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod sha_extensions;
#[cfg(target_arch = "x86_64")]
mod woven;

pub use backend::Backend;
pub use digest::{digest_all, digest_all_with, digest_blocks, node_all};
pub use files::{FileError, digest_files};

/// Bytes that one compression takes.
pub const BLOCK_BYTES: usize = 64;

/// The initial state: FIPS 180-4, section 5.3.3.
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The constants of the rounds: FIPS 180-4, section 4.2.2.
#[rustfmt::skip]
const ROUNDS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

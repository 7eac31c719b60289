//! One sequence of bytes for each value, also where serde would read several.

use counterweight_primitives::CanonicalError;

/// Checks that what was read is what would be written.
pub(crate) fn check_same(read: &[u8], written: &[u8]) -> Result<(), CanonicalError> {
    if read == written {
        return Ok(());
    }
    let offset = read.iter().zip(written).take_while(|(a, b)| a == b).count();
    Err(CanonicalError::NotCanonical { offset })
}

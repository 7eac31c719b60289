//! POSIX ustar with one form for each file: whatever a header could say besides name and size is fixed.

use super::BundleError;

const BLOCK: usize = 512;
/// Bytes of a name without the prefix field.
const NAME_BYTES: usize = 100;
/// What eleven octal digits hold.
const MOST_BYTES: u64 = (1 << 33) - 1;

/// Lower-case letters, digits, `-`, `.` and `/`; no part is empty or begins with a dot.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    (1..=NAME_BYTES).contains(&name.len())
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain))
}

/// The header of a file, from its name and size alone.
fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |offset: usize, bytes: &[u8]| {
        if let Some(place) = block.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\0");
    put(337, b"0000000\0");
    // The sum of all bytes, its own field counted as spaces.
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Appends a file.
pub(super) fn write(out: &mut Vec<u8>, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
    let got = bytes.len() as u64;
    if got > MOST_BYTES {
        return Err(BundleError::TooMuch {
            what: "bytes in a file",
            got,
            limit: MOST_BYTES,
        });
    }
    out.extend_from_slice(&header(name, got));
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

/// Ends the archive.
pub(super) fn finish(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}

/// Reads files one after another, without copying them.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// The next file; none at the end, after which nothing follows.
    pub(super) fn next(&mut self) -> Result<Option<(&'a str, &'a [u8])>, BundleError> {
        let at = self.offset;
        let wrong = |what| BundleError::Form { offset: at, what };
        let rest = self.bytes.get(at..).unwrap_or_default();
        let (block, after) = rest
            .split_first_chunk::<BLOCK>()
            .ok_or_else(|| wrong("a header of 512 bytes is expected"))?;
        if *block == [0; BLOCK] {
            if *after != [0; BLOCK] {
                return Err(wrong(
                    "two blocks of zeros are expected at the end, and nothing after them",
                ));
            }
            return Ok(None);
        }
        let (name, rest_of_block) = block.split_at(NAME_BYTES);
        let length = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        let name = std::str::from_utf8(name.get(..length).unwrap_or_default())
            .ok()
            .filter(|name| is_name(name))
            .ok_or_else(|| wrong("a name of a bundle is expected"))?;
        let size = rest_of_block
            .get(24..35)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')))
            .and_then(|digits| u64::from_str_radix(digits, 8).ok())
            .ok_or_else(|| wrong("a size of eleven octal digits is expected"))?;
        if header(name, size) != *block {
            return Err(wrong("a header says more than name and size"));
        }
        let short = || wrong("the archive ends before the file does");
        let size = usize::try_from(size).map_err(|_| short())?;
        let (content, padded) = after.split_at_checked(size).ok_or_else(short)?;
        let padding = size.next_multiple_of(BLOCK) - size;
        let zeros = padded.get(..padding).ok_or_else(short)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(wrong("the file is not padded with zeros"));
        }
        self.offset = at + BLOCK + size + padding;
        Ok(Some((name, content)))
    }
}

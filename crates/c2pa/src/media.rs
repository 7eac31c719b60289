//! Kinds of media, told by their bytes: an ending says what somebody hoped for.

use std::{fs::File, io::Read as _, path::Path};

use crate::protocol::{ErrorKind, Failure};

/// A kind of media that is signed and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// RIFF WAVE.
    Wav,
    /// MPEG audio, layer III.
    Mp3,
    /// ISO base media: MP4.
    Mp4,
}

impl Media {
    /// The kind that a file's first bytes are of.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        let at = |from: usize, bytes: &[u8]| head.get(from..from + bytes.len()) == Some(bytes);
        if at(0, b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if at(0, &[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if at(0, b"RIFF") && at(8, b"WAVE") {
            Some(Self::Wav)
        } else if at(4, b"ftyp") {
            Some(Self::Mp4)
        } else if at(0, b"ID3") || matches!(head, [0xff, second, ..] if second & 0xe6 == 0xe2) {
            // A frame begins with eleven set bits, then its version, then 01 for layer III.
            Some(Self::Mp3)
        } else {
            None
        }
    }

    /// Its media type, as crate `c2pa` takes it.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Mp4 => "video/mp4",
        }
    }

    /// Opens a file and tells its kind; the file stands at its beginning.
    ///
    /// # Errors
    /// [`ErrorKind::File`], [`ErrorKind::Media`].
    pub(crate) fn open(path: &Path) -> Result<(File, Self), Failure> {
        let unreadable = |error| Failure::new(ErrorKind::File, format!("{}: {error}", path.display()));
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(16).read_to_end(&mut head))
            .map_err(unreadable)?;
        let Some(kind) = Self::of(&head) else {
            let message = format!(
                "{} is no PNG, JPEG, WAV, MP3 or MP4 by its first bytes",
                path.display()
            );
            return Err(Failure::new(ErrorKind::Media, message));
        };
        Ok((File::open(path).map_err(unreadable)?, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        for (head, kind) in [
            (&b"\x89PNG\r\n\x1a\n"[..], Some(Media::Png)),
            (&[0xff, 0xd8, 0xff, 0xe0], Some(Media::Jpeg)),
            (b"RIFF\0\0\0\0WAVE", Some(Media::Wav)),
            (b"RIFF\0\0\0\0WEBP", None),
            (&[0xff, 0xfb, 0x90, 0], Some(Media::Mp3)),
            (b"ID3\x04", Some(Media::Mp3)),
            (b"\0\0\0\x18ftypisom", Some(Media::Mp4)),
            (b"<svg", None),
            (b"", None),
        ] {
            assert_eq!(Media::of(head), kind, "{head:?}");
        }
    }
}

//! Tiny files of each kind, made byte by byte.

/// What is shown, or heard, is a ramp.
fn ramp(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 7 % 256) as u8).collect()
}

/// Each kind with its ending.
pub(crate) fn all() -> [(&'static str, Vec<u8>); 5] {
    [
        ("png", png()),
        ("jpg", jpeg()),
        ("wav", wav()),
        ("mp3", mp3()),
        ("mp4", mp4()),
    ]
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b << 16) | a
}

/// 8 by 8 grey pixels, in a deflate block that is stored.
pub(crate) fn png() -> Vec<u8> {
    let chunk = |name: &[u8], data: &[u8]| {
        let body = [name, data].concat();
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], &body, &crc32(&body).to_be_bytes()].concat()
    };
    let mut rows = Vec::new();
    for row in ramp(64).chunks(8) {
        rows.push(0);
        rows.extend_from_slice(row);
    }
    let length = rows.len() as u16;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&(!length).to_le_bytes());
    stream.extend_from_slice(&rows);
    stream.extend_from_slice(&adler32(&rows).to_be_bytes());
    let header = [&8_u32.to_be_bytes()[..], &8_u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &stream),
        chunk(b"IEND", b""),
    ]
    .concat()
}

/// 8 by 8 pixels of one grey: a table of one code for each class, and one block with a difference of zero and no others.
pub(crate) fn jpeg() -> Vec<u8> {
    let segment = |marker: u8, data: &[u8]| {
        let length = (data.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker][..], &length, data].concat()
    };
    let table = |class: u8| {
        let mut codes = vec![class, 1];
        codes.resize(17, 0);
        codes.push(0);
        codes
    };
    [
        vec![0xff, 0xd8],
        segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]),
        segment(0xc4, &table(0x00)),
        segment(0xc4, &table(0x10)),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        // One bit says that the difference is zero, one that nothing follows; the rest is padding.
        vec![0x3f, 0xff, 0xd9],
    ]
    .concat()
}

/// 256 samples of 8 bits at 8 kHz.
pub(crate) fn wav() -> Vec<u8> {
    let samples = ramp(256);
    let format = [
        &1_u16.to_le_bytes()[..],
        &1_u16.to_le_bytes(),
        &8_000_u32.to_le_bytes(),
        &8_000_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &8_u16.to_le_bytes(),
    ]
    .concat();
    let chunk = |name: &[u8], data: &[u8]| [name, &(data.len() as u32).to_le_bytes(), data].concat();
    let body = [
        b"WAVE".to_vec(),
        chunk(b"fmt ", &format),
        chunk(b"data", &samples),
    ]
    .concat();
    chunk(b"RIFF", &body)
}

/// Four silent frames of MPEG 1, layer III, 128 kbit/s at 44.1 kHz: 417 bytes each.
pub(crate) fn mp3() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0xc4];
    frame.resize(417, 0);
    frame.repeat(4)
}

/// Where the one chunk of [`mp4`] begins, as its table of chunks says.
pub(crate) const MP4_CHUNK: &[u8] = b"one chunk of no codec in particular";

/// A film of one track and one chunk, which stands in front of the tables.
pub(crate) fn mp4() -> Vec<u8> {
    let bytes = |name: &[u8], data: &[u8]| [&(data.len() as u32 + 8).to_be_bytes()[..], name, data].concat();
    let film = |name: &[u8], parts: &[Vec<u8>]| bytes(name, &parts.concat());
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let matrix = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
    let kinds = bytes(b"ftyp", b"isom\0\0\x02\0isommp42");
    let data = bytes(b"mdat", MP4_CHUNK);
    let chunk = (kinds.len() + 8) as u32;
    let mut header = words(&[0, 0, 0, 1_000, 1_000, 0x1_0000, 0x0100_0000, 0, 0]);
    header.extend(words(&matrix));
    header.extend(words(&[0, 0, 0, 0, 0, 0, 2]));
    let mut track = words(&[7, 0, 0, 1, 0, 1_000, 0, 0, 0, 0]);
    track.extend(words(&matrix));
    track.extend(words(&[0x8_0000, 0x8_0000]));
    let tables = film(
        b"stbl",
        &[
            bytes(b"stsd", &words(&[0, 0])),
            bytes(b"stts", &words(&[0, 1, 1, 1_000])),
            bytes(b"stsc", &words(&[0, 1, 1, 1, 1])),
            bytes(b"stsz", &words(&[0, MP4_CHUNK.len() as u32, 1])),
            bytes(b"stco", &words(&[0, 1, chunk])),
        ],
    );
    let place = film(
        b"dinf",
        &[bytes(
            b"dref",
            &[words(&[0, 1]), bytes(b"url ", &words(&[1]))].concat(),
        )],
    );
    let about = film(b"minf", &[bytes(b"vmhd", &words(&[1, 0, 0])), place, tables]);
    let handler = bytes(
        b"hdlr",
        &[words(&[0, 0]), b"vide".to_vec(), words(&[0, 0, 0]), vec![0]].concat(),
    );
    let media = film(
        b"mdia",
        &[
            bytes(b"mdhd", &words(&[0, 0, 0, 1_000, 1_000, 0x55c4_0000])),
            handler,
            about,
        ],
    );
    let film_box = film(
        b"moov",
        &[
            bytes(b"mvhd", &header),
            film(b"trak", &[bytes(b"tkhd", &track), media]),
        ],
    );
    [kinds, data, film_box].concat()
}

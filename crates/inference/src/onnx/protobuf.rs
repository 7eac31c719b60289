//! Reads Protocol Buffers' wire format without copying. A message is a list of fields; what is long stays a slice of the file,
//! so memory does not grow with what lengths say.

/// A field's value, as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// Integers, enumerations and truth values.
    Varint(u64),
    /// Eight bytes, such as a double.
    Fixed64([u8; 8]),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes, such as a float.
    Fixed32([u8; 4]),
}

/// The bytes are not fields, or a field has another type than it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Fields of a message, in the order of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn next_field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => Value::Fixed64(array(&mut self.0)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| Malformed)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(array(&mut self.0)?),
            // Groups (3 and 4) were never in ONNX.
            _ => return Err(Malformed),
        };
        Ok((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.next_field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed)?;
    *bytes = rest;
    Ok(*head)
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let [byte] = array(bytes)?;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(super) fn integer(self) -> Result<i64, Malformed> {
        match self {
            Self::Varint(value) => Ok(value as i64),
            _ => Err(Malformed),
        }
    }

    pub(super) fn float(self) -> Result<f32, Malformed> {
        match self {
            Self::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(Malformed),
        }
    }

    /// Appends an integer, or packed ones, if no more than `most` come together.
    pub(super) fn integers(self, to: &mut Vec<i64>, most: usize) -> Result<(), Malformed> {
        match self {
            Self::Varint(value) => to.push(value as i64),
            Self::Bytes(mut bytes) => {
                while !bytes.is_empty() && to.len() <= most {
                    to.push(varint(&mut bytes)? as i64);
                }
            }
            _ => return Err(Malformed),
        }
        if to.len() > most { Err(Malformed) } else { Ok(()) }
    }

    /// Appends a float, or packed ones, if no more than `most` come together.
    pub(super) fn floats(self, to: &mut Vec<f32>, most: usize) -> Result<(), Malformed> {
        match self {
            Self::Fixed32(bytes) => to.push(f32::from_le_bytes(bytes)),
            Self::Bytes(bytes) => {
                let (words, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() || words.len() > most {
                    return Err(Malformed);
                }
                to.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
            }
            _ => return Err(Malformed),
        }
        if to.len() > most { Err(Malformed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_each_wire_type() {
        let message = [
            0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 0, 0, 0x80, 0x3f, 0x21, 1, 0, 0, 0, 0, 0, 0, 0,
        ];
        let fields: Vec<_> = Fields::of(&message).map(Result::unwrap).collect();
        assert_eq!(fields[0], (1, Value::Varint(150)));
        assert_eq!(fields[1].1.text(), Ok("hi"));
        assert_eq!(fields[2].1.float(), Ok(1.0));
        assert_eq!(fields[3], (4, Value::Fixed64([1, 0, 0, 0, 0, 0, 0, 0])));
    }

    #[test]
    fn refuses_lengths_beyond_the_end_and_numbers_beyond_64_bits() {
        assert_eq!(
            Fields::of(&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]).last(),
            Some(Err(Malformed))
        );
        assert_eq!(Fields::of(&[0x08, 0x80]).last(), Some(Err(Malformed)));
        let mut long = vec![0x08];
        long.extend([0xff; 9]);
        long.push(2);
        assert_eq!(Fields::of(&long).last(), Some(Err(Malformed)));
        assert_eq!(Fields::of(&[0x0b]).last(), Some(Err(Malformed)));
    }

    proptest! {
        /// Whatever the bytes are, reading ends.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Fields::of(&bytes).count();
        }
    }
}

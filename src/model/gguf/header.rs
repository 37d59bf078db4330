//! The header of a GGUF file, looked through before it is parsed: what it says has to fit into the file that says it.
//!
//! The parser allocates by counts that it reads and divides by the alignment it reads. This walk reads the same bytes,
//! keeps nothing, and refuses what no converter writes.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek};

use anyhow::{Context, Result, bail, ensure};

/// Elements of all arrays together: tokens, merges and scores of the largest vocabularies are a few millions.
const MOST_ELEMENTS: u64 = 16 << 20;
/// Letters of a name or key.
const LONGEST_NAME: u64 = 1024;
const MOST_TENSORS: u64 = 1 << 16;
const MOST_KEYS: u64 = 1 << 16;
/// Elements of one tensor.
const LARGEST_TENSOR: u64 = 1 << 40;
const ARRAY: u32 = 9;
const STRING: u32 = 8;
const ALIGNMENT: &str = "general.alignment";

/// Walks through the header of a file of the given size.
pub(super) fn check(reader: &mut BufReader<impl Read + Seek>, size: u64) -> Result<()> {
    Walk { reader, size, elements: 0 }.header()
}

struct Walk<'a, R> {
    reader: &'a mut BufReader<R>,
    size: u64,
    elements: u64,
}

impl<R: Read + Seek> Walk<'_, R> {
    fn header(&mut self) -> Result<()> {
        ensure!(self.bytes::<4>()? == *b"GGUF", "it does not start with GGUF");
        let version = self.u32()?;
        ensure!(version == 2 || version == 3, "its format is version {version}: Ballast reads 2 and 3");
        let (tensors, keys) = (self.u64()?, self.u64()?);
        ensure!(tensors <= MOST_TENSORS, "the header says it has {tensors} tensors: no model has more than {MOST_TENSORS}");
        ensure!(keys <= MOST_KEYS, "the header says it has {keys} keys: no model has more than {MOST_KEYS}");
        let mut seen = HashSet::new();
        for _ in 0..keys {
            let key = self.name()?;
            self.value(&key).with_context(|| format!("key `{key}`"))?;
            if !seen.insert(key.clone()) {
                bail!("the header has the key `{key}` twice");
            }
        }
        seen.clear();
        for _ in 0..tensors {
            let name = self.name()?;
            self.tensor().with_context(|| format!("tensor `{name}`"))?;
            if !seen.insert(name.clone()) {
                bail!("the header has the tensor `{name}` twice");
            }
        }
        Ok(())
    }

    fn value(&mut self, key: &str) -> Result<()> {
        let kind = self.u32()?;
        if key == ALIGNMENT {
            ensure!(kind == 4, "it is not a 32-bit whole number");
            let alignment = self.u32()?;
            ensure!(alignment.is_power_of_two() && alignment <= 1 << 20, "an alignment of {alignment} is not a power of two");
            return Ok(());
        }
        if kind != ARRAY {
            return self.scalar(kind);
        }
        let (kind, len) = (self.u32()?, self.u64()?);
        ensure!(kind != ARRAY, "arrays of arrays are not in models");
        self.elements = self.elements.saturating_add(len);
        ensure!(self.elements <= MOST_ELEMENTS, "arrays of {} elements are more than any model has", self.elements);
        match width(kind) {
            Some(width) => self.skip(len * width),
            None => (0..len).try_for_each(|_| self.scalar(kind)),
        }
    }

    fn scalar(&mut self, kind: u32) -> Result<()> {
        if kind == STRING {
            let len = self.u64()?;
            return self.skip(len);
        }
        self.skip(width(kind).with_context(|| format!("a value of the unknown type {kind}"))?)
    }

    fn tensor(&mut self) -> Result<()> {
        let dimensions = self.u32()?;
        ensure!((1..=4).contains(&dimensions), "it has {dimensions} dimensions");
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            let dimension = self.u64()?;
            elements =
                elements.checked_mul(dimension).filter(|n| (1..=LARGEST_TENSOR).contains(n)).context("its dimensions are impossible")?;
        }
        let (_kind, offset) = (self.u32()?, self.u64()?);
        ensure!(offset <= self.size, "it begins at {offset}, and the file has {} bytes", self.size);
        Ok(())
    }

    fn name(&mut self) -> Result<String> {
        let len = self.u64()?;
        ensure!(len <= LONGEST_NAME, "a name of {len} letters");
        let mut bytes = vec![0; usize::try_from(len)?];
        self.reader.read_exact(&mut bytes).context("the file ends in its header")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let at = self.reader.stream_position()?;
        ensure!(bytes <= self.size.saturating_sub(at), "it goes on for {bytes} bytes, beyond the end of the file");
        Ok(self.reader.seek_relative(i64::try_from(bytes)?)?)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).context("the file ends in its header")?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }
}

/// Bytes of a value of one type, except strings and arrays.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    struct File(Vec<u8>);

    impl File {
        fn new(tensors: u64, keys: u64) -> Self {
            let mut file = Self(b"GGUF".to_vec());
            file.0.extend(3_u32.to_le_bytes());
            file.0.extend(tensors.to_le_bytes());
            file.0.extend(keys.to_le_bytes());
            file
        }
        fn text(mut self, text: &str) -> Self {
            self.0.extend((text.len() as u64).to_le_bytes());
            self.0.extend(text.as_bytes());
            self
        }
        fn u32(mut self, value: u32) -> Self {
            self.0.extend(value.to_le_bytes());
            self
        }
        fn u64(mut self, value: u64) -> Self {
            self.0.extend(value.to_le_bytes());
            self
        }
        fn check(self) -> Result<()> {
            let size = self.0.len() as u64;
            check(&mut BufReader::new(Cursor::new(self.0)), size)
        }
        fn error(self) -> String {
            format!("{:#}", self.check().unwrap_err())
        }
    }

    #[test]
    fn a_plain_header_passes() {
        let file = File::new(1, 2).text("a").u32(8).text("b").text(ALIGNMENT).u32(4).u32(32);
        file.text("t").u32(2).u64(3).u64(4).u32(0).u64(0).check().unwrap();
    }

    #[test]
    fn what_does_not_fit_into_the_file_is_refused() {
        assert!(File::new(u64::MAX, 0).error().contains("tensors"));
        assert!(File::new(0, u64::MAX).error().contains("keys"));
        assert!(File::new(0, 1).u64(u64::MAX).error().contains("name"));
        assert!(File::new(0, 1).text("a").u32(8).u64(u64::MAX / 2).error().contains("beyond"));
        assert!(File::new(0, 1).text("a").u32(9).u32(0).u64(1 << 24).error().contains("beyond"));
        assert!(File::new(0, 1).text("a").u32(9).u32(0).u64(u64::MAX).error().contains("elements"));
        assert!(File::new(0, 1).text("a").u32(9).u32(9).u64(1).error().contains("arrays of arrays"));
        assert!(File::new(0, 1).text("a").u32(77).error().contains("type 77"));
        assert!(File::new(0, 1).text(ALIGNMENT).u32(4).u32(0).error().contains("alignment of 0"));
        assert!(File::new(0, 1).text(ALIGNMENT).u32(10).u64(32).error().contains("32-bit"));
        assert!(File::new(0, 2).text("a").u32(4).u32(0).text("a").u32(4).u32(0).error().contains("twice"));
        assert!(File::new(1, 0).text("t").u32(3).u64(1 << 32).u64(1 << 32).u64(9).error().contains("impossible"));
        assert!(File::new(1, 0).text("t").u32(9).error().contains("dimensions"));
        assert!(File::new(1, 0).text("t").u32(1).u64(1).u32(0).u64(u64::MAX).error().contains("begins"));
        assert!(File::new(1, 0).error().contains("ends"));
    }
}

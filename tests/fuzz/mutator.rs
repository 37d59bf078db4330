//! Seeded changes of good inputs: of bytes, and of values whose file stays well-formed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Map, Value, json};

/// Texts that mean something to a parser, put in place of a part.
const WORDS: [&str; 32] = [
    "0",
    "-1",
    "1",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "-9223372036854775808",
    "1e308",
    "1e999",
    "NaN",
    "Infinity",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[[[[[[[",
    "{\"a\":",
    "((((((((",
    "a{9}{9}",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\r\n",
    "..",
    "/",
    "{{",
    "{%",
    "%}",
    "\\ud800",
    "\"\\u0000\"",
    "99999999999",
];
const NUMBERS: [u64; 10] = [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX as u64, u64::MAX];

/// Where changes are drawn from.
pub(crate) struct Mutator(ChaCha8Rng);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    /// One of some values.
    pub(crate) fn of<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    /// A number at which formats break.
    pub(crate) fn number(&mut self) -> u64 {
        *self.of(&NUMBERS)
    }

    /// The bytes with one to six changes; one in fifty inputs is as it was.
    pub(crate) fn bytes(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        if self.below(50) == 0 {
            return bytes;
        }
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(24)).min(bytes.len());
            match self.below(9) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = self.0.next_u32() as u8,
                2 => drop(bytes.drain(at.min(end)..end)),
                3 => bytes.truncate(at),
                4 => {
                    let word = self.of(&WORDS);
                    bytes.splice(at..at, word.bytes());
                }
                5 => {
                    // A number or a word in the text, replaced whole.
                    let word_at = |byte: &u8| byte.is_ascii_alphanumeric() || b"-.".contains(byte);
                    let start = bytes[..at].iter().rposition(|byte| !word_at(byte)).map_or(0, |place| place + 1);
                    let stop = bytes[at..].iter().position(|byte| !word_at(byte)).map_or(bytes.len(), |place| at + place);
                    bytes.splice(start..stop, self.of(&WORDS).bytes());
                }
                6 => {
                    let number = self.number().to_le_bytes();
                    let width = [1, 2, 4, 8][self.below(4)].min(bytes.len().saturating_sub(at));
                    bytes[at..at + width].copy_from_slice(&number[..width]);
                }
                7 => {
                    let part = bytes[at.min(end)..end].to_vec();
                    let times = [1, 2, 50, 2000][self.below(4)];
                    bytes.splice(at..at, part.repeat(times));
                }
                _ => {
                    let from = self.below(seed.len() + 1);
                    let part = &seed[from..(from + self.below(200)).min(seed.len())];
                    bytes.splice(at..at, part.iter().copied());
                }
            }
        }
        bytes
    }

    /// The value with one to three changes, each at one of its places.
    pub(crate) fn value(&mut self, seed: &Value) -> Value {
        let mut value = seed.clone();
        for _ in 0..=self.below(3) {
            let places = count(&value);
            let (at, other) = (self.below(places), self.below(places));
            let other = nth(&mut value, &mut { other }).clone();
            let place = nth(&mut value, &mut { at });
            self.change(place, other);
        }
        value
    }

    fn change(&mut self, place: &mut Value, other: Value) {
        match (self.below(8), place) {
            (0, place) => *place = other,
            (1, Value::Object(map)) if !map.is_empty() => {
                let key = map.keys().nth(self.below(map.len())).unwrap().clone();
                map.remove(&key);
            }
            (1, Value::Array(list)) if !list.is_empty() => drop(list.remove(self.below(list.len()))),
            (2, Value::Object(map)) => drop(map.insert(self.text(), other)),
            (2, Value::Array(list)) => {
                let times = [1, 2, 300][self.below(3)];
                list.extend(std::iter::repeat_n(other, times));
            }
            (3, place) => *place = if self.below(2) == 0 { json!([place.take()]) } else { json!({"a": place.take()}) },
            (4, place) => {
                let depth = [5, 60, 126, 200][self.below(4)];
                *place = (0..depth).fold(place.take(), |inner, _| json!([inner]));
            }
            (5, place) if place.is_number() => {
                let near = place.as_f64().unwrap_or_default();
                *place = [
                    json!(near + 1.0),
                    json!(near - 1.0),
                    json!(-near),
                    json!(near * 1e6),
                    json!((near as i64).wrapping_add(1)),
                    json!((near as i64).wrapping_sub(1)),
                ][self.below(6)]
                .clone();
            }
            (6, place) if place.is_string() => {
                let mut text = place.as_str().unwrap().as_bytes().to_vec();
                text = self.bytes(&text);
                *place = String::from_utf8_lossy(&text).into();
            }
            (_, place) => *place = self.scalar(),
        }
    }

    fn text(&mut self) -> String {
        match self.below(4) {
            0 => "x".repeat([1, 200, 70_000][self.below(3)]),
            1 => String::new(),
            _ => (*self.of(&WORDS)).to_owned(),
        }
    }

    fn scalar(&mut self) -> Value {
        match self.below(9) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.number()),
            3 => json!(-(self.number() as i64 & i64::MAX)),
            4 => json!(*self.of(&[0.0, -0.5, 1e-300, 1e300, 0.1])),
            5 => json!([]),
            6 => Value::Object(Map::new()),
            _ => json!(self.text()),
        }
    }
}

/// The value itself and all values in it.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The n-th of them.
fn nth<'v>(value: &'v mut Value, n: &mut usize) -> &'v mut Value {
    if *n == 0 {
        return value;
    }
    *n -= 1;
    let inside: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for inner in inside {
        let size = count(inner);
        if *n < size {
            return nth(inner, n);
        }
        *n -= size;
    }
    unreachable!("there are as many places as were counted")
}

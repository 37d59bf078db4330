//! GGUF files that stay well-formed while their header says something else: keys, types, lengths, counts, shapes.

use crate::gguf::{Gguf, Value};
use crate::mutator::Mutator;

/// A file with one to four changes.
pub(crate) fn changed(seed: &Gguf, mutator: &mut Mutator) -> Gguf {
    let mut file = seed.clone();
    for _ in 0..=mutator.below(4) {
        if mutator.below(3) == 0 { tensor(&mut file, mutator) } else { key(&mut file, mutator) }
    }
    if mutator.below(8) == 0 {
        file.lies =
            [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 32), (0, 0, -32), (0, 0, 1 << 40), (1 << 40, 0, 0), (0, 1 << 40, 0)]
                [mutator.below(9)];
    }
    if mutator.below(60) == 0 {
        file.version = mutator.number() as u32;
    }
    file
}

fn key(file: &mut Gguf, mutator: &mut Mutator) {
    let at = mutator.below(file.keys.len());
    let (name, other) = (file.keys[at].0.clone(), mutator.below(file.keys.len()));
    match mutator.below(9) {
        0 => drop(file.keys.remove(at)),
        1 => file.keys.push((name, Value::U32(mutator.number() as u32))),
        2 => file.keys[at].0 = format!("{name}x"),
        3 => file.keys[at].1 = file.keys[other].1.clone(),
        4 => {
            let kind = mutator.below(15) as u32;
            let length = [0, 1, 2, 4, 8, 9, 20][mutator.below(7)];
            file.keys[at].1 = Value::Raw(kind, vec![mutator.number() as u8; length]);
        }
        5 => file.set("general.alignment", Value::U32([0, 1, 3, 8, 32, 64, 1 << 20, u32::MAX][mutator.below(8)])),
        _ => value(&mut file.keys[at].1, mutator),
    }
    if file.keys.is_empty() {
        file.keys.push(("general.architecture".to_owned(), Value::Text("llama".to_owned())));
    }
}

fn value(value: &mut Value, mutator: &mut Mutator) {
    let near = [0_i64, 1, -1, 2, 3, 7, 1 << 16][mutator.below(7)];
    match value {
        Value::U32(number) => {
            *number = if mutator.below(2) == 0 { number.wrapping_add_signed(near as i32) } else { mutator.number() as u32 };
        }
        Value::I32(number) => *number = mutator.number() as i32,
        Value::U64(number) => *number = mutator.number(),
        Value::F32(number) => *number = *mutator.of(&[0.0, -1.0, f32::NAN, f32::INFINITY, 1e-38, 3e38, 0.5]),
        Value::Bool(on) => *on = !*on,
        Value::Text(text) => *text = String::from_utf8_lossy(&mutator.bytes(text.as_bytes())).into_owned(),
        Value::Texts(texts) => match mutator.below(4) {
            0 => texts.truncate(mutator.below(texts.len() + 1)),
            1 => texts.extend(std::iter::repeat_n("zz".to_owned(), [1, 2, 5000][mutator.below(3)])),
            2 => texts.reverse(),
            _ if !texts.is_empty() => {
                let at = mutator.below(texts.len());
                texts[at] = String::from_utf8_lossy(&mutator.bytes(texts[at].as_bytes())).into_owned();
            }
            _ => {}
        },
        Value::Numbers(numbers) => match mutator.below(3) {
            0 => numbers.truncate(mutator.below(numbers.len() + 1)),
            1 => numbers.push(mutator.number() as i32),
            _ => numbers.iter_mut().for_each(|number| *number = [0, 1, 2, 3, 4, 5, 6, 99, -1][mutator.below(9)]),
        },
        Value::Reals(numbers) => numbers.push(f32::NAN),
        Value::Raw(kind, _) => *kind = mutator.below(15) as u32,
    }
}

fn tensor(file: &mut Gguf, mutator: &mut Mutator) {
    if file.tensors.is_empty() {
        return;
    }
    let at = mutator.below(file.tensors.len());
    let tensor = &mut file.tensors[at];
    match mutator.below(9) {
        0 => drop(file.tensors.remove(at)),
        1 => {
            let twin = tensor.clone();
            file.tensors.push(twin);
        }
        2 => tensor.name.push('x'),
        3 => tensor.dimensions.reverse(),
        4 => {
            let place = mutator.below(tensor.dimensions.len());
            if let Some(dimension) = tensor.dimensions.get_mut(place) {
                *dimension = [0, 1, dimension.wrapping_add(1), dimension.wrapping_mul(2), 256, mutator.number()][mutator.below(6)];
            }
        }
        5 => tensor.dimensions.resize(mutator.below(7), 1),
        6 => tensor.kind = mutator.below(45) as u32,
        7 => tensor.bytes.truncate(mutator.below(tensor.bytes.len() + 1)),
        _ => {
            let number = *mutator.of(&[f32::NAN, f32::INFINITY, 1e38, 0.0]);
            let at = mutator.below(tensor.bytes.len() / 4) * 4;
            if let Some(bytes) = tensor.bytes.get_mut(at..at + 4) {
                bytes.copy_from_slice(&number.to_le_bytes());
            }
        }
    }
}

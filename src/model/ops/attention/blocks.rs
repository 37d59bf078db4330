//! Products of a block of a few rows at a time, so that what they share is read once for all of them; and the layouts they
//! need. Written to be vectorised by the compiler inside `host::vectorised`.

/// Rows that a block product makes at a time, and columns of each: eight AVX2 registers of sums, fed by two loads.
pub(super) const BLOCK: usize = 4;
const WIDE: usize = 16;

/// `out[r][j] = Σ_k a[r][k] · b[k][j]` for a block of rows, `j < columns`. Rows of `b` and `out` are `strides` apart.
#[inline(always)]
pub(super) fn rows_product(a: [&[f32]; BLOCK], b: &[f32], columns: usize, out: &mut [f32], strides: (usize, usize)) {
    let factors = a[0].iter().zip(a[1]).zip(a[2]).zip(a[3]).map(|(((x0, x1), x2), x3)| [*x0, *x1, *x2, *x3]);
    let terms = factors.zip(b.chunks(strides.0));
    let whole = columns / WIDE * WIDE;
    for at in (0..whole).step_by(WIDE) {
        // Indices of known range, so that the sums stay in registers.
        let mut sums = [[0f32; WIDE]; BLOCK];
        for (x, row) in terms.clone() {
            let row = &row[at..at + WIDE];
            for r in 0..BLOCK {
                for i in 0..WIDE {
                    sums[r][i] = x[r].mul_add(row[i], sums[r][i]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            out[r * strides.1 + at..][..WIDE].copy_from_slice(sums);
        }
    }
    for at in whole..columns {
        let mut sums = [0f32; BLOCK];
        for (x, row) in terms.clone() {
            for r in 0..BLOCK {
                sums[r] = x[r].mul_add(row[at], sums[r]);
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            out[r * strides.1 + at] = sum;
        }
    }
}

/// `out[k][j] += Σ_r a[r][k] · b[r][j]` for a block of rows of `a` and `b`, `j < columns`. Rows of `out` are `columns` wide.
#[inline(always)]
pub(super) fn outer_product(a: [&[f32]; BLOCK], b: [&[f32]; BLOCK], columns: usize, out: &mut [f32]) {
    let factors = a[0].iter().zip(a[1]).zip(a[2]).zip(a[3]);
    let whole = columns / WIDE * WIDE;
    for at in (0..whole).step_by(WIDE) {
        let b: [[f32; WIDE]; BLOCK] = std::array::from_fn(|r| std::array::from_fn(|i| b[r][at + i]));
        for (out, (((x0, x1), x2), x3)) in out.chunks_exact_mut(columns).zip(factors.clone()) {
            let out = &mut out[at..at + WIDE];
            for i in 0..WIDE {
                out[i] = x0.mul_add(b[0][i], x1.mul_add(b[1][i], x2.mul_add(b[2][i], x3.mul_add(b[3][i], out[i]))));
            }
        }
    }
    for at in whole..columns {
        for (out, (((x0, x1), x2), x3)) in out.chunks_exact_mut(columns).zip(factors.clone()) {
            out[at] += x0 * b[0][at] + x1 * b[1][at] + x2 * b[2][at] + x3 * b[3][at];
        }
    }
}

/// A block of rows of the given width, the first of them at index `first`.
#[inline(always)]
pub(super) fn block_of(x: &[f32], width: usize, first: usize) -> [&[f32]; BLOCK] {
    std::array::from_fn(|r| &x[(first + r) * width..][..width])
}

/// One head of `len` tokens, [rows, size]: zero beyond them.
#[inline(always)]
pub(super) fn gathered(x: &[f32], (len, rows): (usize, usize), width: usize, at: usize, size: usize) -> Vec<f32> {
    let mut gathered = vec![0f32; rows * size];
    for (own, token) in gathered.chunks_exact_mut(size).zip(x.chunks_exact(width)).take(len) {
        own.copy_from_slice(&token[at..][..size]);
    }
    gathered
}

/// Rows as columns, [size, padded]: zero beyond them.
#[inline(always)]
pub(super) fn transposed<'a>(rows: impl Iterator<Item = &'a [f32]>, size: usize, padded: usize) -> Vec<f32> {
    let mut columns = vec![0f32; size * padded];
    for (j, row) in rows.enumerate() {
        for (i, value) in row.iter().enumerate() {
            columns[i * padded + j] = *value;
        }
    }
    columns
}

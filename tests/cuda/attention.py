#!/usr/bin/env python3
"""Checks and times the CUDA attention kernels of src/model/ops/cuda (attention.cu, decode.cu).

Needs a CUDA GPU, nvcc, PyTorch and CuPy:

    python3 tests/cuda/attention.py                    # check, then time
    python3 tests/cuda/attention.py --no-time --small  # few and small cases, for compute-sanitizer
    python3 tests/cuda/attention.py --define DQ_STAGES=2 --define DQ_BLOCKS=2

The reference is float64 on the same inputs, freshly random in every run. Outputs start as NaN, and so does everything a
kernel must not read (unused cache slots, memory past the last token), so an element that is not written, or a value
that should not count, shows as NaN. Memory past each output must still be NaN afterwards.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile

import cupy
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
TILE = 64
PAGE = 16
GUARD = 64  # Rows after every buffer that must be left alone.
SIXTEEN = [449, 46, 101, 233, 87, 158, 312, 64, 129, 190, 275, 143, 60, 408, 207, 180]
assert sum(SIXTEEN) == 3042

failures = []


class Kernels:
    def __init__(self, options):
        self.defines = dict(d.split("=") for d in options.define)
        attention, decode = options.attention, options.decode
        if not attention or not decode:
            folder = tempfile.mkdtemp()
            sources = options.sources or os.path.join(HERE, "../../src/model/ops/cuda")
            major, minor = torch.cuda.get_device_capability()
            build = ["nvcc", "-cubin", f"-arch=sm_{major}{minor}", "-O3", "-std=c++17"] + [f"-D{d}" for d in options.define]
            for name in ["attention", "decode"]:
                subprocess.check_call(build + [f"{sources}/{name}.cu", "-o", f"{folder}/{name}.cubin"])
            attention, decode = attention or f"{folder}/attention.cubin", decode or f"{folder}/decode.cubin"
        self.attention, self.decode = cupy.RawModule(path=attention), cupy.RawModule(path=decode)
        self.functions = {}

    def define(self, name, default):
        return int(self.defines.get(name, default))

    def launch(self, name, grid, block, shared, *args):
        if name not in self.functions:
            module = self.decode if "decode" in name else self.attention
            self.functions[name] = module.get_function(name)
        if shared > self.functions[name].max_dynamic_shared_size_bytes:
            self.functions[name].max_dynamic_shared_size_bytes = shared
        converted = []
        for a in args:
            if a is None:
                converted.append(np.uint64(0))
            elif isinstance(a, torch.Tensor):
                converted.append(np.uint64(a.data_ptr()))
            else:
                converted.append(a)
        grid = grid if isinstance(grid, tuple) else (grid,)
        self.functions[name](grid, (block,), tuple(converted), shared_mem=shared)


def suffix(dtype, size):
    if dtype == torch.float32:
        return "f32"
    return f"bf16_d{size}" if size in (64, 128) else "bf16"


def fast(name):
    return name.endswith(("_d64", "_d128"))


def row_stride(size):
    return 4 * (((size + 3) // 4) | 1)


def generic_shared(size, rows):
    return (rows * row_stride(size) + 32) * 4


def poisoned(*shape, dtype):
    return torch.full(shape, math.nan, dtype=dtype, device="cuda")


def int_tensor(values):
    return torch.tensor(values, dtype=torch.int32, device="cuda")


class Batch:
    """Rows laid end to end, q, k and v being column slices of one tensor."""

    def __init__(self, lengths, heads, kv_heads, size, dtype, magnitude=1.0, past=None):
        self.lengths, self.heads, self.kv_heads, self.size, self.dtype = lengths, heads, kv_heads, size, dtype
        self.tokens = sum(lengths)
        self.width, self.kv_width = heads * size, kv_heads * size
        self.stride = self.width + 2 * self.kv_width
        self.qkv = poisoned(self.tokens + GUARD, self.stride, dtype=dtype)
        self.qkv[: self.tokens] = torch.randn(self.tokens, self.stride, device="cuda").mul(magnitude).to(dtype)
        self.q, self.k, self.v = self.split(self.qkv)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        self.starts = starts
        self.cu_rows = int_tensor(starts.tolist())
        tiles = [(row, first) for row, n in enumerate(lengths) for first in range(0, n, TILE)]
        past = past or [0] * len(lengths)
        self.past = past
        self.query_tiles = int_tensor(sorted(tiles, key=lambda t: -(past[t[0]] + t[1])))
        self.key_tiles = int_tensor(sorted(tiles, key=lambda t: -(lengths[t[0]] - t[1])))
        self.n_tiles = len(tiles)
        self.out = poisoned(self.tokens + GUARD, self.width, dtype=dtype)
        self.lse = poisoned(self.tokens + GUARD, heads, dtype=torch.float32)
        self.scale = np.float32(1 / math.sqrt(size))
        self.shape = (np.int32(heads), np.int32(kv_heads), np.int32(size), self.scale)

    def split(self, x):
        return x[:, : self.width], x[:, self.width : self.width + self.kv_width], x[:, self.width + self.kv_width :]

    def give_gradient(self):
        self.d_out = poisoned(self.tokens + GUARD, self.width, dtype=self.dtype)
        self.d_out[: self.tokens] = torch.randn(self.tokens, self.width, device="cuda").to(self.dtype)
        self.delta = poisoned(self.tokens + GUARD, self.heads, dtype=torch.float32)
        self.d_qkv = poisoned(self.tokens + GUARD, self.stride, dtype=self.dtype)
        self.d_q, self.d_k, self.d_v = self.split(self.d_qkv)

    def give_cache(self, extra_pages=3):
        """Scatters past + own keys and values over randomly ordered pages."""
        totals = [p + n for p, n in zip(self.past, self.lengths)]
        needed = [-(-n // PAGE) for n in totals]
        order = np.random.permutation(sum(needed) + extra_pages)
        self.max_pages = max(needed) + 1
        table = np.full((len(totals), self.max_pages), 2**30, dtype=np.int64)
        at = 0
        for row, n in enumerate(needed):
            table[row, :n] = order[at : at + n]
            at += n
        self.k_pages = poisoned(len(order), PAGE, self.kv_width, dtype=self.dtype)
        self.v_pages = poisoned(len(order), PAGE, self.kv_width, dtype=self.dtype)
        slots = [table[row, np.arange(n) // PAGE] * PAGE + np.arange(n) % PAGE for row, n in enumerate(totals)]
        self.slots = slots
        flat = torch.tensor(np.concatenate(slots), device="cuda")
        for pages in (self.k_pages, self.v_pages):
            pages.view(-1, self.kv_width)[flat] = torch.randn(len(flat), self.kv_width, device="cuda").to(self.dtype)
        self.block_table = torch.tensor(table.astype(np.int32), device="cuda")
        self.past_len = int_tensor(self.past)

    def forward_shared(self, kernels):
        return (TILE + 2 * kernels.define("FORWARD_STAGES", 2) * kernels.define("FORWARD_KEYS", 32)) * self.size * 2

    def run_forward(self, kernels):
        name = "attention_forward_" + suffix(self.dtype, self.size)
        shared, block = (self.forward_shared(kernels), 128) if fast(name) else (generic_shared(self.size, TILE + 64), 256)
        kernels.launch(name, self.n_tiles * self.heads, block, shared, self.q, self.k, self.v, self.out, self.lse, self.cu_rows,
                       self.query_tiles, np.int64(self.stride), np.int64(self.stride), *self.shape)

    def run_paged(self, kernels, lse=True):
        name = "attention_forward_paged_" + suffix(self.dtype, self.size)
        shared, block = (self.forward_shared(kernels), 128) if fast(name) else (generic_shared(self.size, TILE + 64), 256)
        kernels.launch(name, self.n_tiles * self.heads, block, shared, self.q, self.k_pages, self.v_pages, self.out,
                       self.lse if lse else None, self.cu_rows, self.past_len, self.block_table, self.query_tiles, np.int64(self.stride),
                       np.int32(self.max_pages), *self.shape)

    def unequal(self):
        """Whether one tile's pairs of query head and query tile are more than a multiprocessor's share of all."""
        tiles = [-(-n // TILE) for n in self.lengths]
        pairs = sum(n * (n + 1) // 2 for n in tiles) * self.kv_heads
        return max(tiles) * torch.cuda.get_device_properties(0).multi_processor_count > 1.2 * pairs

    def run_dq(self, kernels):
        held = 2 * TILE + 2 * kernels.define("DQ_STAGES", 2) * kernels.define("DQ_KEYS", 32)
        name = "attention_backward_dq_" + suffix(self.dtype, self.size)
        shared, block = (held * self.size * 2, 128) if fast(name) else (generic_shared(self.size, 2 * (TILE + 32)), 256)
        kernels.launch(name, self.n_tiles * self.heads, block, shared, self.q, self.k, self.v, self.out, self.d_out, self.lse, self.delta,
                       self.d_q, self.cu_rows, self.query_tiles, np.int64(self.stride), np.int64(self.stride), np.int64(self.stride), *self.shape)

    def run_dkv(self, kernels, cluster=None):
        name = suffix(self.dtype, self.size)
        if cluster is None:
            cluster = self.unequal()
        cluster = cluster and fast(name)
        name = ("attention_backward_dkv_cluster_" if cluster else "attention_backward_dkv_") + name
        stages = 2 if torch.cuda.get_device_capability() >= (9, 0) else 1
        held = (2 + 4 * stages) * TILE * self.size * 2 + 2 * stages * TILE * 8
        shared, block = (held, 256) if fast(name) else (generic_shared(self.size, 2 * (TILE + 32)), 512)
        blocks = self.n_tiles * self.kv_heads * (2 if cluster else 1)
        kernels.launch(name, blocks, block, shared, self.q, self.k, self.v, self.d_out, self.lse, self.delta, self.d_k,
                       self.d_v, self.cu_rows, self.key_tiles, np.int64(self.stride), np.int64(self.stride), np.int64(self.stride), *self.shape)

    def run_decode(self, kernels, split_keys=None, lse=True):
        rows, keys = len(self.lengths), max(self.past) + 1
        split_keys = split_keys or -(-keys // 16) * 16
        splits = -(-keys // split_keys)
        if splits > 1 and getattr(self, "splits", 0) != splits:
            self.part_out = poisoned(rows, self.heads, splits, self.size, dtype=torch.float32)
            self.part_lse = poisoned(rows, self.heads, splits, dtype=torch.float32)
            self.splits = splits
        part_out, part_lse = (self.part_out, self.part_lse) if splits > 1 else (None, None)
        name = "attention_decode_" + suffix(self.dtype, self.size)
        stages = kernels.define("DECODE_STAGES_D128", 3) if self.size == 128 else kernels.define("DECODE_STAGES_D64", 3)
        shared = 4 * stages * 2 * 16 * self.size * 2 if fast(name) else 0
        units = self.kv_heads * -(-(self.heads // self.kv_heads) // 16)
        lse = self.lse if lse else None
        kernels.launch(name, (rows * units, splits), 128, shared, self.q, self.k_pages, self.v_pages, self.out, lse, part_out, part_lse,
                       self.past_len, self.block_table, np.int64(self.stride), np.int32(self.max_pages), np.int32(split_keys), *self.shape)
        if splits > 1:
            name = "attention_decode_combine_" + ("f32" if self.dtype == torch.float32 else "bf16")
            kernels.launch(name, rows * self.heads, 128, 0, part_out, part_lse, self.out, lse, self.past_len, np.int32(split_keys),
                           np.int32(splits), np.int32(self.heads), np.int32(self.size))


def attend(q, k, v, past):
    """float64 attention of one row: q [n, heads, size], k and v [past + n, kv_heads, size]."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(q.shape[2])
    i, j = torch.arange(q.shape[0], device=q.device), torch.arange(k.shape[0], device=q.device)
    scores = scores.masked_fill(j[None, :] > past + i[:, None], -math.inf)
    return torch.einsum("hij,jhd->ihd", scores.softmax(-1), v), scores.logsumexp(-1).T


def error(got, want, floor=0.0):
    """Relative error in the norm; a floor is for what is zero up to rounding."""
    if not torch.isfinite(got).all():
        return math.nan
    return ((got.double() - want.double()).norm() / want.double().norm().clamp_min(max(floor, 1e-300))).item()


def report(label, limits, errors, beside=None):
    passed = all(errors[name] < limits[name] for name in errors)  # False for NaN
    text = "  ".join(f"{name} {e:.1e}" + (f" (sdpa {beside[name]:.1e})" if beside and name in beside else "") for name, e in errors.items())
    print(f"{'ok  ' if passed else 'FAIL'} {label}: {text}", flush=True)
    if not passed:
        failures.append(label)


def untouched(batch, *tensors):
    return 0.0 if all(torch.isnan(x[batch.tokens :]).all() for x in tensors) else math.nan


def check_training(kernels, lengths, heads, kv_heads, size, dtype, magnitude=1.0, sdpa=False):
    b = Batch(lengths, heads, kv_heads, size, dtype, magnitude)
    b.give_gradient()
    b.run_forward(kernels)
    b.run_dq(kernels)
    b.run_dkv(kernels, cluster=False)
    torch.cuda.synchronize()
    again = [x.clone() for x in (b.out, b.d_qkv)]
    clusters = fast(suffix(dtype, size))
    single, same = again[1], True
    for cluster in [False, True, True] if clusters else [False]:
        before = b.d_qkv.clone()
        b.out.fill_(math.nan), b.d_qkv.fill_(math.nan)
        b.run_forward(kernels)
        b.run_dq(kernels)
        b.run_dkv(kernels, cluster)
        torch.cuda.synchronize()
        same = same and torch.equal(b.out[: b.tokens], again[0][: b.tokens])
        if not cluster:
            same = same and torch.equal(b.d_qkv[: b.tokens], single[: b.tokens])
    if clusters:
        same = same and torch.equal(b.d_qkv[: b.tokens], before[: b.tokens])
    wants, bys = [], []
    for row, n in enumerate(lengths):
        at = slice(b.starts[row], b.starts[row + 1])
        shapes = ((heads, size), (kv_heads, size), (kv_heads, size))
        qkv = [x[at].reshape(n, *s) for x, s in zip((b.q, b.k, b.v), shapes)]
        d_out = b.d_out[at].view(n, heads, size)
        leaves = [x.double().requires_grad_() for x in qkv]
        out, lse = attend(*leaves, 0)
        out.backward(d_out.double())
        wants.append([out.detach().flatten(1), lse.detach()] + [x.grad.flatten(1) for x in leaves])
        if sdpa:
            leaves = [x.detach().clone().requires_grad_() for x in qkv]
            out = F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in leaves), is_causal=True, enable_gqa=True)[0].transpose(0, 1)
            out.backward(d_out)
            bys.append([out.detach().flatten(1), lse.detach()] + [x.grad.flatten(1) for x in leaves])
    want = [torch.cat(x) for x in zip(*wants)]
    by = [torch.cat(x) for x in zip(*bys)] if sdpa else None
    names = ["out", "lse", "d_q", "d_k", "d_v"]
    got = [x[: b.tokens] for x in (b.out, b.lse, b.d_q, b.d_k, b.d_v)]
    limit = 1e-5 if dtype == torch.float32 else 1e-2
    # With one key to see, the probability is 1 whatever q and k are.
    floor = math.sqrt(b.tokens * b.width) if max(lengths) == 1 else 0.0
    errors = {n: error(g, w, floor) for n, g, w in zip(names, got, want)}
    limits = {n: limit for n in names}
    if dtype == torch.bfloat16:
        limits["lse"] = 1e-5
    if clusters:
        _, single_k, single_v = b.split(single)
        for n, g, w in [("d_k single", single_k, want[3]), ("d_v single", single_v, want[4])]:
            errors[n], limits[n] = error(g[: b.tokens], w, floor), limit
    errors["outside"], limits["outside"] = untouched(b, b.out, b.lse, b.delta, b.d_qkv), 1
    errors["repeat"], limits["repeat"] = 0.0 if same else math.nan, 1
    beside = {n: error(g, w) for n, g, w in zip(names, by, want)} if sdpa else None
    if beside:
        del beside["lse"]
    report(f"training {suffix(dtype, size)} {heads}/{kv_heads}/{size}, {len(lengths)} rows, {b.tokens} tokens, x{magnitude}", limits, errors, beside)


def check_cache(kernels, lengths, past, heads, kv_heads, size, dtype, split_keys=None, decode=False, lse=True):
    b = Batch(lengths, heads, kv_heads, size, dtype, past=past)
    b.give_cache()
    if decode:
        b.run_decode(kernels, split_keys, lse)
    else:
        b.run_paged(kernels, lse)
    torch.cuda.synchronize()
    outs, lses = [], []
    for row, n in enumerate(lengths):
        slots = torch.tensor(b.slots[row], device="cuda")
        k, v = (x.view(-1, kv_heads, size)[slots].double() for x in (b.k_pages, b.v_pages))
        q = b.q[b.starts[row] : b.starts[row + 1]].reshape(n, heads, size).double()
        out, sums = attend(q, k, v, past[row])
        outs.append(out.flatten(1))
        lses.append(sums)
    errors = {"out": error(b.out[: b.tokens], torch.cat(outs)), "outside": untouched(b, b.out, b.lse)}
    limits = {"out": 1e-5 if dtype == torch.float32 else 1e-2, "lse": 1e-5, "outside": 1}
    if lse:
        errors["lse"] = error(b.lse[: b.tokens], torch.cat(lses))
    kind = f"decode, split {split_keys}," if decode else "paged"
    report(f"{kind} {suffix(dtype, size)} {heads}/{kv_heads}/{size}, {len(lengths)} rows, keys to {max(p + n for p, n in zip(past, lengths))}",
           limits, errors)


def check(kernels, small):
    random = np.random.default_rng()
    some = lambda n, low, high: random.integers(low, high + 1, n).tolist()
    bf16, f32 = torch.bfloat16, torch.float32
    ragged = [1, 2, 17, 63, 64, 65, 127, 128, 129, 130, 1, 200]
    if small:
        shapes = [(4, 2, 64, bf16), (7, 1, 128, bf16), (4, 2, 16, f32), (3, 1, 80, bf16)]
        for heads, kv_heads, size, dtype in shapes:
            check_training(kernels, [1, 63, 64, 130], heads, kv_heads, size, dtype)
            check_cache(kernels, [1, 40, 70], [5, 100, 0], heads, kv_heads, size, dtype)
            check_cache(kernels, [1] * 4, [0, 15, 16, 300], heads, kv_heads, size, dtype, decode=True)
            check_cache(kernels, [1] * 4, [0, 15, 16, 300], heads, kv_heads, size, dtype, split_keys=64, decode=True)
        return
    check_training(kernels, SIXTEEN, 28, 4, 128, bf16, sdpa=True)
    check_training(kernels, SIXTEEN, 9, 3, 64, bf16, sdpa=True)
    for heads, kv_heads, size in [(14, 2, 64), (12, 2, 128), (28, 4, 128), (9, 3, 64), (4, 4, 64), (2, 1, 128)]:
        check_training(kernels, ragged, heads, kv_heads, size, bf16)
        check_training(kernels, [1], heads, kv_heads, size, bf16)
    check_training(kernels, some(16, 1, 700), 14, 2, 64, bf16, magnitude=6.0)
    check_training(kernels, some(500, 1, 5), 12, 2, 128, bf16)
    check_training(kernels, [1500], 14, 2, 64, bf16)
    for heads, kv_heads, size in [(4, 2, 8), (4, 2, 16), (3, 1, 20), (9, 3, 64), (28, 4, 128), (2, 1, 256), (5, 1, 7)]:
        check_training(kernels, ragged, heads, kv_heads, size, f32)
    check_training(kernels, SIXTEEN, 12, 2, 128, f32)
    check_training(kernels, [1], 4, 2, 8, f32)
    check_training(kernels, ragged, 6, 2, 80, bf16)
    check_training(kernels, ragged, 4, 1, 16, bf16)
    lengths = [1, 5, 64, 65, 100, 1, 130, 33, 200]
    past = [0, 3, 16, 100, 63, 777, 0, 64, 1300]
    for heads, kv_heads, size, dtype in [(28, 4, 128, bf16), (14, 2, 64, bf16), (9, 3, 64, bf16), (12, 2, 128, bf16), (4, 2, 16, f32), (3, 1, 20, f32),
                                         (12, 2, 128, f32), (2, 1, 256, f32), (6, 2, 80, bf16)]:
        check_cache(kernels, lengths, past, heads, kv_heads, size, dtype)
        check_cache(kernels, lengths, past, heads, kv_heads, size, dtype, lse=False)
        keys = [0, 1, 14, 15, 16, 17, 62, 63, 64, 65, 127, 128, 500, 1500] + some(20, 0, 1499)
        for split in (None, 64, 256, 512):
            check_cache(kernels, [1] * len(keys), keys, heads, kv_heads, size, dtype, split_keys=split, decode=True, lse=split != 512)
        check_cache(kernels, [1], [1000], heads, kv_heads, size, dtype, split_keys=64, decode=True)
    check_cache(kernels, [1] * 1000, some(1000, 0, 200), 9, 3, 64, bf16, decode=True)
    check_cache(kernels, [1] * 20, some(20, 0, 600), 40, 2, 64, bf16, decode=True)
    check_cache(kernels, [1] * 20, some(20, 0, 600), 40, 2, 128, bf16, split_keys=128, decode=True)


def microseconds(launches, repeats=24, batches=5):
    """Median time of one launch, over batches of back-to-back ones that rotate among inputs."""
    for f in launches:
        f()
    times = []
    for _ in range(batches):
        torch.cuda._sleep(4_000_000)  # The host queues everything meanwhile.
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for i in range(repeats):
            launches[i % len(launches)]()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 1000 / repeats)
    return float(np.median(times))


def time_all(kernels, training_only):
    bf16 = torch.bfloat16
    x = torch.randn(2**29, device="cuda", dtype=bf16)
    y = torch.empty_like(x)
    bandwidth = 2 * x.nbytes / microseconds([lambda: y.copy_(x)], 10) / 1e3
    a = torch.randn(8192, 8192, device="cuda", dtype=bf16)
    peak = 2 * 8192**3 / microseconds([lambda: a @ a], 10) / 1e6
    print(f"{torch.cuda.get_device_name()}: copies {bandwidth:.0f} GB/s, bf16 products {peak:.0f} TFLOP/s")
    del x, y, a
    shapes = [("16 rows", SIXTEEN, 28, 4, 128), ("16 rows", SIXTEEN, 14, 2, 64), ("32 x 256", [256] * 32, 28, 4, 128), ("32 x 256", [256] * 32, 9, 3, 64)]
    for label, lengths, heads, kv_heads, size in shapes:
        batches = [Batch(lengths, heads, kv_heads, size, bf16) for _ in range(3)]
        for b in batches:
            b.give_gradient()
            b.run_forward(kernels), b.run_dq(kernels), b.run_dkv(kernels)
        flops = 4 * size * heads * sum(n * (n + 1) / 2 for n in lengths)
        forward = microseconds([lambda b=b: b.run_forward(kernels) for b in batches])
        d_q = microseconds([lambda b=b: b.run_dq(kernels) for b in batches])
        both = {c: microseconds([lambda b=b: b.run_dkv(kernels, c) for b in batches]) for c in (False, True)}
        d_kv = both[batches[0].unequal()]
        rate = lambda n, t: f"{t:.1f} us, {n / t / 1e6:.0f} TFLOP/s ({n / t / 1e6 / peak:.0%})"
        print(f"{label} {heads}/{kv_heads}/{size}: forward {rate(flops, forward)}; backward {rate(2.5 * flops, d_q + d_kv)} "
              f"= d_q {d_q:.1f} + d_k, d_v {d_kv:.1f} (single {both[False]:.1f}, cluster {both[True]:.1f})", flush=True)
        if min(lengths) == max(lengths) and not training_only:
            b = batches[0]
            rows, n = len(lengths), lengths[0]
            leaves = [x[: b.tokens].reshape(rows, n, -1, size).transpose(1, 2).contiguous().requires_grad_() for x in (b.q, b.k, b.v)]
            sdpa = lambda: F.scaled_dot_product_attention(*leaves, is_causal=True, enable_gqa=True)
            out = sdpa()
            d_out = torch.randn_like(out)
            with torch.no_grad():
                forward = microseconds([sdpa])
            backward = microseconds([lambda: torch.autograd.grad(out, leaves, d_out, retain_graph=True)])
            print(f"  PyTorch's scaled_dot_product_attention: forward {forward:.1f} us, backward {backward:.1f} us")
        del batches
    for rows, keys, heads, kv_heads, size, splits in [] if training_only else [(64, 300, 28, 4, 128, (None, 160)), (256, 300, 28, 4, 128, (None, 160)), (64, 1500, 28, 4, 128, (None, 512, 256)),
                                                      (256, 300, 14, 2, 64, (None, 160)), (1, 1500, 28, 4, 128, (None, 64, 128)), (1000, 300, 9, 3, 64, (None,)),
                                                      (64, 300, 12, 2, 128, (None, 160, 80))]:
        batches = [Batch([1] * rows, heads, kv_heads, size, bf16, past=[keys - 1] * rows) for _ in range(3)]
        for b in batches:
            b.give_cache()
        moved = rows * keys * kv_heads * size * 2 * 2
        for split in splits:
            t = microseconds([lambda b=b: b.run_decode(kernels, split, lse=False) for b in batches])
            print(f"decode {rows} x {keys} keys {heads}/{kv_heads}/{size}, split {split}: {t:.1f} us, {moved / t / 1e3:.0f} GB/s ({moved / t / 1e3 / bandwidth:.0%})", flush=True)
        del batches


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--attention", help="attention.cu's cubin; built with nvcc otherwise")
    p.add_argument("--decode", help="decode.cu's cubin; built with nvcc otherwise")
    p.add_argument("--sources", help="folder of the .cu files")
    p.add_argument("--define", action="append", default=[], help="NAME=VALUE the kernels are (or were) built with")
    p.add_argument("--no-check", action="store_true")
    p.add_argument("--no-time", action="store_true")
    p.add_argument("--no-decode-time", action="store_true")
    p.add_argument("--small", action="store_true")
    options = p.parse_args()
    torch.ones(8, 8, device="cuda") @ torch.ones(8, 8, device="cuda")  # Makes the context that CuPy then shares.
    kernels = Kernels(options)
    if not options.no_check:
        check(kernels, options.small)
        print(f"{len(failures)} failed" + "".join(f"\n  {f}" for f in failures))
    if not options.no_time:
        time_all(kernels, options.no_decode_time)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

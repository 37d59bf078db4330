// Causal grouped-query attention over rows of different length laid end to end: forward (without a cache, or with a
// paged one) and backward.
//
// `out = softmax(q kT / sqrt(head_dim)) v` without ever storing a [length, length] matrix: the forward walks over key
// tiles with a running maximum and sum and keeps each query's log-sum-exp, from which the backward rebuilds the
// probabilities (Dao et al. 2022, "FlashAttention"; Dao 2023, "FlashAttention-2"). Nothing is accumulated with
// atomics: d_q is computed per query tile, d_k and d_v per key tile (over all query heads that share the key head),
// so the results are the same in every run.
//
// Layout. q: token t, head h at q + t * q_stride + h * head_dim; k and v likewise with kv_stride. Query head h uses
// key head h / (heads / kv_heads). out (and d_out) is [tokens, heads * head_dim], lse and delta are [tokens, heads],
// f32. Row r is tokens cu_rows[r]..cu_rows[r + 1]. The cache is [pages, ATTENTION_PAGE, kv_heads * head_dim] for each
// of k and v; token j of row r is in page block_table[r * max_pages + j / ATTENTION_PAGE]. With `past` tokens cached
// before this batch, query i sees keys 0..=past + i; the batch's own keys and values are in the pages already.
//
// `tiles` lists (row, first token in the row, a multiple of ATTENTION_TILE) for every tile of every row; the same table
// serves query tiles and key tiles. Blocks start in the table's order, so the heaviest tiles should come first: those
// far from the row's start for the forward and d_q, those near it (with most of the row after them) for d_k, d_v.
//
// Grid (all one-dimensional): tiles * heads for forward and d_q, tiles * kv_heads for d_k, d_v, times ATTENTION_DKV_CLUSTER
// for the kernels named _dkv_cluster. Those are for batches of few or unequal tiles: when the tile with the most (query
// head, query tile) pairs has more of them than its share of all pairs on each multiprocessor.
// The backward's first kernel is d_q: it also writes delta = sum(out * d_out), which the second one reads.
//
// The kernels named _d64 and _d128 use tensor cores (mma.sync, sm_80 and later; tuned and checked on sm_90 only) and need
// 16-byte aligned pointers and strides that are multiples of 8. The others take any head size up to 256 and f32 or bf16, on
// the CUDA cores with f32 arithmetic.
//
// Each kernel's dynamic shared memory is given at its body; most need the function's limit raised for it.
//
// Not covered: dropout, windows, non-causal attention, the rotary embedding, head sizes above 256.
#include "attention.cuh"

#define ATTENTION_TILE 64

constexpr int TILE = ATTENTION_TILE;
constexpr int WARPS = 4;
constexpr int THREADS = WARPS * 32;
static_assert(WARPS * 16 == TILE, "a warp owns 16 rows of a tile");

// The forward and d_q take this many keys at a time and copy the next ones meanwhile (chosen by measurement on an H100).
#ifndef FORWARD_KEYS
#define FORWARD_KEYS 32
#endif
#ifndef FORWARD_STAGES
#define FORWARD_STAGES 2
#endif
#ifndef DQ_KEYS
#define DQ_KEYS 32
#endif
#ifndef DQ_STAGES
#define DQ_STAGES 2
#endif
// Blocks that should fit on a multiprocessor together: the bound on registers.
#ifndef FORWARD_BLOCKS
#define FORWARD_BLOCKS 3
#endif
#ifndef DQ_BLOCKS
#define DQ_BLOCKS 3
#endif

extern __shared__ __align__(1024) unsigned char dynamic_shared[];

// acc[16 x N * 16] of the warp's 16 rows (operand a, given for each step of the head) with N groups of 16 rows of a tile.
// Groups that are masked later are not skipped: branches in here would keep the loads from overlapping the products.
template <int D, int N, class A>
__device__ __forceinline__ void multiply_rows(float (&acc)[2 * N][4], A a, uint32_t columns) {
#pragma unroll
    for (int n = 0; n < 2 * N; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) acc[n][i] = 0.f;
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
        uint32_t left[4];
        a(k, left);
#pragma unroll
        for (int j = 0; j < N; ++j) {
            uint32_t b[4];
            load_matrices(b, (columns ^ (k << 5)) + j * 16 * D * 2);
            mma(acc[2 * j], left, b[0], b[1]);
            mma(acc[2 * j + 1], left, b[2], b[3]);
        }
    }
}

// acc[16 x D] += p[16 x N * 16] tile[N * 16 x D], with p's groups of 16 columns outside first..last skipped.
template <int D, int N>
__device__ __forceinline__ void accumulate_rows(float (&acc)[D / 8][4], const float (&p)[2 * N][4], uint32_t rows, int first, int last) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
        if (j >= first && j < last) {
            const uint32_t a[4] = {pack(p[2 * j][0], p[2 * j][1]), pack(p[2 * j][2], p[2 * j][3]), pack(p[2 * j + 1][0], p[2 * j + 1][1]),
                                   pack(p[2 * j + 1][2], p[2 * j + 1][3])};
#pragma unroll
            for (int n = 0; n < D / 16; ++n) {
                uint32_t b[4];
                load_matrices_transposed(b, (rows ^ (n << 5)) + j * 16 * D * 2);
                mma(acc[2 * n], a, b[0], b[1]);
                mma(acc[2 * n + 1], a, b[2], b[3]);
            }
        }
    }
}

// Dynamic shared memory: (TILE + 2 * FORWARD_STAGES * FORWARD_KEYS) * D * 2 bytes.
template <int D, bool PAGED>
__device__ __forceinline__ void forward(const bf16* q, const bf16* k, const bf16* v, bf16* out, float* lse, const int* cu_rows,
                                        const int* past_len, const int* block_table, const int2* tiles, int64_t q_stride, int64_t kv_stride,
                                        int max_pages, int heads, int kv_heads, float scale) {
    constexpr int KEYS = FORWARD_KEYS, STAGES = FORWARD_STAGES, GROUPS = KEYS / 16, BYTES = KEYS * D * 2;
    const int lane = threadIdx.x % 32, warp = warp_index(), g = lane >> 2, t = lane & 3;
    const int head = blockIdx.x % heads;
    const int2 tile = tiles[blockIdx.x / heads];
    const int begin = cu_rows[tile.x], len = cu_rows[tile.x + 1] - begin, first = tile.y;
    const int past = PAGED ? past_len[tile.x] : 0;
    const int kv_head = head / (heads / kv_heads);
    const int queries = min(TILE, len - first);
    const int keys = past + first + queries;  // The most that any query of the tile sees.

    const KeyOffset<PAGED> at{PAGED ? block_table + (size_t)tile.x * max_pages : nullptr, PAGED ? (size_t)kv_heads * D : (size_t)kv_stride};
    const size_t head_start = (PAGED ? 0 : (size_t)begin * kv_stride) + kv_head * D;
    k += head_start;
    v += head_start;
    q += (size_t)(begin + first) * q_stride + head * D;

    const uint32_t q_tile = shared_address(dynamic_shared), buffers = q_tile + TILE * D * 2;
    const int blocks = (keys + KEYS - 1) / KEYS;
    const auto load_keys = [&](int block) {
        if (block < blocks) {
            const uint32_t to = buffers + block % STAGES * 2 * BYTES;
            load_tile<D, KEYS, THREADS>(to, k, at, block * KEYS, keys, threadIdx.x);
            load_tile<D, KEYS, THREADS>(to + BYTES, v, at, block * KEYS, keys, threadIdx.x);
        }
        copy_commit();
    };
    load_tile<D, TILE, THREADS>(q_tile, q, KeyOffset<false>{nullptr, (size_t)q_stride}, 0, queries, threadIdx.x);
    copy_commit();
#pragma unroll
    for (int i = 0; i < STAGES - 1; ++i) load_keys(i);
    copy_wait<STAGES - 1>();
    __syncthreads();  // The queries are there.
    uint32_t q_part[D / 16][4];
    {
        const uint32_t q_rows = lane_address_rows<D>(q_tile + warp * 16 * D * 2, lane);
#pragma unroll
        for (int s = 0; s < D / 16; ++s) load_matrices(q_part[s], q_rows ^ (s << 5));
    }
    const auto q_step = [&](int step, uint32_t(&a)[4]) {
#pragma unroll
        for (int i = 0; i < 4; ++i) a[i] = q_part[step][i];
    };

    float acc[D / 8][4];
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) acc[n][i] = 0.f;
    // Of the lane's rows g and g + 8: the scores' running maximum, and this lane's part of the running sum.
    float max_score[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f};
    const float scale2 = scale * LOG2_E;
    const int first_visible = past + first + warp * 16;  // The last key that the warp's first query sees.

    for (int block = 0; block < blocks; ++block) {
        const int base = block * KEYS;
        copy_wait<STAGES - 2>();
        __syncthreads();  // The keys and values are there, and everyone is done with the ones before.
        load_keys(block + STAGES - 1);
        if (base > first_visible + 15 || warp * 16 >= queries) continue;  // No query of the warp's sees these keys.

        const uint32_t k_tile = buffers + block % STAGES * 2 * BYTES;
        const uint32_t k_columns = lane_address_columns<D>(k_tile, lane), v_rows = lane_address_rows<D>(k_tile + BYTES, lane);
        const int groups = min(GROUPS, (first_visible + 15 - base) / 16 + 1);  // Groups of 16 keys that some query of the warp sees.
        float s[2 * GROUPS][4];
        multiply_rows<D, GROUPS>(s, q_step, k_columns);

        if (base + KEYS - 1 > first_visible) {
#pragma unroll
            for (int n = 0; n < 2 * GROUPS; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    if (base + n * 8 + t * 2 + (i & 1) > first_visible + g + (i >> 1) * 8) s[n][i] = -INFINITY;
        }
        float correction[2];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float m = max_score[half];
#pragma unroll
            for (int n = 0; n < 2 * GROUPS; ++n) m = fmaxf(m, fmaxf(s[n][half * 2], s[n][half * 2 + 1]));
            m = quad_max(m);  // Finite: key 0 is in the first block and every query sees it.
            const float offset = m * scale2;
            correction[half] = exp2_fast((max_score[half] - m) * scale2);
            max_score[half] = m;
            sum[half] *= correction[half];
#pragma unroll
            for (int n = 0; n < 2 * GROUPS; ++n)
#pragma unroll
                for (int i = half * 2; i < half * 2 + 2; ++i) {
                    s[n][i] = exp2_fast(s[n][i] * scale2 - offset);
                    sum[half] += s[n][i];
                }
        }
        // Later blocks seldom hold a new maximum.
        if (__any_sync(~0u, correction[0] != 1.f || correction[1] != 1.f)) {
#pragma unroll
            for (int n = 0; n < D / 8; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i) acc[n][i] *= correction[i >> 1];
        }
        accumulate_rows<D, GROUPS>(acc, s, v_rows, 0, groups);
    }

    sum[0] = quad_sum(sum[0]);
    sum[1] = quad_sum(sum[1]);
    const int token = begin + first + warp * 16, valid = queries - warp * 16;
    store_rows<D>(q_tile + warp * 16 * D * 2, acc, 1.f / sum[0], 1.f / sum[1], out + ((size_t)token * heads + head) * D, (size_t)heads * D, valid,
                  lane);
    if (lse != nullptr && t == 0) {
#pragma unroll
        for (int half = 0; half < 2; ++half)
            if (g + half * 8 < valid) lse[(size_t)(token + g + half * 8) * heads + head] = max_score[half] * scale + __logf(sum[half]);
    }
}

// d_q and delta. Dynamic shared memory: (2 * TILE + 2 * DQ_STAGES * DQ_KEYS) * D * 2 bytes.
template <int D>
__device__ __forceinline__ void backward_dq(const bf16* q, const bf16* k, const bf16* v, const bf16* out, const bf16* d_out, const float* lse,
                                            float* delta, bf16* d_q, const int* cu_rows, const int2* tiles, int64_t q_stride, int64_t kv_stride,
                                            int64_t d_q_stride, int heads, int kv_heads, float scale) {
    __shared__ float deltas[TILE];
    const int lane = threadIdx.x % 32, warp = warp_index(), g = lane >> 2, t = lane & 3;
    const int head = blockIdx.x % heads;
    const int2 tile = tiles[blockIdx.x / heads];
    const int begin = cu_rows[tile.x], len = cu_rows[tile.x + 1] - begin, first = tile.y;
    const int kv_head = head / (heads / kv_heads);
    const int queries = min(TILE, len - first), keys = first + queries;

    k += (size_t)begin * kv_stride + kv_head * D;
    v += (size_t)begin * kv_stride + kv_head * D;
    q += (size_t)(begin + first) * q_stride + head * D;
    const size_t out_start = ((size_t)(begin + first) * heads + head) * D, out_stride = (size_t)heads * D;
    out += out_start;
    d_out += out_start;
    const KeyOffset<false> key_at{nullptr, (size_t)kv_stride};

    constexpr int KEYS = DQ_KEYS, STAGES = DQ_STAGES, GROUPS = KEYS / 16, BYTES = KEYS * D * 2;
    const uint32_t q_tile = shared_address(dynamic_shared), d_out_tile = q_tile + TILE * D * 2, buffers = d_out_tile + TILE * D * 2;
    load_tile<D, TILE, THREADS>(q_tile, q, KeyOffset<false>{nullptr, (size_t)q_stride}, 0, queries, threadIdx.x);
    load_tile<D, TILE, THREADS>(d_out_tile, d_out, KeyOffset<false>{nullptr, out_stride}, 0, queries, threadIdx.x);
    const int blocks = (keys + KEYS - 1) / KEYS;
    const auto load_keys = [&](int block) {
        if (block < blocks) {
            const uint32_t to = buffers + block % STAGES * 2 * BYTES;
            load_tile<D, KEYS, THREADS>(to, k, key_at, block * KEYS, keys, threadIdx.x);
            load_tile<D, KEYS, THREADS>(to + BYTES, v, key_at, block * KEYS, keys, threadIdx.x);
        }
        copy_commit();
    };
#pragma unroll
    for (int i = 0; i < STAGES - 1; ++i) load_keys(i);

    // delta of the warp's own 16 queries, D / 8 lanes to a query.
    constexpr int LANES = D / 8;
#pragma unroll
    for (int i = 0; i < LANES / 2; ++i) {
        const int row = warp * 16 + lane / LANES + i * (32 / LANES);
        float x = 0.f;
        if (row < queries) {
            const uint4 a = *reinterpret_cast<const uint4*>(out + (size_t)row * out_stride + (lane % LANES) * 8);
            const uint4 b = *reinterpret_cast<const uint4*>(d_out + (size_t)row * out_stride + (lane % LANES) * 8);
            const uint32_t as[4] = {a.x, a.y, a.z, a.w}, bs[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
            for (int p = 0; p < 4; ++p) {
                // A bf16 value is the upper half of the f32 value that equals it.
                x += __uint_as_float(as[p] << 16) * __uint_as_float(bs[p] << 16);
                x += __uint_as_float(as[p] & 0xffff0000u) * __uint_as_float(bs[p] & 0xffff0000u);
            }
        }
#pragma unroll
        for (int o = LANES / 2; o > 0; o /= 2) x += __shfl_xor_sync(~0u, x, o);
        if (lane % LANES == 0) {
            deltas[row] = x;
            if (row < queries) delta[(size_t)(begin + first + row) * heads + head] = x;
        }
    }
    __syncwarp();

    const float scale2 = scale * LOG2_E;
    float lse2[2], row_delta[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const int row = warp * 16 + g + half * 8;
        lse2[half] = row < queries ? lse[(size_t)(begin + first + row) * heads + head] * LOG2_E : 0.f;
        row_delta[half] = deltas[row];
    }
    float acc[D / 8][4];
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) acc[n][i] = 0.f;
    const uint32_t q_rows = lane_address_rows<D>(q_tile + warp * 16 * D * 2, lane);
    const uint32_t d_out_rows = q_rows + TILE * D * 2;
    const auto q_step = [&](int step, uint32_t(&a)[4]) { load_matrices(a, q_rows ^ (step << 5)); };
    const auto d_out_step = [&](int step, uint32_t(&a)[4]) { load_matrices(a, d_out_rows ^ (step << 5)); };
    const int first_visible = first + warp * 16;  // The last key that the warp's first query sees.

    for (int block = 0; block < blocks; ++block) {
        const int base = block * KEYS;
        copy_wait<STAGES - 2>();
        __syncthreads();  // The keys and values are there, and everyone is done with the ones before.
        load_keys(block + STAGES - 1);
        if (base > first_visible + 15 || warp * 16 >= queries) continue;  // No query of the warp's sees these keys.

        const uint32_t k_tile = buffers + block % STAGES * 2 * BYTES;
        const uint32_t k_columns = lane_address_columns<D>(k_tile, lane), k_rows = lane_address_rows<D>(k_tile, lane);
        const int groups = min(GROUPS, (first_visible + 15 - base) / 16 + 1);  // Groups of 16 keys that some query of the warp sees.
        float s[2 * GROUPS][4], d_p[2 * GROUPS][4];
        multiply_rows<D, GROUPS>(s, q_step, k_columns);
        multiply_rows<D, GROUPS>(d_p, d_out_step, k_columns + BYTES);
#pragma unroll
        for (int n = 0; n < 2 * GROUPS; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float p = exp2_fast(s[n][i] * scale2 - lse2[i >> 1]);
                s[n][i] = p * (d_p[n][i] - row_delta[i >> 1]);
            }
        if (base + KEYS - 1 > first_visible) {
#pragma unroll
            for (int n = 0; n < 2 * GROUPS; ++n)
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    if (base + n * 8 + t * 2 + (i & 1) > first_visible + g + (i >> 1) * 8) s[n][i] = 0.f;
        }
        accumulate_rows<D, GROUPS>(acc, s, k_rows, 0, groups);
    }
    store_rows<D>(q_tile + warp * 16 * D * 2, acc, scale, scale, d_q + (size_t)(begin + first + warp * 16) * d_q_stride + head * D, d_q_stride,
                  queries - warp * 16, lane);
}

// d_k and d_v. A cluster of blocks owns one key tile of one key head. Each block has two teams of four warps; all teams
// of the cluster take turns over the (query head, query tile) pairs, each with its own buffers and accumulators, and
// add up at the end. That way the tile with the most work, which the whole launch waits for, is shared by many warps.
// (A cluster of one is faster where there are many tiles of about the same work.) Before sm_90 there are no clusters:
// then the first block does it all, and the buffers are fewer to fit into the smaller shared memory.
constexpr int TEAMS = 2;
constexpr int DKV_THREADS = TEAMS * THREADS;
#define ATTENTION_DKV_CLUSTER 2
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define CLUSTERS 1
#define CLUSTER_DIMS __cluster_dims__(ATTENTION_DKV_CLUSTER, 1, 1)
constexpr int DKV_STAGES = 2;
#else
#define CLUSTERS 0
#define CLUSTER_DIMS
constexpr int DKV_STAGES = 1;
#endif

__device__ __forceinline__ void team_barrier(int team) { asm volatile("bar.sync %0, %1;\n" ::"r"(team + 1), "n"(THREADS) : "memory"); }

#if CLUSTERS
__device__ __forceinline__ void cluster_barrier() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;\n" ::: "memory");
}
__device__ __forceinline__ float4 load_of_block(uint32_t address, int block) {
    float4 x;
    asm volatile(
        "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %4, %5;\nld.shared::cluster.v4.f32 {%0,%1,%2,%3}, [there];\n}\n"
        : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
        : "r"(address), "r"(block)
        : "memory");
    return x;
}
#endif

__device__ __forceinline__ void add(float (&to)[4], float4 x) {
    to[0] += x.x;
    to[1] += x.y;
    to[2] += x.z;
    to[3] += x.w;
}

// Dynamic shared memory: (2 + 2 * TEAMS * DKV_STAGES) * TILE * D * 2 + TEAMS * DKV_STAGES * TILE * 8 bytes.
template <int D, int BLOCKS>
__device__ __forceinline__ void backward_dkv(const bf16* q, const bf16* k, const bf16* v, const bf16* d_out, const float* lse,
                                             const float* delta, bf16* d_k, bf16* d_v, const int* cu_rows, const int2* tiles, int64_t q_stride,
                                             int64_t kv_stride, int64_t d_kv_stride, int heads, int kv_heads, float scale) {
    constexpr int CLUSTER = CLUSTERS ? BLOCKS : 1;
    const int rank = blockIdx.x % BLOCKS, unit = blockIdx.x / BLOCKS;
    if (rank >= CLUSTER) return;
    const int team = warp_index() / WARPS, thread = threadIdx.x % THREADS;
    const int lane = thread % 32, warp = warp_index() % WARPS, g = lane >> 2, t = lane & 3;
    const int kv_head = unit % kv_heads, group = heads / kv_heads;
    const int2 tile = tiles[unit / kv_heads];
    const int begin = cu_rows[tile.x], len = cu_rows[tile.x + 1] - begin, first = tile.y;
    const int keys = min(TILE, len - first);

    constexpr int BYTES = TILE * D * 2;
    const uint32_t k_tile = shared_address(dynamic_shared), v_tile = k_tile + BYTES;
    const uint32_t buffers = v_tile + BYTES + team * DKV_STAGES * 2 * BYTES;
    const uint32_t numbers_at = v_tile + BYTES + TEAMS * DKV_STAGES * 2 * BYTES + team * DKV_STAGES * TILE * 8;
    const size_t keys_start = (size_t)(begin + first) * kv_stride + kv_head * D;
    load_tile<D, TILE, DKV_THREADS>(k_tile, k + keys_start, KeyOffset<false>{nullptr, (size_t)kv_stride}, 0, keys, threadIdx.x);
    load_tile<D, TILE, DKV_THREADS>(v_tile, v + keys_start, KeyOffset<false>{nullptr, (size_t)kv_stride}, 0, keys, threadIdx.x);
    copy_commit();

    constexpr int APART = TEAMS * CLUSTER;  // A team's step and its next.
    const int query_tiles = (len - first + TILE - 1) / TILE, steps = group * query_tiles;
    // Starts the copies of a step: q, d_out, and the queries' lse and delta.
    const auto load_step = [&](int step, int stage) {
        if (step < steps) {
            const int head = kv_head * group + step / query_tiles, base = first + step % query_tiles * TILE;
            const uint32_t to = buffers + stage * 2 * BYTES;
            load_tile<D, TILE, THREADS>(to, q + (size_t)begin * q_stride + head * D, KeyOffset<false>{nullptr, (size_t)q_stride}, base, len, thread);
            load_tile<D, TILE, THREADS>(to + BYTES, d_out + ((size_t)begin * heads + head) * D, KeyOffset<false>{nullptr, (size_t)heads * D}, base,
                                        len, thread);
            const int query = base + thread % TILE;
            const float* from = thread < TILE ? lse : delta;
            const size_t at = (size_t)(begin + (query < len ? query : 0)) * heads + head;
            copy4(numbers_at + stage * TILE * 8 + thread * 4, from + at, query < len);
        }
        copy_commit();
    };
#pragma unroll
    for (int i = 0; i < DKV_STAGES; ++i) load_step(rank * TEAMS + team + i * APART, i);
    copy_wait<DKV_STAGES>();
    __syncthreads();  // The keys and values are there for both teams.

    float acc_k[D / 8][4], acc_v[D / 8][4];
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) acc_k[n][i] = acc_v[n][i] = 0.f;
    const float scale2 = scale * LOG2_E;
    const uint32_t k_rows = lane_address_rows<D>(k_tile + warp * 16 * D * 2, lane);
    const auto k_step = [&](int step, uint32_t(&a)[4]) { load_matrices(a, k_rows ^ (step << 5)); };
    const auto v_step = [&](int step, uint32_t(&a)[4]) { load_matrices(a, (k_rows + BYTES) ^ (step << 5)); };

    int stage = 0;
    for (int step = rank * TEAMS + team; step < steps; step += APART) {
        copy_wait<DKV_STAGES - 1>();
        team_barrier(team);
        const int base = first + step % query_tiles * TILE;
        const bool diagonal = base == first;
        const uint32_t q_tile = buffers + stage * 2 * BYTES;
        const uint32_t q_columns = lane_address_columns<D>(q_tile, lane), q_rows = lane_address_rows<D>(q_tile, lane);
        // Groups of 16 queries: those before the warp's keys see none of them, those past the row's end do not exist.
        const int from = diagonal ? warp : 0, to = min(4, (len - base + 15) / 16);
        if (from < to && warp * 16 < keys) {
            // Keys by queries.
            float p[8][4], d_p[8][4];
            multiply_rows<D, 4>(p, k_step, q_columns);
            multiply_rows<D, 4>(d_p, v_step, q_columns + BYTES);
            const uint32_t numbers = numbers_at + stage * TILE * 8 + t * 8;
#pragma unroll
            for (int n = 0; n < 8; ++n) {
                float l[2], d[2];
                asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];\n" : "=f"(l[0]), "=f"(l[1]) : "r"(numbers + n * 32) : "memory");
                asm volatile("ld.shared.v2.f32 {%0,%1}, [%2];\n" : "=f"(d[0]), "=f"(d[1]) : "r"(numbers + TILE * 4 + n * 32) : "memory");
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    float x = exp2_fast(p[n][i] * scale2 - l[i & 1] * LOG2_E);
                    if (diagonal && n * 8 + t * 2 + (i & 1) < warp * 16 + g + (i >> 1) * 8) x = 0.f;
                    p[n][i] = x;
                    d_p[n][i] = x * (d_p[n][i] - d[i & 1]);
                }
            }
            accumulate_rows<D, 4>(acc_v, p, q_rows + BYTES, from, to);
            accumulate_rows<D, 4>(acc_k, d_p, q_rows, from, to);
        }
        team_barrier(team);  // The team is done with the buffer that is filled next.
        load_step(step + DKV_STAGES * APART, stage);
        stage = stage + 1 == DKV_STAGES ? 0 : stage + 1;
    }

    copy_wait<0>();
    __syncthreads();
    // The second team hands its sums over to the first, whose threads have the same places in the tile, and the first
    // team of every block hands the block's to the first block. The key tiles' memory is left for the staging.
    static_assert(TEAMS == 2, "the sum below is of two teams");
    static_assert(BYTES * 2 * TEAMS * DKV_STAGES >= THREADS * D * 4, "the sums fit into the buffers");
    float4* sums = reinterpret_cast<float4*>(dynamic_shared + 2 * BYTES) + thread;
    const auto hand_over = [&] {
#pragma unroll
        for (int n = 0; n < D / 8; ++n) {
            sums[n * THREADS] = make_float4(acc_k[n][0], acc_k[n][1], acc_k[n][2], acc_k[n][3]);
            sums[(D / 8 + n) * THREADS] = make_float4(acc_v[n][0], acc_v[n][1], acc_v[n][2], acc_v[n][3]);
        }
    };
    if (team == 1) hand_over();
    __syncthreads();
    if (team == 0) {
#pragma unroll
        for (int n = 0; n < D / 8; ++n) {
            add(acc_k[n], sums[n * THREADS]);
            add(acc_v[n], sums[(D / 8 + n) * THREADS]);
        }
        if (rank > 0) hand_over();
    }
#if CLUSTERS
    if (CLUSTER > 1) cluster_barrier();
    if (CLUSTER > 1 && team == 0 && rank == 0) {
        for (int block = 1; block < CLUSTER; ++block) {
            const uint32_t from = shared_address(sums);
#pragma unroll
            for (int n = 0; n < D / 8; ++n) {
                add(acc_k[n], load_of_block(from + n * THREADS * 16, block));
                add(acc_v[n], load_of_block(from + (D / 8 + n) * THREADS * 16, block));
            }
        }
    }
    if (CLUSTER > 1) cluster_barrier();  // No block may end while its memory is read.
#endif
    if (team == 0 && rank == 0) {
        const size_t to = (size_t)(begin + first + warp * 16) * d_kv_stride + kv_head * D;
        store_rows<D>(k_tile + warp * 16 * D * 2, acc_k, scale, scale, d_k + to, d_kv_stride, keys - warp * 16, lane);
        store_rows<D>(v_tile + warp * 16 * D * 2, acc_v, 1.f, 1.f, d_v + to, d_kv_stride, keys - warp * 16, lane);
    }
}

// The kernels for every head size, on the CUDA cores. A warp owns R rows of the block's tile; 32 rows of the other
// side are in shared memory at a time. Lane i first takes row i of those (scores), then columns i, i + 32, ... of the
// head (sums), so R rows share each value read.
//
// Rows in shared memory are row_stride(head_dim) f32 values apart: a multiple of 4 for 16-byte reads, and an odd one
// so that lanes that read different rows use different banks. Columns past the head's are zeros.
constexpr int SIDE = 32;
constexpr int PARTS = 8;  // 32 columns each: head sizes up to 256.

__device__ __forceinline__ int row_stride(int head_dim) { return 4 * (((head_dim + 3) / 4) | 1); }

// f32 values after the last buffer: a lane reads (and never uses) columns past the head's end.
#define ATTENTION_SLACK 32

template <class T, class Offset>
__device__ __forceinline__ void load_rows(float* to, const T* from, Offset offset, int rows, int first, int end, int head_dim, int stride) {
    for (int row = threadIdx.x / 32; row < rows; row += blockDim.x / 32) {
        const bool valid = first + row < end;
        const T* source = from + (valid ? offset(first + row) : 0);
        for (int d = threadIdx.x % 32; d < stride; d += 32) to[row * stride + d] = valid && d < head_dim ? to_f32(source[d]) : 0.f;
    }
}

// acc[r] = rows[r] . other[lane]
template <int R>
__device__ __forceinline__ void dots(float (&acc)[R], const float* rows, const float* other, int head_dim, int stride) {
#pragma unroll
    for (int r = 0; r < R; ++r) acc[r] = 0.f;
    for (int d = 0; d < head_dim; d += 4) {
        const float4 b = *reinterpret_cast<const float4*>(other + d);
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const float4 a = *reinterpret_cast<const float4*>(rows + r * stride + d);
            acc[r] = fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, acc[r]))));
        }
    }
}

// acc[r][..] += sum over i of weights[r] of lane i * other[i][..]
template <int R>
__device__ __forceinline__ void weighted_sums(float (&acc)[R][PARTS], const float (&weights)[R], const float* other, int head_dim, int stride) {
    for (int i = 0; i < SIDE; ++i) {
        float w[R];
#pragma unroll
        for (int r = 0; r < R; ++r) w[r] = __shfl_sync(~0u, weights[r], i);
#pragma unroll
        for (int part = 0; part < PARTS; ++part) {
            if (part * 32 >= head_dim) break;
            const float x = other[i * stride + part * 32 + threadIdx.x % 32];
#pragma unroll
            for (int r = 0; r < R; ++r) acc[r][part] = fmaf(w[r], x, acc[r][part]);
        }
    }
}

template <class T, int R>
__device__ __forceinline__ void write_row(T* to, const float (&acc)[PARTS], float factor, int head_dim) {
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
        const int d = part * 32 + threadIdx.x % 32;
        if (d < head_dim) from_f32(to[d], acc[part] * factor);
    }
}

template <int R>
__device__ __forceinline__ void clear(float (&acc)[R][PARTS]) {
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
        for (int part = 0; part < PARTS; ++part) acc[r][part] = 0.f;
}

constexpr int GENERIC_ROWS = 8;
constexpr int GENERIC_THREADS = TILE / GENERIC_ROWS * 32;

// Dynamic shared memory: ((TILE + 2 * SIDE) * row_stride + ATTENTION_SLACK) * 4 bytes.
template <class T, bool PAGED>
__device__ __forceinline__ void forward_generic(const T* q, const T* k, const T* v, T* out, float* lse, const int* cu_rows, const int* past_len,
                                                const int* block_table, const int2* tiles, int64_t q_stride, int64_t kv_stride, int max_pages,
                                                int heads, int kv_heads, int head_dim, float scale) {
    constexpr int R = GENERIC_ROWS;
    const int lane = threadIdx.x % 32, warp = warp_index();
    const int head = blockIdx.x % heads;
    const int2 tile = tiles[blockIdx.x / heads];
    const int begin = cu_rows[tile.x], len = cu_rows[tile.x + 1] - begin, first = tile.y;
    const int past = PAGED ? past_len[tile.x] : 0;
    const int queries = min(TILE, len - first), keys = past + first + queries;
    const KeyOffset<PAGED> at{PAGED ? block_table + (size_t)tile.x * max_pages : nullptr,
                              PAGED ? (size_t)kv_heads * head_dim : (size_t)kv_stride};
    const size_t head_start = (PAGED ? 0 : (size_t)begin * kv_stride) + (size_t)(head / (heads / kv_heads)) * head_dim;

    const int stride = row_stride(head_dim);
    float* q_rows = reinterpret_cast<float*>(dynamic_shared);
    float* k_rows = q_rows + TILE * stride;
    float* v_rows = k_rows + SIDE * stride;
    load_rows(q_rows, q + (size_t)(begin + first) * q_stride + (size_t)head * head_dim, KeyOffset<false>{nullptr, (size_t)q_stride}, TILE, 0,
              queries, head_dim, stride);

    float acc[R][PARTS], max_score[R], sum[R];
    clear(acc);
#pragma unroll
    for (int r = 0; r < R; ++r) max_score[r] = -INFINITY, sum[r] = 0.f;
    for (int base = 0; base < keys; base += SIDE) {
        __syncthreads();
        load_rows(k_rows, k + head_start, at, SIDE, base, keys, head_dim, stride);
        load_rows(v_rows, v + head_start, at, SIDE, base, keys, head_dim, stride);
        __syncthreads();
        if (base > past + first + warp * R + R - 1) continue;  // None of the warp's queries sees these keys.
        float p[R];
        dots(p, q_rows + warp * R * stride, k_rows + lane * stride, head_dim, stride);
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const bool visible = base + lane <= past + first + warp * R + r;
            const float score = visible ? p[r] * scale : -INFINITY;
            // Finite: key 0 is in the first block and every query sees it.
            const float m = fmaxf(max_score[r], warp_max(score)), correction = expf(max_score[r] - m);
            max_score[r] = m;
            p[r] = visible ? expf(score - m) : 0.f;
            sum[r] = sum[r] * correction + p[r];
#pragma unroll
            for (int part = 0; part < PARTS; ++part) acc[r][part] *= correction;
        }
        weighted_sums(acc, p, v_rows, head_dim, stride);
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
        const float total = warp_sum(sum[r]);
        if (warp * R + r < queries) {
            const size_t at_query = (size_t)(begin + first + warp * R + r) * heads + head;
            write_row<T, R>(out + at_query * head_dim, acc[r], 1.f / total, head_dim);
            if (lse != nullptr && lane == 0) lse[at_query] = max_score[r] + logf(total);
        }
    }
}

// Dynamic shared memory: (2 * (TILE + SIDE) * row_stride + ATTENTION_SLACK) * 4 bytes.
template <class T>
__device__ __forceinline__ void backward_dq_generic(const T* q, const T* k, const T* v, const T* out, const T* d_out, const float* lse,
                                                    float* delta, T* d_q, const int* cu_rows, const int2* tiles, int64_t q_stride,
                                                    int64_t kv_stride, int64_t d_q_stride, int heads, int kv_heads, int head_dim, float scale) {
    constexpr int R = GENERIC_ROWS;
    const int lane = threadIdx.x % 32, warp = warp_index();
    const int head = blockIdx.x % heads;
    const int2 tile = tiles[blockIdx.x / heads];
    const int begin = cu_rows[tile.x], len = cu_rows[tile.x + 1] - begin, first = tile.y;
    const int queries = min(TILE, len - first), keys = first + queries;
    const KeyOffset<false> at{nullptr, (size_t)kv_stride}, out_at{nullptr, (size_t)heads * head_dim};
    const size_t head_start = (size_t)begin * kv_stride + (size_t)(head / (heads / kv_heads)) * head_dim;
    const size_t out_start = ((size_t)(begin + first) * heads + head) * head_dim;

    const int stride = row_stride(head_dim);
    float* q_rows = reinterpret_cast<float*>(dynamic_shared);
    float* d_out_rows = q_rows + TILE * stride;
    float* k_rows = d_out_rows + TILE * stride;
    float* v_rows = k_rows + SIDE * stride;
    load_rows(q_rows, q + (size_t)(begin + first) * q_stride + (size_t)head * head_dim, KeyOffset<false>{nullptr, (size_t)q_stride}, TILE, 0,
              queries, head_dim, stride);
    load_rows(d_out_rows, d_out + out_start, out_at, TILE, 0, queries, head_dim, stride);
    __syncthreads();

    float acc[R][PARTS], row_lse[R], row_delta[R];
    clear(acc);
#pragma unroll
    for (int r = 0; r < R; ++r) {
        const int query = warp * R + r;
        row_lse[r] = row_delta[r] = 0.f;
        if (query < queries) {
            float x = 0.f;
            for (int d = lane; d < head_dim; d += 32) x = fmaf(to_f32(out[out_start + out_at(query) + d]), d_out_rows[query * stride + d], x);
            row_delta[r] = warp_sum(x);
            const size_t at_query = (size_t)(begin + first + query) * heads + head;
            row_lse[r] = lse[at_query];
            if (lane == 0) delta[at_query] = row_delta[r];
        }
    }
    for (int base = 0; base < keys; base += SIDE) {
        __syncthreads();
        load_rows(k_rows, k + head_start, at, SIDE, base, keys, head_dim, stride);
        load_rows(v_rows, v + head_start, at, SIDE, base, keys, head_dim, stride);
        __syncthreads();
        if (base > first + warp * R + R - 1) continue;
        float p[R], d_p[R];
        dots(p, q_rows + warp * R * stride, k_rows + lane * stride, head_dim, stride);
        dots(d_p, d_out_rows + warp * R * stride, v_rows + lane * stride, head_dim, stride);
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const bool visible = base + lane <= first + warp * R + r;
            p[r] = visible ? expf(p[r] * scale - row_lse[r]) * (d_p[r] - row_delta[r]) : 0.f;
        }
        weighted_sums(acc, p, k_rows, head_dim, stride);
    }
#pragma unroll
    for (int r = 0; r < R; ++r)
        if (warp * R + r < queries)
            write_row<T, R>(d_q + (size_t)(begin + first + warp * R + r) * d_q_stride + (size_t)head * head_dim, acc[r], scale, head_dim);
}

constexpr int GENERIC_DKV_ROWS = 4;
constexpr int GENERIC_DKV_THREADS = TILE / GENERIC_DKV_ROWS * 32;

// Dynamic shared memory: (2 * (TILE + SIDE) * row_stride + ATTENTION_SLACK) * 4 bytes.
template <class T>
__device__ __forceinline__ void backward_dkv_generic(const T* q, const T* k, const T* v, const T* d_out, const float* lse, const float* delta,
                                                     T* d_k, T* d_v, const int* cu_rows, const int2* tiles, int64_t q_stride, int64_t kv_stride,
                                                     int64_t d_kv_stride, int heads, int kv_heads, int head_dim, float scale) {
    constexpr int R = GENERIC_DKV_ROWS;
    const int lane = threadIdx.x % 32, warp = warp_index();
    const int kv_head = blockIdx.x % kv_heads, group = heads / kv_heads;
    const int2 tile = tiles[blockIdx.x / kv_heads];
    const int begin = cu_rows[tile.x], len = cu_rows[tile.x + 1] - begin, first = tile.y;
    const int keys = min(TILE, len - first);
    const KeyOffset<false> key_at{nullptr, (size_t)kv_stride}, q_at{nullptr, (size_t)q_stride}, out_at{nullptr, (size_t)heads * head_dim};
    const size_t keys_start = (size_t)(begin + first) * kv_stride + (size_t)kv_head * head_dim;

    const int stride = row_stride(head_dim);
    float* k_rows = reinterpret_cast<float*>(dynamic_shared);
    float* v_rows = k_rows + TILE * stride;
    float* q_rows = v_rows + TILE * stride;
    float* d_out_rows = q_rows + SIDE * stride;
    load_rows(k_rows, k + keys_start, key_at, TILE, 0, keys, head_dim, stride);
    load_rows(v_rows, v + keys_start, key_at, TILE, 0, keys, head_dim, stride);

    float acc_k[R][PARTS], acc_v[R][PARTS];
    clear(acc_k);
    clear(acc_v);
    for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        for (int base = first; base < len; base += SIDE) {
            __syncthreads();
            load_rows(q_rows, q + (size_t)begin * q_stride + (size_t)head * head_dim, q_at, SIDE, base, len, head_dim, stride);
            load_rows(d_out_rows, d_out + ((size_t)begin * heads + head) * head_dim, out_at, SIDE, base, len, head_dim, stride);
            __syncthreads();
            const int query = base + lane;
            const size_t at_query = (size_t)(begin + min(query, len - 1)) * heads + head;
            const float query_lse = lse[at_query], query_delta = delta[at_query];
            float p[R], d_p[R];
            dots(p, k_rows + warp * R * stride, q_rows + lane * stride, head_dim, stride);
            dots(d_p, v_rows + warp * R * stride, d_out_rows + lane * stride, head_dim, stride);
#pragma unroll
            for (int r = 0; r < R; ++r) {
                const bool visible = query < len && query >= first + warp * R + r;
                p[r] = visible ? expf(p[r] * scale - query_lse) : 0.f;
                d_p[r] = p[r] * (d_p[r] - query_delta);
            }
            weighted_sums(acc_v, p, d_out_rows, head_dim, stride);
            weighted_sums(acc_k, d_p, q_rows, head_dim, stride);
        }
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
        if (warp * R + r < keys) {
            const size_t to = (size_t)(begin + first + warp * R + r) * d_kv_stride + (size_t)kv_head * head_dim;
            write_row<T, R>(d_k + to, acc_k[r], scale, head_dim);
            write_row<T, R>(d_v + to, acc_v[r], 1.f, head_dim);
        }
    }
}

// Entry points. Every kernel of a kind has the same arguments; the _d64 and _d128 ones ignore head_dim.
#define FORWARD(NAME, T, THREADS_, BLOCKS_, ...)                                                                                               \
    extern "C" __global__ void __launch_bounds__(THREADS_, BLOCKS_)                                                                            \
        NAME(const T* q, const T* k, const T* v, T* out, float* lse, const int* cu_rows, const int2* tiles, int64_t q_stride,                  \
             int64_t kv_stride, int heads, int kv_heads, int head_dim, float scale) {                                                          \
        __VA_ARGS__;                                                                                                                           \
    }
FORWARD(attention_forward_bf16_d64, bf16, THREADS, FORWARD_BLOCKS,
        forward<64, false>(q, k, v, out, lse, cu_rows, nullptr, nullptr, tiles, q_stride, kv_stride, 0, heads, kv_heads, scale))
FORWARD(attention_forward_bf16_d128, bf16, THREADS, FORWARD_BLOCKS,
        forward<128, false>(q, k, v, out, lse, cu_rows, nullptr, nullptr, tiles, q_stride, kv_stride, 0, heads, kv_heads, scale))
FORWARD(attention_forward_bf16, bf16, GENERIC_THREADS, 1,
        forward_generic<bf16, false>(q, k, v, out, lse, cu_rows, nullptr, nullptr, tiles, q_stride, kv_stride, 0, heads, kv_heads, head_dim, scale))
FORWARD(attention_forward_f32, float, GENERIC_THREADS, 1,
        forward_generic<float, false>(q, k, v, out, lse, cu_rows, nullptr, nullptr, tiles, q_stride, kv_stride, 0, heads, kv_heads, head_dim, scale))

#define FORWARD_PAGED(NAME, T, THREADS_, BLOCKS_, ...)                                                                                         \
    extern "C" __global__ void __launch_bounds__(THREADS_, BLOCKS_)                                                                            \
        NAME(const T* q, const T* k_pages, const T* v_pages, T* out, float* lse, const int* cu_rows, const int* past_len,                      \
             const int* block_table, const int2* tiles, int64_t q_stride, int max_pages, int heads, int kv_heads, int head_dim, float scale) { \
        __VA_ARGS__;                                                                                                                           \
    }
FORWARD_PAGED(attention_forward_paged_bf16_d64, bf16, THREADS, FORWARD_BLOCKS,
              forward<64, true>(q, k_pages, v_pages, out, lse, cu_rows, past_len, block_table, tiles, q_stride, 0, max_pages, heads, kv_heads, scale))
FORWARD_PAGED(attention_forward_paged_bf16_d128, bf16, THREADS, FORWARD_BLOCKS,
              forward<128, true>(q, k_pages, v_pages, out, lse, cu_rows, past_len, block_table, tiles, q_stride, 0, max_pages, heads, kv_heads, scale))
FORWARD_PAGED(attention_forward_paged_bf16, bf16, GENERIC_THREADS, 1,
              forward_generic<bf16, true>(q, k_pages, v_pages, out, lse, cu_rows, past_len, block_table, tiles, q_stride, 0, max_pages, heads,
                                          kv_heads, head_dim, scale))
FORWARD_PAGED(attention_forward_paged_f32, float, GENERIC_THREADS, 1,
              forward_generic<float, true>(q, k_pages, v_pages, out, lse, cu_rows, past_len, block_table, tiles, q_stride, 0, max_pages, heads,
                                           kv_heads, head_dim, scale))

#define BACKWARD_DQ(NAME, T, THREADS_, BLOCKS_, ...)                                                                                           \
    extern "C" __global__ void __launch_bounds__(THREADS_, BLOCKS_)                                                                            \
        NAME(const T* q, const T* k, const T* v, const T* out, const T* d_out, const float* lse, float* delta, T* d_q, const int* cu_rows,     \
             const int2* tiles, int64_t q_stride, int64_t kv_stride, int64_t d_q_stride, int heads, int kv_heads, int head_dim, float scale) { \
        __VA_ARGS__;                                                                                                                           \
    }
BACKWARD_DQ(attention_backward_dq_bf16_d64, bf16, THREADS, DQ_BLOCKS,
            backward_dq<64>(q, k, v, out, d_out, lse, delta, d_q, cu_rows, tiles, q_stride, kv_stride, d_q_stride, heads, kv_heads, scale))
BACKWARD_DQ(attention_backward_dq_bf16_d128, bf16, THREADS, DQ_BLOCKS,
            backward_dq<128>(q, k, v, out, d_out, lse, delta, d_q, cu_rows, tiles, q_stride, kv_stride, d_q_stride, heads, kv_heads, scale))
BACKWARD_DQ(attention_backward_dq_bf16, bf16, GENERIC_THREADS, 1,
            backward_dq_generic<bf16>(q, k, v, out, d_out, lse, delta, d_q, cu_rows, tiles, q_stride, kv_stride, d_q_stride, heads, kv_heads,
                                      head_dim, scale))
BACKWARD_DQ(attention_backward_dq_f32, float, GENERIC_THREADS, 1,
            backward_dq_generic<float>(q, k, v, out, d_out, lse, delta, d_q, cu_rows, tiles, q_stride, kv_stride, d_q_stride, heads, kv_heads,
                                       head_dim, scale))

#define BACKWARD_DKV(NAME, T, THREADS_, CLUSTER_, ...)                                                                                                   \
    extern "C" __global__ void CLUSTER_ __launch_bounds__(THREADS_, 1)                                                                                  \
        NAME(const T* q, const T* k, const T* v, const T* d_out, const float* lse, const float* delta, T* d_k, T* d_v, const int* cu_rows,     \
             const int2* tiles, int64_t q_stride, int64_t kv_stride, int64_t d_kv_stride, int heads, int kv_heads, int head_dim, float scale) {\
        __VA_ARGS__;                                                                                                                           \
    }
BACKWARD_DKV(attention_backward_dkv_bf16_d64, bf16, DKV_THREADS, ,
             backward_dkv<64, 1>(q, k, v, d_out, lse, delta, d_k, d_v, cu_rows, tiles, q_stride, kv_stride, d_kv_stride, heads, kv_heads, scale))
BACKWARD_DKV(attention_backward_dkv_cluster_bf16_d64, bf16, DKV_THREADS, CLUSTER_DIMS,
             backward_dkv<64, ATTENTION_DKV_CLUSTER>(q, k, v, d_out, lse, delta, d_k, d_v, cu_rows, tiles, q_stride, kv_stride, d_kv_stride, heads, kv_heads, scale))
BACKWARD_DKV(attention_backward_dkv_bf16_d128, bf16, DKV_THREADS, ,
             backward_dkv<128, 1>(q, k, v, d_out, lse, delta, d_k, d_v, cu_rows, tiles, q_stride, kv_stride, d_kv_stride, heads, kv_heads, scale))
BACKWARD_DKV(attention_backward_dkv_cluster_bf16_d128, bf16, DKV_THREADS, CLUSTER_DIMS,
             backward_dkv<128, ATTENTION_DKV_CLUSTER>(q, k, v, d_out, lse, delta, d_k, d_v, cu_rows, tiles, q_stride, kv_stride, d_kv_stride, heads, kv_heads, scale))
BACKWARD_DKV(attention_backward_dkv_bf16, bf16, GENERIC_DKV_THREADS, ,
             backward_dkv_generic<bf16>(q, k, v, d_out, lse, delta, d_k, d_v, cu_rows, tiles, q_stride, kv_stride, d_kv_stride, heads, kv_heads,
                                        head_dim, scale))
BACKWARD_DKV(attention_backward_dkv_f32, float, GENERIC_DKV_THREADS, ,
             backward_dkv_generic<float>(q, k, v, d_out, lse, delta, d_k, d_v, cu_rows, tiles, q_stride, kv_stride, d_kv_stride, heads, kv_heads,
                                         head_dim, scale))

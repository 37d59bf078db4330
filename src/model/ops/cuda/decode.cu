// Attention of one new token per row against a paged key/value cache: the decoding step.
//
// The work is reading the cache once, so a block serves all query heads that share a key head: they are the 16 rows
// of an mma operand (Dao et al. 2023, "Flash-Decoding for long-context inference", with the group packed as in
// Ainslie et al. 2023, "GQA"). A row's keys may further be split over blocks; attention_decode_combine then merges
// the parts by their log-sum-exp. Inside a block each warp walks over its own 16-key steps with its own
// asynchronous copies, so warps never wait for each other until the end.
//
// Layout. q: row r, head h at q + r * q_stride + h * head_dim. The cache is [pages, ATTENTION_PAGE, kv_heads *
// head_dim] for each of k and v; token j of row r is in page block_table[r * max_pages + j / ATTENTION_PAGE]. The
// new token's key and value are in the pages already, so row r has past_len[r] + 1 keys. out is [rows, heads *
// head_dim]; lse is [rows, heads], f32, and may be null.
//
// Grid: (rows * kv_heads * ceil(heads / kv_heads / 16), splits), 128 threads. Split s is keys s * split_keys..(s + 1)
// * split_keys; split_keys is a multiple of 16 and splits * split_keys at least the longest row's keys. With one
// split the kernel writes out and lse itself. With more it writes part_out [rows, heads, splits, head_dim] and
// part_lse [rows, heads, splits], both f32, for the combining kernel (grid rows * heads, 128 threads).
//
// The kernels named _d64 and _d128 use tensor cores and need 16-byte aligned pointers and a q_stride that is a
// multiple of 2. The others take any head size up to 256.
//
// Not covered: several query tokens per row (attention_forward_paged_*), head sizes above 256.
#include "attention.cuh"

constexpr int WARPS = 4;
constexpr int THREADS = WARPS * 32;
constexpr int STEP = 16;        // Keys of one step.
constexpr int HEADS_MOST = 16;  // Query heads of one block.

extern __shared__ __align__(1024) unsigned char dynamic_shared[];

// What a block works on.
struct Part {
    int row, kv_head, first_head, heads, begin, end;
};

__device__ __forceinline__ Part part_of_block(const int* past_len, int heads, int kv_heads, int split_keys) {
    const int group = heads / kv_heads, blocks = (group + HEADS_MOST - 1) / HEADS_MOST, unit = blockIdx.x % (kv_heads * blocks);
    Part part;
    part.row = blockIdx.x / (kv_heads * blocks);
    part.kv_head = unit / blocks;
    const int skipped = unit % blocks * HEADS_MOST;
    part.first_head = part.kv_head * group + skipped;
    part.heads = min(HEADS_MOST, group - skipped);
    part.begin = blockIdx.y * split_keys;
    part.end = min(past_len[part.row] + 1, part.begin + split_keys);
    return part;
}

// Dynamic shared memory: WARPS * STAGES * 2 * STEP * D * 2 bytes.
template <int D, int STAGES>
__device__ __forceinline__ void decode(const bf16* q, const bf16* k_pages, const bf16* v_pages, bf16* out, float* lse, float* part_out,
                                       float* part_lse, const int* past_len, const int* block_table, int64_t q_stride, int max_pages,
                                       int split_keys, int heads, int kv_heads, float scale) {
    __shared__ float all_max[WARPS][HEADS_MOST], all_sum[WARPS][HEADS_MOST];
    static_assert(STAGES * 2 * STEP * D * 2 >= HEADS_MOST * D * 4, "a warp's sums fit into its buffers");
    const int lane = threadIdx.x % 32, warp = warp_index(), g = lane >> 2, t = lane & 3;
    const Part part = part_of_block(past_len, heads, kv_heads, split_keys);
    if (part.begin >= part.end) return;
    const int* pages = block_table + (size_t)part.row * max_pages;
    const size_t stride = (size_t)kv_heads * D;
    k_pages += part.kv_head * D;
    v_pages += part.kv_head * D;

    // The warp's steps are warp, warp + WARPS, ... Each lane holds the page of one of the next 32.
    const int all_steps = (part.end - part.begin + STEP - 1) / STEP;
    const int steps = warp < all_steps ? (all_steps - warp + WARPS - 1) / WARPS : 0;
    constexpr int BYTES = STEP * D * 2;
    const uint32_t buffers = shared_address(dynamic_shared) + warp * STAGES * 2 * BYTES;
    int page = 0;
    const auto key_of = [&](int step) { return part.begin + (warp + step * WARPS) * STEP; };
    const auto load_step = [&](int step, int stage) {
        if (step < steps) {
            if (step % 32 == 0) page = step + lane < steps ? pages[key_of(step + lane) / ATTENTION_PAGE] : 0;
            const int key = key_of(step);
            const size_t token = (size_t)__shfl_sync(~0u, page, step % 32) * ATTENTION_PAGE + key % ATTENTION_PAGE;
            const KeyOffset<false> at{nullptr, stride};
            const uint32_t to = buffers + stage * 2 * BYTES;
            load_tile<D, STEP, 32>(to, k_pages + token * stride, at, 0, part.end - key, lane);
            load_tile<D, STEP, 32>(to + BYTES, v_pages + token * stride, at, 0, part.end - key, lane);
        }
        copy_commit();
    };
#pragma unroll
    for (int i = 0; i < STAGES; ++i) load_step(i, i);

    // The group's queries as operand a; rows past the group are zeros.
    uint32_t q_part[D / 16][4];
    q += (size_t)part.row * q_stride + part.first_head * D + t * 2;
#pragma unroll
    for (int s = 0; s < D / 16; ++s)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int head = g + (i & 1) * 8;
            q_part[s][i] = head < part.heads ? *reinterpret_cast<const uint32_t*>(q + head * D + s * 16 + (i >> 1) * 8) : 0u;
        }

    float acc[D / 8][4], max_score[2] = {-INFINITY, -INFINITY}, sum[2] = {0.f, 0.f};
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) acc[n][i] = 0.f;
    const float scale2 = scale * LOG2_E;

    int stage = 0;
    for (int step = 0; step < steps; ++step) {
        copy_wait<STAGES - 1>();
        __syncwarp();
        const uint32_t k_tile = buffers + stage * 2 * BYTES;
        const uint32_t k_columns = lane_address_columns<D>(k_tile, lane), v_rows = lane_address_rows<D>(k_tile + BYTES, lane);
        // Two sums for the even and odd steps of the head dimension, so that the products overlap.
        float s[2][2][4];
#pragma unroll
        for (int i = 0; i < 16; ++i) (&s[0][0][0])[i] = 0.f;
#pragma unroll
        for (int i = 0; i < D / 16; ++i) {
            uint32_t b[4];
            load_matrices(b, k_columns ^ (i << 5));
            mma(s[i & 1][0], q_part[i], b[0], b[1]);
            mma(s[i & 1][1], q_part[i], b[2], b[3]);
        }
        const int valid = part.end - key_of(step);
        uint32_t p[4];
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            float x[4], m = max_score[half];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int n = i >> 1, c = half * 2 + (i & 1);
                x[i] = n * 8 + t * 2 + (i & 1) < valid ? s[0][n][c] + s[1][n][c] : -INFINITY;
                m = fmaxf(m, x[i]);
            }
            m = quad_max(m);  // Finite: a step has at least one key.
            const float correction = exp2_fast((max_score[half] - m) * scale2), offset = m * scale2;
            max_score[half] = m;
            sum[half] *= correction;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                x[i] = exp2_fast(x[i] * scale2 - offset);
                sum[half] += x[i];
            }
            p[half] = pack(x[0], x[1]);
            p[half + 2] = pack(x[2], x[3]);
#pragma unroll
            for (int n = 0; n < D / 8; ++n) {
                acc[n][half * 2] *= correction;
                acc[n][half * 2 + 1] *= correction;
            }
        }
#pragma unroll
        for (int n = 0; n < D / 16; ++n) {
            uint32_t b[4];
            load_matrices_transposed(b, v_rows ^ (n << 5));
            mma(acc[2 * n], p, b[0], b[1]);
            mma(acc[2 * n + 1], p, b[2], b[3]);
        }
        __syncwarp();  // The warp is done with the buffer that is filled next.
        load_step(step + STAGES, stage);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }
    copy_wait<0>();
    __syncwarp();

    // Each warp's sums go into its own buffers, then all threads merge them.
    float* sums = reinterpret_cast<float*>(dynamic_shared);
    constexpr int APART = STAGES * 2 * BYTES / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float total = quad_sum(sum[half]);
        if (t == 0) {
            all_max[warp][g + half * 8] = max_score[half];
            all_sum[warp][g + half * 8] = total;
        }
        if (g + half * 8 < part.heads)
#pragma unroll
            for (int n = 0; n < D / 8; ++n)
                *reinterpret_cast<float2*>(sums + warp * APART + (g + half * 8) * D + n * 8 + t * 2) =
                    make_float2(acc[n][half * 2], acc[n][half * 2 + 1]);
    }
    __syncthreads();
    for (int i = threadIdx.x * 2; i < part.heads * D; i += THREADS * 2) {
        const int head = i / D;
        float m = all_max[0][head];  // Finite: the first warp has a step.
#pragma unroll
        for (int w = 1; w < WARPS; ++w) m = fmaxf(m, all_max[w][head]);
        float total = 0.f, x = 0.f, y = 0.f;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            const float weight = exp2_fast((all_max[w][head] - m) * scale2);
            const float2 value = *reinterpret_cast<const float2*>(sums + w * APART + i);
            total += weight * all_sum[w][head];
            x += weight * value.x;
            y += weight * value.y;
        }
        const float log_sum = m * scale + __logf(total);
        const size_t at = (size_t)part.row * heads + part.first_head + head;
        if (gridDim.y == 1) {
            *reinterpret_cast<uint32_t*>(out + at * D + i % D) = pack(x / total, y / total);
            if (lse != nullptr && i % D == 0) lse[at] = log_sum;
        } else {
            const size_t at_part = at * gridDim.y + blockIdx.y;
            *reinterpret_cast<float2*>(part_out + at_part * D + i % D) = make_float2(x / total, y / total);
            if (i % D == 0) part_lse[at_part] = log_sum;
        }
    }
}

// For every head size. A warp takes four keys at a time, its lanes the head's columns. No dynamic shared memory.
constexpr int PARTS = 8;  // 32 columns each: head sizes up to 256.

template <class T>
__device__ __forceinline__ void decode_generic(const T* q, const T* k_pages, const T* v_pages, T* out, float* lse, float* part_out,
                                               float* part_lse, const int* past_len, const int* block_table, int64_t q_stride, int max_pages,
                                               int split_keys, int heads, int kv_heads, int head_dim, float scale) {
    __shared__ float all_max[WARPS], all_sum[WARPS], sums[WARPS][PARTS * 32];
    constexpr int KEYS = 4;
    const int lane = threadIdx.x % 32, warp = warp_index();
    const Part part = part_of_block(past_len, heads, kv_heads, split_keys);
    if (part.begin >= part.end) return;
    const KeyOffset<true> at{block_table + (size_t)part.row * max_pages, (size_t)kv_heads * head_dim};
    k_pages += part.kv_head * head_dim;
    v_pages += part.kv_head * head_dim;
    for (int head = part.first_head; head < part.first_head + part.heads; ++head) {
        float query[PARTS], acc[PARTS], max_score = -INFINITY, sum = 0.f;
#pragma unroll
        for (int i = 0; i < PARTS; ++i) {
            const int d = i * 32 + lane;
            query[i] = d < head_dim ? to_f32(q[(size_t)part.row * q_stride + (size_t)head * head_dim + d]) : 0.f;
            acc[i] = 0.f;
        }
        for (int base = part.begin + warp * KEYS; base < part.end; base += WARPS * KEYS) {
            float score[KEYS], m = max_score;
            size_t from[KEYS];
#pragma unroll
            for (int j = 0; j < KEYS; ++j) {
                from[j] = at(min(base + j, part.end - 1)) + lane;
                float x = 0.f;
#pragma unroll
                for (int i = 0; i < PARTS; ++i)
                    if (i * 32 + lane < head_dim) x = fmaf(query[i], to_f32(k_pages[from[j] + i * 32]), x);
                score[j] = base + j < part.end ? warp_sum(x) * scale : -INFINITY;
                m = fmaxf(m, score[j]);
            }
            const float correction = expf(max_score - m);  // m is finite: the first of the keys exists.
            max_score = m;
            sum *= correction;
#pragma unroll
            for (int i = 0; i < PARTS; ++i) acc[i] *= correction;
#pragma unroll
            for (int j = 0; j < KEYS; ++j) {
                const float p = expf(score[j] - m);
                sum += p;
#pragma unroll
                for (int i = 0; i < PARTS; ++i)
                    if (i * 32 + lane < head_dim) acc[i] = fmaf(p, to_f32(v_pages[from[j] + i * 32]), acc[i]);
            }
        }
        __syncthreads();  // Everyone is done with the sums of the head before.
        if (lane == 0) {
            all_max[warp] = max_score;
            all_sum[warp] = sum;
        }
#pragma unroll
        for (int i = 0; i < PARTS; ++i) sums[warp][i * 32 + lane] = acc[i];
        __syncthreads();
        float m = all_max[0];
        for (int w = 1; w < WARPS; ++w) m = fmaxf(m, all_max[w]);
        float weights[WARPS], total = 0.f;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) {
            weights[w] = expf(all_max[w] - m);
            total += weights[w] * all_sum[w];
        }
        const size_t at_head = (size_t)part.row * heads + head, at_part = at_head * gridDim.y + blockIdx.y;
        for (int d = threadIdx.x; d < head_dim; d += THREADS) {
            float x = 0.f;
#pragma unroll
            for (int w = 0; w < WARPS; ++w) x += weights[w] * sums[w][d];
            if (gridDim.y == 1)
                from_f32(out[at_head * head_dim + d], x / total);
            else
                part_out[at_part * head_dim + d] = x / total;
        }
        if (threadIdx.x == 0) {
            const float log_sum = m + logf(total);
            if (gridDim.y > 1)
                part_lse[at_part] = log_sum;
            else if (lse != nullptr)
                lse[at_head] = log_sum;
        }
    }
}

template <class T>
__device__ __forceinline__ void combine(const float* part_out, const float* part_lse, T* out, float* lse, const int* past_len, int split_keys,
                                        int splits, int heads, int head_dim) {
    const size_t at = blockIdx.x;
    const int used = min(splits, (past_len[blockIdx.x / heads] + split_keys) / split_keys);  // Of the row's past + 1 keys.
    part_out += at * splits * head_dim;
    part_lse += at * splits;
    float m = part_lse[0];
    for (int i = 1; i < used; ++i) m = fmaxf(m, part_lse[i]);
    float total = 0.f;
    for (int i = 0; i < used; ++i) total += expf(part_lse[i] - m);
    for (int d = threadIdx.x; d < head_dim; d += THREADS) {
        float x = 0.f;
        for (int i = 0; i < used; ++i) x = fmaf(expf(part_lse[i] - m), part_out[(size_t)i * head_dim + d], x);
        from_f32(out[at * head_dim + d], x / total);
    }
    if (lse != nullptr && threadIdx.x == 0) lse[at] = m + logf(total);
}

#define DECODE(NAME, T, ...)                                                                                                                   \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                                                      \
        NAME(const T* q, const T* k_pages, const T* v_pages, T* out, float* lse, float* part_out, float* part_lse, const int* past_len,        \
             const int* block_table, int64_t q_stride, int max_pages, int split_keys, int heads, int kv_heads, int head_dim, float scale) {    \
        __VA_ARGS__;                                                                                                                           \
    }
#ifndef DECODE_STAGES_D128
#define DECODE_STAGES_D128 3
#endif
#ifndef DECODE_STAGES_D64
#define DECODE_STAGES_D64 3
#endif
DECODE(attention_decode_bf16_d64, bf16,
       decode<64, DECODE_STAGES_D64>(q, k_pages, v_pages, out, lse, part_out, part_lse, past_len, block_table, q_stride, max_pages, split_keys,
                                     heads, kv_heads, scale))
DECODE(attention_decode_bf16_d128, bf16,
       decode<128, DECODE_STAGES_D128>(q, k_pages, v_pages, out, lse, part_out, part_lse, past_len, block_table, q_stride, max_pages, split_keys,
                                       heads, kv_heads, scale))
DECODE(attention_decode_bf16, bf16,
       decode_generic<bf16>(q, k_pages, v_pages, out, lse, part_out, part_lse, past_len, block_table, q_stride, max_pages, split_keys, heads, kv_heads,
                            head_dim, scale))
DECODE(attention_decode_f32, float,
       decode_generic<float>(q, k_pages, v_pages, out, lse, part_out, part_lse, past_len, block_table, q_stride, max_pages, split_keys, heads, kv_heads,
                             head_dim, scale))

#define COMBINE(NAME, T)                                                                                                                       \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                                                      \
        NAME(const float* part_out, const float* part_lse, T* out, float* lse, const int* past_len, int split_keys, int splits, int heads,     \
             int head_dim) {                                                                                                                   \
        combine<T>(part_out, part_lse, out, lse, past_len, split_keys, splits, heads, head_dim);                                               \
    }
COMBINE(attention_decode_combine_bf16, bf16)
COMBINE(attention_decode_combine_f32, float)

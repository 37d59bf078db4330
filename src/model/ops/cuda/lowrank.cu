// Low-rank updates of several adapters in one batch: y += s (x A^T) B^T, where each token names its adapter, or none.
//
// Three shapes of work make up forward and backward (Hu et al. 2021; several adapters in one batch: Chen et al. 2023,
// "Punica"; Sheng et al. 2023, "S-LoRA"):
//   down:  h[t, r] = s * sum_k x[t, k] P[r, k]        x A^T in the forward pass, d_y B in the backward pass
//   up:    y[t, j] += sum_r h[t, r] P[r, j]           (x A^T) B^T in the forward pass, (d_y B) A in the backward pass
//   outer: d_P[r, j] = sum_t h[t, r] x[t, j]          the gradients of A and of B
// A rank is so small that each of them is limited by reading x or y once, not by arithmetic; general matrix products are
// poor at it. Modules that read the same x (q, k and v; gate and up) share one launch.
//
// Dropout zeroes elements of x on the way into A: one bit an element, made by dropout.cu; a null pointer is no dropout.
// Every sum has a fixed order, so results repeat.
#include "common.cuh"

// One adapter's pair at one module. Rows are padded with zeros to a multiple of 8. A null pointer: not adapted.
struct Pair {
  const void* a;    // [rank, in]
  const void* b_t;  // [rank, out]
  int rank;
  float scale;
};

// Where the modules of one launch lie: columns of x or y, and their dropout bits.
struct Columns {
  int offset[3];
  int width[3];
  long long bits[3];
};

template <typename T> __device__ __forceinline__ const T* factor(const Pair& pair, bool transposed_b) {
  return reinterpret_cast<const T*>(transposed_b ? pair.b_t : pair.a);
}

// Zeroes the dropped of eight elements that begin at column `at`, a multiple of 8.
__device__ __forceinline__ void drop(float (&v)[8], const uint32_t* bits, int at, float keep) {
  const uint32_t eight = bits[at >> 5] >> (at & 31);
#pragma unroll
  for (int j = 0; j < 8; j++) v[j] = (eight >> j) & 1u ? v[j] * keep : 0.f;
}

#define DOWN_TOKENS 4
#define DOWN_WARPS 16

template <typename T, int TOKENS>
__device__ __forceinline__ void down_sums(const T* const (&x)[TOKENS], const T* p, int width, const uint32_t* const (&bits)[TOKENS],
                                          float keep, float (&sums)[TOKENS][8]) {
#pragma unroll
  for (int t = 0; t < TOKENS; t++)
#pragma unroll
    for (int r = 0; r < 8; r++) sums[t][r] = 0.f;
  for (int k = threadIdx.x * 8; k < width; k += blockDim.x * 8) {
    float v[TOKENS][8], w[8];
#pragma unroll
    for (int t = 0; t < TOKENS; t++) {
      load8(x[t] + k, v[t]);
      if (bits[t]) drop(v[t], bits[t], k, keep);
    }
#pragma unroll
    for (int r = 0; r < 8; r++) {
      load8(p + (size_t)r * width + k, w);
#pragma unroll
      for (int t = 0; t < TOKENS; t++)
#pragma unroll
        for (int j = 0; j < 8; j++) sums[t][r] = fmaf(v[t][j], w[j], sums[t][r]);
    }
  }
}

// Adds the threads' sums and writes TOKENS x 8 results.
template <int TOKENS>
__device__ __forceinline__ void down_write(float (&sums)[TOKENS][8], float* shared, float* const (&h)[TOKENS], float scale) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
#pragma unroll
  for (int t = 0; t < TOKENS; t++)
#pragma unroll
    for (int r = 0; r < 8; r++) {
      const float sum = warp_sum(sums[t][r]);
      if (lane == 0) shared[(warp * TOKENS + t) * 8 + r] = sum;
    }
  __syncthreads();
  if (threadIdx.x < TOKENS * 8) {
    float total = 0.f;
    for (int w = 0; w < warps; w++) total += shared[w * TOKENS * 8 + threadIdx.x];
    float* target = h[threadIdx.x / 8];
    if (target) target[threadIdx.x % 8] = total * scale;
  }
  __syncthreads();
}

// grid (ceil(tokens / 4), modules), block up to 512: many threads a token where tokens are few. h: [tokens, modules, rank], f32; `rank` is the largest of all adapters.
template <typename T>
__device__ __forceinline__ void lowrank_down(const T* x, int stride, int tokens, const int* through, const Pair* pairs, int adapters,
                                             const Columns& columns, bool transposed_b, const uint32_t* bits, float keep, float* h, int rank) {
  __shared__ float shared[DOWN_WARPS * DOWN_TOKENS * 8];
  const int module = blockIdx.y, modules = gridDim.y, first = blockIdx.x * DOWN_TOKENS, width = columns.width[module];
  const int count = min(DOWN_TOKENS, tokens - first);
  const int words = (width + 31) / 32;
  const T* rows[DOWN_TOKENS];
  const uint32_t* row_bits[DOWN_TOKENS];
  float* out[DOWN_TOKENS];
  int adapter[DOWN_TOKENS];
  bool uniform = true;
#pragma unroll
  for (int t = 0; t < DOWN_TOKENS; t++) {
    const int token = first + min(t, count - 1);
    rows[t] = x + (size_t)token * stride + columns.offset[module];
    row_bits[t] = bits ? bits + columns.bits[module] + (size_t)token * words : nullptr;
    out[t] = t < count ? h + ((size_t)token * modules + module) * rank : nullptr;
    adapter[t] = through[token];
    uniform &= adapter[t] == adapter[0];
  }
  // Ranks beyond an adapter's own, and tokens without an adapter, are zero.
  for (int t = 0; t < count; t++) {
    const int own = through[first + t];
    const Pair* pair = own < 0 ? nullptr : pairs + module * adapters + own;
    const int begin = pair && pair->a ? pair->rank : 0;
    for (int r = begin + threadIdx.x; r < rank; r += blockDim.x) h[((size_t)(first + t) * modules + module) * rank + r] = 0.f;
  }
  if (uniform) {
    if (adapter[0] < 0) return;
    const Pair pair = pairs[module * adapters + adapter[0]];
    if (!pair.a) return;
    float sums[DOWN_TOKENS][8];
    for (int r = 0; r < pair.rank; r += 8) {
      down_sums<T, DOWN_TOKENS>(rows, factor<T>(pair, transposed_b) + (size_t)r * width, width, row_bits, keep, sums);
      float* const at[DOWN_TOKENS] = {out[0] + r, out[1] ? out[1] + r : nullptr, out[2] ? out[2] + r : nullptr,
                                      out[3] ? out[3] + r : nullptr};
      down_write<DOWN_TOKENS>(sums, shared, at, pair.scale);
    }
    return;
  }
  for (int token = first; token < first + count; token++) {
    const int own = through[token];
    if (own < 0) continue;
    const Pair pair = pairs[module * adapters + own];
    if (!pair.a) continue;
    const T* const row[1] = {x + (size_t)token * stride + columns.offset[module]};
    const uint32_t* const own_bits[1] = {bits ? bits + columns.bits[module] + (size_t)token * words : nullptr};
    float sums[1][8];
    for (int r = 0; r < pair.rank; r += 8) {
      down_sums<T, 1>(row, factor<T>(pair, transposed_b) + (size_t)r * width, width, own_bits, keep, sums);
      float* const at[1] = {h + ((size_t)token * modules + module) * rank + r};
      down_write<1>(sums, shared, at, pair.scale);
    }
  }
}

#define UP_TOKENS 4

// grid (ceil(tokens / 4), ceil(width / 2048), modules or 1), block 256. In place on y. With `joint`, all modules add to
// the same columns (a gradient of their common input); else each to its own.
template <typename T>
__device__ __forceinline__ void lowrank_up(T* y, int stride, int tokens, const int* through, const Pair* pairs, int adapters, int modules,
                                           const Columns& columns, bool transposed_b, bool joint, const uint32_t* bits, float keep,
                                           const float* h, int rank) {
  const int first = blockIdx.x * UP_TOKENS, count = min(UP_TOKENS, tokens - first);
  const int width = columns.width[joint ? 0 : blockIdx.z], at = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
  if (at >= width) return;
  const int words = (width + 31) / 32;
  int adapter[UP_TOKENS];
  bool uniform = true, any = false;
#pragma unroll
  for (int t = 0; t < UP_TOKENS; t++) {
    adapter[t] = through[first + min(t, count - 1)];
    uniform &= adapter[t] == adapter[0];
    any |= adapter[t] >= 0;
  }
  if (!any) return;
  T* target = y + (size_t)first * stride + columns.offset[joint ? 0 : blockIdx.z] + at;
  const int begin = joint ? 0 : blockIdx.z, end = joint ? modules : blockIdx.z + 1;
  if (uniform) {
    float sums[UP_TOKENS][8], w[8];
#pragma unroll
    for (int t = 0; t < UP_TOKENS; t++)
#pragma unroll
      for (int j = 0; j < 8; j++) sums[t][j] = 0.f;
    for (int module = begin; module < end; module++) {
      const Pair pair = pairs[module * adapters + adapter[0]];
      if (!pair.a) continue;
      const T* p = factor<T>(pair, transposed_b) + at;
      uint32_t kept[UP_TOKENS];
#pragma unroll
      for (int t = 0; t < UP_TOKENS; t++) {
        const int token = first + min(t, count - 1);
        kept[t] = bits ? bits[columns.bits[module] + (size_t)token * words + (at >> 5)] >> (at & 31) : 0xffu;
      }
      const float factor_kept = bits ? keep : 1.f;
      // Ranks are padded to multiples of 8: several factor rows are on their way at a time.
#pragma unroll 4
      for (int r = 0; r < pair.rank; r++) {
        load8(p + (size_t)r * width, w);
#pragma unroll
        for (int t = 0; t < UP_TOKENS; t++) {
          const float own = h[((size_t)(first + min(t, count - 1)) * modules + module) * rank + r] * factor_kept;
#pragma unroll
          for (int j = 0; j < 8; j++)
            if ((kept[t] >> j) & 1u) sums[t][j] = fmaf(own, w[j], sums[t][j]);
        }
      }
    }
#pragma unroll
    for (int t = 0; t < UP_TOKENS; t++) {
      if (t >= count) break;
      load8(target + (size_t)t * stride, w);
#pragma unroll
      for (int j = 0; j < 8; j++) w[j] += sums[t][j];
      store8(target + (size_t)t * stride, w);
    }
    return;
  }
  for (int t = 0; t < count; t++) {
    const int own_adapter = through[first + t];
    if (own_adapter < 0) continue;
    float sums[8] = {}, w[8];
    for (int module = begin; module < end; module++) {
      const Pair pair = pairs[module * adapters + own_adapter];
      if (!pair.a) continue;
      const T* p = factor<T>(pair, transposed_b) + at;
      const uint32_t kept = bits ? bits[columns.bits[module] + (size_t)(first + t) * words + (at >> 5)] >> (at & 31) : 0xffu;
      const float factor_kept = bits ? keep : 1.f;
      for (int r = 0; r < pair.rank; r++) {
        load8(p + (size_t)r * width, w);
        const float own = h[((size_t)(first + t) * modules + module) * rank + r] * factor_kept;
#pragma unroll
        for (int j = 0; j < 8; j++)
          if ((kept >> j) & 1u) sums[j] = fmaf(own, w[j], sums[j]);
      }
    }
    load8(target + (size_t)t * stride, w);
#pragma unroll
    for (int j = 0; j < 8; j++) w[j] += sums[j];
    store8(target + (size_t)t * stride, w);
  }
}

#define OUTER_TOKENS 32

// grid (ceil(width / 256), splits, adapters * modules * rank / 8), block 128. Tokens of adapter a are ranges[a]..ranges[a+1].
// parts: [adapters * modules * rank / 8, splits, 8, width], width the largest of the modules.
template <typename T>
__device__ __forceinline__ void lowrank_outer(const float* h, int rank, const T* x, int stride, const int* ranges, int modules,
                                              const Columns& columns, int widest, const uint32_t* bits, float keep, float* parts) {
  __shared__ float own[OUTER_TOKENS][8];
  const int tiles = rank / 8, tile = blockIdx.z % tiles, module = blockIdx.z / tiles % modules, adapter = blockIdx.z / tiles / modules;
  const int width = columns.width[module], words = (width + 31) / 32;
  const int start = ranges[adapter], share = (ranges[adapter + 1] - start + gridDim.y - 1) / gridDim.y;
  const int begin = start + blockIdx.y * share, end = min(begin + share, ranges[adapter + 1]);
  const int at = (blockIdx.x * blockDim.x + threadIdx.x) * 2;
  float sums[8][2] = {};
  for (int token = begin; token < end; token += OUTER_TOKENS) {
    __syncthreads();
    for (int i = threadIdx.x; i < OUTER_TOKENS * 8; i += blockDim.x) {
      const int t = token + i / 8;
      own[i / 8][i % 8] = t < end ? h[((size_t)t * modules + module) * rank + tile * 8 + i % 8] : 0.f;
    }
    __syncthreads();
    if (at >= width) continue;
    const int count = min(OUTER_TOKENS, end - token);
    for (int i = 0; i < count; i++) {
      const T* row = x + (size_t)(token + i) * stride + columns.offset[module] + at;
      float a, b;
      if (sizeof(T) == 2) {
        const uint32_t pair = *reinterpret_cast<const uint32_t*>(row);
        a = __uint_as_float(pair << 16);
        b = __uint_as_float(pair & 0xffff0000u);
      } else {
        a = to_float(row[0]);
        b = to_float(row[1]);
      }
      if (bits) {
        const uint32_t two = bits[columns.bits[module] + (size_t)(token + i) * words + (at >> 5)] >> (at & 31);
        a = two & 1u ? a * keep : 0.f;
        b = two & 2u ? b * keep : 0.f;
      }
#pragma unroll
      for (int r = 0; r < 8; r++) {
        sums[r][0] = fmaf(own[i][r], a, sums[r][0]);
        sums[r][1] = fmaf(own[i][r], b, sums[r][1]);
      }
    }
  }
  if (at >= width) return;
  float* out = parts + ((size_t)blockIdx.z * gridDim.y + blockIdx.y) * 8 * widest + at;
#pragma unroll
  for (int r = 0; r < 8; r++) *reinterpret_cast<float2*>(out + (size_t)r * widest) = make_float2(sums[r][0], sums[r][1]);
}

// Adds the splits of one pair's gradient. d: [rank, width], or [width, rank] where `transposed`; `rank` is the true one,
// `tiles` that of the padded. grid ceil(rank * width / 256), block 256.
extern "C" __global__ void lowrank_outer_sum(const float* parts, int first_tile, int splits, int widest, int rank, int width,
                                             int transposed, float* d) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rank * width) return;
  const int r = i / width, at = i % width;
  const float* p = parts + ((size_t)(first_tile + r / 8) * splits * 8 + r % 8) * widest + at;
  float sum = 0.f;
  for (int s = 0; s < splits; s++) sum += p[(size_t)s * 8 * widest];
  d[transposed ? (size_t)at * rank + r : (size_t)i] = sum;
}

// What is to be copied into the padded, possibly transposed form that the kernels read.
struct Copy {
  const float* from;
  void* to;
  int rank;    // of the adapter
  int padded;  // rows of the copy
  int width;
  int transposed;  // from is [width, rank]
};

// grid (blocks, copies), block 256.
template <typename T> __device__ __forceinline__ void lowrank_copy(const Copy* copies) {
  const Copy copy = copies[blockIdx.y];
  T* to = reinterpret_cast<T*>(copy.to);
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < copy.padded * copy.width; i += gridDim.x * blockDim.x) {
    const int r = i / copy.width, at = i % copy.width;
    const float x = r >= copy.rank ? 0.f : copy.transposed ? copy.from[(size_t)at * copy.rank + r] : copy.from[i];
    to[i] = from_float<T>(x);
  }
}

#define KERNELS(T, NAME)                                                                                                       \
  extern "C" __global__ void __launch_bounds__(512) lowrank_down_##NAME(                                                       \
      const T* x, int stride, int tokens, const int* through, const Pair* pairs, int adapters, const __grid_constant__ Columns columns,                \
      int transposed_b, const uint32_t* bits, float keep, float* h, int rank) {                                                \
    lowrank_down(x, stride, tokens, through, pairs, adapters, columns, transposed_b != 0, bits, keep, h, rank);                \
  }                                                                                                                            \
  extern "C" __global__ void __launch_bounds__(256) lowrank_up_##NAME(                                                         \
      T* y, int stride, int tokens, const int* through, const Pair* pairs, int adapters, int modules, const __grid_constant__ Columns columns,         \
      int transposed_b, int joint, const uint32_t* bits, float keep, const float* h, int rank) {                               \
    lowrank_up(y, stride, tokens, through, pairs, adapters, modules, columns, transposed_b != 0, joint != 0, bits, keep, h,    \
               rank);                                                                                                          \
  }                                                                                                                            \
  extern "C" __global__ void __launch_bounds__(128) lowrank_outer_##NAME(                                                      \
      const float* h, int rank, const T* x, int stride, const int* ranges, int modules, const __grid_constant__ Columns columns, int widest,           \
      const uint32_t* bits, float keep, float* parts) {                                                                        \
    lowrank_outer(h, rank, x, stride, ranges, modules, columns, widest, bits, keep, parts);                                    \
  }                                                                                                                            \
  extern "C" __global__ void lowrank_copy_##NAME(const Copy* copies) { lowrank_copy<T>(copies); }
KERNELS(float, f32)
KERNELS(bf16, bf16)

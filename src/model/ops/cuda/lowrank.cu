// Low-rank updates of several adapters in one batch: y += s (x A^T) B^T, where each token names its adapter, or none.
//
// Three shapes of work make up forward and backward (Hu et al. 2021; several adapters in one batch: Chen et al. 2023,
// "Punica"; Sheng et al. 2023, "S-LoRA"):
//   down:  h[t, r] = s * sum_k x[t, k] P[r, k]        x A^T in the forward pass, d_y B in the backward pass
//   up:    y[t, j] += sum_r h[t, r] P[r, j]           (x A^T) B^T in the forward pass, (d_y B) A in the backward pass
//   outer: d_P[r, j] = sum_t h[t, r] x[t, j]          the gradients of A and of B
// A rank is so small that each of them is limited by reading x or y once, not by arithmetic; general matrix products are
// poor at it. Modules that read the same x (q, k and v; gate and up) share one launch. The sum of `down` is split over
// blocks where tokens are few, and whoever reads h adds the parts: [splits, tokens, modules, rank]. The update of gate and
// up is not added here but in swiglu.cu, which reads them anyway.
//
// Dropout zeroes elements of x on the way into A: one bit an element, made by dropout.cu; a null pointer is no dropout.
// Every sum has a fixed order, so results repeat.
#include "lowrank.cuh"

// Where the modules of one launch lie: columns of x or y, and their dropout bits.
struct Columns {
  int offset[3];
  int width[3];
  long long bits[3];
};

// The dropout bits of eight elements that begin at `at`, a multiple of 8.
__device__ __forceinline__ uint32_t eight_bits(const uint32_t* bits, int at) { return (bits[at >> 5] >> (at & 31)) & 0xffu; }

// d += rows g and g + 8 of x times row g of the factor, over the 32 elements that a group of four threads has.
__device__ __forceinline__ void multiply(float (&d)[4], const Eight<bf16>& upper, const Eight<bf16>& lower, const Eight<bf16>& p) {
  mma_bf16(d, upper.words.x, lower.words.x, upper.words.y, lower.words.y, p.words.x, p.words.y);
  mma_bf16(d, upper.words.z, lower.words.z, upper.words.w, lower.words.w, p.words.z, p.words.w);
}
__device__ __forceinline__ void multiply(float (&d)[4], const Eight<float>& upper, const Eight<float>& lower, const Eight<float>& p) {
#pragma unroll
  for (int j = 0; j < 8; j += 2) {
    const float a[4] = {upper.v[j], lower.v[j], upper.v[j + 1], lower.v[j + 1]}, b[2] = {p.v[j], p.v[j + 1]};
    uint32_t high[4], low[4];
    split(a, high, low);
    mma_f32<float>(d, high, low, b);
  }
}

#define DOWN_WARPS 8
// Factor rows, in eights, that are summed in one reading of x.
#define DOWN_EIGHTS 2

// grid (ceil(tokens / 16), modules, splits), block 256. h: [splits, tokens, modules, rank], f32; `rank` is the largest of
// all adapters.
template <typename T>
__device__ __forceinline__ void lowrank_down(const T* x, int stride, int tokens, const AdapterSet& set, const Columns& columns,
                                             bool transposed_b, const uint32_t* bits, float keep, float* h, int rank) {
  __shared__ float parts[DOWN_WARPS][DOWN_EIGHTS][TILE_TOKENS][8];
  const int module = blockIdx.y, modules = gridDim.y, first = blockIdx.x * TILE_TOKENS, width = columns.width[module];
  const int count = min(TILE_TOKENS, tokens - first), words = (width + 31) / 32;
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane / 4, c = lane % 4;
  h += ((size_t)blockIdx.z * tokens + first) * modules * rank + (size_t)module * rank;
  // Rows past the end are read as the last one, and not written.
  const int rows[2] = {first + min(g, count - 1), first + min(g + 8, count - 1)};
  const T* upper = x + (size_t)rows[0] * stride + columns.offset[module] + 8 * c;
  const T* lower = x + (size_t)rows[1] * stride + columns.offset[module] + 8 * c;
  const uint32_t* of_module = bits ? bits + columns.bits[module] : nullptr;
  // 32 elements at a time.
  const int begin = (int)((long long)words * blockIdx.z / gridDim.z), end = (int)((long long)words * (blockIdx.z + 1) / gridDim.z);
  uint32_t pending = adapted(set, first, count);
  while (pending) {
    int adapter;
    const uint32_t members = fellows(set, first, pending, adapter);
    pending &= ~members;
    const Pair pair = set.pairs[module * set.adapters + adapter];
    if (!pair.a) continue;
    for (int r = 0; r < pair.rank; r += 8 * DOWN_EIGHTS) {
      const T* p = factor<T>(pair, transposed_b) + (size_t)(r + g) * width + 8 * c;
      float sums[DOWN_EIGHTS][4] = {};
#pragma unroll 4
      for (int word = begin + warp; word < end; word += DOWN_WARPS) {
        const int at = 32 * word;
        const bool inside = at + 8 * c < width;
        Eight<T> above, below, own;
        above.load(upper + at, inside);
        below.load(lower + at, inside);
        if (of_module) {
          above.drop(of_module[(size_t)rows[0] * words + word] >> (8 * c));
          below.drop(of_module[(size_t)rows[1] * words + word] >> (8 * c));
        }
#pragma unroll
        for (int e = 0; e < DOWN_EIGHTS; e++) {
          if (r + 8 * e >= pair.rank) break;
          own.load(p + (size_t)8 * e * width + at, inside);
          multiply(sums[e], above, below, own);
        }
      }
#pragma unroll
      for (int e = 0; e < DOWN_EIGHTS; e++)
#pragma unroll
        for (int i = 0; i < 4; i++) parts[warp][e][g + 8 * (i / 2)][2 * c + i % 2] = sums[e][i];
      __syncthreads();
      for (int i = threadIdx.x; i < DOWN_EIGHTS * TILE_TOKENS * 8; i += blockDim.x) {
        const int e = i / (TILE_TOKENS * 8), token = i / 8 % TILE_TOKENS, n = r + 8 * e + i % 8;
        if (n >= pair.rank || !((members >> token) & 1u)) continue;
        float total = 0.f;
#pragma unroll
        for (int w = 0; w < DOWN_WARPS; w++) total += parts[w][e][token][i % 8];
        h[(size_t)token * modules * rank + n] = total * pair.scale * keep;
      }
      __syncthreads();
    }
  }
  // Ranks beyond an adapter's own, and tokens without an adapter, are zero.
  for (int i = threadIdx.x; i < count * rank; i += blockDim.x) {
    const int token = i / rank, own = set.through[first + token];
    const Pair* pair = own < 0 ? nullptr : set.pairs + module * set.adapters + own;
    if (i % rank >= (pair && pair->a ? pair->rank : 0)) h[(size_t)token * modules * rank + i % rank] = 0.f;
  }
}

// grid (ceil(tokens / 16), ceil(width / 256), modules or 1), block 256, shared memory for the staged tile. In place on y, to
// which `added`, where it is not null, is added too. With `joint`, all modules add to the same columns (a gradient of their
// common input); else each to its own.
template <typename T>
__device__ __forceinline__ void lowrank_up(T* __restrict__ y, int stride, const T* __restrict__ added, const AdapterSet& set,
                                           const Columns& columns, bool transposed_b, bool joint, const uint32_t* bits, float keep,
                                           const Reduced& reduced) {
  extern __shared__ float staged[];
  const int first = blockIdx.x * TILE_TOKENS, count = min(TILE_TOKENS, reduced.tokens - first);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane / 4, c = lane % 4;
  const int width = columns.width[joint ? 0 : blockIdx.z], warps = blockDim.x / 32;
  if (blockIdx.y * warps * TILE_COLUMNS >= width) return;
  const int begin = joint ? 0 : blockIdx.z, end = joint ? reduced.modules : blockIdx.z + 1, words = (width + 31) / 32;
  const int at = (blockIdx.y * warps + warp) * TILE_COLUMNS, column = at + 8 * c;
  // What the tile is added to is on its way while the sums are made.
  T* target = y + (size_t)first * stride + columns.offset[joint ? 0 : blockIdx.z] + column;
  Eight<T> before[2], more[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const bool inside = g + 8 * half < count && column < width;
    before[half].load(target + (size_t)(g + 8 * half) * stride, inside);
    more[half].load(added + (target - y) + (size_t)(g + 8 * half) * stride, inside && added);
  }
  const uint32_t pending = adapted(set, first, count);
  stage(staged, reduced, begin, end, first, count);
  __syncthreads();
  if (at >= width || !(pending || added)) return;
  float sums[2][8] = {};
  for (int module = begin; module < end; module++) {
    float own[4][4] = {};
    const float* tile = staged + (module - begin) * TILE_TOKENS * staged_stride(reduced.rank);
    update_tile<T>(own, set, module, transposed_b, width, at, tile, reduced.rank, first, pending);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int token = g + 8 * half;
      if (token >= count || column >= width) continue;
      float row[8];
      tile_row(own, half, row);
      const uint32_t kept = bits ? eight_bits(bits + columns.bits[module] + (size_t)(first + token) * words, column) : 0xffu;
#pragma unroll
      for (int i = 0; i < 8; i++)
        if ((kept >> i) & 1u) sums[half][i] += row[i];
    }
  }
#pragma unroll
  for (int half = 0; half < 2; half++) {
    if (g + 8 * half >= count || column >= width) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) sums[half][i] = fmaf(sums[half][i], keep, before[half].at(i)) + more[half].at(i);
    store8(target + (size_t)(g + 8 * half) * stride, sums[half]);
  }
}

#define OUTER_TOKENS 32
// Columns of a warp.
#define OUTER_COLUMNS 128

// grid (ceil(width / 512), splits, adapters * modules * rank / 8), block 128. Tokens of adapter a are ranges[a]..ranges[a+1].
// parts: [adapters * modules * rank / 8, splits, 8, width], width the largest of the modules.
//
// The product's rows are columns of x: row g of fragment i is column 8 g + i, row g + 8 is column 64 + 8 g + i.
template <typename T>
__device__ __forceinline__ void lowrank_outer(const Reduced& reduced, const T* x, int stride, const int* ranges, const Columns& columns,
                                              int widest, const uint32_t* bits, float keep, float* parts) {
  __shared__ float staged[OUTER_TOKENS][8];
  const int modules = reduced.modules, tiles = reduced.rank / 8;
  const int tile = blockIdx.z % tiles, module = blockIdx.z / tiles % modules, adapter = blockIdx.z / tiles / modules;
  const int width = columns.width[module], words = (width + 31) / 32;
  const int start = ranges[adapter], share = (ranges[adapter + 1] - start + gridDim.y - 1) / gridDim.y;
  const int begin = start + blockIdx.y * share, end = min(begin + share, ranges[adapter + 1]);
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane / 4, c = lane % 4;
  const int at = (blockIdx.x * (blockDim.x / 32) + warp) * OUTER_COLUMNS + 8 * g;
  float sums[8][4] = {};
  for (int token = begin; token < end; token += OUTER_TOKENS) {
    __syncthreads();
    for (int i = threadIdx.x; i < OUTER_TOKENS * 8; i += blockDim.x) {
      const int t = token + i / 8;
      staged[i / 8][i % 8] = t < end ? reduced.sum(t, module, tile * 8 + i % 8) : 0.f;
    }
    __syncthreads();
#pragma unroll
    for (int step = 0; step < OUTER_TOKENS; step += 8) {
      // [token c or c + 4][columns at.. or at + 64..]
      float v[2][2][8];
#pragma unroll
      for (int later = 0; later < 2; later++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int t = token + step + c + 4 * later, column = at + 64 * half;
          if (t < end && column < width) {
            load8(x + (size_t)t * stride + columns.offset[module] + column, v[later][half]);
            if (bits) {
              const uint32_t kept = eight_bits(bits + columns.bits[module] + (size_t)t * words, column);
#pragma unroll
              for (int i = 0; i < 8; i++) v[later][half][i] = (kept >> i) & 1u ? v[later][half][i] : 0.f;
            }
          } else {
#pragma unroll
            for (int i = 0; i < 8; i++) v[later][half][i] = 0.f;
          }
        }
      const float own[2] = {staged[step + c][g], staged[step + c + 4][g]};
      uint32_t high[2], low[2];
      split(own, high, low);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const float a[4] = {v[0][0][i], v[0][1][i], v[1][0][i], v[1][1][i]};
        uint32_t a_high[4], a_low[4];
        if constexpr (sizeof(T) == 2) {
#pragma unroll
          for (int j = 0; j < 4; j++) a_high[j] = __float_as_uint(a[j]);
        } else {
          split(a, a_high, a_low);
          mma_tf32(sums[i], a_low, high[0], high[1]);
        }
        mma_tf32(sums[i], a_high, low[0], low[1]);
        mma_tf32(sums[i], a_high, high[0], high[1]);
      }
    }
  }
  float* out = parts + ((size_t)blockIdx.z * gridDim.y + blockIdx.y) * 8 * widest;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int column = at + 64 * half;
    if (column >= width) continue;
#pragma unroll
    for (int next = 0; next < 2; next++) {
      float v[8];
#pragma unroll
      for (int i = 0; i < 8; i++) v[i] = sums[i][2 * half + next] * keep;
      store8(out + (size_t)(2 * c + next) * widest + column, v);
    }
  }
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

#define KERNELS(T, NAME)                                                                                                      \
  extern "C" __global__ void __launch_bounds__(256) lowrank_down_##NAME(                                                      \
      const T* x, int stride, int tokens, const __grid_constant__ AdapterSet set, const __grid_constant__ Columns columns,    \
      int transposed_b, const uint32_t* bits, float keep, float* h, int rank) {                                               \
    lowrank_down(x, stride, tokens, set, columns, transposed_b != 0, bits, keep, h, rank);                                    \
  }                                                                                                                           \
  extern "C" __global__ void __launch_bounds__(256, 3) lowrank_up_##NAME(                                                        \
      T* y, int stride, const T* added, const __grid_constant__ AdapterSet set, const __grid_constant__ Columns columns,      \
      int transposed_b, int joint, const uint32_t* bits, float keep, const __grid_constant__ Reduced reduced) {               \
    lowrank_up(y, stride, added, set, columns, transposed_b != 0, joint != 0, bits, keep, reduced);                                  \
  }                                                                                                                           \
  extern "C" __global__ void __launch_bounds__(128) lowrank_outer_##NAME(                                                     \
      const __grid_constant__ Reduced reduced, const T* x, int stride, const int* ranges,                                     \
      const __grid_constant__ Columns columns, int widest, const uint32_t* bits, float keep, float* parts) {                  \
    lowrank_outer(reduced, x, stride, ranges, columns, widest, bits, keep, parts);                                            \
  }                                                                                                                           \
  extern "C" __global__ void lowrank_copy_##NAME(const Copy* copies) { lowrank_copy<T>(copies); }
KERNELS(float, f32)
KERNELS(bf16, bf16)

// A low-rank update in tiles of 16 tokens, on tensor cores: what lowrank.cu and swiglu.cu share.
//
// mma.m16n8k8 in tf32 (PTX ISA, "Warp-level matrix fragments"). A thread of group g = lane / 4 and place c = lane % 4 has
// rows g and g + 8 of a product. Which column or which element of the sum stands where in a fragment is free as long as
// both factors agree, and is chosen so that every thread reads eight neighbours of a row at once.
//
// f32 factors are split into two tf32 numbers each, whose three larger products give f32's precision; a bf16 number is a
// tf32 number already.
#pragma once
#include "common.cuh"

#define TILE_TOKENS 16
// Columns of a warp's tile.
#define TILE_COLUMNS 32

// One adapter's pair at one module. Rows are padded with zeros to a multiple of 8. A null pointer: not adapted.
struct Pair {
  const void* a;    // [rank, in]
  const void* b_t;  // [rank, out]
  int rank;
  float scale;
};

template <typename T> __device__ __forceinline__ const T* factor(const Pair& pair, bool transposed_b) {
  return reinterpret_cast<const T*>(transposed_b ? pair.b_t : pair.a);
}

// What a launch needs to know of the adapters of its tokens.
struct AdapterSet {
  const int* through;  // one adapter a token, -1 for none
  const Pair* pairs;   // [modules, adapters]
  int adapters;
};

// The reduced inputs, s x A^T: [splits, tokens, modules, rank], f32. The sum over splits counts.
struct Reduced {
  const float* h;
  int splits;
  int tokens;
  int modules;
  int rank;

  // Eight loads are on their way at a time.
  __device__ __forceinline__ float sum(int token, int module, int r) const {
    const float* at = h + ((size_t)token * modules + module) * rank + r;
    const size_t step = (size_t)tokens * modules * rank;
    float total = 0.f;
    for (int first = 0; first < splits; first += 8) {
      float v[8];
#pragma unroll
      for (int i = 0; i < 8; i++) v[i] = first + i < splits ? at[(first + i) * step] : 0.f;
#pragma unroll
      for (int i = 0; i < 8; i++) total += v[i];
    }
    return total;
  }
};

// Eight neighbours of a row as they lie in memory: fragments of a product over the row, or numbers that wait.
template <typename T> struct Eight;

template <> struct Eight<bf16> {
  uint4 words;
  __device__ __forceinline__ void load(const bf16* p, bool inside) {
    words = inside ? *reinterpret_cast<const uint4*>(p) : make_uint4(0u, 0u, 0u, 0u);
  }
  __device__ __forceinline__ float at(int i) const {
    const uint32_t word = i < 2 ? words.x : i < 4 ? words.y : i < 6 ? words.z : words.w;
    return __uint_as_float(i % 2 ? word & 0xffff0000u : word << 16);
  }
  static __device__ __forceinline__ uint32_t kept(uint32_t pair, uint32_t two) {
    return pair & ((two & 1u ? 0xffffu : 0u) | (two & 2u ? 0xffff0000u : 0u));
  }
  __device__ __forceinline__ void drop(uint32_t bits) {
    words.x = kept(words.x, bits);
    words.y = kept(words.y, bits >> 2);
    words.z = kept(words.z, bits >> 4);
    words.w = kept(words.w, bits >> 6);
  }
};

template <> struct Eight<float> {
  float v[8];
  __device__ __forceinline__ float at(int i) const { return v[i]; }
  __device__ __forceinline__ void load(const float* p, bool inside) {
    if (inside) {
      load8(p, v);
    } else {
#pragma unroll
      for (int j = 0; j < 8; j++) v[j] = 0.f;
    }
  }
  __device__ __forceinline__ void drop(uint32_t bits) {
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = (bits >> j) & 1u ? v[j] : 0.f;
  }
};

__device__ __forceinline__ uint32_t tf32(float x) {
  uint32_t y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  return y;
}

__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void mma_bf16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// An f32 factor of a product as two tf32 numbers.
template <int N> __device__ __forceinline__ void split(const float (&x)[N], uint32_t (&high)[N], uint32_t (&low)[N]) {
#pragma unroll
  for (int i = 0; i < N; i++) {
    high[i] = tf32(x[i]);
    low[i] = tf32(x[i] - __uint_as_float(high[i]));
  }
}

// d += a b, where b's numbers are of type T.
template <typename T>
__device__ __forceinline__ void mma_f32(float (&d)[4], const uint32_t (&a_high)[4], const uint32_t (&a_low)[4], const float (&b)[2]) {
  if constexpr (sizeof(T) == 2) {
    mma_tf32(d, a_high, __float_as_uint(b[0]), __float_as_uint(b[1]));
  } else {
    uint32_t high[2], low[2];
    split(b, high, low);
    mma_tf32(d, a_low, high[0], high[1]);
    mma_tf32(d, a_high, low[0], low[1]);
    mma_tf32(d, a_high, high[0], high[1]);
  }
}

// Row length of reduced inputs in shared memory: with four more, no two threads of a warp meet in a bank.
__device__ __forceinline__ int staged_stride(int rank) { return rank + 4; }

// Copies the reduced inputs of a tile to shared memory: [modules of begin..end, 16, staged_stride(rank)]. Eight threads a
// row.
__device__ __forceinline__ void stage(float* staged, const Reduced& reduced, int begin, int end, int first, int count) {
  for (int row = threadIdx.x / 8; row < (end - begin) * TILE_TOKENS; row += blockDim.x / 8) {
    const int token = row % TILE_TOKENS;
    for (int r = threadIdx.x % 8; r < reduced.rank; r += 8)
      staged[row * staged_stride(reduced.rank) + r] = token < count ? reduced.sum(first + token, begin + row / TILE_TOKENS, r) : 0.f;
  }
}

// Tokens of a tile that go through an adapter, a bit each.
__device__ __forceinline__ uint32_t adapted(const AdapterSet& set, int first, int count) {
  const int lane = threadIdx.x & 31;
  return __ballot_sync(0xffffffffu, lane < count && set.through[first + lane] >= 0);
}

// Those of them that go through the same adapter as the first of them.
__device__ __forceinline__ uint32_t fellows(const AdapterSet& set, int first, uint32_t pending, int& adapter) {
  const int lane = threadIdx.x & 31;
  adapter = set.through[first + __ffs(pending) - 1];
  return __ballot_sync(0xffffffffu, ((pending >> lane) & 1u) && set.through[first + lane] == adapter);
}

// Four neighbours as floats.
__device__ __forceinline__ void load4(const float* p, float (&v)[4]) {
  const float4 a = *reinterpret_cast<const float4*>(p);
  v[0] = a.x; v[1] = a.y; v[2] = a.z; v[3] = a.w;
}
__device__ __forceinline__ void load4(const bf16* p, float (&v)[4]) {
  const uint2 raw = *reinterpret_cast<const uint2*>(p);
  v[0] = __uint_as_float(raw.x << 16);
  v[1] = __uint_as_float(raw.x & 0xffff0000u);
  v[2] = __uint_as_float(raw.y << 16);
  v[3] = __uint_as_float(raw.y & 0xffff0000u);
}

// Adds one module's update through one adapter to a warp's tile of 16 tokens and 32 columns that begin at `at`. Rows that
// are not `members` get nothing.
//
// Column n of fragment i is column 4 n + i of the tile, so that sums[i % 4][2 * half + i / 4] is row g + 8 * half, column
// 8 c + i: see `tile_row`.
template <typename T>
__device__ __forceinline__ void update_tile(float (&sums)[4][4], const Pair& pair, bool transposed_b, int width, int at,
                                            const float* staged, int stride, uint32_t members) {
  const int lane = threadIdx.x & 31, g = lane / 4, c = lane % 4;
  const bool upper = (members >> g) & 1u, lower = (members >> (g + 8)) & 1u, inside = at + 4 * g < width;
  const T* p = factor<T>(pair, transposed_b) + at + 4 * g;
  for (int r = 0; r < pair.rank; r += 8) {
    float near[4] = {}, far[4] = {};
    if (inside) {
      load4(p + (size_t)(r + c) * width, near);
      load4(p + (size_t)(r + c + 4) * width, far);
    }
    const float* h = staged + r + c;
    const float a[4] = {upper ? h[g * stride] : 0.f, lower ? h[(g + 8) * stride] : 0.f, upper ? h[g * stride + 4] : 0.f,
                        lower ? h[(g + 8) * stride + 4] : 0.f};
    uint32_t high[4], low[4];
    split(a, high, low);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const float b[2] = {near[i], far[i]};
      mma_f32<T>(sums[i], high, low, b);
    }
  }
}

// The eight neighbours, from column 8 c on, that this thread has of row g + 8 * half.
__device__ __forceinline__ void tile_row(const float (&sums)[4][4], int half, float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = sums[i % 4][2 * half + i / 4];
}

// Adds a module's updates through all adapters of a tile's tokens.
template <typename T>
__device__ __forceinline__ void update_tile(float (&sums)[4][4], const AdapterSet& set, int module, bool transposed_b, int width, int at,
                                            const float* staged, int rank, int first, uint32_t pending) {
  while (pending) {
    int adapter;
    const uint32_t members = fellows(set, first, pending, adapter);
    const Pair pair = set.pairs[module * set.adapters + adapter];
    if (pair.a) update_tile<T>(sums, pair, transposed_b, width, at, staged, staged_stride(rank), members);
    pending &= ~members;
  }
}

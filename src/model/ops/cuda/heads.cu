// What happens to the joint projection of queries, keys and values: biases, rotary positions, and the copy of keys and
// values into the pages of a cache. In place on [tokens, (q_heads + 2 kv_heads) * head_dim]. Backward: the inverse turn.
//
// Su et al. 2021, half-split layout; the tables of cosines and sines are f32.
#include "common.cuh"

// Tokens of one page of a cache.
#define PAGE 16

template <typename T>
__device__ __forceinline__ void finish_heads(T* __restrict__ qkv, const T* bias, const float* cos, const float* sin, const uint32_t* positions,
                                             int q_heads, int kv_heads, int head_dim, float sign, T* __restrict__ k_pages, T* __restrict__ v_pages,
                                             const uint32_t* slots) {
  const int half = head_dim / 2, width = (q_heads + 2 * kv_heads) * head_dim, kv_width = kv_heads * head_dim;
  T* row = qkv + (size_t)blockIdx.x * width;
  const size_t slot = k_pages ? (size_t)slots[blockIdx.x] * kv_width : 0;
  const float* c = cos + (size_t)positions[blockIdx.x] * half;
  const float* s = sin + (size_t)positions[blockIdx.x] * half;
  const int turned = (q_heads + kv_heads) * half;
  // Elements of different iterations are different, so several are on their way at a time.
#pragma unroll 4
  for (int i = threadIdx.x; i < turned; i += blockDim.x) {
    const int head = i / half, at = i % half, first = head * head_dim + at, second = first + half;
    float x0 = to_float(row[first]), x1 = to_float(row[second]);
    if (bias) {
      x0 += to_float(bias[first]);
      x1 += to_float(bias[second]);
    }
    const float cosine = c[at], sine = s[at] * sign;
    const T y0 = from_float<T>(x0 * cosine - x1 * sine), y1 = from_float<T>(x1 * cosine + x0 * sine);
    row[first] = y0;
    row[second] = y1;
    if (k_pages && head >= q_heads) {
      const size_t to = slot + (size_t)(head - q_heads) * head_dim + at;
      k_pages[to] = y0;
      k_pages[to + half] = y1;
    }
  }
  if (!bias && !k_pages) return;
  const int v_start = (q_heads + kv_heads) * head_dim;
  for (int i = threadIdx.x; i < kv_width; i += blockDim.x) {
    float x = to_float(row[v_start + i]);
    if (bias) {
      x += to_float(bias[v_start + i]);
      row[v_start + i] = from_float<T>(x);
    }
    if (k_pages) v_pages[slot + i] = from_float<T>(x);
  }
}

#define KERNELS(T, NAME)                                                                                                  \
  extern "C" __global__ void finish_heads_##NAME(T* qkv, const T* bias, const float* cos, const float* sin,               \
                                                 const uint32_t* positions, int q_heads, int kv_heads, int head_dim,      \
                                                 float sign, T* k_pages, T* v_pages, const uint32_t* slots) {             \
    finish_heads(qkv, bias, cos, sin, positions, q_heads, kv_heads, head_dim, sign, k_pages, v_pages, slots);             \
  }
KERNELS(float, f32)
KERNELS(bf16, bf16)

// Copies whole pages of one layer's keys and values: a row that goes on from another's half-full page takes its own copy.
template <typename T>
__device__ __forceinline__ void copy_pages(T* k_pages, T* v_pages, const uint32_t* from, const uint32_t* to, int page_width) {
  const size_t source = (size_t)from[blockIdx.x] * page_width, target = (size_t)to[blockIdx.x] * page_width;
  float v[8];
  for (int i = threadIdx.x * 8; i < page_width; i += blockDim.x * 8) {
    load8(k_pages + source + i, v);
    store8(k_pages + target + i, v);
    load8(v_pages + source + i, v);
    store8(v_pages + target + i, v);
  }
}
extern "C" __global__ void copy_pages_f32(float* k, float* v, const uint32_t* from, const uint32_t* to, int page_width) {
  copy_pages(k, v, from, to, page_width);
}
extern "C" __global__ void copy_pages_bf16(bf16* k, bf16* v, const uint32_t* from, const uint32_t* to, int page_width) {
  copy_pages(k, v, from, to, page_width);
}

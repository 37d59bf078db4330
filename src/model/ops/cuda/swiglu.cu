// The gate of the feed-forward block over the joint projection [tokens, 2 * width], gate first: silu(gate) * up.
//
// Shazeer 2020. The low-rank updates of gate and up are added on the way, so that the projection is not read and written
// once more for them. The backward leaves d_gate and d_up where gate and up were, and gives the activation again, which the
// gradient of the next low-rank update needs.
#include "lowrank.cuh"

// Tiles that a warp works on one after the other, so that the updates are staged once for all of them.
#define WARP_TILES 2

// grid (ceil(width / 512), ceil(tokens / 16)), block 256. Calls `work` with gate, up, and their place in a row of the
// result, for eight neighbours at a time.
template <typename T, typename Work>
__device__ __forceinline__ void updated(const T* __restrict__ gate_up, int width, const AdapterSet& set, const Reduced& reduced, Work work) {
  extern __shared__ float staged[];
  const int first = blockIdx.y * TILE_TOKENS, count = min(TILE_TOKENS, reduced.tokens - first);
  const int lane = threadIdx.x & 31, warps = blockDim.x / 32, g = lane / 4, c = lane % 4;
  int at = (blockIdx.x * WARP_TILES * warps + (threadIdx.x >> 5)) * TILE_COLUMNS;
  uint32_t pending = 0u;
  if (reduced.h) {
    pending = adapted(set, first, count);
    stage(staged, reduced, 0, 2, first, count);
    __syncthreads();
  }
#pragma unroll 1
  for (int tile = 0; tile < WARP_TILES && at < width; tile++, at += warps * TILE_COLUMNS) {
    const int column = at + 8 * c;
    // Gate and up are on their way while the updates are made.
    Eight<T> gates[2], ups[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const bool inside = g + 8 * half < count && column < width;
      const T* row = gate_up + (size_t)(first + g + 8 * half) * 2 * width + column;
      gates[half].load(row, inside);
      ups[half].load(row + width, inside);
    }
    float gate_sums[4][4] = {}, up_sums[4][4] = {};
    const float* staged_up = staged + TILE_TOKENS * staged_stride(reduced.rank);
    update_tile<T>(gate_sums, set, 0, true, width, at, staged, reduced.rank, first, pending);
    update_tile<T>(up_sums, set, 1, true, width, at, staged_up, reduced.rank, first, pending);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      if (g + 8 * half >= count || column >= width) continue;
      float gate[8], up[8];
      tile_row(gate_sums, half, gate);
      tile_row(up_sums, half, up);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        gate[i] += gates[half].at(i);
        up[i] += ups[half].at(i);
      }
      work(gate, up, first + g + 8 * half, column);
    }
  }
}

template <typename T>
__device__ __forceinline__ void swiglu(const T* gate_up, T* y, int width, const AdapterSet& set, const Reduced& reduced) {
  updated(gate_up, width, set, reduced, [=](float (&gate)[8], float (&up)[8], int token, int column) {
#pragma unroll
    for (int i = 0; i < 8; i++) gate[i] = __fdividef(gate[i], 1.f + __expf(-gate[i])) * up[i];
    store8(y + (size_t)token * width + column, gate);
  });
}

template <typename T>
__device__ __forceinline__ void swiglu_backward(T* gate_up, const T* d_y, T* y, int width, const AdapterSet& set, const Reduced& reduced) {
  updated(gate_up, width, set, reduced, [=](float (&gate)[8], float (&up)[8], int token, int column) {
    T* row = gate_up + (size_t)token * 2 * width + column;
    const size_t at = (size_t)token * width + column;
    float d[8], activated[8];
    load8(d_y + at, d);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      const float s = __fdividef(1.f, 1.f + __expf(-gate[i])), gated = gate[i] * s;
      activated[i] = gated * up[i];
      const float d_gate = d[i] * up[i] * s * (1.f + gate[i] * (1.f - s));
      up[i] = d[i] * gated;
      gate[i] = d_gate;
    }
    store8(row, gate);
    store8(row + width, up);
    store8(y + at, activated);
  });
}

#define KERNELS(T, NAME)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(256, 3) swiglu_##NAME(const T* gate_up, T* y, int width,                            \
                                                                  const __grid_constant__ AdapterSet set,                       \
                                                                  const __grid_constant__ Reduced reduced) {                    \
    swiglu(gate_up, y, width, set, reduced);                                                                                    \
  }                                                                                                                             \
  extern "C" __global__ void __launch_bounds__(256, 3) swiglu_backward_##NAME(T* gate_up, const T* d_y, T* y, int width,           \
                                                                           const __grid_constant__ AdapterSet set,              \
                                                                           const __grid_constant__ Reduced reduced) {           \
    swiglu_backward(gate_up, d_y, y, width, set, reduced);                                                                      \
  }
KERNELS(float, f32)
KERNELS(bf16, bf16)

// The gate of the feed-forward block over the joint projection [tokens, 2 * width], gate first: silu(gate) * up.
//
// Shazeer 2020. The backward leaves d_gate and d_up where gate and up were, and gives the activation again, which the
// gradient of the next low-rank update needs.
#include "common.cuh"

template <typename T> __device__ __forceinline__ void swiglu(const T* gate_up, T* y, int width) {
  const int i = (blockIdx.x * blockDim.x + threadIdx.x) * 8;
  if (i >= width) return;
  const T* row = gate_up + (size_t)blockIdx.y * 2 * width;
  float g[8], u[8];
  load8(row + i, g);
  load8(row + width + i, u);
#pragma unroll
  for (int j = 0; j < 8; j++) g[j] = g[j] / (1.f + __expf(-g[j])) * u[j];
  store8(y + (size_t)blockIdx.y * width + i, g);
}

template <typename T> __device__ __forceinline__ void swiglu_backward(T* gate_up, const T* d_y, T* y, int width) {
  const int i = (blockIdx.x * blockDim.x + threadIdx.x) * 8;
  if (i >= width) return;
  T* row = gate_up + (size_t)blockIdx.y * 2 * width;
  const size_t at = (size_t)blockIdx.y * width + i;
  float g[8], u[8], d[8], a[8];
  load8(row + i, g);
  load8(row + width + i, u);
  load8(d_y + at, d);
#pragma unroll
  for (int j = 0; j < 8; j++) {
    const float s = 1.f / (1.f + __expf(-g[j])), gated = g[j] * s;
    a[j] = gated * u[j];
    const float d_gate = d[j] * u[j] * s * (1.f + g[j] * (1.f - s));
    u[j] = d[j] * gated;
    g[j] = d_gate;
  }
  store8(row + i, g);
  store8(row + width + i, u);
  if (y) store8(y + at, a);
}

#define KERNELS(T, NAME)                                                                                     \
  extern "C" __global__ void swiglu_##NAME(const T* gate_up, T* y, int width) { swiglu(gate_up, y, width); } \
  extern "C" __global__ void swiglu_backward_##NAME(T* gate_up, const T* d_y, T* y, int width) {             \
    swiglu_backward(gate_up, d_y, y, width);                                                                 \
  }
KERNELS(float, f32)
KERNELS(bf16, bf16)

// Root-mean-square normalisation, alone or together with the residual addition before it, and its backward.
//
// Zhang and Sennrich 2019. One block a row; the row is read twice, the second time from cache.
#include "common.cuh"

template <typename T>
__device__ __forceinline__ void rms_norm(const T* x, const T* weight, T* y, int width, float eps) {
  const T* row = x + (size_t)blockIdx.x * width;
  float squares = 0.f, v[8], w[8];
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(row + i, v);
#pragma unroll
    for (int j = 0; j < 8; j++) squares += v[j] * v[j];
  }
  const float inverse = rsqrtf(block_sum(squares) / width + eps);
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(row + i, v);
    load8(weight + i, w);
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = v[j] * inverse * w[j];
    store8(y + (size_t)blockIdx.x * width + i, v);
  }
}

// sum = x + added; y = norm(sum).
template <typename T>
__device__ __forceinline__ void add_rms_norm(const T* x, const T* added, const T* weight, T* sum, T* y, int width, float eps) {
  const size_t at = (size_t)blockIdx.x * width;
  float squares = 0.f, v[8], a[8];
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(x + at + i, v);
    load8(added + at + i, a);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      // The sum is rounded to the tensor's type first: the norm is of what the next layer sees.
      v[j] = to_float(from_float<T>(v[j] + a[j]));
      squares += v[j] * v[j];
    }
    store8(sum + at + i, v);
  }
  const float inverse = rsqrtf(block_sum(squares) / width + eps);
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(sum + at + i, v);
    load8(weight + i, a);
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = v[j] * inverse * a[j];
    store8(y + at + i, v);
  }
}

// d_x = d_residual (where there is one) + the norm's gradient at x.
template <typename T>
__device__ __forceinline__ void rms_norm_backward(const T* x, const T* weight, const T* d_y, const T* d_residual, T* d_x, int width, float eps) {
  const size_t at = (size_t)blockIdx.x * width;
  float squares = 0.f, along = 0.f, v[8], w[8], d[8], r[8];
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(x + at + i, v);
    load8(weight + i, w);
    load8(d_y + at + i, d);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      squares += v[j] * v[j];
      along += v[j] * w[j] * d[j];
    }
  }
  const float inverse = rsqrtf(block_sum(squares) / width + eps);
  const float projection = block_sum(along) / width * inverse * inverse * inverse;
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(x + at + i, v);
    load8(weight + i, w);
    load8(d_y + at + i, d);
    if (d_residual) {
      load8(d_residual + at + i, r);
    } else {
#pragma unroll
      for (int j = 0; j < 8; j++) r[j] = 0.f;
    }
#pragma unroll
    for (int j = 0; j < 8; j++) r[j] += w[j] * d[j] * inverse - projection * v[j];
    store8(d_x + at + i, r);
  }
}

#define KERNELS(T, NAME)                                                                                                  \
  extern "C" __global__ void rms_norm_##NAME(const T* x, const T* weight, T* y, int width, float eps) {                   \
    rms_norm(x, weight, y, width, eps);                                                                                   \
  }                                                                                                                       \
  extern "C" __global__ void add_rms_norm_##NAME(const T* x, const T* added, const T* weight, T* sum, T* y, int width,    \
                                                 float eps) {                                                             \
    add_rms_norm(x, added, weight, sum, y, width, eps);                                                                   \
  }                                                                                                                       \
  extern "C" __global__ void rms_norm_backward_##NAME(const T* x, const T* weight, const T* d_y, const T* d_residual,     \
                                                      T* d_x, int width, float eps) {                                     \
    rms_norm_backward(x, weight, d_y, d_residual, d_x, width, eps);                                                       \
  }
KERNELS(float, f32)
KERNELS(bf16, bf16)

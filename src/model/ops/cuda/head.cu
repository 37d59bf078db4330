// Over rows of logits as wide as the vocabulary: cross-entropy with its gradient, log-probabilities of given tokens, the
// most probable token; and the way of chosen rows back into a batch. One block a row.
#include "common.cuh"

struct Best {
  float value;
  int index;
};

// The larger value, ties to the lower index.
__device__ __forceinline__ Best better(Best a, Best b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

__device__ __forceinline__ Best block_best(Best x) {
  __shared__ Best parts[32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
  for (int offset = 16; offset > 0; offset >>= 1)
    x = better(x, Best{__shfl_xor_sync(0xffffffffu, x.value, offset), __shfl_xor_sync(0xffffffffu, x.index, offset)});
  __syncthreads();
  if (lane == 0) parts[warp] = x;
  __syncthreads();
  x = lane < warps ? parts[lane] : Best{-INFINITY, 0x7fffffff};
  for (int offset = 16; offset > 0; offset >>= 1)
    x = better(x, Best{__shfl_xor_sync(0xffffffffu, x.value, offset), __shfl_xor_sync(0xffffffffu, x.index, offset)});
  return x;
}

// Calls `f` with every element of a row and its index; eight neighbours at a time where rows begin on 8 elements.
template <typename T, typename F> __device__ __forceinline__ void each(const T* row, int width, F f) {
  if (width % 8) {
    for (int i = threadIdx.x; i < width; i += blockDim.x) f(to_float(row[i]), i);
    return;
  }
  float v[8];
#pragma unroll 2
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(row + i, v);
#pragma unroll
    for (int j = 0; j < 8; j++) f(v[j], i + j);
  }
}

// Largest element with its index, and the sum of exponentials relative to it. NaN anywhere makes the sum NaN.
template <typename T> __device__ __forceinline__ Best row_best(const T* row, int width, float& sum) {
  Best best{-INFINITY, 0x7fffffff};
  float own = 0.f;
  each(row, width, [&](float x, int i) {
    if (x > best.value) {
      own = own * __expf(best.value - x) + 1.f;
      best = Best{x, i};
    } else {
      own += isfinite(x) || x == -INFINITY ? __expf(x - best.value) : NAN;
    }
  });
  const Best all = block_best(best);
  sum = block_sum(best.value == -INFINITY ? own : own * __expf(best.value - all.value));
  return all;
}

// Loss and hit of each row; the logits become scale * (softmax - one_hot).
template <typename T>
__device__ __forceinline__ void cross_entropy(T* logits, const uint32_t* targets, const float* scales, float* losses, uint32_t* hits,
                                              int width) {
  T* row = logits + (size_t)blockIdx.x * width;
  const int target = targets[blockIdx.x];
  const float of_target = to_float(row[target]), scale = scales[blockIdx.x];
  float sum;
  const Best best = row_best(row, width, sum);
  if (threadIdx.x == 0) {
    losses[blockIdx.x] = best.value + logf(sum) - of_target;
    hits[blockIdx.x] = best.index == target;
  }
  const float factor = scale / sum;
  __syncthreads();
  for (int i = threadIdx.x; i < width; i += blockDim.x) {
    const float p = __expf(to_float(row[i]) - best.value) * factor;
    row[i] = from_float<T>(i == target ? p - scale : p);
  }
}

template <typename T> __device__ __forceinline__ void log_probabilities(const T* logits, const uint32_t* targets, float* out, int width) {
  const T* row = logits + (size_t)blockIdx.x * width;
  float sum;
  const Best best = row_best(row, width, sum);
  if (threadIdx.x == 0) out[blockIdx.x] = to_float(row[targets[blockIdx.x]]) - best.value - logf(sum);
}

// The most probable token, ties to the lowest id; 0xffffffff where a logit is not finite.
template <typename T> __device__ __forceinline__ void most_probable(const T* logits, uint32_t* out, int width) {
  const T* row = logits + (size_t)blockIdx.x * width;
  Best best{-INFINITY, 0x7fffffff};
  // x - x is 0, or NaN for what is not finite.
  float broken = 0.f;
  each(row, width, [&](float x, int i) {
    broken += x - x;
    if (x > best.value) best = Best{x, i};
  });
  best = block_best(best);
  broken = block_sum(broken);
  if (threadIdx.x == 0) out[blockIdx.x] = broken != 0.f ? 0xffffffffu : (uint32_t)best.index;
}

// target[index[i]] = source[i] for whole rows; indices are distinct.
template <typename T> __device__ __forceinline__ void scatter_rows(const T* source, const uint32_t* index, T* target, int width) {
  float v[8];
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(source + (size_t)blockIdx.x * width + i, v);
    store8(target + (size_t)index[blockIdx.x] * width + i, v);
  }
}

// out[i] = source[index[i]] for whole rows.
template <typename T> __device__ __forceinline__ void gather_rows(const T* source, const uint32_t* index, T* out, int width) {
  float v[8];
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    load8(source + (size_t)index[blockIdx.x] * width + i, v);
    store8(out + (size_t)blockIdx.x * width + i, v);
  }
}

#define KERNELS(T, NAME)                                                                                                   \
  extern "C" __global__ void cross_entropy_##NAME(T* logits, const uint32_t* targets, const float* scales, float* losses,  \
                                                  uint32_t* hits, int width) {                                             \
    cross_entropy(logits, targets, scales, losses, hits, width);                                                           \
  }                                                                                                                        \
  extern "C" __global__ void log_probabilities_##NAME(const T* logits, const uint32_t* targets, float* out, int width) {   \
    log_probabilities(logits, targets, out, width);                                                                        \
  }                                                                                                                        \
  extern "C" __global__ void most_probable_##NAME(const T* logits, uint32_t* out, int width) {                             \
    most_probable(logits, out, width);                                                                                     \
  }                                                                                                                        \
  extern "C" __global__ void scatter_rows_##NAME(const T* source, const uint32_t* index, T* target, int width) {           \
    scatter_rows(source, index, target, width);                                                                            \
  }                                                                                                                        \
  extern "C" __global__ void gather_rows_##NAME(const T* source, const uint32_t* index, T* out, int width) {               \
    gather_rows(source, index, out, width);                                                                                \
  }
KERNELS(float, f32)
KERNELS(bf16, bf16)

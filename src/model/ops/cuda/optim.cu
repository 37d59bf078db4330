// Over all tensors of an adapter at once: sums of squares of the gradients, and AdamW in place.
//
// Loshchilov and Hutter 2019, as torch computes it. A launch a tensor would cost more than the work.
#include "common.cuh"

struct Parameter {
  float* value;
  const float* gradient;
  float* m;
  float* v;
  int count;
  int unused;
};

// One block a tensor, block 512; the order of additions is fixed.
extern "C" __global__ void square_sums(const Parameter* parameters, float* out) {
  const Parameter p = parameters[blockIdx.x];
  float sum = 0.f;
  for (int i = threadIdx.x; i < p.count; i += blockDim.x) sum = fmaf(p.gradient[i], p.gradient[i], sum);
  sum = block_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// grid (blocks, tensors), block 256.
extern "C" __global__ void adamw(const Parameter* parameters, float clip, float keep, float beta1, float rest1, float beta2,
                                 float rest2, float step, float root, float epsilon) {
  const Parameter p = parameters[blockIdx.y];
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += gridDim.x * blockDim.x) {
    const float g = p.gradient[i] * clip;
    const float m = beta1 * p.m[i] + rest1 * g;
    const float v = beta2 * p.v[i] + rest2 * g * g;
    p.m[i] = m;
    p.v[i] = v;
    p.value[i] = p.value[i] * keep - step * m / (sqrtf(v) / root + epsilon);
  }
}

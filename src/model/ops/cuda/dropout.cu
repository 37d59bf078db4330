// Dropout bits: the very masks that the host draws, so that a step is the same update on either.
//
// An element is kept where 16 bits of the row's ChaCha8 stream (Bernstein 2008; 64-bit counter and stream, as the crate
// rand_chacha lays them out) reach the threshold. One thread makes one word: 32 elements of a token, one bit each.
#include "common.cuh"

__device__ __forceinline__ void quarter(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
  a += b; d ^= a; d = __funnelshift_l(d, d, 16);
  c += d; b ^= c; b = __funnelshift_l(b, b, 12);
  a += b; d ^= a; d = __funnelshift_l(d, d, 8);
  c += d; b ^= c; b = __funnelshift_l(b, b, 7);
}

// Bits of the 32 elements of block `counter`.
__device__ __forceinline__ uint32_t block_bits(const uint32_t* key, uint64_t counter, uint32_t site, uint32_t row, uint32_t threshold) {
  uint32_t s[16] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u, key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7],
                    (uint32_t)counter, (uint32_t)(counter >> 32), site, row};
  uint32_t x[16];
#pragma unroll
  for (int i = 0; i < 16; i++) x[i] = s[i];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    quarter(x[0], x[4], x[8], x[12]);
    quarter(x[1], x[5], x[9], x[13]);
    quarter(x[2], x[6], x[10], x[14]);
    quarter(x[3], x[7], x[11], x[15]);
    quarter(x[0], x[5], x[10], x[15]);
    quarter(x[1], x[6], x[11], x[12]);
    quarter(x[2], x[7], x[8], x[13]);
    quarter(x[3], x[4], x[9], x[14]);
  }
  uint32_t bits = 0;
#pragma unroll
  for (int i = 0; i < 16; i++) {
    const uint32_t word = x[i] + s[i];
    bits |= (uint32_t)((word & 0xffffu) >= threshold) << (2 * i);
    bits |= (uint32_t)((word >> 16) >= threshold) << (2 * i + 1);
  }
  return bits;
}

// Sites, widths and places of the modules of one layer.
struct Sites {
  int site[7];
  int width[7];
  long long bits[7];
};

// grid (ceil(widest / 32 / 64), tokens, modules), block 64. keys: [rows, 8]; row_keys: [rows].
extern "C" __global__ void dropout_bits(uint32_t* bits, const __grid_constant__ Sites sites, const uint32_t* row_of, const uint32_t* index_in_row,
                                        const uint32_t* keys, const uint32_t* row_keys, uint32_t threshold) {
  const int width = sites.width[blockIdx.z], words = (width + 31) / 32, word = blockIdx.x * blockDim.x + threadIdx.x;
  if (word >= words) return;
  const uint32_t token = blockIdx.y, row = row_of[token];
  const uint64_t first = (uint64_t)index_in_row[token] * width + 32u * word;
  const int shift = first & 31;
  const uint32_t* key = keys + 8 * row;
  uint32_t out = block_bits(key, first >> 5, sites.site[blockIdx.z], row_keys[row], threshold) >> shift;
  // A row's elements are numbered through, so a token of a width that is not a multiple of 32 straddles blocks.
  if (shift) out |= block_bits(key, (first >> 5) + 1, sites.site[blockIdx.z], row_keys[row], threshold) << (32 - shift);
  bits[sites.bits[blockIdx.z] + (size_t)token * words + word] = out;
}

// Building blocks shared by the attention kernels: asynchronous copies into swizzled shared memory, ldmatrix and
// mma.sync wrappers, and the paged cache's addressing.
//
// A tile in shared memory is rows of D bf16 values. Its 16-byte chunks are swizzled: chunk c of row r lies at chunk
// c ^ (r % 8), so that the eight rows one ldmatrix phase reads fall into different banks. The tile's base must be
// aligned to 256 bytes.
#pragma once
#include <cuda_bf16.h>
#include <stdint.h>

// Tokens of one page of the key/value cache; a multiple of 16.
#ifndef ATTENTION_PAGE
#define ATTENTION_PAGE 16
#endif
static_assert(ATTENTION_PAGE % 16 == 0, "a decoding step reads 16 tokens of one page");

typedef __nv_bfloat16 bf16;

constexpr float LOG2_E = 1.4426950408889634f;
constexpr float LN_2 = 0.6931471805599453f;

__device__ __forceinline__ uint32_t shared_address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

// Copies 16 bytes, or writes 16 zero bytes and reads nothing when `valid` is false.
__device__ __forceinline__ void copy16(uint32_t to, const void* from, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(to), "l"(from), "r"(valid ? 16 : 0) : "memory");
}
__device__ __forceinline__ void copy4(uint32_t to, const void* from, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(to), "l"(from), "r"(valid ? 4 : 0) : "memory");
}
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
// Waits until at most N of this thread's committed groups are unfinished.
template <int N>
__device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], uint32_t from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], uint32_t from) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
}
// c[16 x 8] += a[16 x 16] b[16 x 8]
__device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
}
__device__ __forceinline__ uint32_t pack(float low, float high) {
    __nv_bfloat162 two = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t*>(&two);
}

__device__ __forceinline__ float to_f32(float x) { return x; }
__device__ __forceinline__ float to_f32(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ void from_f32(float& to, float x) { to = x; }
__device__ __forceinline__ void from_f32(bf16& to, float x) { to = __float2bfloat16_rn(x); }

// The same in all lanes, which the compiler cannot tell of threadIdx.x / 32: branches on it then are uniform ones.
__device__ __forceinline__ int warp_index() { return __shfl_sync(~0u, (int)threadIdx.x / 32, 0); }

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int i = 16; i > 0; i /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, i));
    return x;
}
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int i = 16; i > 0; i /= 2) x += __shfl_xor_sync(~0u, x, i);
    return x;
}
// Over the four lanes that hold one row of an mma accumulator.
__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
    return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

// Byte offset in a swizzled tile.
template <int D>
__device__ __forceinline__ uint32_t swizzled(int row, int chunk) {
    return row * (D * 2) + ((chunk ^ (row & 7)) << 4);
}

// Where each lane points ldmatrix, for step 0 of the D dimension. A later step k (16 columns) is this address with
// k << 5 flipped in (bits of the chunk number, which the swizzle also flips); 8 rows further down is + 8 * D * 2.
//
// As the 16 x 16 operand a (rows by D), or transposed as b's 16 (rows) by 16 (D).
template <int D>
__device__ __forceinline__ uint32_t lane_address_rows(uint32_t tile, int lane) {
    return tile + swizzled<D>(lane & 15, lane >> 4);
}
// As b, 16 (D) by 16 (rows of the tile): registers 0, 1 are the first eight rows', 2, 3 the other eight's.
template <int D>
__device__ __forceinline__ uint32_t lane_address_columns(uint32_t tile, int lane) {
    return tile + swizzled<D>((lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
}

// Element offset of a row's key (or value): in a packed tensor, from the row's first token; in the paged cache,
// through the row's part of the block table.
template <bool PAGED>
struct KeyOffset {
    const int* pages;
    size_t stride;
    __device__ __forceinline__ size_t operator()(int key) const {
        if (PAGED) return ((size_t)pages[key / ATTENTION_PAGE] * ATTENTION_PAGE + key % ATTENTION_PAGE) * stride;
        return (size_t)key * stride;
    }
};

// Starts copying rows first..first+ROWS into a tile; rows from `end` on become zeros. `from` must be readable memory.
template <int D, int ROWS, int THREADS, class Offset>
__device__ __forceinline__ void load_tile(uint32_t tile, const bf16* from, Offset offset, int first, int end, int thread) {
    constexpr int CHUNKS = D / 8;
    static_assert(THREADS % CHUNKS == 0 && ROWS * CHUNKS % THREADS == 0, "every thread copies the same number of chunks");
    const int chunk = thread % CHUNKS;
#pragma unroll
    for (int i = 0; i < ROWS * CHUNKS / THREADS; ++i) {
        const int row = thread / CHUNKS + i * (THREADS / CHUNKS);
        const bool valid = first + row < end;
        copy16(tile + swizzled<D>(row, chunk), valid ? from + offset(first + row) + chunk * 8 : from, valid);
    }
}

// Writes a warp's 16 x D accumulator, times a factor for each of the lane's two rows, as bf16. It goes through the
// warp's 16 rows of a tile (no longer needed by anyone) so that the writes to global memory are 16 bytes each.
template <int D>
__device__ __forceinline__ void store_rows(uint32_t tile, const float (&acc)[D / 8][4], float factor0, float factor1, bf16* to, size_t stride,
                                           int valid_rows, int lane) {
    const int g = lane >> 2, t = lane & 3;
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
        const uint32_t at = tile + swizzled<D>(g, n) + t * 4;
        asm volatile("st.shared.b32 [%0], %1;\n" ::"r"(at), "r"(pack(acc[n][0] * factor0, acc[n][1] * factor0)) : "memory");
        asm volatile("st.shared.b32 [%0], %1;\n" ::"r"(at + 8 * D * 2), "r"(pack(acc[n][2] * factor1, acc[n][3] * factor1)) : "memory");
    }
    __syncwarp();
    constexpr int CHUNKS = D / 8;
#pragma unroll
    for (int i = 0; i < CHUNKS / 2; ++i) {
        const int row = lane / CHUNKS + i * (32 / CHUNKS), chunk = lane % CHUNKS;
        uint4 x;
        asm volatile("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];\n"
                     : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                     : "r"(tile + swizzled<D>(row, chunk))
                     : "memory");
        if (row < valid_rows) *reinterpret_cast<uint4*>(to + (size_t)row * stride + chunk * 8) = x;
    }
}

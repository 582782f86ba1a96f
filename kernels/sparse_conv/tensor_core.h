// The instructions that the sparse convolution's CUDA kernels are made of, one function each. For .cu files.
//
// Fragments of a 16-row matrix instruction, in the words of the PTX manual: lane = 4 g + t; of A a lane holds rows g
// and g + 8, of B column g, of C rows g and g + 8 at columns 2t and 2t + 1. Which channel stands at which k is free as
// long as A and B agree: the kernels choose it so that 16 consecutive bytes of a row are one lane's share of two
// instructions, and read A from global memory straight into registers.
#ifndef CUBIST_KERNELS_SPARSE_CONV_TENSOR_CORE_H_
#define CUBIST_KERNELS_SPARSE_CONV_TENSOR_CORE_H_

#include <cstdint>

namespace cubist {

// The block's dynamic shared memory.
__device__ inline unsigned char* DynamicShared() {
  extern __shared__ __align__(128) unsigned char dynamic_shared[];
  return dynamic_shared;
}

__device__ inline uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// The address of a row; of anything when row is -1.
__device__ inline const char* RowAddress(const char* rows, int row, uint32_t row_bytes) {
  return rows + uint64_t{static_cast<uint32_t>(row)} * row_bytes;
}

// 16 or 8 bytes of global memory that no kernel is writing if row >= 0, else zeros. A predicated load, not a branch:
// what it loads stays in its registers until it is used, so that a step's loads may run during the step before.
__device__ inline uint4 LoadOrZero16(const void* from, int row) {
  uint4 words;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ge.s32 p, %5, 0;\n"
      "mov.b32 %0, 0;\n"
      "mov.b32 %1, 0;\n"
      "mov.b32 %2, 0;\n"
      "mov.b32 %3, 0;\n"
      "@p ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];\n"
      "}\n"
      : "=&r"(words.x), "=&r"(words.y), "=&r"(words.z), "=&r"(words.w)
      : "l"(from), "r"(row));
  return words;
}
__device__ inline uint2 LoadOrZero8(const void* from, int row) {
  uint2 words;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ge.s32 p, %3, 0;\n"
      "mov.b32 %0, 0;\n"
      "mov.b32 %1, 0;\n"
      "@p ld.global.nc.v2.b32 {%0, %1}, [%2];\n"
      "}\n"
      : "=&r"(words.x), "=&r"(words.y)
      : "l"(from), "r"(row));
  return words;
}

// 16 bytes from global to shared memory, asynchronously.
__device__ inline void CopyAsync16(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(SharedAddress(shared)), "l"(global) : "memory");
}
// As above if row >= 0, else zeros; `global` must be an address of the device's in any case. Through the first-level
// cache if kFirstLevel.
template <bool kFirstLevel>
__device__ inline void CopyAsyncOrZero16(void* shared, const void* global, int row) {
  if constexpr (kFirstLevel) {
    asm volatile(
        "{\n"
        ".reg .pred absent;\n"
        "setp.lt.s32 absent, %2, 0;\n"
        "cp.async.ca.shared.global [%0], [%1], 16, absent;\n"
        "}\n" ::"r"(SharedAddress(shared)),
        "l"(global), "r"(row)
        : "memory");
  } else {
    asm volatile(
        "{\n"
        ".reg .pred absent;\n"
        "setp.lt.s32 absent, %2, 0;\n"
        "cp.async.cg.shared.global [%0], [%1], 16, absent;\n"
        "}\n" ::"r"(SharedAddress(shared)),
        "l"(global), "r"(row)
        : "memory");
  }
}
__device__ inline void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most kPending of this thread's groups are under way.
template <int kPending>
__device__ inline void WaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// c += A B of 16x8x16 in bfloat16.
__device__ inline void MultiplyBfloat16(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                        uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// c += A B of 16x8x8 in TF32.
__device__ inline void MultiplyTf32(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// The nearest TF32 number's bits, ties away from zero.
__device__ inline uint32_t RoundTf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// Barriers in shared memory and bulk copies: capability 9.0.

// Makes what this thread wrote to shared memory, its finished copies too, known to the tensor cores and bulk copies.
__device__ inline void AsyncProxyFence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

__device__ inline void BarrierInit(uint64_t* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(arrivals) : "memory");
}
// Makes barriers that this thread initialised known to bulk copies.
__device__ inline void BarrierInitFence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  AsyncProxyFence();
}
__device__ inline void BarrierArrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(SharedAddress(barrier)) : "memory");
}
// Arrives and has the barrier's phase wait for `bytes` of bulk copies as well.
__device__ inline void BarrierExpect(uint64_t* barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(bytes)
               : "memory");
}
__device__ inline bool BarrierPassed(uint64_t* barrier, uint32_t parity) {
  uint32_t passed;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n"
      "}\n"
      : "=r"(passed)
      : "r"(SharedAddress(barrier)), "r"(parity)
      : "memory");
  return passed != 0;
}
// Waits until the barrier's phase of that parity is over.
__device__ inline void BarrierWait(uint64_t* barrier, uint32_t parity) {
  while (!BarrierPassed(barrier, parity)) {
  }
}
// `bytes` (a multiple of 16) from global to shared memory, both on 16 bytes; the barrier counts them.
__device__ inline void CopyBulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   SharedAddress(shared)),
               "l"(global), "r"(bytes), "r"(SharedAddress(barrier))
               : "memory");
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_SPARSE_CONV_TENSOR_CORE_H_

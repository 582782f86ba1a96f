// What the launchers of CUDA kernels share. For .cu files and the headers beside them.
//
// A launcher takes views or pointers into the memory of the current device, and a stream; it allocates nothing and
// waits for nothing. It returns what cudaGetLastError says after its launches, or cudaErrorInvalidValue for arguments
// that it does not take; the caller turns that into an error (current_stream.h).
#ifndef CUBIST_KERNELS_CUDA_LAUNCH_H_
#define CUBIST_KERNELS_CUDA_LAUNCH_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace cubist {

// ceil(a / b) for a >= 0 and b > 0.
template <typename Integer>
constexpr Integer CeilDivide(Integer a, Integer b) {
  return (a + b - 1) / b;
}

// Streaming multiprocessors of the current device: how many blocks a persistent kernel starts. 1 if it cannot be asked.
inline int MultiprocessorCount() {
  int device = 0, count = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 1;
  if (cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess) return 1;
  return count;
}

// Compute capability of the current device times 10, as 90 for an H100; 0 if it cannot be asked.
inline int ComputeCapability() {
  int device = 0, major = 0, minor = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) return 0;
  if (cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) != cudaSuccess) return 0;
  return 10 * major + minor;
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_CUDA_LAUNCH_H_

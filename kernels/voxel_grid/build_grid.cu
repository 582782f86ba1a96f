#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include "kernels/cuda/launch.h"
#include "kernels/voxel_grid/build_grid_cuda.h"
#include "kernels/voxel_grid/leaf_order.h"

namespace cubist {
namespace {

constexpr int kThreads = 256;
constexpr int kMarksPerThread = 16;
constexpr int kMarksPerBlock = kThreads * kMarksPerThread;
constexpr int kLeavesPerBlock = kThreads;
constexpr int kWarpsPerBlock = kThreads / 32;
constexpr int kBoundsThreads = 512;

struct Factor {
  int32_t of[3];
};

// Sources turn item n of an input into parts of voxel grids: word(sample, leaf x, y, z, word of the mask, bits). Items
// that are no voxels within kMaxCoordinate are reported to the summary and left out, in every pass alike.

__device__ void ReportTooFar(const GridSummary& summary, int64_t row) {
  atomicOr(reinterpret_cast<unsigned long long*>(&summary.flags()), static_cast<unsigned long long>(kVoxelTooFar));
  atomicMin(reinterpret_cast<long long*>(&summary.first_bad_row()), static_cast<long long>(row));
}

template <typename Word>
__device__ void SetOne(int sample, int32_t i, int32_t j, int32_t k, const Word& word) {
  word(sample, i >> 3, j >> 3, k >> 3, i & 7, uint64_t{1} << BitInWord(j, k));
}

struct IjkSource {
  View<const int32_t, 2> ijk;
  RowSamples samples;
  CUBIST_HOST_DEVICE int64_t items() const { return ijk.shape[0]; }

  template <typename Word>
  __device__ void Visit(int64_t n, const GridSummary& summary, const Word& word) const {
    const int32_t i = ijk(n, 0), j = ijk(n, 1), k = ijk(n, 2);
    if (min(i, min(j, k)) < -kMaxCoordinate || max(i, max(j, k)) > kMaxCoordinate) {
      ReportTooFar(summary, n);
      return;
    }
    SetOne(SampleOfRow(samples, n), i, j, k, word);
  }
};

struct PointSource {
  View<const float, 2> points;
  RowSamples samples;
  FloatTransform transform;
  CUBIST_HOST_DEVICE int64_t items() const { return points.shape[0]; }

  template <typename Word>
  __device__ void Visit(int64_t n, const GridSummary& summary, const Word& word) const {
    int32_t ijk[3];
    bool good = true;
    for (int axis = 0; axis < 3; ++axis) {
      // Not fused: ties agree with the host.
      const float g = __fadd_rn(__fmul_rn(points(n, axis), transform.scale[axis]), transform.shift[axis]);
      const float rounded = floorf(__fadd_rn(g, 0.5f));
      good &= fabsf(rounded) <= static_cast<float>(kMaxCoordinate);
      ijk[axis] = static_cast<int32_t>(rounded);
    }
    if (!good) {
      ReportTooFar(summary, n);
      return;
    }
    SetOne(SampleOfRow(samples, n), ijk[0], ijk[1], ijk[2], word);
  }
};

// An item is the part of a mask that is a row of eight voxels, along z, of a leaf.
struct DenseSource {
  View<const bool, 4> mask;
  int32_t ijk_min[3];
  int32_t first_leaf_z, leaves_z;
  bool aligned;  // whole rows can be read at once
  CUBIST_HOST_DEVICE int64_t items() const { return mask.shape[0] * mask.shape[1] * mask.shape[2] * leaves_z; }

  template <typename Word>
  __device__ void Visit(int64_t n, const GridSummary&, const Word& word) const {
    int64_t rest = n / leaves_z;
    const int32_t leaf_z = first_leaf_z + static_cast<int32_t>(n - rest * leaves_z);
    const int64_t y = rest % mask.shape[2];
    rest /= mask.shape[2];
    const int64_t x = rest % mask.shape[1];
    const int64_t sample = rest / mask.shape[1];
    const bool* cells = &mask(sample, x, y, 0);
    const int64_t first = int64_t{leaf_z} * 8 - ijk_min[2];
    uint32_t bits = 0;
    if (aligned && first >= 0 && first + 8 <= mask.shape[3]) {
      const uint64_t bytes = *reinterpret_cast<const uint64_t*>(cells + first);
      // Eight bytes of 0 or 1 to eight bits: the product puts byte b's bit at 56 + b.
      bits = static_cast<uint32_t>((bytes * 0x0102040810204080u) >> 56);
    } else {
      for (int b = 0; b < 8; ++b) {
        const int64_t z = first + b;
        if (z >= 0 && z < mask.shape[3]) bits |= static_cast<uint32_t>(cells[z * mask.stride[3]]) << b;
      }
    }
    if (bits == 0) return;
    const int32_t i = static_cast<int32_t>(x) + ijk_min[0], j = static_cast<int32_t>(y) + ijk_min[1];
    word(static_cast<int>(sample), i >> 3, j >> 3, leaf_z, i & 7, uint64_t{bits} << BitInWord(j, 0));
  }
};

struct CoarsenSource {
  View<const int32_t, 2> ijk;
  RowSamples samples;
  Factor factor;
  CUBIST_HOST_DEVICE int64_t items() const { return ijk.shape[0]; }

  template <typename Word>
  __device__ void Visit(int64_t n, const GridSummary&, const Word& word) const {
    SetOne(SampleOfRow(samples, n), FloorDivide(ijk(n, 0), factor.of[0]), FloorDivide(ijk(n, 1), factor.of[1]),
           FloorDivide(ijk(n, 2), factor.of[2]), word);
  }
};

struct SubdivideSource {
  View<const int32_t, 2> ijk;
  RowSamples samples;
  View<const bool, 1> keep;
  Factor factor;
  CUBIST_HOST_DEVICE int64_t items() const { return ijk.shape[0]; }

  template <typename Word>
  __device__ void Visit(int64_t n, const GridSummary& summary, const Word& word) const {
    if (!keep(n)) return;
    int32_t first[3], last[3];
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t child = int64_t{ijk(n, axis)} * factor.of[axis];
      if (child < -kMaxCoordinate || child + factor.of[axis] - 1 > kMaxCoordinate) {
        ReportTooFar(summary, n);
        return;
      }
      first[axis] = static_cast<int32_t>(child);
      last[axis] = first[axis] + factor.of[axis] - 1;
    }
    const int sample = SampleOfRow(samples, n);
    for (int32_t y = first[1] >> 3; y <= last[1] >> 3; ++y) {
      for (int32_t z = first[2] >> 3; z <= last[2] >> 3; ++z) {
        // The children's bits in a word of leaf (., y, z).
        const int32_t j_first = max(first[1] - 8 * y, 0), j_last = min(last[1] - 8 * y, 7);
        const int32_t k_first = max(first[2] - 8 * z, 0), k_last = min(last[2] - 8 * z, 7);
        const uint64_t row = (uint64_t{0xff} >> (7 - k_last + k_first)) << k_first;
        uint64_t bits = 0;
        for (int32_t j = j_first; j <= j_last; ++j) bits |= row << (8 * j);
        for (int32_t i = first[0]; i <= last[0]; ++i) word(sample, i >> 3, y, z, i & 7, bits);
      }
    }
  }
};

// Step 2a: boxes. Threads keep the box of the sample that they are in.
struct Bounds {
  int32_t first[3] = {INT32_MAX, INT32_MAX, INT32_MAX};
  int32_t last[3] = {INT32_MIN, INT32_MIN, INT32_MIN};

  __device__ void Widen(int32_t* box) const {
    for (int axis = 0; axis < 3; ++axis) {
      if (first[axis] < *static_cast<volatile int32_t*>(box + axis)) atomicMin(box + axis, first[axis]);
      if (last[axis] > *static_cast<volatile int32_t*>(box + 3 + axis)) atomicMax(box + 3 + axis, last[axis]);
    }
  }
};

template <typename Source>
__global__ void __launch_bounds__(kBoundsThreads) FindBounds(Source source, GridSummary summary, int64_t per_block) {
  const int64_t begin = blockIdx.x * per_block;
  const int64_t end = min(begin + per_block, source.items());
  Bounds bounds;
  int current = -1;
  for (int64_t n = begin + threadIdx.x; n < end; n += kBoundsThreads) {
    source.Visit(n, summary, [&](int sample, int32_t x, int32_t y, int32_t z, int, uint64_t) {
      if (sample != current) {
        if (current >= 0) bounds.Widen(summary.boxes() + 8 * current);
        bounds = Bounds();
        current = sample;
      }
      const int32_t leaf[3] = {x, y, z};
      for (int axis = 0; axis < 3; ++axis) {
        bounds.first[axis] = min(bounds.first[axis], leaf[axis]);
        bounds.last[axis] = max(bounds.last[axis], leaf[axis]);
      }
    });
  }
  // One sample for all threads that found anything: one thread writes for the block.
  __shared__ int shared_sample;
  __shared__ int32_t of_warp[6][kBoundsThreads / 32];
  if (threadIdx.x == 0) shared_sample = -1;
  __syncthreads();
  if (current >= 0) shared_sample = current;
  __syncthreads();
  const int common = shared_sample;
  if (!__syncthreads_and(current == common || current < 0)) {
    if (current >= 0) bounds.Widen(summary.boxes() + 8 * current);
    return;
  }
  if (common < 0) return;
  for (int axis = 0; axis < 3; ++axis) {
    bounds.first[axis] = __reduce_min_sync(~0u, bounds.first[axis]);
    bounds.last[axis] = __reduce_max_sync(~0u, bounds.last[axis]);
  }
  if (threadIdx.x % 32 == 0) {
    for (int axis = 0; axis < 3; ++axis) {
      of_warp[axis][threadIdx.x / 32] = bounds.first[axis];
      of_warp[3 + axis][threadIdx.x / 32] = bounds.last[axis];
    }
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  for (int axis = 0; axis < 3; ++axis) {
    const int warp = min(static_cast<int>(threadIdx.x), kBoundsThreads / 32 - 1);
    bounds.first[axis] = of_warp[axis][warp];
    bounds.last[axis] = of_warp[3 + axis][warp];
    bounds.first[axis] = __reduce_min_sync(~0u, bounds.first[axis]);
    bounds.last[axis] = __reduce_max_sync(~0u, bounds.last[axis]);
  }
  if (threadIdx.x == 0) bounds.Widen(summary.boxes() + 8 * common);
}

// Step 2b, one block: from first and last leaves to boxes with extents and offsets.
__global__ void __launch_bounds__(kThreads) LayOutBoxes(GridSummary summary, int64_t cell_capacity) {
  using Scan = cub::BlockScan<int64_t, kThreads>;
  __shared__ typename Scan::TempStorage scan;
  int64_t total = 0;
  for (int64_t begin = 0; begin < summary.batch_size; begin += kThreads) {
    const int64_t sample = begin + threadIdx.x;
    int32_t* box = summary.boxes() + 8 * sample;
    int64_t cells = 0;
    if (sample < summary.batch_size) {
      const bool empty = box[3] < box[0];
      cells = 1;
      for (int axis = 0; axis < 3; ++axis) {
        const int64_t extent = empty ? 0 : int64_t{box[3 + axis]} - box[axis] + 1;
        if (empty) box[axis] = 0;
        box[3 + axis] = static_cast<int32_t>(extent);
        cells = min(cells, kMaxDirectoryCells + 1) * extent;
      }
      cells = min(cells, kMaxDirectoryCells + 1);
    }
    int64_t before, sum;
    Scan(scan).ExclusiveSum(cells, before, sum);
    __syncthreads();
    if (sample < summary.batch_size) {
      box[6] = static_cast<int32_t>(min(total + before, kMaxDirectoryCells));
      box[7] = 0;
    }
    total += sum;
  }
  if (threadIdx.x == 0) {
    summary.cells() = total;
    if (total > cell_capacity) summary.flags() |= kTooFewCells;
  }
}

// Step 2c.
template <typename Source>
__global__ void __launch_bounds__(kThreads) MarkLeaves(Source source, BuildArea area) {
  const int64_t n = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n >= source.items() || (area.summary.flags() & kTooFewCells) != 0) return;
  source.Visit(n, area.summary, [&](int sample, int32_t x, int32_t y, int32_t z, int, uint64_t) {
    const int32_t* box = area.summary.boxes() + 8 * int64_t{sample};
    uint8_t* mark = area.marks + (static_cast<uint32_t>(box[6]) + PlaceOfLeaf(LeafCells(box), x, y, z));
    if (*mark == 0) *mark = 1;
  });
}

// Sum of the earlier blocks' sums, in all threads.
template <typename Reduce>
__device__ int64_t SumBefore(const int32_t* block_sums, typename Reduce::TempStorage& storage, int64_t* shared) {
  int64_t sum = 0;
  for (unsigned block = threadIdx.x; block < blockIdx.x; block += kThreads) sum += block_sums[block];
  sum = Reduce(storage).Sum(sum);
  if (threadIdx.x == 0) *shared = sum;
  __syncthreads();
  return *shared;
}

__device__ uint4 MarksOfThread(const BuildArea& area, int64_t first) {
  // The area is a multiple of 16 bytes long; what lies beyond the cells is 0.
  return first < area.summary.cells() ? *reinterpret_cast<const uint4*>(area.marks + first) : uint4{0, 0, 0, 0};
}

// Step 2d.
__global__ void __launch_bounds__(kThreads) CountMarks(BuildArea area) {
  using Reduce = cub::BlockReduce<int32_t, kThreads>;
  __shared__ typename Reduce::TempStorage storage;
  if ((area.summary.flags() & kTooFewCells) != 0) return;
  const int64_t block_first = int64_t{blockIdx.x} * kMarksPerBlock;
  if (block_first >= area.summary.cells()) return;
  const uint4 marks = MarksOfThread(area, block_first + kMarksPerThread * threadIdx.x);
  const int32_t sum = Reduce(storage).Sum(__popc(marks.x) + __popc(marks.y) + __popc(marks.z) + __popc(marks.w));
  if (threadIdx.x == 0) area.block_sums[blockIdx.x] = sum;
}

// Step 2e: leaf numbers, the directory and the origins; clears masks.
__global__ void __launch_bounds__(kThreads) NumberLeaves(BuildArea area) {
  using Reduce = cub::BlockReduce<int64_t, kThreads>;
  using Scan = cub::BlockScan<int32_t, kThreads>;
  __shared__ union {
    typename Reduce::TempStorage reduce;
    typename Scan::TempStorage scan;
  } storage;
  __shared__ int64_t shared;
  const GridSummary& summary = area.summary;
  const int64_t cells = summary.cells();
  const int64_t block_first = int64_t{blockIdx.x} * kMarksPerBlock;
  if ((summary.flags() & kTooFewCells) != 0 || block_first >= cells) return;
  const int64_t before = SumBefore<Reduce>(area.block_sums, storage.reduce, &shared);
  const int64_t first = block_first + kMarksPerThread * threadIdx.x;
  const uint4 marks = MarksOfThread(area, first);
  int32_t in_block, sum;
  Scan(storage.scan).ExclusiveSum(__popc(marks.x) + __popc(marks.y) + __popc(marks.z) + __popc(marks.w), in_block, sum);
  if (block_first + kMarksPerBlock >= cells && threadIdx.x == 0) {
    summary.leaves() = before + sum;
    if (before + sum > area.leaf_capacity) {
      atomicOr(reinterpret_cast<unsigned long long*>(&summary.flags()),
               static_cast<unsigned long long>(kTooSmallLeafArea));
    }
  }
  int64_t leaf = before + in_block;
  const uint32_t words[4] = {marks.x, marks.y, marks.z, marks.w};
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    for (uint32_t bits = words[w]; bits != 0; bits &= bits - 1, ++leaf) {
      if (leaf >= area.leaf_capacity) return;
      const uint32_t place_in_all = static_cast<uint32_t>(first) + 4 * w + (__ffs(bits) - 1) / 8;
      // The last sample whose directory begins here or before; empty ones share their offset with the next.
      int sample = 0;
      for (int end = static_cast<int>(summary.batch_size); end - sample > 1;) {
        const int middle = (sample + end) / 2;
        (static_cast<uint32_t>(summary.boxes()[8 * int64_t{middle} + 6]) <= place_in_all ? sample : end) = middle;
      }
      const int32_t* box = summary.boxes() + 8 * int64_t{sample};
      int32_t at[3];
      LeafAtPlace(LeafCells(box), place_in_all - static_cast<uint32_t>(box[6]), at);
      area.directory[static_cast<uint32_t>(box[6]) +
                     (static_cast<uint32_t>(at[0] - box[0]) * box[4] + (at[1] - box[1])) * box[5] + (at[2] - box[2])] =
          static_cast<int32_t>(leaf);
      reinterpret_cast<int4*>(area.origin)[leaf] = int4{8 * at[0], 8 * at[1], 8 * at[2], sample};
      uint4* mask = reinterpret_cast<uint4*>(area.mask + 8 * leaf);
      for (int part = 0; part < 4; ++part) mask[part] = uint4{0, 0, 0, 0};
    }
  }
}

// Step 2f.
template <typename Source>
__global__ void __launch_bounds__(kThreads) SetBits(Source source, BuildArea area) {
  const int64_t n = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n >= source.items() || (area.summary.flags() & (kTooFewCells | kTooSmallLeafArea)) != 0) return;
  const LeafTableView table = area.Table();
  source.Visit(n, area.summary, [&](int sample, int32_t x, int32_t y, int32_t z, int word, uint64_t bits) {
    const int32_t leaf = FindLeaf(table, sample, x, y, z);
    uint64_t* target = area.mask + 8 * int64_t{leaf} + word;
    // Most points fall into a voxel that is set already; the atomic costs several times the load.
    if ((*target & bits) != bits) {
      atomicOr(reinterpret_cast<unsigned long long*>(target), static_cast<unsigned long long>(bits));
    }
  });
}

// Step 2g: prefixes, and each leaf's count where its base will be.
__global__ void __launch_bounds__(kThreads) CountVoxels(BuildArea area) {
  using Reduce = cub::BlockReduce<int32_t, kThreads>;
  __shared__ typename Reduce::TempStorage storage;
  const int64_t leaves = area.summary.leaves();
  if (leaves > area.leaf_capacity || int64_t{blockIdx.x} * kLeavesPerBlock >= leaves) return;
  const int64_t leaf = int64_t{blockIdx.x} * kLeavesPerBlock + threadIdx.x;
  int32_t count = 0;
  if (leaf < leaves) {
    const ulonglong2* mask = reinterpret_cast<const ulonglong2*>(area.mask + 8 * leaf);
    uint64_t prefix = 0;
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const ulonglong2 words = mask[pair];
      if (pair > 0) prefix |= static_cast<uint64_t>(count) << (9 * (2 * pair - 1));
      count += __popcll(words.x);
      prefix |= static_cast<uint64_t>(count) << (9 * (2 * pair));
      count += __popcll(words.y);
    }
    area.prefix[leaf] = prefix;
    area.base[leaf] = count;
  }
  const int32_t sum = Reduce(storage).Sum(count);
  if (threadIdx.x == 0) area.block_sums[blockIdx.x] = sum;
}

// Step 2h: bases, and the samples' offsets.
__global__ void __launch_bounds__(kThreads) NumberVoxels(BuildArea area) {
  using Reduce = cub::BlockReduce<int64_t, kThreads>;
  using Scan = cub::BlockScan<int32_t, kThreads>;
  __shared__ union {
    typename Reduce::TempStorage reduce;
    typename Scan::TempStorage scan;
  } storage;
  __shared__ int64_t shared;
  const int64_t leaves = area.summary.leaves();
  if (leaves > area.leaf_capacity || int64_t{blockIdx.x} * kLeavesPerBlock >= leaves) return;
  const int64_t before = SumBefore<Reduce>(area.block_sums, storage.reduce, &shared);
  const int64_t leaf = int64_t{blockIdx.x} * kLeavesPerBlock + threadIdx.x;
  const int32_t count = leaf < leaves ? area.base[leaf] : 0;
  int32_t in_block;
  Scan(storage.scan).ExclusiveSum(count, in_block);
  if (leaf >= leaves) return;
  const int64_t row = before + in_block;
  area.base[leaf] = static_cast<int32_t>(min(row, int64_t{INT32_MAX}));
  const int sample = area.origin[4 * leaf + 3];
  const int previous = leaf == 0 ? -1 : area.origin[4 * leaf - 1];
  int64_t* offsets = area.summary.offsets();
  for (int b = previous + 1; b <= sample; ++b) offsets[b] = row;
  if (leaf + 1 == leaves) {
    for (int64_t b = sample + 1; b <= area.summary.batch_size; ++b) offsets[b] = row + count;
  }
}

__global__ void __launch_bounds__(kThreads) FindParents(CoarsenSource source, BuildArea area, int64_t* parent) {
  const int64_t n = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n >= source.items() || area.summary.flags() != 0) return;
  const LeafTableView table = area.Table();
  source.Visit(n, area.summary, [&](int sample, int32_t x, int32_t y, int32_t z, int word, uint64_t bits) {
    const int32_t leaf = FindLeaf(table, sample, x, y, z);
    parent[n] = table.base[leaf] + BitsBefore(table, leaf, word, __ffsll(static_cast<long long>(bits)) - 1);
  });
}

template <typename Source>
cudaError_t Launch(const Source& source, bool find_boxes, const BuildArea& area, cudaStream_t stream) {
  const int64_t items = source.items();
  // cudaMemsetAsync and kernels of no blocks are errors.
  if (area.cell_capacity == 0 || area.leaf_capacity == 0 || items == 0) return cudaSuccess;
  const cudaError_t cleared[] = {
      cudaMemsetAsync(area.marks, 0, CeilDivide<int64_t>(area.cell_capacity, 16) * 16, stream),
      cudaMemsetAsync(area.directory, 0xff, 4 * area.cell_capacity, stream)};
  for (const cudaError_t status : cleared) {
    if (status != cudaSuccess) return status;
  }
  const unsigned item_blocks = static_cast<unsigned>(CeilDivide<int64_t>(items, kThreads));
  if (find_boxes) {
    const int64_t blocks = 2 * int64_t{MultiprocessorCount()};
    const int64_t per_block = CeilDivide(CeilDivide(items, blocks), int64_t{kBoundsThreads}) * kBoundsThreads;
    FindBounds<<<static_cast<unsigned>(CeilDivide(items, per_block)), kBoundsThreads, 0, stream>>>(source, area.summary,
                                                                                                   per_block);
    LayOutBoxes<<<1, kThreads, 0, stream>>>(area.summary, area.cell_capacity);
  }
  const unsigned mark_blocks = static_cast<unsigned>(CeilDivide<int64_t>(area.cell_capacity, kMarksPerBlock));
  const unsigned leaf_blocks = static_cast<unsigned>(CeilDivide<int64_t>(area.leaf_capacity, kLeavesPerBlock));
  MarkLeaves<<<item_blocks, kThreads, 0, stream>>>(source, area);
  CountMarks<<<mark_blocks, kThreads, 0, stream>>>(area);
  NumberLeaves<<<mark_blocks, kThreads, 0, stream>>>(area);
  SetBits<<<item_blocks, kThreads, 0, stream>>>(source, area);
  CountVoxels<<<leaf_blocks, kThreads, 0, stream>>>(area);
  NumberVoxels<<<leaf_blocks, kThreads, 0, stream>>>(area);
  return cudaGetLastError();
}

// A warp a leaf.
__global__ void __launch_bounds__(kThreads)
    WriteLeaves(LeafTableView table, GridArrays grid, LeafTableView parents, Factor factor, int64_t* parent) {
  const int64_t leaf = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / 32;
  if (leaf >= table.num_leaves) return;
  const int lane = threadIdx.x % 32;
  const uint64_t prefix = table.prefix[leaf];
  const int32_t base = table.base[leaf];
  const int4 origin = reinterpret_cast<const int4*>(table.origin)[leaf];
  if (lane == 0) {
    grid.prefix[leaf] = prefix;
    grid.base[leaf] = base;
    reinterpret_cast<int4*>(grid.origin)[leaf] = origin;
  }
  for (int word = 0; word < 8; ++word) {
    const uint64_t mask = table.mask[8 * leaf + word];
    if (lane == word) grid.mask[8 * leaf + word] = mask;
    const int64_t first = base + (word == 0 ? 0 : static_cast<int32_t>((prefix >> (9 * (word - 1))) & 511));
    for (int bit = lane; bit < 64; bit += 32) {
      if (((mask >> bit) & 1) == 0) continue;
      const int64_t row = first + __popcll(mask & ((uint64_t{1} << bit) - 1));
      const int32_t i = origin.x + word, j = origin.y + (bit >> 3), k = origin.z + (bit & 7);
      grid.ijk[3 * row] = i;
      grid.ijk[3 * row + 1] = j;
      grid.ijk[3 * row + 2] = k;
      if (parent != nullptr) {
        parent[row] = FindRow(parents, origin.w, FloorDivide(i, factor.of[0]), FloorDivide(j, factor.of[1]),
                              FloorDivide(k, factor.of[2]));
      }
    }
  }
}

}  // namespace

int64_t BuildAreaBytes(const BuildArea& area) {
  BuildArea measured = area;
  LayOutBuildArea(nullptr, &measured);
  return reinterpret_cast<int64_t>(measured.marks) + CeilDivide<int64_t>(area.cell_capacity, 256) * 256;
}

void LayOutBuildArea(void* memory, BuildArea* area) {
  int64_t end = 0;
  const auto take = [&](auto*& array, int64_t count) {
    array = reinterpret_cast<std::remove_reference_t<decltype(array)>>(reinterpret_cast<intptr_t>(memory) + end);
    end += CeilDivide<int64_t>(count * static_cast<int64_t>(sizeof(*array)), 256) * 256;
  };
  take(area->mask, 8 * area->leaf_capacity);
  take(area->origin, 4 * area->leaf_capacity);
  take(area->prefix, area->leaf_capacity);
  take(area->base, area->leaf_capacity);
  take(area->directory, area->cell_capacity);
  take(area->block_sums, CeilDivide<int64_t>(area->cell_capacity, kMarksPerBlock) +
                             CeilDivide<int64_t>(area->leaf_capacity, kLeavesPerBlock));
  take(area->marks, area->cell_capacity);
}

cudaError_t LaunchFromIjk(View<const int32_t, 2> ijk, RowSamples samples, bool find_boxes, const BuildArea& area,
                          cudaStream_t stream) {
  return Launch(IjkSource{ijk, samples}, find_boxes, area, stream);
}

cudaError_t LaunchFromPoints(View<const float, 2> points, RowSamples samples, const FloatTransform& transform,
                             bool find_boxes, const BuildArea& area, cudaStream_t stream) {
  return Launch(PointSource{points, samples, transform}, find_boxes, area, stream);
}

cudaError_t LaunchFromDenseMask(View<const bool, 4> mask, const int ijk_min[3], bool find_boxes, const BuildArea& area,
                                cudaStream_t stream) {
  if (mask.size() == 0) return cudaSuccess;
  DenseSource source{mask, {ijk_min[0], ijk_min[1], ijk_min[2]}, ijk_min[2] >> 3, 0, false};
  source.leaves_z = ((ijk_min[2] + static_cast<int32_t>(mask.shape[3]) - 1) >> 3) - source.first_leaf_z + 1;
  // Row (b, x, y) begins at a multiple of 8 bytes plus where leaves begin.
  source.aligned = mask.stride[3] == 1 && (reinterpret_cast<uintptr_t>(mask.data) - ijk_min[2]) % 8 == 0;
  for (int d = 0; d < 3; ++d) source.aligned &= mask.stride[d] % 8 == 0 || mask.shape[d] == 1;
  return Launch(source, find_boxes, area, stream);
}

cudaError_t LaunchCoarsen(View<const int32_t, 2> ijk, RowSamples samples, const int factor[3], bool find_boxes,
                          const BuildArea& area, int64_t* parent, cudaStream_t stream) {
  const CoarsenSource source{ijk, samples, {{factor[0], factor[1], factor[2]}}};
  const cudaError_t status = Launch(source, find_boxes, area, stream);
  if (status != cudaSuccess || source.items() == 0) return status;
  FindParents<<<static_cast<unsigned>(CeilDivide<int64_t>(source.items(), kThreads)), kThreads, 0, stream>>>(
      source, area, parent);
  return cudaGetLastError();
}

cudaError_t LaunchSubdivide(View<const int32_t, 2> ijk, RowSamples samples, View<const bool, 1> keep,
                            const int factor[3], bool find_boxes, const BuildArea& area, cudaStream_t stream) {
  return Launch(SubdivideSource{ijk, samples, keep, {{factor[0], factor[1], factor[2]}}}, find_boxes, area, stream);
}

cudaError_t EmitGrid(const BuildArea& area, int64_t leaves, int64_t cells, const GridArrays& grid,
                     const LeafTableView& parents, const int factor[3], int64_t* parent, cudaStream_t stream) {
  if (cells > 0) {
    const cudaError_t status =
        cudaMemcpyAsync(grid.directory, area.directory, 4 * cells, cudaMemcpyDeviceToDevice, stream);
    if (status != cudaSuccess) return status;
  }
  if (leaves == 0) return cudaGetLastError();
  LeafTableView table = area.Table();
  table.num_leaves = leaves;
  WriteLeaves<<<static_cast<unsigned>(CeilDivide<int64_t>(leaves, kWarpsPerBlock)), kThreads, 0, stream>>>(
      table, grid, parents, Factor{{factor[0], factor[1], factor[2]}}, parent);
  return cudaGetLastError();
}

}  // namespace cubist

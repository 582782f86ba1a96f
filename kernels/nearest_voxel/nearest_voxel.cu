// A warp answers the queries of a leaf together:
// 1. A query on an active voxel of the same lattice is its own answer. The others (misses) have a box.
// 2. Reference leaves are visited through the directory: those around the box, then the faces of larger and larger
// boxes
//    of leaves. A face whose gap to the misses is larger than the worst of their answers so far is left out, as are all
//    beyond it; when all six are, the search is done.
// 3. A leaf that is not too far for all misses is scanned by those (a lane a miss) for which it is not too far.
//
// Built with -fmad=false: every distance, of voxels, boxes and gaps, is the same sum of squared differences of the same
// rounded centres as on the host, and rounding is monotone, so that nothing left out could have been an answer.
#include "kernels/cuda/launch.h"
#include "kernels/nearest_voxel/nearest_voxel_cuda.h"

namespace cubist {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAllLanes = ~0u;

// The cells of a leaf that hold voxels: first and last along each axis.
struct CellBox {
  int low[3], high[3];

  __device__ explicit CellBox(const uint64_t words[8]) {
    uint64_t any = 0;
    uint32_t filled = 0;
#pragma unroll
    for (int word = 0; word < 8; ++word) {
      any |= words[word];
      filled |= static_cast<uint32_t>(words[word] != 0) << word;
    }
    uint64_t columns = any | any >> 32;
    columns |= columns >> 16;
    columns |= columns >> 8;
    const uint32_t column_bits = static_cast<uint32_t>(columns) & 0xff;
    low[0] = __ffs(filled) - 1;
    high[0] = 31 - __clz(filled);
    low[1] = (__ffsll(static_cast<long long>(any)) - 1) >> 3;
    high[1] = (63 - __clzll(static_cast<long long>(any))) >> 3;
    low[2] = __ffs(column_bits) - 1;
    high[2] = 31 - __clz(column_bits);
  }
  __device__ explicit CellBox(uint32_t packed) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = (packed >> (3 * axis)) & 7;
      high[axis] = (packed >> (9 + 3 * axis)) & 7;
    }
  }
  __device__ uint32_t Packed() const {
    return low[0] | low[1] << 3 | low[2] << 6 | high[0] << 9 | high[1] << 12 | high[2] << 15;
  }
};

__global__ void __launch_bounds__(kThreads) FindLeafBoxes(LeafTableView table, uint32_t* packed) {
  const int64_t leaf = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (leaf >= table.num_leaves) return;
  uint64_t words[8];
#pragma unroll
  for (int word = 0; word < 8; ++word) words[word] = table.mask[8 * leaf + word];
  packed[leaf] = CellBox(words).Packed();
}

// Corners of a box of voxel centres.
struct Box {
  double low[3], high[3];

  __device__ Box(const Lattice& lattice, const int32_t* origin, const CellBox& cells) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = lattice.Centre(axis, origin[axis] + cells.low[axis]);
      high[axis] = lattice.Centre(axis, origin[axis] + cells.high[axis]);
    }
  }
};

__device__ double Sum(const double squares[3]) { return (squares[0] + squares[1]) + squares[2]; }

// Smallest squared distance of two boxes.
__device__ double Distance(const double a_low[3], const double a_high[3], const Box& b) {
  double squares[3];
  for (int axis = 0; axis < 3; ++axis) {
    const double gap = fmax(fmax(a_low[axis] - b.high[axis], b.low[axis] - a_high[axis]), 0.0);
    squares[axis] = gap * gap;
  }
  return Sum(squares);
}

// The queries of a leaf that are not active in the reference, and their answers so far.
struct Misses {
  double distance[512];
  int32_t row[512];
  uint32_t cell[512];  // 9 bits of place in the leaf, then its row in the leaf
};

struct Search {
  const LeafTableView& reference;
  const Lattices& lattices;
  const uint32_t* boxes;
  Misses& misses;
  int count;
  int lane;
  int sample;
  const int32_t* origin;  // of the query's leaf
  const Box& miss_box;
  double worst = INFINITY;  // of the answers

  __device__ void Centre(uint32_t cell, double at[3]) const {
    at[0] = lattices.query.Centre(0, origin[0] + static_cast<int>((cell >> 6) & 7));
    at[1] = lattices.query.Centre(1, origin[1] + static_cast<int>((cell >> 3) & 7));
    at[2] = lattices.query.Centre(2, origin[2] + static_cast<int>(cell & 7));
  }

  // The leaves of the directory within [first, last], leaf coordinates of a box that lies in the sample's.
  __device__ void VisitLeaves(const int32_t first[3], const int32_t last[3]) {
    const uint32_t extent_y = static_cast<uint32_t>(last[1] - first[1] + 1);
    const uint32_t extent_z = static_cast<uint32_t>(last[2] - first[2] + 1);
    const uint32_t cells = static_cast<uint32_t>(last[0] - first[0] + 1) * extent_y * extent_z;
    for (uint32_t begin = 0; begin < cells; begin += 32) {
      const uint32_t cell = begin + lane;
      int32_t leaf = -1;
      if (cell < cells) {
        const uint32_t column = cell / extent_z;
        const uint32_t x = column / extent_y;
        leaf = FindLeaf(reference, sample, first[0] + static_cast<int32_t>(x),
                        first[1] + static_cast<int32_t>(column - x * extent_y),
                        first[2] + static_cast<int32_t>(cell - column * extent_z));
      }
      bool near = false;
      if (leaf >= 0) {
        const Box box(lattices.reference, reference.origin + 4 * int64_t{leaf}, CellBox(boxes[leaf]));
        near = Distance(miss_box.low, miss_box.high, box) <= worst;
      }
      unsigned candidates = __ballot_sync(kAllLanes, near);
      if (candidates == 0) continue;
      for (; candidates != 0; candidates &= candidates - 1) {
        VisitLeaf(__shfl_sync(kAllLanes, leaf, __ffs(candidates) - 1));
      }
      worst = 0;
      for (int slot = lane; slot < count; slot += 32) worst = fmax(worst, misses.distance[slot]);
      for (int step = 16; step > 0; step /= 2) worst = fmax(worst, __shfl_xor_sync(kAllLanes, worst, step));
    }
  }

  __device__ void VisitLeaf(int32_t leaf) {
    const int32_t* corner = reference.origin + 4 * int64_t{leaf};
    const int32_t base = reference.base[leaf];
    const Box box(lattices.reference, corner, CellBox(boxes[leaf]));
    for (int begin = 0; begin < count; begin += 32) {
      const int slot = begin + lane;
      double at[3] = {0, 0, 0};
      double best = -1;
      int32_t best_row = -1;
      bool near = false;
      if (slot < count) {
        Centre(misses.cell[slot], at);
        best = misses.distance[slot];
        best_row = misses.row[slot];
        const double distance = Distance(at, at, box);
        near = distance < best || (distance == best && base < best_row);
      }
      if (!__any_sync(kAllLanes, near)) continue;
      if (!near) best = -1;
      Scan(leaf, corner, base, at, best, best_row);
      if (near) {
        misses.distance[slot] = best;
        misses.row[slot] = best_row;
      }
    }
  }

  // All lanes go through the leaf; those with best < 0 find nothing.
  __device__ void Scan(int32_t leaf, const int32_t corner[3], int32_t base, const double at[3], double& best,
                       int32_t& best_row) const {
    const uint64_t prefix = reference.prefix[leaf];
    for (int word = 0; word < 8; ++word) {
      const uint64_t mask = reference.mask[8 * int64_t{leaf} + word];
      if (mask == 0) continue;
      const double x = at[0] - lattices.reference.Centre(0, corner[0] + word);
      const double square_x = x * x;
      if (!__any_sync(kAllLanes, square_x <= best)) continue;
      const int32_t first = base + (word == 0 ? 0 : static_cast<int32_t>((prefix >> (9 * (word - 1))) & 511));
      for (uint64_t rest = mask; rest != 0;) {
        const int j = (__ffsll(static_cast<long long>(rest)) - 1) >> 3;
        uint32_t cells = static_cast<uint32_t>(rest >> (8 * j)) & 0xff;
        rest &= ~(uint64_t{0xff} << (8 * j));
        const double y = at[1] - lattices.reference.Centre(1, corner[1] + j);
        const double square_xy = square_x + y * y;
        if (!__any_sync(kAllLanes, square_xy <= best)) continue;
        int32_t row = first + __popcll(mask & ((uint64_t{1} << (8 * j)) - 1));
        for (; cells != 0; cells &= cells - 1, ++row) {
          const double z = at[2] - lattices.reference.Centre(2, corner[2] + (__ffs(cells) - 1));
          const double distance = square_xy + z * z;
          if (distance < best || (distance == best && row < best_row)) {
            best = distance;
            best_row = row;
          }
        }
      }
    }
  }
};

__global__ void __launch_bounds__(kThreads)
    NearestVoxelKernel(LeafTableView reference, const int64_t* reference_offsets, LeafTableView query,
                       Lattices lattices, bool same_lattice, const uint32_t* boxes, int64_t* nearest) {
  __shared__ Misses of_warps[kWarps];
  Misses& misses = of_warps[threadIdx.x / 32];
  const int lane = threadIdx.x % 32;
  const int64_t leaf = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (leaf >= query.num_leaves) return;
  const int4 place = reinterpret_cast<const int4*>(query.origin)[leaf];
  const int32_t origin[3] = {place.x, place.y, place.z};
  const int sample = place.w;
  const int32_t base = query.base[leaf];
  const bool nothing = reference_offsets[sample] == reference_offsets[sample + 1];
  const int32_t twin = same_lattice ? FindLeaf(reference, sample, origin[0] >> 3, origin[1] >> 3, origin[2] >> 3) : -1;
  // Step 1.
  int count = 0, rank = 0;
  uint64_t missing[8];
#pragma unroll
  for (int word = 0; word < 8; ++word) {
    const uint64_t mask = query.mask[8 * leaf + word];
    const uint64_t present = twin < 0 ? 0 : reference.mask[8 * int64_t{twin} + word];
    missing[word] = mask & ~present;
    for (int bit = lane; bit < 64; bit += 32) {
      if (((mask >> bit) & 1) == 0) continue;
      const uint64_t below = (uint64_t{1} << bit) - 1;
      const int in_leaf = rank + __popcll(mask & below);
      if ((present >> bit) & 1) {
        nearest[base + in_leaf] = reference.base[twin] + BitsBefore(reference, twin, word, bit);
      } else if (nothing) {
        nearest[base + in_leaf] = -1;
      } else {
        const int slot = count + __popcll(missing[word] & below);
        misses.cell[slot] = static_cast<uint32_t>(word << 6 | bit | in_leaf << 9);
        misses.distance[slot] = INFINITY;
        misses.row[slot] = -1;
      }
    }
    count += __popcll(missing[word]);
    rank += __popcll(mask);
  }
  if (nothing || count == 0) return;
  __syncwarp();

  // Step 2. The leaves of [low, high], widened by `ring`, have been visited.
  const Box miss_box(lattices.query, origin, CellBox(missing));
  Search search{reference, lattices, boxes, misses, count, lane, sample, origin, miss_box};
  const int32_t* directory_box = reference.box + 8 * int64_t{sample};
  int64_t low[3], high[3], ring = 0;
  int32_t first[3], last[3];
  for (int axis = 0; axis < 3; ++axis) {
    low[axis] = static_cast<int64_t>(floor(miss_box.low[axis] / lattices.reference.scale[axis] / 8));
    high[axis] = static_cast<int64_t>(floor(miss_box.high[axis] / lattices.reference.scale[axis] / 8));
    first[axis] = directory_box[axis];
    last[axis] = directory_box[axis] + directory_box[3 + axis] - 1;
    // The first ring that meets the directory's box along every axis.
    ring = max(ring, max(first[axis] - high[axis], low[axis] - last[axis]));
  }
  int32_t begin[3], end[3];  // what has been visited, cut off by the directory's box
  const auto cut = [&](int axis, int64_t leaf_coordinate) {
    return static_cast<int32_t>(min(max(leaf_coordinate, int64_t{first[axis]}), int64_t{last[axis]}));
  };
  for (int axis = 0; axis < 3; ++axis) {
    begin[axis] = cut(axis, low[axis] - ring);
    end[axis] = cut(axis, high[axis] + ring);
  }
  search.VisitLeaves(begin, end);
  for (bool more = true; more;) {
    ++ring;
    more = false;
#pragma unroll 1
    for (int axis = 0; axis < 3; ++axis) {
      // The two faces across this axis; those of the axes before have been added to [begin, end].
#pragma unroll 1
      for (int side = 0; side < 2; ++side) {
        const int64_t face = side == 0 ? low[axis] - ring : high[axis] + ring;
        if (face < first[axis] || face > last[axis]) continue;
        const double gap = side == 0 ? miss_box.low[axis] - lattices.reference.Centre(axis, 8 * face + 7)
                                     : lattices.reference.Centre(axis, 8 * face) - miss_box.high[axis];
        if (gap > 0 && gap * gap > search.worst) continue;
        int32_t face_begin[3] = {begin[0], begin[1], begin[2]}, face_end[3] = {end[0], end[1], end[2]};
        face_begin[axis] = face_end[axis] = static_cast<int32_t>(face);
        search.VisitLeaves(face_begin, face_end);
        more = true;
      }
      begin[axis] = cut(axis, low[axis] - ring);
      end[axis] = cut(axis, high[axis] + ring);
    }
  }
  // Step 3 was inside; write the answers.
  __syncwarp();
  for (int slot = lane; slot < count; slot += 32) {
    nearest[base + static_cast<int32_t>(misses.cell[slot] >> 9)] = misses.row[slot];
  }
}

}  // namespace

cudaError_t NearestVoxelCuda(const LeafTableView& reference, const int64_t* reference_offsets,
                             const LeafTableView& query, const Lattices& lattices, uint32_t* workspace,
                             int64_t* nearest, cudaStream_t stream) {
  if (query.num_leaves == 0) return cudaSuccess;
  if (reference.num_leaves > 0) {
    FindLeafBoxes<<<static_cast<unsigned>(CeilDivide<int64_t>(reference.num_leaves, kThreads)), kThreads, 0, stream>>>(
        reference, workspace);
  }
  NearestVoxelKernel<<<static_cast<unsigned>(CeilDivide<int64_t>(query.num_leaves, kWarps)), kThreads, 0, stream>>>(
      reference, reference_offsets, query, lattices, lattices.same(), workspace, nearest);
  return cudaGetLastError();
}

}  // namespace cubist

// The queries of one leaf are answered together:
// 1. A query on an active voxel of the same lattice is its own answer. The others (misses) have a box.
// 2. Reference leaves are visited in rings around that box through the directory. Each has a smallest and a largest
//    distance to the box; the least of the largest (the bound) holds for every miss. Leaves of ring r and beyond are
//    more than 8(r-1) voxels away, so once that exceeds the bound no leaf that matters is left out.
// 3. Leaves not beyond the bound are candidates, nearest first. A miss goes through them until the next one's distance
//    to the box exceeds its best; it starts with its neighbour's answer, which is mostly close.
//
// Why rounding cannot lose the answer: every distance, of voxels and of boxes, is the same sum of squared differences
// of the same rounded centres, and rounding is monotone, so a box is never farther than a voxel in it. Ring distances
// are taken half a voxel smaller than they are. Built with -ffp-contract=off, which keeps the sums the same everywhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"
#include "kernels/nearest_voxel/lattices.h"
#include "kernels/nearest_voxel/nearest_voxel.h"

namespace cubist {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kLeavesPerBlock = 8;

// A box of voxel centres, corners included.
struct Box {
  std::array<double, 3> low, high;
};

double Sum(const std::array<double, 3>& squares) { return (squares[0] + squares[1]) + squares[2]; }

double SmallestDistance(const Box& a, const Box& b) {
  std::array<double, 3> squares;
  for (int axis = 0; axis < 3; ++axis) {
    const double gap = std::max({a.low[axis] - b.high[axis], b.low[axis] - a.high[axis], 0.0});
    squares[axis] = gap * gap;
  }
  return Sum(squares);
}

double LargestDistance(const Box& a, const Box& b) {
  std::array<double, 3> squares;
  for (int axis = 0; axis < 3; ++axis) {
    const double gap = std::max(a.high[axis] - b.low[axis], b.high[axis] - a.low[axis]);
    squares[axis] = gap * gap;
  }
  return Sum(squares);
}

// The box of the active voxels of a leaf of the given lattice.
Box BoxOfLeaf(const LeafTableView& table, const Lattice& lattice, int64_t leaf) {
  uint64_t any = 0;
  int first = 8, last = -1;
  for (int word = 0; word < 8; ++word) {
    const uint64_t bits = table.mask[8 * leaf + word];
    any |= bits;
    if (bits != 0) {
      first = std::min(first, word);
      last = word;
    }
  }
  uint64_t columns = any;
  for (const int shift : {32, 16, 8}) columns |= columns >> shift;
  columns &= 0xff;
  const int32_t* origin = table.origin + 4 * leaf;
  Box box;
  const int low[3] = {first, __builtin_ctzll(any) / 8, __builtin_ctzll(columns)};
  const int high[3] = {last, (63 - __builtin_clzll(any)) / 8, 63 - __builtin_clzll(columns)};
  for (int axis = 0; axis < 3; ++axis) {
    box.low[axis] = lattice.Centre(axis, origin[axis] + low[axis]);
    box.high[axis] = lattice.Centre(axis, origin[axis] + high[axis]);
  }
  return box;
}

struct Candidate {
  double distance;  // smallest squared distance to the box of the misses
  int32_t leaf;
  bool operator<(const Candidate& other) const {
    return distance != other.distance ? distance < other.distance : leaf < other.leaf;
  }
};

struct Answer {
  double distance = kInfinity;  // squared
  int32_t row = -1;

  bool IsBeatenBy(double other_distance, int32_t other_row) const {
    return other_distance < distance || (other_distance == distance && other_row < row);
  }
};

struct Miss {
  std::array<int32_t, 3> ijk;
  int64_t row;
};

class Search {
 public:
  Search(const VoxelGridView& reference, const VoxelGridView& query, const Lattices& lattices,
         const std::vector<Box>& reference_boxes)
      : reference_(reference.leaves),
        reference_ijk_(reference.ijk),
        query_(query.leaves),
        lattices_(lattices),
        boxes_(reference_boxes) {}

  // Answers the queries of one leaf. Its sample of the reference is not empty.
  void AnswerLeaf(int64_t leaf, View<int64_t, 1> nearest) {
    AnswerHits(leaf, nearest);
    if (misses_.empty()) return;
    FindCandidates(query_.origin[4 * leaf + 3]);
    Answer answer;
    for (const Miss& miss : misses_) {
      answer = AnswerMiss(miss, answer.row);
      nearest(miss.row) = answer.row;
    }
  }

 private:
  // Step 1. Leaves misses_ and their box.
  void AnswerHits(int64_t leaf, View<int64_t, 1> nearest) {
    const int32_t* origin = query_.origin + 4 * leaf;
    const int32_t twin =
        lattices_.same() ? FindLeaf(reference_, origin[3], origin[0] >> 3, origin[1] >> 3, origin[2] >> 3) : -1;
    misses_.clear();
    int64_t row = query_.base[leaf];
    for (int word = 0; word < 8; ++word) {
      for (uint64_t bits = query_.mask[8 * leaf + word]; bits != 0; bits &= bits - 1, ++row) {
        const int bit = __builtin_ctzll(bits);
        const std::array<int32_t, 3> ijk = {origin[0] + word, origin[1] + (bit >> 3), origin[2] + (bit & 7)};
        const int32_t hit = FindRowInLeaf(reference_, twin, ijk[0], ijk[1], ijk[2]);
        if (hit >= 0) {
          nearest(row) = hit;
        } else {
          misses_.push_back({ijk, row});
        }
      }
    }
    miss_box_.low.fill(kInfinity);
    miss_box_.high.fill(-kInfinity);
    for (const Miss& miss : misses_) {
      for (int axis = 0; axis < 3; ++axis) {
        const double centre = lattices_.query.Centre(axis, miss.ijk[axis]);
        miss_box_.low[axis] = std::min(miss_box_.low[axis], centre);
        miss_box_.high[axis] = std::max(miss_box_.high[axis], centre);
      }
    }
  }

  // Step 2. Leaves candidates_.
  void FindCandidates(int64_t sample) {
    const int32_t* box = reference_.box + 8 * sample;
    const double* scale = lattices_.reference.scale;
    std::array<int64_t, 3> low, high, first, last;
    int64_t ring = 0;
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = static_cast<int64_t>(std::floor(miss_box_.low[axis] / scale[axis] / 8));
      high[axis] = static_cast<int64_t>(std::floor(miss_box_.high[axis] / scale[axis] / 8));
      first[axis] = box[axis];
      last[axis] = int64_t{box[axis]} + box[3 + axis] - 1;
      // The first ring that meets the directory's box along every axis.
      ring = std::max({ring, first[axis] - high[axis], low[axis] - last[axis]});
    }
    const double smallest_scale = *std::min_element(scale, scale + 3);
    candidates_.clear();
    double bound = kInfinity;
    for (bool whole = true, more = true; more; ++ring, whole = false) {
      const double beyond = std::max(8.0 * static_cast<double>(ring - 1) - 0.5, 0.0) * smallest_scale;
      if (beyond * beyond > bound) break;
      VisitRing(sample, low, high, first, last, ring, whole, bound);
      more = false;
      for (int axis = 0; axis < 3; ++axis) {
        more |= low[axis] - ring > first[axis] || high[axis] + ring < last[axis];
      }
    }
    const auto beyond_bound = [bound](const Candidate& candidate) { return candidate.distance > bound; };
    candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(), beyond_bound), candidates_.end());
    std::sort(candidates_.begin(), candidates_.end());
  }

  void VisitRing(int64_t sample, const std::array<int64_t, 3>& low, const std::array<int64_t, 3>& high,
                 const std::array<int64_t, 3>& first, const std::array<int64_t, 3>& last, int64_t ring, bool whole,
                 double& bound) {
    const auto begin = [&](int axis) { return std::max(low[axis] - ring, first[axis]); };
    const auto end = [&](int axis) { return std::min(high[axis] + ring, last[axis]); };
    const auto outermost = [&](int axis, int64_t at) { return at == low[axis] - ring || at == high[axis] + ring; };
    for (int64_t x = begin(0); x <= end(0); ++x) {
      for (int64_t y = begin(1); y <= end(1); ++y) {
        const bool all = whole || outermost(0, x) || outermost(1, y);
        for (int64_t z = begin(2); z <= end(2); ++z) {
          // Inside the ring only the two ends are new.
          if (!all && !outermost(2, z)) {
            z = std::max(z, high[2] + ring - 1);
            continue;
          }
          const int32_t leaf =
              FindLeaf(reference_, sample, static_cast<int32_t>(x), static_cast<int32_t>(y), static_cast<int32_t>(z));
          if (leaf < 0) continue;
          candidates_.push_back({SmallestDistance(miss_box_, boxes_[leaf]), leaf});
          bound = std::min(bound, LargestDistance(miss_box_, boxes_[leaf]));
        }
      }
    }
  }

  // Step 3. `start` is a row of the same sample of the reference, probably a near one, or -1.
  Answer AnswerMiss(const Miss& miss, int32_t start) {
    Box at;
    for (int axis = 0; axis < 3; ++axis) {
      at.low[axis] = at.high[axis] = lattices_.query.Centre(axis, miss.ijk[axis]);
    }
    Answer answer;
    if (start >= 0) answer = {DistanceToRow(at, start), start};
    for (const Candidate& candidate : candidates_) {
      if (candidate.distance > answer.distance) break;
      const double distance = SmallestDistance(at, boxes_[candidate.leaf]);
      if (answer.IsBeatenBy(distance, reference_.base[candidate.leaf])) Scan(at, candidate.leaf, answer);
    }
    return answer;
  }

  double DistanceToRow(const Box& at, int32_t row) const {
    std::array<double, 3> squares;
    for (int axis = 0; axis < 3; ++axis) {
      squares[axis] = Squared(at.low[axis] - lattices_.reference.Centre(axis, reference_ijk_(row, axis)));
    }
    return Sum(squares);
  }

  void Scan(const Box& at, int32_t leaf, Answer& answer) const {
    const int32_t* origin = reference_.origin + 4 * int64_t{leaf};
    double squares[3][8];
    for (int axis = 0; axis < 3; ++axis) {
      for (int n = 0; n < 8; ++n) {
        squares[axis][n] = Squared(at.low[axis] - lattices_.reference.Centre(axis, origin[axis] + n));
      }
    }
    for (int word = 0; word < 8; ++word) {
      if (squares[0][word] > answer.distance) continue;
      for (uint64_t bits = reference_.mask[8 * int64_t{leaf} + word]; bits != 0;) {
        const int j = __builtin_ctzll(bits) >> 3;
        const double square_xy = squares[0][word] + squares[1][j];
        if (square_xy > answer.distance) {
          bits &= ~(uint64_t{0xff} << (8 * j));
          continue;
        }
        for (; (bits >> (8 * j) & 0xff) != 0; bits &= bits - 1) {
          const int bit = __builtin_ctzll(bits);
          const double distance = square_xy + squares[2][bit & 7];
          if (distance > answer.distance) continue;
          const int32_t row = reference_.base[leaf] + BitsBefore(reference_, leaf, word, bit);
          if (answer.IsBeatenBy(distance, row)) answer = {distance, row};
        }
      }
    }
  }

  static double Squared(double x) { return x * x; }

  const LeafTableView& reference_;
  const View<const int32_t, 2>& reference_ijk_;
  const LeafTableView& query_;
  const Lattices& lattices_;
  const std::vector<Box>& boxes_;
  std::vector<Miss> misses_;
  Box miss_box_;
  std::vector<Candidate> candidates_;
};

}  // namespace

absl::Status NearestVoxelCpu(const VoxelGridView& reference, const VoxelGridView& query, View<int64_t, 1> nearest) {
  if (reference.batch_size() != query.batch_size() || nearest.shape[0] != query.num_voxels()) {
    return InternalError(absl::StrCat("NearestVoxel: ", reference.batch_size(), " samples of reference, ",
                                      query.batch_size(), " of query; ", nearest.shape[0], " results for ",
                                      query.num_voxels(), " voxels"));
  }
  const Lattices lattices(reference.transform, query.transform);
  std::vector<Box> boxes(reference.leaves.num_leaves);
  ParallelFor(reference.leaves.num_leaves, 256, [&](int64_t begin, int64_t end) {
    for (int64_t leaf = begin; leaf < end; ++leaf) boxes[leaf] = BoxOfLeaf(reference.leaves, lattices.reference, leaf);
  });
  ParallelFor(query.leaves.num_leaves, kLeavesPerBlock, [&](int64_t begin, int64_t end) {
    Search search(reference, query, lattices, boxes);
    for (int64_t leaf = begin; leaf < end; ++leaf) {
      const int32_t sample = query.leaves.origin[4 * leaf + 3];
      if (reference.host_offsets[sample] < reference.host_offsets[sample + 1]) {
        search.AnswerLeaf(leaf, nearest);
        continue;
      }
      const int64_t last = leaf + 1 < query.leaves.num_leaves ? query.leaves.base[leaf + 1] : query.num_voxels();
      for (int64_t row = query.leaves.base[leaf]; row < last; ++row) nearest(row) = -1;
    }
  });
  return absl::OkStatus();
}

}  // namespace cubist

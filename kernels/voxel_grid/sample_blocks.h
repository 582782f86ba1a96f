// Loops over the rows of a batch in blocks that never straddle two samples.
#ifndef CUBIST_KERNELS_VOXEL_GRID_SAMPLE_BLOCKS_H_
#define CUBIST_KERNELS_VOXEL_GRID_SAMPLE_BLOCKS_H_

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/parallel_for.h"
#include "base/status.h"

namespace cubist {

// InternalError unless offsets are [B+1], from 0, not falling, and end at `rows`. `what` names operation and argument.
inline absl::Status CheckOffsets(const std::vector<int64_t>& offsets, int64_t rows, std::string_view what) {
  const bool valid = !offsets.empty() && offsets.front() == 0 && std::is_sorted(offsets.begin(), offsets.end()) &&
                     offsets.back() == rows;
  if (valid) return absl::OkStatus();
  return InternalError(absl::StrCat(std::string(what), ": sample offsets must rise from 0 to the ", rows, " rows, got ",
                                    offsets.size(), " of them ending at ", offsets.empty() ? -1 : offsets.back()));
}

// CheckOffsets, and InternalError unless there are as many samples as the grid has.
inline absl::Status CheckQueryOffsets(const std::vector<int64_t>& offsets, int64_t rows, int64_t batch_size,
                                      std::string_view what) {
  RETURN_IF_ERROR(CheckOffsets(offsets, rows, what));
  const int64_t samples = static_cast<int64_t>(offsets.size()) - 1;
  if (samples == batch_size) return absl::OkStatus();
  return InternalError(absl::StrCat(std::string(what), ": ", samples, " samples against ", batch_size));
}

// Calls body(sample, begin, end) for blocks of at most `block` rows of one sample, on all threads.
template <typename Body>
void ForEachSampleBlock(const std::vector<int64_t>& offsets, int64_t block, const Body& body) {
  struct Block {
    int64_t sample, begin, end;
  };
  std::vector<Block> blocks;
  for (size_t sample = 0; sample + 1 < offsets.size(); ++sample) {
    for (int64_t begin = offsets[sample]; begin < offsets[sample + 1]; begin += block) {
      blocks.push_back({static_cast<int64_t>(sample), begin, std::min(begin + block, offsets[sample + 1])});
    }
  }
  ParallelFor(static_cast<int64_t>(blocks.size()), 1, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) body(blocks[b].sample, blocks[b].begin, blocks[b].end);
  });
}

}  // namespace cubist

#endif  // CUBIST_KERNELS_VOXEL_GRID_SAMPLE_BLOCKS_H_

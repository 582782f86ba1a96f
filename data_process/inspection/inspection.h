// What a folder of clips holds, what it lacks and what is damaged.
//
// 1. Files are listed by attribute and clip (data_tree.h). A clip that any attribute has should be in all of them.
// 2. Each file is looked at on several threads, one member or frame in memory a thread: a tar is indexed whole and its
//    first and last member are decoded; of a video the first frame; of a folder its first and last file; a caption
//    whole. With `full` all members, frames and files are decoded. What is decoded must be what the readers of samples
//    ask for (data_process/scenes/attribute_contract.h).
// 3. What the first members hold is compared between the clips of an attribute: names, dtypes and extents. The first
//    extent of arrays may differ, since clouds have any number of points; pictures agree in all.
// 4. Within a clip, archives of members by frame, and with `full` videos, should have the same frames without gaps
//    (frame_table.h), and sky masks and depth the size of their camera's images.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_INSPECTION_H_
#define CUBIST_DATA_PROCESS_INSPECTION_INSPECTION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/inspection/data_tree.h"
#include "data_process/inspection/frame_table.h"
#include "data_process/inspection/payload_kinds.h"

namespace cubist {

// Of the clips that have an attribute. Members are a tar's members, a folder's files, a video's frames (only with
// `full`, else 0), and 1 for JSON.
struct AttributeSummary {
  std::string name;
  int64_t clips = 0;
  int64_t least_members = 0, most_members = 0;
  uint64_t bytes = 0;  // of files on disk
  PayloadKinds holds;
  std::vector<std::string> missing;  // clips that lack it; all of them if only a config names it
};

struct Inspection {
  std::string root;
  bool full = false;  // whether all members, frames and files were decoded
  std::vector<std::string> clips;
  std::vector<AttributeSummary> attributes;  // by name
  std::vector<MissingFrames> missing_frames;
  std::vector<absl::Status> broken;  // each with its DataPlace
  std::vector<std::string> remarks;

  // Whether nothing is missing or broken. Differences of step 3 may be meant, so they do not count.
  bool complete() const;
};

// Steps 2 to 4; what is larger than `limits` counts as broken. This thread calls `progress` after each file and `stop`
// before each; either may be empty. The result does not depend on `threads`. Errors: PreemptedError when `stop` said
// so; InternalError when a thread throws.
absl::StatusOr<Inspection> Inspect(const DataTree& tree, bool full, const ReadLimits& limits, int threads,
                                   const std::function<void(int64_t done, int64_t total)>& progress,
                                   const std::function<bool()>& stop);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_INSPECTION_H_

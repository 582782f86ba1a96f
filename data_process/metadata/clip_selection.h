// Which videos get a row in metadata.csv, and why others get none.
#ifndef CUBIST_DATA_PROCESS_METADATA_CLIP_SELECTION_H_
#define CUBIST_DATA_PROCESS_METADATA_CLIP_SELECTION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/metadata.pb.h"
#include "data_process/metadata/clip_lists.h"
#include "data_process/metadata/metadata_table.h"

namespace cubist {

enum class LeftOut {
  kNotAllowed,  // not in the allowed list
  kHeldOut,
  kBadName,  // not UTF-8, which the CSV has to be
  kNoCaption,
  kBadCaption,  // whatever its files are
  kBadFiles,    // with a caption that is sound
  kBeyondLimit,
};

// "no caption", ...
std::string Describe(LeftOut reason);

struct LeftOutVideo {
  std::string video;  // file name
  LeftOut reason;
  std::vector<std::string> details;  // of damage: what, and where
};

// A clip that has a caption and that the lists and the limit let through.
struct Candidate {
  MetadataRow row;
  LeftOut reason = LeftOut::kBadFiles;  // for which it gets no row if there are problems
  std::vector<std::string> problems;    // a damaged caption; the trial of its files adds to them
};

// File names in `folder` that end as videos do, by code point. Errors: DataError when it cannot be listed.
absl::StatusOr<std::vector<std::string>> ListVideos(const std::string& folder);

// Of these videos those that may get a row, in the same order; the others join `left_out`. `captions` is the folder of
// captions. A clip with a damaged caption does not count towards the limit.
std::vector<Candidate> SelectClips(const Metadata& options, const std::vector<std::string>& videos,
                                   const ClipLists& lists, const std::string& captions,
                                   std::vector<LeftOutVideo>* left_out);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_CLIP_SELECTION_H_

// Looks at all archives of a data set before a run depends on them.
//
// 1. Each tar <data_root>/<attribute>/<clip>.tar of the clips that train or validate is indexed whole, which finds
//    every damage of its headers and every truncation.
// 2. Its first and its last member are read and decoded by their names' endings (data_process/scenes/payload.h).
//    Others are read only. What is decoded must be what the attribute's readers ask for
//    (data_process/scenes/attribute_contract.h). What lies between is not looked at: a run reads that itself.
#ifndef CUBIST_DATA_PROCESS_SCENES_ARCHIVE_CHECK_H_
#define CUBIST_DATA_PROCESS_SCENES_ARCHIVE_CHECK_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_index.h"
#include "data_process/scenes/payload.h"

namespace cubist {

// One archive.
struct ArchiveContents {
  int64_t members = 0;            // none if the index is not whole
  uint64_t bytes = 0;             // of these members' data
  int64_t decoded = 0;            // members that were read and decoded
  int64_t read_only = 0;          // members that were read, of kinds that nothing here decodes
  std::optional<Payload> first;   // what the first member holds, if that could be read
  std::vector<absl::Status> bad;  // all that is wrong, each with its DataPlace, at most about ten of them
  // The frames of members "<clip>.NNNNNN.<series>", ascending, by series in lower case: "pose.front.npy".
  std::map<std::string, std::vector<int64_t>> frames;
};

// Steps 1 and 2 for the tar at `path`, which is this attribute's and clip's; with `every_member` nothing is left out
// in step 2. An archive without members counts as bad, and so does what is larger than `limits`.
ArchiveContents CheckArchive(const std::string& path, const std::string& attribute, const std::string& clip,
                             bool every_member, const ReadLimits& limits = ReadLimits::default_instance());

struct ArchiveReport {
  int64_t archives = 0;           // looked at, bad ones included
  int64_t members = 0;            // of archives whose index is whole
  uint64_t bytes = 0;             // of these members' data
  int64_t decoded = 0;            // members that were read and decoded
  int64_t read_only = 0;          // members that were read, of kinds that nothing here decodes
  bool stopped = false;           // `stop` said so before all archives were looked at
  std::vector<absl::Status> bad;  // all that is wrong, each with its DataPlace; by clip, then attribute
};

// Checks the tars of all of data.attributes by data.limits, first of the clips that train, then of the others that
// validate, on `threads` threads, which show in the time it takes only; each holds one member and what is decoded of
// it. This thread calls `progress` after each archive, in order, and `stop` before each and at least ten times a
// second; either may be empty. Errors: InternalError when a thread throws. Bad archives are no error here: the caller
// decides.
absl::StatusOr<ArchiveReport> CheckArchives(const ClipIndex& clips, const Data& data, int threads,
                                            const std::function<void(int64_t done, int64_t total)>& progress,
                                            const std::function<bool()>& stop);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_ARCHIVE_CHECK_H_

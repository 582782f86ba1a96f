// metadata.csv: which video is trained with which prompt and which guidance buffers (metadata_table.h).
//
// 1. Videos: files of the video folder with the endings mp4 avi mov wmv mkv flv webm, in upper or lower case, by code
//    point. A clip's id is the name without the ending.
// 2. A clip gets a row unless it is missing from the allowed list, held out, beyond the limit, without a caption, or
//    with a caption that is damaged or no text.
// 3. With `strict`, every file that the rows name is opened, tried and compared in length (row_check.h), on several
//    threads, those of clips with a damaged caption too. Bad clips are an error, or with leave_out_bad lose their row.
// 4. The table is written beside the videos under a temporary name, synced and renamed.
#ifndef CUBIST_DATA_PROCESS_METADATA_METADATA_H_
#define CUBIST_DATA_PROCESS_METADATA_METADATA_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "configs/proto/metadata.pb.h"
#include "data_process/metadata/clip_selection.h"
#include "data_process/metadata/metadata_table.h"

namespace cubist {

struct MetadataReport {
  std::string csv;           // path
  std::string allowed;       // which list decided, for people
  int64_t videos = 0;        // that the folder has
  bool written = false;      // false: a dry run, or an error
  bool files_tried = false;  // step 3 was done
  std::vector<MetadataRow> rows;
  std::vector<LeftOutVideo> left_out;  // in the order of videos
  std::vector<std::string> warnings;   // a sentence each
};

// Steps 1 to 4, as `options` (complete, with absolute paths) say. `report` is filled as far as things went, also on an
// error. `progress` is called by this thread with the rows whose files were tried; `stop` before each; either may be
// empty.
// Errors: ConfigError for options that do not fit together; DataError for a missing folder or an unusable list, when no
// row is left, and with `strict` unless leave_out_bad for bad captions and files: all that is wrong with all clips is
// named, and no CSV is touched; StorageError when it cannot be written; PreemptedError when `stop` said so.
absl::Status MakeMetadata(FileOps& ops, const Metadata& options,
                          const std::function<void(int64_t done, int64_t total)>& progress,
                          const std::function<bool()>& stop, MetadataReport* report);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_METADATA_H_

// The JSON lists of clip ids that decide which clips get a row.
#ifndef CUBIST_DATA_PROCESS_METADATA_CLIP_LISTS_H_
#define CUBIST_DATA_PROCESS_METADATA_CLIP_LISTS_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/metadata.pb.h"

namespace cubist {

struct ClipLists {
  std::string allowed_path;                      // the list that `allowed` is from; empty: no list
  std::optional<std::set<std::string>> allowed;  // not set: every clip
  std::string why_all;                           // in that case: why
  std::set<std::string> held_out;
  // The official validation lists (official_val*.json) that lie beside the lists in use: ids by file name.
  std::map<std::string, std::set<std::string>> validation;
};

// A JSON array of ids. Errors: DataError that names the file: it cannot be read, is no list of texts, or is empty.
absl::StatusOr<std::set<std::string>> ReadIdList(const std::string& path);

// The lists that `options` (with absolute paths) call for:
// 1. allowed: none with all_clips; else allowed_clips_json; else <assets_root>/waymo_split/video_training_good.json;
//    else, if it is there, infinicube/assets/waymo_split/video_training_good.json in the folder the user stands in.
// 2. held out: all of `holdout`.
// 3. validation: those in the folder of assets_root's lists, else in that of the allowed list.
// Errors: those of ReadIdList, with what asked for the list; ConfigError for all_clips beside allowed_clips_json.
absl::StatusOr<ClipLists> ReadClipLists(const Metadata& options);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_CLIP_LISTS_H_

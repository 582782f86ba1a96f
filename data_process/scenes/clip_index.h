// Which clips a run trains on and which it validates on, and where their tars lie.
//
// 1. Clips named in the config (data.train_clips, data.validation_clips) go before all else.
// 2. Else the JSON lists (data.train_clip_list, data.validation_clip_list) under data.assets_root, when
//    that is given.
// 3. Where neither names any clip for either side: all clips that every attribute folder holds, split by
//    a hash of the id. Whether a clip is held out depends on its id and data.validation_fraction alone, so
//    a clip that joins the folder moves no other one and runs with different seeds can be compared.
// Where only validation clips are named, the folder's other clips train; where only training clips are
// named, nothing validates.
#ifndef CUBIST_DATA_PROCESS_SCENES_CLIP_INDEX_H_
#define CUBIST_DATA_PROCESS_SCENES_CLIP_INDEX_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// <data_root>/<attribute>/<clip>.tar
std::string ClipTarPath(std::string_view data_root, std::string_view attribute, std::string_view clip);

class ClipIndex {
 public:
  // Reads lists or folders and checks that <data_root>/<attribute>/<clip>.tar is a file for every clip and
  // every one of data.attributes.
  // Errors: DataError for a missing data_root or attribute folder, a clip list that cannot be read, an empty
  // selection, or missing tars (the first ten and their number); ConfigError for attributes that are not
  // set or a clip id or attribute that is no plain file name.
  static absl::StatusOr<ClipIndex> Open(const Data& data);

  // Ids without extension, none twice; in the order of config or list, else sorted.
  const std::vector<std::string>& train_clips() const { return train_clips_; }
  const std::vector<std::string>& validation_clips() const { return validation_clips_; }

  // 32 hexadecimal digits (XXH3-128) over which clips train and validate and the name and size of each
  // of their tars: ranks that see the same data agree on it.
  const std::string& manifest_hash() const { return manifest_hash_; }

  // What a user should know though it stops nothing: clips left out of a folder, ids listed twice, clips
  // that both train and validate. One sentence each.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  ClipIndex() = default;

  std::vector<std::string> train_clips_;
  std::vector<std::string> validation_clips_;
  std::string manifest_hash_;
  std::vector<std::string> warnings_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_SCENES_CLIP_INDEX_H_

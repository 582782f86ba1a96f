// Which files a folder of clips holds, by attribute and clip, without opening any of them.
//
// An attribute is a folder of <data_root> that holds <clip>.tar, videos <clip>.mp4 (or avi mov wmv mkv flv webm) or
// <clip>.json; that of the lidar holds a folder a clip. Hidden files are passed over, and so is a CSV.
#ifndef CUBIST_DATA_PROCESS_INSPECTION_DATA_TREE_H_
#define CUBIST_DATA_PROCESS_INSPECTION_DATA_TREE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// What an attribute has of a clip.
struct ClipFile {
  enum class Kind { kTar, kVideo, kJson, kFolder };
  Kind kind = Kind::kTar;
  std::string path;
};

struct AttributeFolder {
  std::string name;
  std::map<std::string, ClipFile> clips;  // by id
};

struct DataTree {
  std::string root;
  std::vector<AttributeFolder> attributes;  // by name; at least one has clips
  std::vector<std::string> clips;           // ids that any attribute has, sorted; at least one
  std::vector<absl::Status> broken;         // folders that cannot be listed, each with its DataPlace
  std::vector<std::string> remarks;         // what lies there and is no data: a sentence each
};

// `only` names the clips to look at; empty: all. Attributes of `wanted` that are not there are listed without clips.
// Errors: DataError: no such folder, no clip in it, or an id of `only` that no attribute has.
absl::StatusOr<DataTree> ListDataTree(const std::string& root, const std::vector<std::string>& only,
                                      const std::vector<std::string>& wanted = {});

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_INSPECTION_DATA_TREE_H_

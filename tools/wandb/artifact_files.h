// The files of an artifact: copies that stay as they are until they are uploaded, and the digests that the server knows
// them by.
#ifndef CUBIST_TOOLS_WANDB_ARTIFACT_FILES_H_
#define CUBIST_TOOLS_WANDB_ARTIFACT_FILES_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace cubist {

// Whether `path` is a relative path of a file that stays below the folder it is taken from, in its simplest form.
bool IsPathInside(const std::string& path);

// MD5 of a file's contents in base64. DataError if it cannot be read, PreemptedError once `stop` (may be null) is set.
absl::StatusOr<std::string> Md5OfFile(const std::string& path, const std::atomic<bool>* stop = nullptr);

struct StagedFile {
  std::string path;        // in the artifact
  std::string local_path;  // of the copy
  std::string md5;         // in base64
  int64_t size = 0;        // bytes
};

// Gives each (path in the artifact, file) a second name below `folder`, or a copy where the file system has no second
// names: a checkpoint may be removed before it is uploaded, but must not be written to. Sorted by path. Errors:
// ConfigError for a path that is not relative or leads out of the artifact, DataErrors of the files, StorageErrors of
// `folder`, PreemptedError as above.
absl::StatusOr<std::vector<StagedFile>> StageFiles(FileOps& ops,
                                                   const std::vector<std::pair<std::string, std::string>>& files,
                                                   const std::string& folder, const std::atomic<bool>* stop = nullptr);

// The digest MANIFEST_MD5 of files in the order of their paths, in hexadecimal digits.
std::string ArtifactDigest(const std::vector<StagedFile>& files);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_ARTIFACT_FILES_H_

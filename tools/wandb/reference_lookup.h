// What a server of Weights & Biases has of a run: its artifacts and files, and their download.
//
// "Not there" is a result (nothing); an error means that nobody could tell: see ServerSession.
#ifndef CUBIST_TOOLS_WANDB_REFERENCE_LOOKUP_H_
#define CUBIST_TOOLS_WANDB_REFERENCE_LOOKUP_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"
#include "tools/wandb/server_session.h"

namespace cubist {

struct RemoteProject {
  std::string entity, name;
};

struct RemoteArtifact {
  std::string id;
  std::string digest;   // of its files' names and contents
  int64_t version = 0;  // "v0" is the first
};

struct RemoteFile {
  std::string name;  // a relative path
  std::string url;
  std::string md5;    // in base64; empty if the server does not say
  int64_t size = -1;  // bytes; -1 likewise
  std::string time;   // of its last change, as text that sorts; empty likewise
};

// Whose projects are meant where no entity is named: the key's own. ConfigError if the server does not know the key.
absl::StatusOr<std::string> DefaultEntity(ServerSession& session);

// `name` is "<collection>:<alias>", "<collection>:v3".
absl::StatusOr<std::optional<RemoteArtifact>> FindArtifact(ServerSession& session, const RemoteProject& project,
                                                           const std::string& name);
absl::StatusOr<std::vector<RemoteFile>> FilesOfArtifact(ServerSession& session, const std::string& artifact_id);
// All files of a run, by its id.
absl::StatusOr<std::optional<std::vector<RemoteFile>>> FilesOfRun(ServerSession& session, const RemoteProject& project,
                                                                  const std::string& run_id);
// The ids of the runs that are shown under this name, the newest first.
absl::StatusOr<std::vector<std::string>> RunsNamed(ServerSession& session, const RemoteProject& project,
                                                   const std::string& display_name);

// The value of "epoch" in that row of the run's history with the lowest value of `metric`, the first of several. Of
// more than 1000 rows with both the server takes 1000 samples. Nothing if there is no such row, or no such run.
absl::StatusOr<std::optional<int64_t>> EpochOfLowest(ServerSession& session, const RemoteProject& project,
                                                     const std::string& run_id, const std::string& metric);

// Bytes so far and of all; an error ends the download.
using DownloadProgress = std::function<absl::Status(int64_t done, int64_t total)>;

// Downloads the files into the folder `folder`, which appears when all of them are whole; if it exists already they
// are taken as they are. Several processes on any hosts that want the same folder at once: one downloads, the others
// wait by the lock "<folder>.lock"; where the file system has no locks each downloads, and the first one's is taken.
// Errors: of ServerSession; PeerLostError if a file is not what the server said of it, or the server does not say its
// MD5; StorageErrors of the folder, also where the disk has no room for them; ConfigError for names that lead out of
// it; what `progress` (may be null) returns.
absl::Status DownloadFiles(FileOps& ops, ServerSession& session, const std::vector<RemoteFile>& files,
                           const std::string& folder, const DownloadProgress& progress);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_REFERENCE_LOOKUP_H_

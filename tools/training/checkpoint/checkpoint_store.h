// The checkpoints of a run: a folder `step-000006250` for each, committed by a rename.
//
// Protocol of a save, with every change to the file system going through FileOps:
//   1. Make `step-N.tmp-<id>` in the store's folder.
//   2. Write each file of tensors, training_state.pb and config.textproto into it; sync and close each.
//   3. Write MANIFEST last, naming every file with its size and hashes and closed by its own SHA-256; sync it.
//   4. Sync the temporary folder: the names in it are durable.
//   5. If step-N exists already, rename that one to `.replaced-step-N.<id>`.
//   6. Rename the temporary folder to `step-N`: the commit.
//   7. Sync the store's folder: the commit is durable. Only now is the save reported as done.
//   8. Remove what was replaced, then what retention no longer keeps (renamed to `.trash-step-N.<id>` first).
// A failure in 1 to 7 is reported, and the new checkpoint is taken away again; nothing older has
// been touched by then. A process that dies leaves a temporary, trash or replaced folder, which
// Clean() removes; a replaced folder whose step-N is missing (death between 5 and 6) is renamed back.
//
// A folder without its manifest is no checkpoint. There is no "latest" file: the latest checkpoint
// is the committed one with the highest step.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_CHECKPOINT_STORE_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_CHECKPOINT_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/byte_sink.h"
#include "base/dtype.h"
#include "base/file_ops.h"
#include "tools/training/checkpoint/checkpoint.pb.h"
#include "tools/training/checkpoint/checkpoint_reader.h"

namespace cubist {

// A tensor in host memory that somebody else owns: dense, row-major. `global_shape` and `offset` say
// which part of a larger tensor it is; both empty: all of it. `stream` in the place of `data` gives its bytes when it
// is written.
struct TensorSource {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  const void* data = nullptr;
  std::vector<int64_t> global_shape = {};
  std::vector<int64_t> offset = {};
  ByteStream stream = {};
};

// "model" becomes model.safetensors. Names are unique in a group.
struct TensorGroup {
  std::string name;
  std::vector<TensorSource> tensors;
};

struct CheckpointContents {
  std::vector<TensorGroup> groups;
  // state.step() is the checkpoint's step.
  checkpoint::TrainingState state;
  // Text of the resolved config, and the hash of its canonical form.
  std::string config_text;
  std::string config_hash;
  std::string program_version;
  // What it was made from, where that is no earlier checkpoint of the store.
  std::vector<checkpoint::Parent> parents = {};
  // Seconds since 1970-01-01 UTC. Given: the manifest has this time and no host, so that equal contents give equal
  // bytes wherever they are written.
  std::optional<double> created = {};
};

struct Retention {
  // Newest checkpoints that are kept; at least 1.
  int64_t keep_last = 2;
  // Checkpoints at multiples of this many steps are kept as well; 0: none.
  int64_t keep_every = 0;
};

struct SaveReport {
  // The committed folder.
  std::string folder;
  std::string manifest_sha256;
  uint64_t bytes = 0;
  // Why older checkpoints that retention no longer keeps could not be removed. The save itself is done.
  absl::Status removal;
};

struct LoadReport {
  Checkpoint checkpoint;
  // Newer checkpoints that did not verify and were passed over, newest first, with the reason.
  std::vector<std::pair<int64_t, absl::Status>> passed_over;
};

// One process writes at a time (RunLock); others may read meanwhile.
class CheckpointStore {
 public:
  // `folder` is made at the first save. `warn` takes lines that the user must see; without one they
  // go to stderr.
  CheckpointStore(FileOps& ops, std::string folder, Retention retention = {},
                  std::function<void(const std::string&)> warn = nullptr);

  const std::string& folder() const { return folder_; }
  // "<folder>/step-000006250".
  std::string FolderOf(int64_t step) const;

  // Removes what an interrupted save or removal left behind, as described above. To be called once
  // after the run's lock was taken and before anything is loaded. Nothing there: OK.
  absl::Status Clean();

  // Committed steps, ascending. "No checkpoint yet" is an empty list; "cannot tell" is an error.
  absl::StatusOr<std::vector<int64_t>> List() const;
  absl::StatusOr<std::optional<int64_t>> Latest() const;

  // Opens one step's checkpoint. Tensors are verified when they are read from it.
  absl::StatusOr<Checkpoint> Load(int64_t step) const;
  // Reads and verifies all of the latest checkpoint and opens it; nothing when there is none. If it
  // does not verify: an error that names file and tensor, or with `allow_fallback` a warning, and the
  // next older one that verifies. With no such one it is an error: a damaged run is never taken for a new one.
  absl::StatusOr<std::optional<LoadReport>> LoadLatest(bool allow_fallback) const;

  // To be called when a run goes on from `checkpoint` of this store: it is protected from retention
  // until a newer one is committed, it is the parent of the next one, and what is newer in the store
  // (checkpoints passed over by a fallback) is renamed to `.set-aside-step-N.<id>`, which nothing removes.
  absl::Status ResumeFrom(const Checkpoint& checkpoint);
  // The parent of the first save, when the run starts from a checkpoint elsewhere.
  void SetParent(std::string manifest_sha256) { parent_sha256_ = std::move(manifest_sha256); }

  // Retention leaves the checkpoints of these steps alone, and no longer those of an earlier call.
  void Keep(std::set<int64_t> steps) { kept_steps_ = std::move(steps); }

  // Saves and commits, then applies retention.
  absl::StatusOr<SaveReport> Save(const CheckpointContents& contents);

  // The same in three calls, for several ranks: one rank begins, each rank writes its files and sends
  // the records to that rank, which commits. A failed or dropped pending save is taken away by Abandon.
  struct Pending {
    int64_t step = 0;
    std::string temporary_folder;
  };
  absl::StatusOr<Pending> Begin(int64_t step);
  // Writes and syncs one file. `file_name`: "model.safetensors", "optimizer-00001-of-00004.safetensors".
  static absl::StatusOr<checkpoint::TensorFile> WriteTensorFile(FileOps& ops, const std::string& temporary_folder,
                                                                const std::string& file_name, const TensorGroup& group);
  absl::StatusOr<SaveReport> Commit(const Pending& pending, std::vector<checkpoint::TensorFile> files,
                                    const CheckpointContents& contents_without_groups);
  void Abandon(const Pending& pending);

  // Removes a checkpoint: renamed to a trash folder first, so it is there or not there, never in part.
  absl::Status Delete(int64_t step);

 private:
  absl::StatusOr<SaveReport> WriteAndCommit(const Pending& pending, std::vector<checkpoint::TensorFile> files,
                                            const CheckpointContents& contents);
  // Removes an entry of the folder: renamed to `trash_name` first unless that is its name already.
  absl::Status Discard(const std::string& name, const std::string& trash_name);
  absl::Status Prune();
  std::string NewId();
  void Warn(const std::string& line) const;

  FileOps& ops_;
  const std::string folder_;
  const Retention retention_;
  const std::function<void(const std::string&)> warn_;
  std::string parent_sha256_;
  std::optional<int64_t> protected_step_;
  std::set<int64_t> kept_steps_;
  int64_t next_id_ = 0;
};

// Bytes that the checkpoint's tensors take.
uint64_t TensorBytes(const std::vector<TensorGroup>& groups);

// Why the checkpoint, which needs so many bytes, could not be saved, with the space that is free there now; files by
// the names that they would have had. OK stays OK.
absl::Status SaveError(const absl::Status& status, const CheckpointStore::Pending& pending, uint64_t bytes);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_CHECKPOINT_STORE_H_

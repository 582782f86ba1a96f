// make_runs FOLDER CONFIG: runs for tests of programs, in FOLDER/runs.
//   first    steps 10 and 30, which has another learning rate; 20, the parent of 30, is gone
//   second   step 5, which went on from first's 30
//   merged   step 1, made from first's 30 ("branch_3d") and second's 5 ("branch_2d")
// and of the step 30 weights.ckpt and weights.safetensors.
#include <cstdio>
#include <string>

#include "base/status.h"
#include "configs/loader.h"
#include "tools/interchange/testing/sample_files.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {
namespace {

absl::Status Make(const std::string& folder, const std::string& config_path) {
  ASSIGN_OR_RETURN(const ValidatedExperiment config, LoadExperiment(config_path));
  ASSIGN_OR_RETURN(const ValidatedExperiment slower, LoadExperiment(config_path, {"learning_rate.initial=0.125"}));
  FileOps& ops = UnsyncedFileOps();
  CheckpointStore first(ops, folder + "/runs/first/checkpoints", {100, 0});
  RETURN_IF_ERROR(MakeDirectories(ops, first.folder()));
  RETURN_IF_ERROR(SaveSample(first, 10, config.CanonicalText(), config.Hash()).status());
  RETURN_IF_ERROR(SaveSample(first, 20, config.CanonicalText(), config.Hash()).status());
  ASSIGN_OR_RETURN(const SaveReport newest, SaveSample(first, 30, slower.CanonicalText(), slower.Hash()));
  RETURN_IF_ERROR(first.Delete(20));

  CheckpointStore second(ops, folder + "/runs/second/checkpoints");
  RETURN_IF_ERROR(MakeDirectories(ops, second.folder()));
  second.SetParent(newest.manifest_sha256);
  ASSIGN_OR_RETURN(const SaveReport other, SaveSample(second, 5, slower.CanonicalText(), slower.Hash()));

  CheckpointStore merged(ops, folder + "/runs/merged/checkpoints");
  RETURN_IF_ERROR(MakeDirectories(ops, merged.folder()));
  CheckpointContents contents;
  contents.state.set_step(1);
  contents.parents.resize(2);
  contents.parents[0].set_identity(newest.manifest_sha256);
  contents.parents[0].set_role("branch_3d");
  contents.parents[1].set_identity(other.manifest_sha256);
  contents.parents[1].set_role("branch_2d");
  for (checkpoint::Parent& parent : contents.parents) parent.set_format("Cubist");
  RETURN_IF_ERROR(merged.Save(contents).status());

  RETURN_IF_ERROR(WriteTorchSample(folder + "/weights.ckpt", 30));
  return WriteSafetensorsSample(folder + "/weights.safetensors", 30);
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const absl::Status status = cubist::Make(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}

// make_checkpoint RUN STEP [--damage]: a checkpoint in the run's folder as a slot leaves it, with the config that the
// slots train by. With --damage a byte of its tensors is another one than its manifest says.
#include <cstdio>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/slurm/slurm_folder.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"
#include "tools/training/checkpoint/testing/sample_checkpoint.h"

namespace cubist {
namespace {

absl::Status FlipLastByte(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  if (file == nullptr) return StorageError(absl::StrCat("cannot open ", path));
  std::fseek(file, -1, SEEK_END);
  const int byte = std::fgetc(file);
  std::fseek(file, -1, SEEK_END);
  std::fputc(byte ^ 1, file);
  return std::fclose(file) == 0 ? absl::OkStatus() : StorageError(absl::StrCat("cannot write ", path));
}

absl::Status Make(const SlurmFolder& folder, int64_t step, bool damage) {
  CheckpointStore store(UnsyncedFileOps(), folder.checkpoints_path(), {100, 0});
  RETURN_IF_ERROR(MakeDirectories(UnsyncedFileOps(), store.folder()));
  SampleCheckpoint sample = MakeSampleCheckpoint(step);
  ASSIGN_OR_RETURN(sample.contents.config_text, ReadWholeFile(folder.config_path()));
  ASSIGN_OR_RETURN(const SaveReport saved, store.Save(sample.contents));
  return damage ? FlipLastByte(saved.folder + "/model.safetensors") : absl::OkStatus();
}

}  // namespace
}  // namespace cubist

int main(int argc, char** argv) {
  int64_t step = 0;
  const bool damage = argc == 4 && std::string_view(argv[3]) == "--damage";
  if ((argc != 3 && !damage) || !absl::SimpleAtoi(argv[2], &step)) return 2;
  const absl::Status status = cubist::Make(cubist::SlurmFolder(argv[1]), step, damage);
  if (!status.ok()) std::fprintf(stderr, "make_checkpoint: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}

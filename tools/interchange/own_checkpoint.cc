#include "tools/interchange/own_checkpoint.h"

#include <set>
#include <utility>
#include <vector>

#include "base/status.h"
#include "tools/training/checkpoint/checkpoint_reader.h"
#include "tools/training/checkpoint/manifest.h"

namespace cubist {
namespace {

class OwnCheckpoint : public AnyCheckpoint {
 public:
  explicit OwnCheckpoint(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {
    const checkpoint::Manifest& manifest = checkpoint_.manifest();
    description_.path = checkpoint_.folder();
    description_.format = CheckpointFormat::kCubist;
    description_.format_name = "Cubist";
    description_.identity = checkpoint_.manifest_sha256();
    description_.state = checkpoint_.state();
    description_.config_text = checkpoint_.config_text();
    description_.config_hash = manifest.config_hash();
    if (manifest.has_parent_sha256()) {
      description_.parents.emplace_back().set_identity(manifest.parent_sha256());
    }
    description_.parents.insert(description_.parents.end(), manifest.parents().begin(), manifest.parents().end());
    if (manifest.has_created()) description_.created = manifest.created();
    description_.host = manifest.host();
    description_.program_version = manifest.program_version();
    // Parts of a tensor that ranks shared lie in several files.
    std::vector<ListedTensor> tensors;
    std::set<std::pair<std::string, std::string>> listed;
    for (const checkpoint::TensorFile& file : manifest.tensor_files()) {
      for (const checkpoint::TensorRecord& record : file.tensors()) {
        if (!listed.emplace(file.group(), record.name()).second) continue;
        tensors.push_back({file.group(), record.name(), *DTypeByName(record.dtype()), GlobalShapeOf(record)});
      }
    }
    SetTensors(std::move(tensors));
  }

  absl::StatusOr<HostTensor> Read(size_t i) const override {
    return checkpoint_.Read(tensors()[i].group, tensors()[i].name);
  }
  absl::Status Stream(size_t i, const ByteSink& sink) const override {
    return checkpoint_.Stream(tensors()[i].group, tensors()[i].name, sink);
  }

 private:
  Checkpoint checkpoint_;
};

}  // namespace

std::unique_ptr<AnyCheckpoint> AsAnyCheckpoint(Checkpoint checkpoint) {
  return std::make_unique<OwnCheckpoint>(std::move(checkpoint));
}

absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenOwnCheckpoint(const std::string& folder) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::Open(folder));
  return AsAnyCheckpoint(std::move(checkpoint));
}

}  // namespace cubist

#include "tools/tasks/voxel_diffusion_batch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/scenes/semantic_classes.h"
#include "tools/tasks/host_tensor_torch.h"

namespace cubist {
namespace {

class VoxelDiffusionBatches : public BatchMaker {
 public:
  VoxelDiffusionBatches(const Data& data, at::Device device) : data_(data), device_(device) {}

  absl::StatusOr<std::unique_ptr<TaskBatch>> MakeBatch(const std::vector<SceneSample>& samples) const override {
    auto batch = std::make_unique<VoxelDiffusionBatch>();
    RETURN_IF_ERROR(Voxelize(samples, data_, kSemanticClassCount, device_, *batch));
    for (const SceneSample& sample : samples) {
      for (const auto& [type, points] : sample.maps) batch->maps[type].push_back(FromHost(points, device_));
      batch->boxes.push_back(FromHost(sample.boxes, device_));
    }
    return batch;
  }

 private:
  const Data data_;
  const at::Device device_;
};

int64_t Rows(const std::vector<at::Tensor>& parts) {
  int64_t rows = 0;
  for (const at::Tensor& part : parts) rows += part.size(0);
  return rows;
}

}  // namespace

std::string VoxelDiffusionBatch::Describe() const {
  std::string text = VoxelBatch::Describe();
  for (const auto& [type, points] : maps) absl::StrAppend(&text, ", ", Rows(points), " points of ", type);
  return absl::StrCat(text, ", ", Rows(boxes), " boxes of cars");
}

std::vector<at::Tensor> VoxelDiffusionBatch::Tensors() const {
  std::vector<at::Tensor> tensors = VoxelBatch::Tensors();
  for (const auto& [type, points] : maps) tensors.insert(tensors.end(), points.begin(), points.end());
  tensors.insert(tensors.end(), boxes.begin(), boxes.end());
  return tensors;
}

std::unique_ptr<BatchMaker> MakeVoxelDiffusionBatches(const Experiment& experiment, at::Device device) {
  return std::make_unique<VoxelDiffusionBatches>(experiment.data(), device);
}

}  // namespace cubist

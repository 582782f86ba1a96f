#include "tools/tasks/reconstruction_batch.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/count_of.h"
#include "base/status.h"
#include "data_process/scenes/semantic_classes.h"
#include "tools/tasks/host_tensor_torch.h"

namespace cubist {
namespace {

ImageBatch ToDevice(const CameraImages& set, at::Device device) {
  ImageBatch batch;
  batch.images = FromHost(set.images, device);
  batch.is_sky = FromHost(set.is_sky, device);
  const int64_t count = batch.images.size(0), rows = batch.images.size(1), columns = batch.images.size(2);
  const at::Tensor row = at::arange(rows, at::TensorOptions().dtype(at::kLong).device(device)).view({1, rows, 1});
  batch.is_picture = (row < FromHost(set.picture_rows, device).view({count, 1, 1})).expand({count, rows, columns});
  // Few operations know uint16.
  batch.depth = FromHost(set.depth.Cast(DType::kInt32), device);
  batch.camera_to_grid = FromHost(set.camera_to_grid.Cast(DType::kFloat32), device);
  batch.intrinsics = FromHost(set.intrinsics.Cast(DType::kFloat32), device);
  return batch;
}

class ReconstructionBatches : public BatchMaker {
 public:
  ReconstructionBatches(const Data& data, at::Device device) : data_(data), device_(device) {}

  absl::StatusOr<std::unique_ptr<TaskBatch>> MakeBatch(const std::vector<SceneSample>& samples) const override {
    auto batch = std::make_unique<ReconstructionBatch>();
    RETURN_IF_ERROR(Voxelize(samples, data_, kSemanticClassCount, device_, *batch));
    for (const SceneSample& sample : samples) {
      batch->input.push_back(ToDevice(sample.input, device_));
      batch->supervision.push_back(ToDevice(sample.supervision, device_));
    }
    return batch;
  }

 private:
  const Data data_;
  const at::Device device_;
};

// "4 images of 832 x 480", "1 image of 832 x 480".
std::string Describe(const std::vector<ImageBatch>& sets) {
  int64_t count = 0;
  for (const ImageBatch& set : sets) count += set.images.size(0);
  return absl::StrCat(CountOf(static_cast<uint64_t>(count), "image"), " of ", sets[0].images.size(2), " x ",
                      sets[0].images.size(1));
}

}  // namespace

std::string ReconstructionBatch::Describe() const {
  return absl::StrCat(VoxelBatch::Describe(), ", ", cubist::Describe(input), " as input, ",
                      cubist::Describe(supervision), " as supervision");
}

std::vector<at::Tensor> ReconstructionBatch::Tensors() const {
  std::vector<at::Tensor> tensors = VoxelBatch::Tensors();
  for (const std::vector<ImageBatch>* sets : {&input, &supervision}) {
    for (const ImageBatch& set : *sets) {
      tensors.insert(tensors.end(),
                     {set.images, set.is_sky, set.is_picture, set.depth, set.camera_to_grid, set.intrinsics});
    }
  }
  return tensors;
}

std::unique_ptr<BatchMaker> MakeReconstructionBatches(const Experiment& experiment, at::Device device) {
  return std::make_unique<ReconstructionBatches>(experiment.data(), device);
}

}  // namespace cubist

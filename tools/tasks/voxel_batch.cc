#include "tools/tasks/voxel_batch.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/scenes/semantic_classes.h"
#include "kernels/label_vote/label_vote_torch.h"
#include "kernels/mesh_voxels/mesh_voxels_torch.h"
#include "models/nn/voxel_domain.h"
#include "tools/tasks/host_tensor_torch.h"

namespace cubist {
namespace {

absl::Status FillVoxels(const std::vector<SceneSample>& samples, const Data& config, int num_semantic,
                        at::Device device, VoxelBatch& batch) {
  const double size = config.voxel_size();
  GridTransform transform;
  transform.voxel_size = {size, size, size};
  transform.origin = {size / 2, size / 2, size / 2};
  std::vector<at::Tensor> points, labels;
  std::vector<int64_t> offsets = {0};
  batch.draws = at::empty({batch.size}, at::kLong);
  for (size_t b = 0; b < samples.size(); ++b) {
    const SceneSample& sample = samples[b];
    batch.draws.data_ptr<int64_t>()[b] = static_cast<int64_t>(sample.draw);
    points.push_back(FromHost(sample.points, device));
    labels.push_back(FromHost(sample.semantics, device).to(at::kInt));
    if (sample.mesh_faces.shape()[0] > 0) {
      ASSIGN_OR_RETURN(const at::Tensor voxels, MeshVoxels(FromHost(sample.mesh_vertices, device),
                                                           FromHost(sample.mesh_faces, device), transform));
      points.push_back(VoxelCentres(voxels, transform, at::kFloat));
      labels.push_back(at::full({voxels.size(0)}, static_cast<int>(SemanticClass::kCar), labels.back().options()));
    }
    int64_t rows = 0;
    for (const at::Tensor& part : labels) rows += part.size(0);
    offsets.push_back(rows);
  }
  const at::Tensor all_points = at::cat(points), all_labels = at::cat(labels);
  ASSIGN_OR_RETURN(batch.grid, GridFromPoints(all_points, offsets, transform));
  ASSIGN_OR_RETURN(batch.labels, VoteLabels(batch.grid, all_points, all_labels, offsets, num_semantic,
                                            config.label_lookup_half_to_even()));
  batch.draws = batch.draws.to(device);
  return absl::OkStatus();
}

}  // namespace

std::string VoxelBatch::Describe() const {
  return absl::StrCat(size, size == 1 ? " sample: " : " samples: ", labels.size(0), " voxels");
}

std::vector<at::Tensor> VoxelBatch::Tensors() const { return {grid.ijk, grid.offsets, labels, draws}; }

absl::Status Voxelize(const std::vector<SceneSample>& samples, const Data& config, int num_semantic, at::Device device,
                      VoxelBatch& batch) {
  batch.size = static_cast<int64_t>(samples.size());
  batch.clip = samples[0].clip;
  batch.start_frame = samples[0].start_frame;
  return Annotate(FillVoxels(samples, config, num_semantic, device, batch),
                  absl::StrCat("clip ", batch.clip, ", start frame ", batch.start_frame));
}

}  // namespace cubist

// Batches against what their samples hold, counted by hand.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "base/philox.h"
#include "base/status.h"
#include "data_process/scenes/semantic_classes.h"
#include "gtest/gtest.h"
#include "tools/tasks/host_tensor_torch.h"
#include "tools/tasks/reconstruction_batch.h"
#include "tools/tasks/voxel_diffusion_batch.h"

namespace cubist {
namespace {

constexpr double kVoxel = 0.2;

// Random points, away from the borders between voxels, with classes; numbers differ by sample.
SceneSample SampleOf(uint64_t draw, int64_t points) {
  SceneSample sample;
  sample.clip = "clip" + std::to_string(draw);
  sample.start_frame = 20 + static_cast<int64_t>(draw);
  sample.draw = draw;
  sample.points = HostTensor(DType::kFloat32, {points, 3});
  sample.semantics = HostTensor(DType::kUInt8, {points});
  const PhiloxKey key(1, RandomPurpose::kSynthesis);
  for (int64_t i = 0; i < 3 * points; ++i) {
    const double voxel = std::floor(PhiloxUniform(key, draw, 2 * i) * 12 - 6);
    sample.points.data<float>()[i] =
        static_cast<float>((voxel + 0.1 + 0.8 * PhiloxUniform(key, draw, 2 * i + 1)) * kVoxel);
  }
  for (int64_t i = 0; i < points; ++i) {
    sample.semantics.data<uint8_t>()[i] = static_cast<uint8_t>(PhiloxInteger(key, draw, 1000000 + i, 5) + 14);
  }
  sample.mesh_vertices = HostTensor(DType::kFloat32, {0, 3});
  sample.mesh_faces = HostTensor(DType::kInt32, {0, 3});
  sample.boxes = HostTensor(DType::kFloat32, {static_cast<int64_t>(draw), 8, 3});
  for (int64_t i = 0; i < sample.boxes.size(); ++i) sample.boxes.data<float>()[i] = static_cast<float>(i + 100 * draw);
  sample.maps["road_edge"] = HostTensor::Of<float>({1, 2, static_cast<float>(draw)}, {1, 3});
  sample.maps["road_line"] = HostTensor(DType::kFloat32, {0, 3});
  return sample;
}

Experiment Config() {
  Experiment experiment;
  experiment.mutable_data()->set_voxel_size(kVoxel);
  return experiment;
}

// Voxel -> class with most points, ties to the smallest.
std::map<std::array<int, 3>, int> VoxelsOf(const SceneSample& sample) {
  std::map<std::array<int, 3>, std::map<int, int>> votes;
  for (int64_t i = 0; i < sample.points.shape()[0]; ++i) {
    std::array<int, 3> voxel;
    for (int d = 0; d < 3; ++d)
      voxel[d] = static_cast<int>(std::floor(sample.points.data<float>()[3 * i + d] / kVoxel));
    ++votes[voxel][sample.semantics.data<uint8_t>()[i]];
  }
  std::map<std::array<int, 3>, int> voxels;
  for (const auto& [voxel, classes] : votes) {
    int best = -1;
    for (const auto& [label, count] : classes) {
      if (best < 0 || count > classes.at(best)) best = label;
    }
    voxels[voxel] = best;
  }
  return voxels;
}

void ExpectVoxels(const VoxelBatch& batch, const std::vector<SceneSample>& samples) {
  ASSERT_EQ(batch.size, static_cast<int64_t>(samples.size()));
  ASSERT_EQ(batch.grid.batch_size(), batch.size);
  for (size_t b = 0; b < samples.size(); ++b) {
    EXPECT_EQ(batch.draws[static_cast<int64_t>(b)].item<int64_t>(), static_cast<int64_t>(samples[b].draw));
    const auto expected = VoxelsOf(samples[b]);
    std::map<std::array<int, 3>, int> found;
    for (int64_t row = batch.grid.host_offsets[b]; row < batch.grid.host_offsets[b + 1]; ++row) {
      const int* ijk = batch.grid.ijk.data_ptr<int>() + 3 * row;
      found[{ijk[0], ijk[1], ijk[2]}] = static_cast<int>(batch.labels[row].item<int64_t>());
    }
    EXPECT_EQ(found, expected) << "sample " << b;
  }
}

TEST(VoxelDiffusionBatch, HasVoxelsMapsAndBoxesOfEverySample) {
  const std::vector<SceneSample> samples = {SampleOf(0, 300), SampleOf(3, 500)};
  const auto made = MakeVoxelDiffusionBatches(Config(), at::kCPU)->MakeBatch(samples);
  ASSERT_TRUE(made.ok()) << made.status();
  const auto& batch = static_cast<const VoxelDiffusionBatch&>(**made);
  ExpectVoxels(batch, samples);
  ASSERT_EQ(batch.boxes.size(), 2u);
  ASSERT_EQ(batch.maps.size(), 2u);
  for (int64_t b = 0; b < 2; ++b) {
    EXPECT_TRUE(at::equal(batch.boxes[b], FromHost(samples[b].boxes, at::kCPU)));
    for (const auto& [type, points] : samples[b].maps) {
      EXPECT_TRUE(at::equal(batch.maps.at(type)[b], FromHost(points, at::kCPU))) << type;
    }
  }
  EXPECT_EQ(batch.Describe(), "2 samples: " + std::to_string(batch.labels.size(0)) +
                                  " voxels, 2 points of road_edge, 0 points of road_line, 3 boxes of cars");
}

TEST(VoxelDiffusionBatch, CarMeshesBecomeVoxelsOfCars) {
  SceneSample sample = SampleOf(1, 50);
  // A triangle in a plane of its own, far above the points.
  sample.mesh_vertices = HostTensor::Of<float>({0.1f, 0.1f, 3.1f, 0.9f, 0.1f, 3.1f, 0.1f, 0.9f, 3.1f}, {3, 3});
  sample.mesh_faces = HostTensor::Of<int32_t>({0, 1, 2}, {1, 3});
  const auto made = MakeVoxelDiffusionBatches(Config(), at::kCPU)->MakeBatch({sample});
  ASSERT_TRUE(made.ok()) << made.status();
  const auto& batch = static_cast<const VoxelDiffusionBatch&>(**made);
  std::set<std::array<int, 3>> cars;
  for (int64_t row = 0; row < batch.grid.num_voxels(); ++row) {
    const int* ijk = batch.grid.ijk.data_ptr<int>() + 3 * row;
    if (batch.labels[row].item<int64_t>() == static_cast<int>(SemanticClass::kCar))
      cars.insert({ijk[0], ijk[1], ijk[2]});
  }
  // Its corners are in voxels (0,0), (4,0) and (0,4) of layer 15, and all of the leg between them.
  for (int i = 0; i <= 4; ++i) {
    EXPECT_EQ(cars.count({i, 0, 15}), 1u) << i;
    EXPECT_EQ(cars.count({0, i, 15}), 1u) << i;
  }
  for (const auto& voxel : cars) EXPECT_EQ(voxel[2], 15);
  EXPECT_EQ(static_cast<size_t>(batch.grid.num_voxels()), VoxelsOf(sample).size() + cars.size());
}

CameraImages ImagesOf(int64_t count, bool with_sky, bool with_depth) {
  CameraImages set;
  set.images = HostTensor(DType::kUInt8, {count, 4, 6, 3});
  for (int64_t i = 0; i < set.images.size(); ++i) set.images.data<uint8_t>()[i] = static_cast<uint8_t>(i * 7);
  set.is_sky = HostTensor(DType::kBool, {with_sky ? count : 0, 4, 6});
  for (int64_t i = 0; i < set.is_sky.size(); ++i) set.is_sky.data<bool>()[i] = i % 3 == 0;
  set.depth = HostTensor(DType::kUInt16, {with_depth ? count : 0, 4, 6});
  for (int64_t i = 0; i < set.depth.size(); ++i) set.depth.data<uint16_t>()[i] = static_cast<uint16_t>(65535 - i);
  set.frames = set.views = set.picture_rows = HostTensor(DType::kInt64, {count});
  set.picture_rows = HostTensor(DType::kInt64, {count});
  for (int64_t i = 0; i < count; ++i) set.picture_rows.data<int64_t>()[i] = i % 2 == 0 ? 4 : 3;
  set.camera_to_grid = HostTensor(DType::kFloat64, {count, 4, 4});
  for (int64_t i = 0; i < set.camera_to_grid.size(); ++i)
    set.camera_to_grid.data<double>()[i] = static_cast<double>(i) / 3;
  set.intrinsics = HostTensor(DType::kFloat64, {count, 6});
  for (int64_t i = 0; i < set.intrinsics.size(); ++i) set.intrinsics.data<double>()[i] = 100.0 + static_cast<double>(i);
  return set;
}

TEST(ReconstructionBatch, HasTheImagesOfEverySample) {
  std::vector<SceneSample> samples = {SampleOf(0, 100), SampleOf(1, 100)};
  samples[0].input = ImagesOf(2, true, false);
  samples[0].supervision = ImagesOf(3, true, true);
  samples[1].input = ImagesOf(2, false, true);
  samples[1].supervision = ImagesOf(1, false, false);
  const auto made = MakeReconstructionBatches(Config(), at::kCPU)->MakeBatch(samples);
  ASSERT_TRUE(made.ok()) << made.status();
  const auto& batch = static_cast<const ReconstructionBatch&>(**made);
  ExpectVoxels(batch, samples);
  EXPECT_EQ(batch.Describe(), "2 samples: " + std::to_string(batch.labels.size(0)) +
                                  " voxels, 4 images of 6 x 4 as input, 4 images of 6 x 4 as supervision");
  for (size_t b = 0; b < 2; ++b) {
    for (const auto& [set, found] :
         {std::pair(&samples[b].input, &batch.input[b]), std::pair(&samples[b].supervision, &batch.supervision[b])}) {
      EXPECT_TRUE(at::equal(found->images, FromHost(set->images, at::kCPU)));
      EXPECT_TRUE(at::equal(found->is_sky, FromHost(set->is_sky, at::kCPU)));
      ASSERT_EQ(found->depth.scalar_type(), at::kInt);
      ASSERT_EQ(found->depth.numel(), set->depth.size());
      for (int64_t i = 0; i < set->depth.size(); ++i) {
        ASSERT_EQ(found->depth.data_ptr<int>()[i], set->depth.data<uint16_t>()[i]);
      }
      for (int64_t i = 0; i < set->camera_to_grid.size(); ++i) {
        ASSERT_EQ(found->camera_to_grid.data_ptr<float>()[i],
                  static_cast<float>(set->camera_to_grid.data<double>()[i]));
      }
      for (int64_t i = 0; i < set->intrinsics.size(); ++i) {
        ASSERT_EQ(found->intrinsics.data_ptr<float>()[i], static_cast<float>(set->intrinsics.data<double>()[i]));
      }
      const at::Tensor is_picture = found->is_picture.contiguous();
      for (int64_t i = 0; i < is_picture.numel(); ++i) {
        ASSERT_EQ(is_picture.data_ptr<bool>()[i], i / 6 % 4 < set->picture_rows.data<int64_t>()[i / 24]) << i;
      }
    }
  }
}

}  // namespace
}  // namespace cubist

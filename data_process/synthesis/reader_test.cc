// Synthetic clips through the reader of real ones.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "configs/proto/experiment.pb.h"
#include "data_process/scenes/clip_index.h"
#include "data_process/scenes/scene_reader.h"
#include "data_process/synthesis/clip_attributes.h"
#include "data_process/synthesis/synthesis.h"

namespace cubist {
namespace {

Data VaeData(const std::string& data_root) {
  Data data;
  data.set_data_root(data_root);
  for (const std::string& attribute : GeometryAttributes()) {
    if (attribute == "pc_voxelsize_01" || attribute == "3d_lane" || attribute == "3d_road_edge" ||
        attribute == "3d_road_line" || attribute == "extrinsic") {
      continue;
    }
    data.add_attributes(attribute);
  }
  for (const double low : {-25.6, -25.6, -6.4}) data.add_crop_min(low);
  for (const double high : {25.6, 25.6, 19.2}) data.add_crop_max(high);
  data.add_input_frame_offsets(0);
  data.add_supervision_frame_offsets(0);
  data.set_frame_start(5);
  data.set_frame_end(40);
  data.set_replace_cars_with_cad(true);
  for (const char* type : {"road_edge", "road_line", "road_surface"}) data.add_map_types(type);
  return data;
}

TEST(SynthesisReaderTest, TheReaderOfRealClipsReadsThem) {
  const std::string root = (std::filesystem::path(::testing::TempDir()) / "reader_test_data").string();
  std::filesystem::remove_all(root);
  SynthesisOptions options;
  options.clips = 3;
  options.frames = 40;
  options.seed = 8;
  options.point_spacing = 0.3;
  options.attributes = GeometryAttributes();
  ASSERT_TRUE(SynthesizeScenes(SystemFileOps(), root, options).ok());

  const Data data = VaeData(root);
  const auto index = ClipIndex::Open(data);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips().size() + index->validation_clips().size(), 3u);
  const auto reader = SceneReader::Create(data, /*seed=*/0);
  ASSERT_TRUE(reader.ok()) << reader.status();
  for (const std::string& clip : index->train_clips()) {
    int64_t previous_points = -1;
    for (const int64_t frame : {5, 20, 39}) {
      const auto sample = (*reader)->Read(clip, frame, /*draw=*/0, /*training=*/false);
      ASSERT_TRUE(sample.ok()) << sample.status();
      const int64_t points = sample->points.shape()[0];
      EXPECT_GT(points, 5000);
      EXPECT_NE(points, previous_points) << "frames look the same";
      previous_points = points;
      // The crop box's middle is 6.4 m above the camera, which is 2.11 m above the road.
      double lowest_road = 1e9, highest_road = -1e9;
      for (int64_t k = 0; k < points; ++k) {
        const int label = sample->semantics.data<uint8_t>()[k];
        EXPECT_TRUE(label < 23 && !(label >= 1 && label <= 7)) << label;
        const float* p = sample->points.data<float>() + 3 * k;
        if (label != 18 || std::hypot(p[0], p[1]) > 5) continue;
        lowest_road = std::min<double>(lowest_road, p[2]);
        highest_road = std::max<double>(highest_road, p[2]);
      }
      EXPECT_GT(lowest_road, -8.9);
      EXPECT_LT(highest_road, -8.1);
      // At least one car stands or drives wholly inside, as mesh and as box.
      EXPECT_GT(sample->mesh_vertices.shape()[0], 100);
      EXPECT_GE(sample->boxes.shape()[0], 1);
      for (const char* type : {"road_edge", "road_line", "road_surface"}) {
        EXPECT_GT(sample->maps.at(type).shape()[0], 100) << type;
      }
    }
  }
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace cubist

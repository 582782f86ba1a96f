#include "data_process/scenes/scene_objects.h"

#include <cmath>

#include "base/status.h"
#include "data_process/scenes/car_mesh.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

constexpr char kOneCar[] = R"({"a-1_b": {"object_to_world": [[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]],
  "object_lwh": [4, 2, 1.5], "object_is_moving": true, "object_type": "car", "object_id_int": 10000}})";

SceneObject Car(const Vector3& at, const Vector3& lwh) {
  SceneObject object{IdentityMatrix(), lwh, "car"};
  for (int axis = 0; axis < 3; ++axis) object.object_to_world[axis * 4 + 3] = at[axis];
  return object;
}

TEST(SceneObjects, ReadsPoseSizeAndType) {
  const auto objects = ParseSceneObjects(kOneCar, "m");
  ASSERT_TRUE(objects.ok()) << objects.status();
  ASSERT_EQ(objects->count("a-1_b"), 1u);
  const SceneObject& car = objects->at("a-1_b");
  EXPECT_EQ(car.object_to_world, (Matrix4{0, -1, 0, 5, 1, 0, 0, 6, 0, 0, 1, 7, 0, 0, 0, 1}));
  EXPECT_EQ(car.lwh, (Vector3{4, 2, 1.5}));
  EXPECT_EQ(car.type, "car");
  const auto none = ParseSceneObjects("{}", "m");
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
}

TEST(SceneObjects, NamesWhatIsWrongWithAnObject) {
  const std::string good = kOneCar;
  struct {
    std::string from, to, expected;
  } const cases[] = {{"[0, 0, 0, 1]", "[0, 0, 1, 1]", "object 'a-1_b': object_to_world"},
                     {"[1, 0, 0, 6]", "[1, 0, 6]", "object 'a-1_b': object_to_world"},
                     {"[1, 0, 0, 6]", "[1, 0, 0, \"6\"]", "object 'a-1_b': object_to_world"},
                     {"[4, 2, 1.5]", "[4, 2]", "object 'a-1_b': object_lwh"},
                     {"[4, 2, 1.5]", "[4, -2, 1]", "object 'a-1_b': object_lwh"},
                     {"\"object_lwh\"", "\"object_size\"", "object 'a-1_b': object_lwh"},
                     {"\"car\"", "1", "object 'a-1_b': object_type"}};
  for (const auto& c : cases) {
    std::string text = good;
    ASSERT_NE(text.find(c.from), std::string::npos);
    text.replace(text.find(c.from), c.from.size(), c.to);
    const auto objects = ParseSceneObjects(text, "x.tar: member 'm'");
    EXPECT_EQ(ExitCodeOf(objects.status()), ExitCode::kData) << c.to;
    EXPECT_NE(objects.status().message().find("x.tar: member 'm': " + c.expected), std::string::npos)
        << objects.status();
  }
  for (const char* text : {"[]", R"({"a": 1})", "{", ""}) {
    const auto objects = ParseSceneObjects(text, "x.tar: member 'm'");
    EXPECT_EQ(ExitCodeOf(objects.status()), ExitCode::kData) << text;
    EXPECT_NE(objects.status().message().find("x.tar: member 'm'"), std::string::npos) << objects.status();
  }
}

TEST(SceneObjects, StaticWinsOverDynamic) {
  const SceneObjects merged = MergeSceneObjects({{"a", Car({1, 0, 0}, {4, 2, 1})}, {"b", Car({2, 0, 0}, {4, 2, 1})}},
                                                {{"b", Car({9, 0, 0}, {4, 2, 1})}, {"c", Car({3, 0, 0}, {4, 2, 1})}});
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged.at("a").object_to_world[3], 1);
  EXPECT_EQ(merged.at("b").object_to_world[3], 2);
  EXPECT_EQ(merged.at("c").object_to_world[3], 3);
}

TEST(SceneObjects, BoxesHaveTheirCornersInOrder) {
  // A quarter turn to the left: the length lies along y, the width along -x.
  const auto objects = ParseSceneObjects(kOneCar, "m");
  ASSERT_TRUE(objects.ok());
  const HostTensor boxes = CarBoxes(*objects, IdentityMatrix(), {10, 10, 10});
  ASSERT_EQ(boxes.shape(), (std::vector<int64_t>{1, 8, 3}));
  const float expected[8][3] = {{4, 8, 7.75}, {6, 8, 7.75}, {6, 4, 7.75}, {4, 4, 7.75},
                                {4, 8, 6.25}, {6, 8, 6.25}, {6, 4, 6.25}, {4, 4, 6.25}};
  for (int corner = 0; corner < 8; ++corner) {
    for (int axis = 0; axis < 3; ++axis) {
      EXPECT_EQ((boxes.view<float, 3>()(0, corner, axis)), expected[corner][axis]) << corner << " " << axis;
    }
  }
}

TEST(SceneObjects, BoxesLieWhollyInsideAndAreNotFlat) {
  const Vector3 half = {10, 10, 10};
  SceneObjects objects;
  objects["inside"] = Car({0, 0, 0}, {4, 2, 1.5});
  objects["half outside"] = Car({9, 0, 0}, {4, 2, 1.5});
  objects["touching"] = Car({8, 0, 0}, {4, 2, 1.5});
  objects["flat"] = Car({0, 0, 0}, {4, 2, 0.05});
  objects["thin enough"] = Car({0, 0, 0}, {4, 2, 0.1});
  objects["walker"] = Car({0, 0, 0}, {1, 1, 1});
  objects["walker"].type = "pedestrian";
  const HostTensor boxes = CarBoxes(objects, IdentityMatrix(), half);
  ASSERT_EQ(boxes.shape(), (std::vector<int64_t>{2, 8, 3}));
  EXPECT_EQ((boxes.view<float, 3>()(0, 0, 2)), 0.75f);
  EXPECT_EQ((boxes.view<float, 3>()(1, 0, 2)), 0.05f);
  EXPECT_EQ(CarBoxes({}, IdentityMatrix(), half).shape(), (std::vector<int64_t>{0, 8, 3}));
}

TEST(SceneObjects, MeshesOfCarsWhollyInside) {
  const TriangleMesh car = MakeCarMesh();
  const int64_t vertex_count = car.vertices.shape()[0], face_count = car.faces.shape()[0];
  SceneObjects objects;
  objects["a"] = Car({-3, 1, 0}, {4, 2, 1.5});
  objects["b half outside"] = Car({9, 0, 0}, {4, 2, 1.5});
  objects["c"] = Car({5, 0, 0}, {5, 1.8, 2});
  objects["d just outside"] = Car({8.001, 0, 0}, {4, 2, 1.5});
  objects["e just inside"] = Car({7.999, 0, 0}, {4, 2, 1.5});
  objects["f"] = Car({0, 0, 0}, {4, 2, 1.5});
  objects["f"].type = "unknown";
  const TriangleMesh placed = PlaceCarMeshes(objects, car, IdentityMatrix(), {10, 10, 10});
  ASSERT_EQ(placed.vertices.shape(), (std::vector<int64_t>{3 * vertex_count, 3}));
  ASSERT_EQ(placed.faces.shape(), (std::vector<int64_t>{3 * face_count, 3}));
  for (int copy = 0; copy < 3; ++copy) {
    for (int64_t i = 0; i < face_count * 3; ++i) {
      ASSERT_EQ(placed.faces.data<int32_t>()[copy * face_count * 3 + i],
                car.faces.data<int32_t>()[i] + copy * vertex_count);
    }
  }
  // The second copy is the longer car.
  float low = 100, high = -100;
  for (int64_t i = 0; i < vertex_count; ++i) {
    low = std::min(low, placed.vertices.data<float>()[(vertex_count + i) * 3]);
    high = std::max(high, placed.vertices.data<float>()[(vertex_count + i) * 3]);
  }
  EXPECT_NEAR(low, 2.5, 1e-5);
  EXPECT_NEAR(high, 7.5, 1e-5);
  const TriangleMesh none = PlaceCarMeshes({}, car, IdentityMatrix(), {10, 10, 10});
  EXPECT_EQ(none.vertices.shape(), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(none.faces.shape(), (std::vector<int64_t>{0, 3}));
}

}  // namespace
}  // namespace cubist

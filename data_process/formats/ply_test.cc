#include "data_process/formats/ply.h"

#include <cmath>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

absl::Status ParseStatus(const std::string& bytes, const PlyLimits& limits = {}) {
  return ParsePly(bytes, "car.ply", limits).status();
}

std::string Ascii(const std::string& vertex, const std::string& face, const std::string& data) {
  return "ply\nformat ascii 1.0\nelement vertex " + vertex +
         "\nproperty float x\nproperty float y\nproperty float z\nelement face " + face +
         "\nproperty list uchar int vertex_indices\nend_header\n" + data;
}

// A double-precision file with other elements and properties, one quad and one triangle (make_fixtures.py).
TEST(PlyTest, ReadsAsciiAndBinary) {
  for (const std::string name : {"mesh_ascii.ply", "mesh_binary.ply"}) {
    const auto mesh = ParsePly(ReadFixture(name), name);
    ASSERT_TRUE(mesh.ok()) << mesh.status();
    EXPECT_EQ(mesh->vertices.shape(), (std::vector<int64_t>{4, 3}));
    EXPECT_EQ(Values<float>(mesh->vertices), (std::vector<float>{0, 0, 0, 1.25, 0, 0, 1.25, -2, 0, 0, -2, 3000}));
    EXPECT_EQ(mesh->faces.shape(), (std::vector<int64_t>{3, 3}));
    EXPECT_EQ(Values<int32_t>(mesh->faces), (std::vector<int32_t>{0, 1, 2, 0, 2, 3, 3, 1, 0}));
  }
}

TEST(PlyTest, RoundTrip) {
  const TriangleMesh mesh{HostTensor::Of<float>({0, 0, 0, 1, 0, 0.5f, 0, 1, -3}, {3, 3}),
                          HostTensor::Of<int32_t>({0, 1, 2, 2, 1, 0}, {2, 3})};
  const std::string bytes = FormatPly(mesh);
  const auto back = ParsePly(bytes, "round trip");
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Values<float>(back->vertices), Values<float>(mesh.vertices));
  EXPECT_EQ(Values<int32_t>(back->faces), Values<int32_t>(mesh.faces));
  const TriangleMesh nothing{HostTensor(DType::kFloat32, {0, 3}), HostTensor(DType::kInt32, {0, 3})};
  const auto empty = ParsePly(FormatPly(nothing), "empty");
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->faces.shape(), (std::vector<int64_t>{0, 3}));
}

TEST(PlyTest, LineEndsAndPointClouds) {
  std::string text = Ascii("3", "1", "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n");
  std::string windows;
  for (char character : text) windows += character == '\n' ? std::string("\r\n") : std::string(1, character);
  const auto mesh = ParsePly(windows, "windows");
  ASSERT_TRUE(mesh.ok()) << mesh.status();
  EXPECT_EQ(Values<int32_t>(mesh->faces), (std::vector<int32_t>{0, 1, 2}));
  const auto cloud = ParsePly(
      "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
      "property float z\nend_header\n1 2 3\n",
      "cloud");
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  EXPECT_EQ(cloud->faces.shape(), (std::vector<int64_t>{0, 3}));
}

TEST(PlyTest, EveryTruncationIsAnError) {
  for (const std::string name : {"mesh_ascii.ply", "mesh_binary.ply"}) {
    const std::string bytes = ReadFixture(name);
    for (size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_EQ(ExitCodeOf(ParseStatus(bytes.substr(0, size))), ExitCode::kData) << name << size;
    }
  }
}

// No checksum holds a PLY file: what a flipped bit leaves readable is still a mesh.
TEST(PlyTest, EveryFlippedBitIsAnErrorOrAMesh) {
  for (const std::string name : {"mesh_ascii.ply", "mesh_binary.ply"}) {
    const std::string good = ReadFixture(name);
    int refused = 0;
    for (size_t at = 0; at < 8 * good.size(); ++at) {
      std::string bytes = good;
      bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << at % 8));
      const auto mesh = ParsePly(bytes, name);
      if (!mesh.ok()) {
        EXPECT_EQ(ExitCodeOf(mesh.status()), ExitCode::kData) << mesh.status();
        ++refused;
        continue;
      }
      EXPECT_LE(mesh->vertices.byte_size() + mesh->faces.byte_size(), 16 * good.size());
      for (const float value : Values<float>(mesh->vertices))
        EXPECT_TRUE(std::isfinite(value)) << name << " bit " << at;
      for (const int32_t vertex : Values<int32_t>(mesh->faces)) {
        EXPECT_TRUE(vertex >= 0 && vertex < mesh->vertices.shape()[0]) << name << " bit " << at;
      }
    }
    EXPECT_GT(refused, 100) << name;
  }
}

TEST(PlyTest, Refused) {
  const std::string triangle = "0 0 0\n1 0 0\n0 1 0\n";
  ASSERT_TRUE(ParseStatus(Ascii("3", "1", triangle + "3 0 1 2\n")).ok());
  ExpectDataError(ParseStatus(Ascii("3", "1", triangle + "3 0 1 3\n")), {"car.ply", "vertex 3 of 3", "offset "});
  ExpectDataError(ParseStatus(Ascii("3", "1", triangle + "3 0 1 -1\n")), {"vertex -1"});
  ExpectDataError(ParseStatus(Ascii("3", "1", triangle + "3 0 1 0.5\n")), {"'0.5'"});
  ExpectDataError(ParseStatus(Ascii("3", "1", triangle + "2 0 1\n")), {"face of 2"});
  for (const std::string length : {"256", "1e300", "inf", "-inf", "nan"}) {
    ExpectDataError(ParseStatus(Ascii("3", "1", triangle + length + " 0 1 2\n")), {"'" + length + "'"});
  }
  std::string binary = FormatPly({HostTensor(DType::kFloat32, {1, 3}), HostTensor(DType::kInt32, {0, 3})});
  binary.replace(binary.find("face 0"), 6, "face 1").replace(binary.find("uchar"), 5, "char");
  ExpectDataError(ParseStatus(binary + std::string(13, '\x80')), {"negative length"});
  ExpectDataError(ParseStatus(Ascii("3", "1", triangle + "-3 0 1 2\n")), {"'-3'"});
  ExpectDataError(ParseStatus(Ascii("3", "1", "0 0 0\n1 nan 0\n0 1 0\n3 0 1 2\n")), {"vertex 1 is not finite"});
  ExpectDataError(ParseStatus(Ascii("3", "1", "0 0 0\n1 1e39 0\n0 1 0\n3 0 1 2\n")), {"vertex 1 is not finite"});
  ExpectDataError(ParseStatus(Ascii("3", "1", "0 0 0\n1 x 0\n0 1 0\n3 0 1 2\n")), {"'x'"});
  ExpectDataError(ParseStatus(Ascii("40000000", "1", triangle)), {"truncated", "40000000"});
  ExpectDataError(ParseStatus(Ascii("9000000000000000000", "1", triangle)), {"limit of"});
  const auto refuse = [&] {
    return ExitCodeOf(ParseStatus(Ascii("50000000", "0", triangle))) == ExitCode::kData &&
           ExitCodeOf(ParseStatus(Ascii("3", "100000000", triangle + "3 0 1 2\n"))) == ExitCode::kData;
  };
  EXPECT_EXIT(ExitAfterLittleMemory(refuse), ::testing::ExitedWithCode(0), "");
  ExpectDataError(ParseStatus(Ascii("-1", "1", triangle)), {"element NAME COUNT", "line 3"});
  ExpectDataError(ParseStatus("ply\nformat binary_big_endian 1.0\nend_header\n"), {"binary_big_endian", "line 2"});
  for (const std::string text :
       {"", "ply", "plyx\n", "ply\nend_header\n", "ply\nformat ascii 1.0\nend_header\n",
        "ply\nformat ascii 2.0\nend_header\n", "ply\nformat ascii 1.0\nproperty float x\nend_header\n",
        "ply\nformat ascii 1.0\nelement vertex 0\nend_header\n",
        "ply\nformat ascii 1.0\nelement vertex 0\nproperty quad x\nend_header\n",
        "ply\nformat ascii 1.0\nelement vertex 0\nproperty list float int x\nend_header\n",
        "ply\nformat ascii 1.0\nelement face 0\nelement vertex 0\nproperty float x\nproperty float y\nproperty float "
        "z\nend_header\n",
        "ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nproperty float x\nproperty float z\nend_header\n",
        "ply\nformat ascii 1.0\nelement vertex 0\nelement vertex 0\nend_header\n",
        "ply\nformat ascii 1.0\nwhat\nend_header\n"}) {
    EXPECT_EQ(ExitCodeOf(ParseStatus(text)), ExitCode::kData) << text;
  }
}

TEST(PlyTest, Limits) {
  const std::string bytes = ReadFixture("mesh_binary.ply");
  PlyLimits limits;
  limits.max_vertices = 3;
  ExpectDataError(ParseStatus(bytes, limits), {"'vertex'", "limit of 3"});
  limits = {};
  limits.max_triangles = 2;
  ExpectDataError(ParseStatus(bytes, limits), {"limit of 2 triangles"});
  limits = {};
  limits.max_polygon_vertices = 3;
  ExpectDataError(ParseStatus(bytes, limits), {"face of 4"});
  limits = {};
  limits.max_properties = 3;
  ExpectDataError(ParseStatus(bytes, limits), {"limit of 3 properties"});
}

}  // namespace
}  // namespace cubist

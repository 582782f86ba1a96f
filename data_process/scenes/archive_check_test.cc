#include "data_process/scenes/archive_check.h"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/data_place.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/png.h"
#include "data_process/scenes/coordinates.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

const std::vector<std::string> kAttributes = {"pose", "cloud", "objects", "points", "images", "video"};
constexpr int kClips = 8;
constexpr char kNoKind[] = "";  // of a bad archive: damaged as a whole

std::string ClipName(int clip) { return "clip" + std::to_string(clip); }

// Three members an archive, one for the pickled cloud.
Members GoodMembers(const std::string& attribute, const std::string& clip) {
  const HostTensor ids = HostTensor::Of<int64_t>({18}, {1}), xyz = HostTensor::Of<float>({1, 2, 3}, {1, 3});
  if (attribute == "cloud")
    return {{clip + ".pcd.vs01.pth", CloudBytes(xyz, ids, HostTensor(DType::kFloat32, {4, 4}))}};
  const auto three = [&](const std::string& suffix, const std::string& bytes) {
    Members members;
    for (int frame = 0; frame < 3; ++frame) members.emplace_back(FrameMember(clip, frame, suffix), bytes);
    return members;
  };
  if (attribute == "pose") return three("pose.front.npy", FormatNpy(ToTensor(IdentityMatrix())));
  if (attribute == "objects") return three("objects.json", "{\"a\": [1, 2]}");
  if (attribute == "points") return three("points.npz", *FormatNpz({{"a", xyz}}));
  if (attribute == "images") return three("image.PNG", FormatPng(HostTensor(DType::kUInt8, {3, 4, 3})));
  return three("video.mp4", std::string(1000, 'v'));
}

struct TestData {
  std::string root;
  Data data;
  int64_t members = 0;
  uint64_t bytes = 0;
};

// Clips in an order that is not the alphabet's; the last validates, the first does both.
TestData WriteGoodData(const std::string& name) {
  TestData result;
  result.root = NewTestFolder(name);
  result.data.set_data_root(result.root);
  for (const std::string& attribute : kAttributes) result.data.add_attributes(attribute);
  for (int clip = kClips - 1; clip > 0; --clip) result.data.add_train_clips(ClipName(clip));
  result.data.add_validation_clips(ClipName(kClips - 1));
  result.data.add_validation_clips(ClipName(0));
  for (int clip = 0; clip < kClips; ++clip) {
    for (const std::string& attribute : kAttributes) {
      const Members members = GoodMembers(attribute, ClipName(clip));
      WriteTestTar(result.root, attribute, ClipName(clip), members);
      for (const auto& [member, bytes] : members) {
        ++result.members;
        result.bytes += bytes.size();
      }
    }
  }
  return result;
}

ClipIndex IndexOf(const Data& data) {
  auto index = ClipIndex::Open(data);
  if (!index.ok()) {
    ADD_FAILURE() << index.status();
    std::abort();
  }
  return *std::move(index);
}

ArchiveReport Checked(const TestData& test, const ClipIndex& index, int threads) {
  auto report = CheckArchives(index, test.data, threads, nullptr, nullptr);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : ArchiveReport();
}

TEST(ArchiveCheck, CountsGoodArchives) {
  const TestData test = WriteGoodData("check_good");
  const ClipIndex index = IndexOf(test.data);
  for (const int threads : {1, 2, 5}) {
    std::vector<int64_t> done;
    const auto report = CheckArchives(
        index, test.data, threads,
        [&](int64_t k, int64_t total) {
          EXPECT_EQ(total, 48);
          done.push_back(k);
        },
        [] { return false; });
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->bad.empty()) << report->bad[0];
    EXPECT_EQ(report->archives, 48);  // 8 clips, each once, of 6 attributes
    EXPECT_EQ(report->members, test.members);
    EXPECT_EQ(report->bytes, test.bytes);
    EXPECT_EQ(report->decoded, 8 * (4 * 2 + 1));  // the cloud's first member is its last
    EXPECT_EQ(report->read_only, 8 * 2);
    EXPECT_FALSE(report->stopped);
    ASSERT_EQ(done.size(), 48u);
    for (int64_t k = 0; k < 48; ++k) EXPECT_EQ(done[k], k + 1);
  }
}

TEST(ArchiveCheck, FindsAllThatIsBadAmongGoodOnes) {
  TestData test = WriteGoodData("check_bad");
  const ClipIndex index = IndexOf(test.data);
  const auto tar = [&](const std::string& attribute, int clip) {
    return ClipTarPath(test.root, attribute, ClipName(clip));
  };
  const auto replace = [&](const std::string& attribute, int clip, const std::vector<size_t>& which,
                           const std::string& bytes) {
    Members members = GoodMembers(attribute, ClipName(clip));
    for (const size_t i : which) members[i].second = bytes;
    WriteTestTar(test.root, attribute, ClipName(clip), members);
  };
  // By clip in the config's order, then attribute: clip, attribute, member.
  using Row = std::tuple<int, std::string, std::string>;
  std::vector<Row> expected;
  const auto expect = [&](int clip, const std::string& attribute, const std::string& member) {
    expected.emplace_back(clip, attribute, member);
  };

  replace("pose", 7, {0}, "no array");
  expect(7, "pose", "clip7.000000.pose.front.npy");
  std::filesystem::remove(tar("video", 7));
  expect(7, "video", kNoKind);
  replace("cloud", 6, {0}, "no zip archive");
  expect(6, "cloud", "clip6.pcd.vs01.pth");
  replace("objects", 5, {0, 2}, "{");  // both ends of one archive
  expect(5, "objects", "clip5.000000.objects.json");
  expect(5, "objects", "clip5.000002.objects.json");
  replace("points", 5, {2}, std::string(50, 'x'));
  expect(5, "points", "clip5.000002.points.npz");
  replace("images", 4, {2}, "no picture");
  expect(4, "images", "clip4.000002.image.PNG");
  const FoundMember last = ScanForMember(tar("images", 3), "clip3.000002.image.PNG");
  std::filesystem::resize_file(tar("images", 3), last.end - 1);
  expect(3, "images", "clip3.000002.image.PNG");
  const FoundMember second = ScanForMember(tar("video", 2), "clip2.000001.video.mp4");
  OverwriteBytes(tar("video", 2), second.header + 257, "X");
  expect(2, "video", kNoKind);
  WriteTestTar(test.root, "pose", ClipName(1), {});
  expect(1, "pose", kNoKind);
  std::filesystem::resize_file(tar("pose", 0), 0);
  expect(0, "pose", kNoKind);
  replace("objects", 0, {1}, "neither first nor last: not looked at");

  for (const int threads : {1, 3}) {
    const ArchiveReport report = Checked(test, index, threads);
    ASSERT_EQ(report.bad.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto& [clip, attribute, member] = expected[i];
      SCOPED_TRACE(report.bad[i].ToString());
      EXPECT_EQ(ExitCodeOf(report.bad[i]), ExitCode::kData);
      const std::optional<DataPlace> place = DataPlaceOf(report.bad[i]);
      ASSERT_TRUE(place.has_value());
      EXPECT_EQ(place->clip, ClipName(clip));
      EXPECT_EQ(place->attribute, attribute);
      EXPECT_EQ(place->path, tar(attribute, clip));
      EXPECT_NE(report.bad[i].message().find(place->path), std::string::npos);
      EXPECT_EQ(place->member, member);
      if (clip == 3) {  // cut in a member's data
        EXPECT_EQ(place->begin, last.header);
        EXPECT_EQ(place->end, last.end - 1);
      } else if (clip == 2) {  // a damaged header
        EXPECT_EQ(place->begin, second.header);
        EXPECT_EQ(place->end, second.begin);
      } else if (!member.empty()) {
        const FoundMember found = ScanForMember(place->path, member);
        EXPECT_EQ(place->begin, found.begin);
        EXPECT_EQ(place->end, found.end);
      } else {
        EXPECT_EQ(place->end, 0u);
      }
    }
    EXPECT_EQ(report.archives, 48);
    // Five archives have no index, or an empty one.
    EXPECT_EQ(report.members, test.members - 5 * 3);
    EXPECT_EQ(report.decoded, 8 * (4 * 2 + 1) - 6 - 3 * 2);  // six bad members; three tars of decoded kinds gone
    EXPECT_EQ(report.read_only, 8 * 2 - 2 * 2);
    EXPECT_FALSE(report.stopped);
  }
}

TEST(ArchiveCheck, KnowsFramesByTheirNames) {
  const std::string root = NewTestFolder("check_frames");
  const std::string bytes = FormatNpy(ToTensor(IdentityMatrix()));
  WriteTestTar(root, "pose", "Clip.1",
               {{"Clip.1.000007.pose.front.npy", bytes},
                {"Clip.1.000002.pose.front.npy", bytes},
                {"Clip.1.000002.pose.front_LEFT.npy", bytes},
                {"clip.1.999999.Pose.front.npy", bytes},
                {"Clip.1.00003.pose.front.npy", bytes},   // five digits
                {"Clip.1.00003x.pose.front.npy", bytes},  // no number
                {"Clip.1.0000030pose.front.npy", bytes},
                {"Clip.2.000004.pose.front.npy", bytes},  // another clip
                {"Clip.1.000005.", bytes}});
  const ArchiveContents found = CheckArchive(ClipTarPath(root, "pose", "Clip.1"), "pose", "Clip.1", false);
  EXPECT_EQ(found.frames, (std::map<std::string, std::vector<int64_t>>{{"pose.front.npy", {2, 7, 999999}},
                                                                       {"pose.front_left.npy", {2}}}));
}

TEST(ArchiveCheck, HoldsToTheLimitsOfTheConfig) {
  TestData test = WriteGoodData("check_limits");
  const ClipIndex index = IndexOf(test.data);
  const auto bad_attributes = [&] {
    std::set<std::string> attributes;
    for (const absl::Status& status : Checked(test, index, 2).bad) attributes.insert(DataPlaceOf(status)->attribute);
    return attributes;
  };
  using Names = std::set<std::string>;
  EXPECT_EQ(bad_attributes(), Names());
  test.data.mutable_limits()->set_max_array_bytes(127);  // a pose has 128, the .npy in the .npz of points 140
  EXPECT_EQ(bad_attributes(), Names({"pose", "points"}));
  test.data.mutable_limits()->set_max_array_bytes(140);
  test.data.mutable_limits()->set_max_image_pixels(11);  // an image has 12
  EXPECT_EQ(bad_attributes(), Names({"images"}));
  test.data.mutable_limits()->set_max_image_pixels(12);
  test.data.mutable_limits()->set_max_member_bytes(999);  // a video has 1000; the cloud's zip more
  EXPECT_EQ(bad_attributes(), Names({"cloud", "video"}));
}

TEST(ArchiveCheck, StopsWhenAsked) {
  const TestData test = WriteGoodData("check_stop");
  const ClipIndex index = IndexOf(test.data);
  int64_t done = 0;
  const auto report = CheckArchives(
      index, test.data, 3, [&](int64_t k, int64_t) { done = k; }, [&] { return done == 5; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->stopped);
  EXPECT_EQ(report->archives, 5);
  EXPECT_EQ(done, 5);
  // pose, cloud, objects, points, images of the first clip
  EXPECT_EQ(report->decoded, 2 + 1 + 2 + 2 + 2);
  EXPECT_EQ(report->members, 3 + 1 + 3 + 3 + 3);
  const auto at_once = CheckArchives(index, test.data, 1, nullptr, [] { return true; });
  ASSERT_TRUE(at_once.ok()) << at_once.status();
  EXPECT_TRUE(at_once->stopped);
  EXPECT_EQ(at_once->archives, 0);
}

}  // namespace
}  // namespace cubist

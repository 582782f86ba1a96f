#include "data_process/scenes/clip_archive.h"

#include <filesystem>
#include <thread>
#include <vector>

#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/scenes/test_clips.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

TEST(ClipArchive, ReadsMembersByNameAndFrame) {
  const std::string root = NewTestFolder("archive_read");
  WriteTestTar(root, "pose", "clip",
               {{"clip.000007.pose.front.npy", "seven"}, {"clip.000012.pose.front.npy", "twelve"}});
  WriteTestTar(root, "extrinsic", "clip", {{"clip.extrinsic.lidar_TOP.npy", "top"}});
  ClipArchive archive(root, 8);
  const auto member = archive.ReadFrame("pose", "clip", 12, "pose.front.npy");
  ASSERT_TRUE(member.ok()) << member.status();
  EXPECT_EQ(member->bytes, "twelve");
  EXPECT_EQ(member->what, root + "/pose/clip.tar: member 'clip.000012.pose.front.npy'");
  for (const char* suffix : {"extrinsic.lidar_TOP.npy", "extrinsic.lidar_top.npy"}) {
    const auto found = archive.Read("extrinsic", "clip", suffix);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->bytes, "top");
  }
}

TEST(ClipArchive, NamesWhatIsMissing) {
  const std::string root = NewTestFolder("archive_missing");
  WriteTestTar(root, "pose", "clip", {{"clip.000003.pose.front.npy", "a"}, {"clip.000098.pose.front.npy", "b"}});
  ClipArchive archive(root, 8);
  const auto frame = archive.ReadFrame("pose", "clip", 99, "pose.front.npy");
  EXPECT_EQ(ExitCodeOf(frame.status()), ExitCode::kData);
  for (const char* part : {"/pose/clip.tar", "'clip.000099.pose.front.npy'", "frame 99", "from 3 to 98"}) {
    EXPECT_NE(frame.status().message().find(part), std::string::npos) << frame.status();
  }
  // Part of a name is no match.
  EXPECT_FALSE(archive.Read("pose", "clip", "pose.front.npy").ok());
  const auto member = archive.Read("pose", "clip", "intrinsic.front.npy");
  EXPECT_EQ(ExitCodeOf(member.status()), ExitCode::kData);
  EXPECT_NE(member.status().message().find("'clip.intrinsic.front.npy'"), std::string::npos) << member.status();
  const auto tar = archive.Read("pose", "another", "x.npy");
  EXPECT_EQ(ExitCodeOf(tar.status()), ExitCode::kData);
  EXPECT_NE(tar.status().message().find(root + "/pose/another.tar"), std::string::npos) << tar.status();
}

TEST(ClipArchive, NamesATarThatWasCut) {
  const std::string root = NewTestFolder("archive_cut");
  WriteTestTar(root, "pose", "clip", {{"clip.a", std::string(2000, 'a')}, {"clip.b", std::string(2000, 'b')}});
  std::filesystem::resize_file(root + "/pose/clip.tar", 512 + 2048 + 512 + 1000);
  ClipArchive archive(root, 8);
  const auto cut = archive.Read("pose", "clip", "a");
  EXPECT_EQ(ExitCodeOf(cut.status()), ExitCode::kData);
  EXPECT_NE(cut.status().message().find(root + "/pose/clip.tar"), std::string::npos) << cut.status();
}

TEST(ClipArchive, KeepsABoundedNumberOfIndicesForManyThreads) {
  const std::string root = NewTestFolder("archive_bound");
  for (int i = 0; i < 9; ++i) {
    const std::string clip = "clip" + std::to_string(i);
    WriteTestTar(root, "pose", clip, {{clip + ".x", std::to_string(i)}});
  }
  ClipArchive archive(root, 3);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int k = 0; k < 90; ++k) {
        const int i = (k * (t + 1)) % 9;
        const auto member = archive.Read("pose", "clip" + std::to_string(i), "x");
        wrong[t] += !member.ok() || member->bytes != std::to_string(i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int count : wrong) EXPECT_EQ(count, 0);
  EXPECT_EQ(archive.kept_indices(), 3u);
}

}  // namespace
}  // namespace cubist

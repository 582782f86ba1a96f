#include "data_process/scenes/clip_index.h"

#include <algorithm>
#include <set>

#include "base/file_ops.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using Ids = std::vector<std::string>;

// The index looks at names and sizes only, so files of any contents will do.
class ClipIndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // The root's name holds those of attributes: paths must not come about by replacing text.
    root_ = ::testing::TempDir() + "/pose_clips_" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(RemoveTree(SystemFileOps(), root_).ok());
    data_.set_data_root(root_);
    data_.add_attributes("pose");
    data_.add_attributes("pc_voxelsize_01");
  }

  void Put(const std::string& path, const std::string& contents) {
    const std::string full = root_ + "/" + path;
    ASSERT_TRUE(MakeDirectories(SystemFileOps(), full.substr(0, full.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), full, contents).ok());
  }
  void PutClip(const std::string& clip) {
    Put("pose/" + clip + ".tar", "poses");
    Put("pc_voxelsize_01/" + clip + ".tar", "points");
  }
  Ids PutClips(int count) {
    Ids clips;
    for (int i = 0; i < count; ++i) {
      clips.push_back("clip_" + std::to_string(1000 + i));
      PutClip(clips.back());
    }
    return clips;
  }

  std::string root_;
  Data data_;
};

TEST_F(ClipIndexTest, TakesTheConfigsClipsBeforeAll) {
  PutClips(6);
  Put("assets/train.json", R"(["clip_1004"])");
  data_.set_assets_root(root_ + "/assets");
  data_.set_train_clip_list("train.json");
  data_.add_train_clips("clip_1003");
  data_.add_train_clips("clip_1001");
  data_.add_validation_clips("clip_1000");
  const auto index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips(), (Ids{"clip_1003", "clip_1001"}));
  EXPECT_EQ(index->validation_clips(), (Ids{"clip_1000"}));
  EXPECT_TRUE(index->warnings().empty());
}

TEST_F(ClipIndexTest, ReadsListsWhenThereAreAssets) {
  PutClips(6);
  Put("assets/split/train.json", R"(["clip_1004", "clip_1002", "clip_1004"])");
  Put("assets/split/validation.json", R"(["clip_1002", "clip_1005"])");
  data_.set_train_clip_list("split/train.json");
  data_.set_validation_clip_list("split/validation.json");
  auto index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips().size() + index->validation_clips().size(), 6u);

  data_.set_assets_root(root_ + "/assets");
  index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips(), (Ids{"clip_1004", "clip_1002"}));
  EXPECT_EQ(index->validation_clips(), (Ids{"clip_1002", "clip_1005"}));
  ASSERT_EQ(index->warnings().size(), 2u);
  EXPECT_NE(index->warnings()[0].find("clip_1004"), std::string::npos);
  EXPECT_NE(index->warnings()[1].find("both train and validate: clip_1002"), std::string::npos);

  for (const char* bad : {R"({"a": 1})", "[]", "[1]", R"(["../x"])", "[", R"(["a.b"])"}) {
    Put("assets/split/train.json", bad);
    index = ClipIndex::Open(data_);
    EXPECT_EQ(ExitCodeOf(index.status()), ExitCode::kData) << bad;
    EXPECT_NE(index.status().message().find("split/train.json"), std::string::npos) << index.status();
  }
  data_.set_train_clip_list("split/none.json");
  index = ClipIndex::Open(data_);
  EXPECT_EQ(ExitCodeOf(index.status()), ExitCode::kData);
  EXPECT_NE(index.status().message().find("split/none.json"), std::string::npos) << index.status();
}

TEST_F(ClipIndexTest, OneNamedSideLeavesTheRestOrNothing) {
  PutClips(4);
  data_.add_validation_clips("clip_1002");
  auto index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips(), (Ids{"clip_1000", "clip_1001", "clip_1003"}));
  data_.clear_validation_clips();
  data_.add_train_clips("clip_1002");
  index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_TRUE(index->validation_clips().empty());
}

TEST_F(ClipIndexTest, SplitsAFolderByIdAlone) {
  Ids clips = PutClips(200);
  Put("pose/lonely.tar", "poses");
  Put("pose/notes.txt", "no clip");
  data_.set_validation_fraction(0.25);
  auto index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  const Ids train = index->train_clips(), validation = index->validation_clips();
  Ids all = train;
  all.insert(all.end(), validation.begin(), validation.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, clips);
  EXPECT_TRUE(std::is_sorted(train.begin(), train.end()));
  // Binomial with mean 50 and deviation 6.1.
  EXPECT_NEAR(static_cast<double>(validation.size()), 50, 25);
  ASSERT_EQ(index->warnings().size(), 1u);
  EXPECT_NE(index->warnings()[0].find("lonely"), std::string::npos);

  // Clips that join or leave the folder move no other one.
  for (int i = 0; i < 20; ++i) PutClip("another_" + std::to_string(i));
  ASSERT_TRUE(SystemFileOps().RemoveFile(root_ + "/pose/" + train[0] + ".tar").ok());
  index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  const std::set<std::string> train_later(index->train_clips().begin(), index->train_clips().end());
  const std::set<std::string> validation_later(index->validation_clips().begin(), index->validation_clips().end());
  EXPECT_EQ(train_later.count(train[0]), 0u);
  for (size_t i = 1; i < train.size(); ++i) EXPECT_EQ(train_later.count(train[i]), 1u);
  for (const std::string& clip : validation) EXPECT_EQ(validation_later.count(clip), 1u);

  // A larger fraction only adds.
  data_.set_validation_fraction(0.5);
  index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  const std::set<std::string> more(index->validation_clips().begin(), index->validation_clips().end());
  for (const std::string& clip : validation) EXPECT_EQ(more.count(clip), 1u);
  EXPECT_GT(more.size(), validation.size());
}

TEST_F(ClipIndexTest, HoldsOutAtLeastOneOfTwoAndNeverAll) {
  PutClips(1);
  data_.set_validation_fraction(0.9);
  auto index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips().size(), 1u);
  EXPECT_TRUE(index->validation_clips().empty());
  PutClips(3);
  for (const double fraction : {1e-12, 0.9}) {
    data_.set_validation_fraction(fraction);
    index = ClipIndex::Open(data_);
    ASSERT_TRUE(index.ok()) << index.status();
    EXPECT_GE(index->train_clips().size(), 1u);
    EXPECT_GE(index->validation_clips().size(), 1u);
  }
  data_.set_validation_fraction(0);
  index = ClipIndex::Open(data_);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(index->train_clips().size(), 3u);
}

TEST_F(ClipIndexTest, ReportsAllMissingTarsAtOnce) {
  const Ids clips = PutClips(14);
  for (const std::string& clip : clips) data_.add_train_clips(clip);
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(SystemFileOps().RemoveFile(ClipTarPath(root_, "pc_voxelsize_01", clips[i])).ok());
  }
  const auto index = ClipIndex::Open(data_);
  EXPECT_EQ(ExitCodeOf(index.status()), ExitCode::kData);
  const std::string message(index.status().message());
  EXPECT_NE(message.find("12 of 28 tars are missing"), std::string::npos) << message;
  EXPECT_NE(message.find(root_ + "/pc_voxelsize_01/clip_1009.tar"), std::string::npos) << message;
  EXPECT_EQ(message.find("clip_1010.tar"), std::string::npos) << message;
  EXPECT_NE(message.find("and 2 more"), std::string::npos) << message;
  EXPECT_NE(message.find("data.train_clips"), std::string::npos) << message;
}

TEST_F(ClipIndexTest, NamesMissingFoldersAndTheWayOut) {
  auto index = ClipIndex::Open(data_);
  EXPECT_EQ(ExitCodeOf(index.status()), ExitCode::kData);
  EXPECT_NE(index.status().message().find(root_), std::string::npos);
  EXPECT_NE(index.status().message().find("bazel run //data_process:synthesize_scenes"), std::string::npos);
  Put("pose/a.tar", "poses");
  index = ClipIndex::Open(data_);
  EXPECT_EQ(ExitCodeOf(index.status()), ExitCode::kData);
  EXPECT_NE(index.status().message().find("no folder for pc_voxelsize_01"), std::string::npos) << index.status();
  Put("pc_voxelsize_01/b.tar", "points");
  index = ClipIndex::Open(data_);
  EXPECT_EQ(ExitCodeOf(index.status()), ExitCode::kData);
  EXPECT_NE(index.status().message().find("no clip to train on"), std::string::npos) << index.status();
}

TEST_F(ClipIndexTest, RefusesNamesThatAreNoPlainNames) {
  PutClips(2);
  for (const char* bad : {"../clip_1000", "a/b", "a.b", "", ".."}) {
    Data data = data_;
    data.add_train_clips(bad);
    EXPECT_EQ(ExitCodeOf(ClipIndex::Open(data).status()), ExitCode::kConfig) << bad;
    data = data_;
    data.add_attributes(bad);
    EXPECT_EQ(ExitCodeOf(ClipIndex::Open(data).status()), ExitCode::kConfig) << bad;
  }
  data_.clear_attributes();
  EXPECT_EQ(ExitCodeOf(ClipIndex::Open(data_).status()), ExitCode::kConfig);
}

TEST_F(ClipIndexTest, ManifestHashFollowsNamesSizesAndSplit) {
  PutClips(3);
  data_.add_train_clips("clip_1000");
  data_.add_train_clips("clip_1001");
  const auto hash = [&] {
    const auto index = ClipIndex::Open(data_);
    EXPECT_TRUE(index.ok()) << index.status();
    return index.ok() ? index->manifest_hash() : "";
  };
  const std::string first = hash();
  EXPECT_EQ(first.size(), 32u);
  EXPECT_EQ(first.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(hash(), first);
  Put("pose/clip_1001.tar", "poses and more");
  const std::string resized = hash();
  EXPECT_NE(resized, first);
  Put("pose/clip_1001.tar", "poses");
  EXPECT_EQ(hash(), first);
  data_.add_validation_clips("clip_1001");
  EXPECT_NE(hash(), first);
}

}  // namespace
}  // namespace cubist

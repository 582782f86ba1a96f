#include "tools/training/checkpoint/testing/file_system_model.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "base/file_ops.h"
#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using Names = LossRule::Names;
using Data = LossRule::Data;

class FileSystemModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    top_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(top_);
    fs::create_directories(top_ + "/real");
    root_ = top_ + "/real";
  }
  void Put(FileOps& ops, const std::string& path, const std::string& bytes, bool sync) {
    auto file = ops.Create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append(bytes.data(), bytes.size()).ok());
    if (sync) {
      ASSERT_TRUE((*file)->Sync().ok());
    }
    ASSERT_TRUE((*file)->Close().ok());
  }
  // "a=1 d/ d/b=2" for the tree that `rule` leaves.
  std::string After(const FileSystemModel& model, Names names, Data data) {
    const std::string target = top_ + "/left";
    FileSystemModel::WriteTo(target, model.After({names, data}));
    return Tree(target);
  }
  static std::string Tree(const std::string& folder) {
    std::map<std::string, std::string> entries;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().string().substr(folder.size() + 1);
      entries[name] = entry.is_directory() ? "/" : "=" + *ReadWholeFile(entry.path().string());
    }
    std::string text;
    for (const auto& [name, value] : entries) text += (text.empty() ? "" : " ") + name + value;
    return text;
  }
  std::string top_, root_;
};

TEST_F(FileSystemModelTest, LosesExactlyWhatWasNotSynced) {
  FaultFileOps ops(SystemFileOps());
  Put(SystemFileOps(), root_ + "/old", "12345678", true);
  FileSystemModel model(root_);
  Put(ops, root_ + "/old", "abcd", false);
  ASSERT_TRUE(ops.MakeDirectory(root_ + "/d").ok());
  Put(ops, root_ + "/d/synced", "S", true);
  Put(ops, root_ + "/d/not", "unsynced", false);
  ASSERT_TRUE(ops.SyncDirectory(root_ + "/d").ok());
  for (const FileOperation& operation : ops.log()) model.Apply(operation);

  EXPECT_EQ(After(model, Names::kKept, Data::kKept), "d/ d/not=unsynced d/synced=S old=abcd");
  EXPECT_EQ(Tree(root_), After(model, Names::kKept, Data::kKept));
  EXPECT_EQ(After(model, Names::kKept, Data::kLost), "d/ d/not= d/synced=S old=12345678");
  EXPECT_EQ(After(model, Names::kKept, Data::kTorn), "d/ d/not=unsy d/synced=S old=ab");
  EXPECT_EQ(After(model, Names::kLost, Data::kKept), "old=abcd");
  EXPECT_EQ(After(model, Names::kLostInRoot, Data::kLost), "old=12345678");
  EXPECT_EQ(After(model, Names::kLostBelowRoot, Data::kKept), "d/ d/not=unsynced d/synced=S old=abcd");

  FaultFileOps more(SystemFileOps());
  ASSERT_TRUE(more.SyncDirectory(root_).ok());
  ASSERT_TRUE(more.Rename(root_ + "/d", root_ + "/e").ok());
  ASSERT_TRUE(more.RemoveFile(root_ + "/e/synced").ok());
  for (const FileOperation& operation : more.log()) model.Apply(operation);
  EXPECT_EQ(After(model, Names::kKept, Data::kKept), "e/ e/not=unsynced old=abcd");
  // The folder's own entries are lost apart from its name.
  EXPECT_EQ(After(model, Names::kLost, Data::kKept), "d/ d/not=unsynced d/synced=S old=abcd");
  EXPECT_EQ(After(model, Names::kLostInRoot, Data::kKept), "d/ d/not=unsynced old=abcd");
  EXPECT_EQ(After(model, Names::kLostBelowRoot, Data::kKept), "e/ e/not=unsynced e/synced=S old=abcd");
}

TEST_F(FileSystemModelTest, AgreesWithTheDiskOverManyOperations) {
  FaultFileOps ops(SystemFileOps());
  FileSystemModel model(root_);
  ASSERT_TRUE(WriteFileAtomically(ops, root_ + "/a", "one").ok());
  ASSERT_TRUE(WriteFileAtomically(ops, root_ + "/a", "two").ok());
  auto file = ops.OpenForAppend(root_ + "/a");
  ASSERT_TRUE(ops.Rename(root_ + "/a", root_ + "/b").ok());
  ASSERT_TRUE((*file)->Append("+three", 6).ok());
  ASSERT_TRUE((*file)->Close().ok());
  ASSERT_TRUE(MakeDirectories(ops, root_ + "/x/y/z").ok());
  Put(ops, root_ + "/x/y/z/c", "0123456789", false);
  ASSERT_TRUE(ops.Truncate(root_ + "/x/y/z/c", 4).ok());
  Put(ops, root_ + "/x/gone", "g", false);
  ASSERT_TRUE(ops.MakeDirectory(root_ + "/tree").ok());
  Put(ops, root_ + "/tree/t", "t", false);
  ASSERT_TRUE(RemoveTree(ops, root_ + "/tree").ok());
  ASSERT_TRUE(ops.RemoveFile(root_ + "/x/gone").ok());
  for (const FileOperation& operation : ops.log()) model.Apply(operation);
  EXPECT_EQ(Tree(root_), "b=two+three x/ x/y/ x/y/z/ x/y/z/c=0123");
  EXPECT_EQ(After(model, Names::kKept, Data::kKept), Tree(root_));
}

TEST_F(FileSystemModelTest, FaultsAreInjectedWhereTheyWereAskedFor) {
  FaultFileOps ops(SystemFileOps());
  ops.FailAt(1, ENOSPC);
  auto file = ops.Create(root_ + "/a");
  ASSERT_TRUE(file.ok());
  const absl::Status status = (*file)->Append("abcdefgh", 8);
  EXPECT_NE(std::string(status.message()).find("No space left"), std::string::npos) << status;
  EXPECT_NE(std::string(status.message()).find(root_ + "/a"), std::string::npos) << status;
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_EQ(Tree(root_), "a=abcd");
  EXPECT_EQ(ops.count(), 3u);
  EXPECT_EQ(ops.log().size(), 3u);
  ops.FailAt(3, EIO, /*until_end=*/true);
  EXPECT_FALSE(ops.MakeDirectory(root_ + "/d").ok());
  EXPECT_FALSE(ops.SyncDirectory(root_).ok());
  EXPECT_EQ(Tree(root_), "a=abcd");
  EXPECT_EQ(AllLossRules().size(), 12u);
}

}  // namespace
}  // namespace cubist

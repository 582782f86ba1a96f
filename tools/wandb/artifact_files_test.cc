#include "tools/wandb/artifact_files.h"

#include <sys/stat.h>

#include <fstream>

#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

std::string Folder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/" + name;
  EXPECT_TRUE(MakeDirectories(SystemFileOps(), folder).ok());
  return folder;
}

// No second names: what a checkpoint's folder on another file system is like.
class OpsWithoutLinks : public FileOps {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string& path) override { return ops_.Create(path); }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string& path) override {
    return ops_.OpenForAppend(path);
  }
  absl::Status MakeDirectory(const std::string& path) override { return ops_.MakeDirectory(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override { return ops_.Rename(from, to); }
  absl::Status RemoveFile(const std::string& path) override { return ops_.RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override { return ops_.RemoveDirectory(path); }
  absl::Status Truncate(const std::string& path, size_t size) override { return ops_.Truncate(path, size); }
  absl::Status SyncDirectory(const std::string& path) override { return ops_.SyncDirectory(path); }
  absl::Status Link(const std::string&, const std::string&) override { return StorageError("no links here"); }

 private:
  FileOps& ops_ = SystemFileOps();
};

TEST(ArtifactFiles, TheDigestIsTheServersOwn) {
  // printf 'hello' | md5sum; printf
  // 'wandb-artifact-manifest-v1\na.txt:XUFAKrxLKna5cZ2REBfFkg==\nb/c.txt:1B2M2Y8AsgTpgAmY7PhCfg==\n' | md5sum
  const std::string folder = Folder("digest");
  std::ofstream(folder + "/one") << "hello";
  std::ofstream(folder + "/two") << "";
  EXPECT_EQ(*Md5OfFile(folder + "/one"), "XUFAKrxLKna5cZ2REBfFkg==");
  const auto staged =
      StageFiles(SystemFileOps(), {{"b/c.txt", folder + "/two"}, {"a.txt", folder + "/one"}}, folder + "/staged");
  ASSERT_TRUE(staged.ok()) << staged.status();
  ASSERT_EQ(staged->size(), 2u);
  EXPECT_EQ((*staged)[0].path, "a.txt");
  EXPECT_EQ((*staged)[0].size, 5);
  EXPECT_EQ((*staged)[1].md5, "1B2M2Y8AsgTpgAmY7PhCfg==");
  EXPECT_EQ(ArtifactDigest(*staged), "a3b8383b04f2d48acf21bb4b4ff94e9a");
}

TEST(ArtifactFiles, StaySafeFromWhatHappensToTheirSource) {
  OpsWithoutLinks without_links;
  for (FileOps* ops : {&SystemFileOps(), static_cast<FileOps*>(&without_links)}) {
    const std::string folder = Folder(ops == &without_links ? "copied" : "linked");
    std::ofstream(folder + "/source") << "weights";
    const auto staged = StageFiles(*ops, {{"w", folder + "/source"}}, folder + "/staged");
    ASSERT_TRUE(staged.ok()) << staged.status();
    struct stat info;
    ASSERT_EQ(stat((folder + "/source").c_str(), &info), 0);
    EXPECT_EQ(info.st_nlink, ops == &without_links ? 1u : 2u);
    ASSERT_TRUE(SystemFileOps().RemoveFile(folder + "/source").ok());
    EXPECT_EQ(*ReadWholeFile(folder + "/staged/w"), "weights");
    // And what happens to them does not reach the source: removing a second name leaves the first.
    EXPECT_TRUE(RemoveTree(SystemFileOps(), folder + "/staged").ok());
  }
}

TEST(ArtifactFiles, PathsThatLeadOutAreRefused) {
  const std::string folder = Folder("paths");
  std::ofstream(folder + "/source") << "x";
  for (const char* path : {"", "/etc/x", "../x", "a/../../x", "a//b", "a/", "."}) {
    EXPECT_EQ(ExitCodeOf(StageFiles(SystemFileOps(), {{path, folder + "/source"}}, folder + "/staged").status()),
              ExitCode::kConfig)
        << path;
  }
  EXPECT_EQ(ExitCodeOf(StageFiles(SystemFileOps(), {{"x", folder + "/none"}}, folder + "/staged").status()),
            ExitCode::kData);
  const std::atomic<bool> stop = true;
  EXPECT_EQ(ExitCodeOf(Md5OfFile(folder + "/source", &stop).status()), ExitCode::kPreempted);
}

}  // namespace
}  // namespace cubist

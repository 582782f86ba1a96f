#include "tools/training/launch/worker_location.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/status.h"

namespace cubist {
namespace {

class FindWorkerTest : public ::testing::Test {
 protected:
  FindWorkerTest() : folder_(::testing::TempDir() + "/find_worker") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  std::string Program(const std::string& path, mode_t mode = 0755) {
    const std::string full = std::filesystem::path(folder_ + "/" + path).lexically_normal().string();
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream(full) << "#!/bin/sh\n";
    chmod(full.c_str(), mode);
    return full;
  }
  std::string Find(const Environment& environment) {
    const auto found = FindWorker(folder_ + "/bin/train", folder_ + "/link/train", environment);
    return found.ok() ? *found : std::string(found.status().message());
  }
  std::string folder_;
};

TEST_F(FindWorkerTest, BesideTheProgramFirstThenRunfiles) {
  const Environment environment = {{"RUNFILES_DIR", folder_ + "/run"}, {"TEST_SRCDIR", folder_ + "/test"}};
  const std::string missing = Find(environment);
  for (const char* place :
       {"/bin/train_worker", "/run/cubist/tools/train_worker", "/test/cubist/tools/train_worker",
        "/link/train.runfiles/cubist/tools/train_worker", "/bin/train.runfiles/cubist/tools/train_worker"}) {
    EXPECT_NE(missing.find(folder_ + place), std::string::npos) << missing;
  }
  // From the last place to the first: each goes before those found so far.
  for (const char* place :
       {"bin/train.runfiles/cubist/tools/train_worker", "link/train.runfiles/cubist/tools/train_worker",
        "test/cubist/tools/train_worker", "run/cubist/tools/train_worker", "bin/train_worker"}) {
    const std::string program = Program(place);
    EXPECT_EQ(Find(environment), program);
  }
}

TEST_F(FindWorkerTest, TakesOnlyProgramFiles) {
  Program("bin/train_worker", 0644);
  std::filesystem::create_directories(folder_ + "/run/cubist/tools/train_worker");
  const auto found = FindWorker(folder_ + "/bin/train", "", {{"RUNFILES_DIR", folder_ + "/run"}});
  EXPECT_EQ(ExitCodeOf(found.status()), ExitCode::kConfig);
}

TEST_F(FindWorkerTest, ProgramsOfOtherPackages) {
  const Environment environment = {{"RUNFILES_DIR", folder_ + "/run"}};
  const auto find = [&] { return FindProgram(folder_ + "/bin/train", "", environment, "data_process/inspect"); };
  EXPECT_NE(find().status().message().find("./bazelw build //data_process:inspect"), std::string::npos);
  const std::string in_runfiles = Program("run/cubist/data_process/inspect");
  EXPECT_EQ(find().value_or(""), in_runfiles);
  const std::string beside = Program("bin/inspect");
  EXPECT_EQ(find().value_or(""), beside);
}

TEST(ProgramPath, IsThisTest) {
  const auto path = ProgramPath();
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(std::filesystem::path(*path).filename(), "worker_location_test");
}

}  // namespace
}  // namespace cubist

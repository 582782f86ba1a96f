// The program from outside: exit codes, what it leaves, what it says.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace cubist {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class SynthesizeScenesTest : public ::testing::Test {
 protected:
  SynthesizeScenesTest() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) / test->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "here");
    setenv("BUILD_WORKING_DIRECTORY", (folder_ / "here").c_str(), 1);
  }
  ~SynthesizeScenesTest() override { fs::remove_all(folder_); }

  // Starts the program; what it prints goes to the file `output`.
  pid_t Start(const std::vector<std::string>& arguments) {
    const std::string program = std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                                "/data_process/synthesize_scenes";
    std::vector<char*> argv = {const_cast<char*>(program.c_str())};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, Output().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    pid_t child = -1;
    EXPECT_EQ(posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return child;
  }
  static int Wait(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int Run(const std::vector<std::string>& arguments) { return Wait(Start(arguments)); }

  std::string Output() const { return (folder_ / "output").string(); }
  std::string Said() const {
    std::ifstream stream(Output());
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
  }

  fs::path folder_;
};

TEST_F(SynthesizeScenesTest, MakesADataSetWhereTheUserStands) {
  ASSERT_EQ(Run({"--data_root", "made/data", "--clips", "2", "--frames", "3", "--point_spacing", "1", "--picture",
                 "--image_size", "104x60"}),
            0)
      << Said();
  EXPECT_TRUE(fs::exists(folder_ / "here/made/data/overview.png"));
  std::map<std::string, int> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "here/made")) {
    ++files[entry.path().extension().string()];
  }
  EXPECT_EQ(files[".tar"], 2 * 20);
  EXPECT_EQ(files[".json"], 2);
  EXPECT_EQ(files[".mp4"], 2 * 2);
  EXPECT_THAT(Said(), HasSubstr("2 clips of 3 frames"));
  EXPECT_THAT(Said(), HasSubstr("52/52"));
  EXPECT_THAT(Said(), Not(HasSubstr("\x1b"))) << "no terminal, no bar";
  // The same call again is refused.
  EXPECT_EQ(Run({"--data_root", "made/data"}), 2);
  EXPECT_THAT(Said(), HasSubstr("here/made/data exists already"));
}

TEST_F(SynthesizeScenesTest, OneOfOne) {
  ASSERT_EQ(
      Run({"--data_root", "data", "--clips", "1", "--frames", "1", "--point_spacing", "1", "--attributes", "pose"}), 0)
      << Said();
  EXPECT_THAT(Said(), HasSubstr("1 clip of 1 frame in "));
}

TEST_F(SynthesizeScenesTest, MakesTheAttributesThatAreAskedFor) {
  ASSERT_EQ(Run({"--data_root", "data", "--clips", "1", "--frames", "2", "--point_spacing", "1", "--image_size",
                 "52x30", "--attributes", "caption,skymask_480p_front", "--attributes", "pose"}),
            0)
      << Said();
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(folder_ / "here/data")) folders.insert(entry.path().filename());
  EXPECT_EQ(folders, (std::set<std::string>{"caption", "pose", "skymask_480p_front"}));
  EXPECT_EQ(Run({"--data_root", "other", "--attributes", "pose,skymask_480p_frnt"}), 2);
  EXPECT_THAT(Said(), HasSubstr("did you mean skymask_480p_front?"));
  EXPECT_FALSE(fs::exists(folder_ / "here/other"));
}

TEST_F(SynthesizeScenesTest, BadFlagsExitWithTwo) {
  EXPECT_EQ(Run({}), 2);
  EXPECT_THAT(Said(), HasSubstr("--data_root"));
  EXPECT_EQ(Run({"--data_root", "data", "--clips", "0"}), 2);
  EXPECT_EQ(Run({"--data_root", "data", "--seed", "-1"}), 2);
  EXPECT_EQ(Run({"--data_root", "data", "--seed", "4294967296"}), 2) << Said();
  EXPECT_EQ(Run({"--data_root", "data", "--point_spacing", "0"}), 2);
  EXPECT_THAT(Said(), HasSubstr("point_spacing"));
  for (const std::string size : {"832", "832x480x3", "0x0", "-2x4", "99999x99999", "x", "832x480 "}) {
    EXPECT_EQ(Run({"--data_root", "data", "--image_size", size}), 2) << size;
  }
  // Videos have even sides.
  EXPECT_EQ(Run({"--data_root", "data", "--image_size", "51x30"}), 2);
  EXPECT_THAT(Said(), HasSubstr("even"));
  EXPECT_EQ(Run({"--data_root", "data", "--colour", "red"}), 2);
  EXPECT_TRUE(fs::is_empty(folder_ / "here"));
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_THAT(Said(), HasSubstr("--point_spacing"));
}

TEST_F(SynthesizeScenesTest, AFolderThatCannotBeMadeExitsWithSix) {
  std::ofstream(folder_ / "here/file") << "mine";
  EXPECT_EQ(Run({"--data_root", "file/data", "--clips", "1"}), 6) << Said();
  EXPECT_THAT(Said(), HasSubstr("here/file"));
}

TEST_F(SynthesizeScenesTest, SignalsStopItCleanly) {
  for (const int signal_number : {SIGINT, SIGTERM}) {
    // Far more clips than it can make before the signal comes.
    const pid_t child = Start({"--data_root", "data", "--clips", "100000"});
    while (fs::is_empty(folder_ / "here")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(child, signal_number);
    EXPECT_EQ(Wait(child), 75) << Said();
    EXPECT_TRUE(fs::is_empty(folder_ / "here"));
    EXPECT_THAT(Said(), HasSubstr("nothing is kept"));
  }
}

}  // namespace
}  // namespace cubist

#include "tools/slurm/batch_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/subprocess.h"
#include "configs/message_loader.h"

namespace cubist {
namespace {

using testing::HasSubstr;

Launch Options() {
  Launch launch;
  EXPECT_TRUE(LoadMessage("", &launch).ok());
  return launch;
}

SlotCommand Slot() {
  SlotCommand slot;
  slot.bundle = "/opt/cubist";
  slot.run_folder = "/work/runs/vae";
  slot.working_folder = "/work";
  slot.arguments = {"--wname", "vae", "--gpus", "8"};
  slot.gpus_per_node = 8;
  return slot;
}

TEST(BatchScript, OddNamesReachTheProgramAsTheyAre) {
  const std::string folder = testing::TempDir() + "/odd";
  std::filesystem::remove_all(folder);
  SlotCommand slot = Slot();
  slot.bundle = folder + "/a 'bundle' $(touch marker)\n#SBATCH --nodes=9";
  slot.run_folder = "/runs/`touch marker`\\ \"x\"\n;touch marker";
  slot.arguments = {"--wname", "*", "--init_from", "~/$HOME {a,b} !x", ""};
  std::filesystem::create_directories(slot.bundle);
  // In the place of slurm_launch: prints its arguments and the variable.
  std::ofstream(slot.bundle + "/slurm_launch") << "#!/bin/sh\nprintf '%s\\001' \"$VALUE\" \"$@\"\n";
  std::filesystem::permissions(slot.bundle + "/slurm_launch", std::filesystem::perms::owner_all);
  Launch launch = Options();
  const std::string value = "it's \"$(touch marker)\" `touch marker`\n#SBATCH --nodes=9\\";
  launch.add_environment("VALUE=" + value);
  ASSERT_TRUE(CheckBatchOptions(launch).ok());
  const std::string script = BatchScript(launch, slot);
  std::ofstream(folder + "/slot.sh") << script;
  SubprocessOptions options;
  options.folder = folder;
  const auto result = RunSubprocess({"bash", "slot.sh"}, options);
  ASSERT_TRUE(result.ok() && result->ok()) << result->error;
  const std::vector<std::string> words = absl::StrSplit(result->output, '\001');
  ASSERT_GT(words.size(), 15u);
  EXPECT_EQ(words[0], value);
  EXPECT_EQ(words[1], "slot");
  EXPECT_EQ(words[2], slot.run_folder);
  EXPECT_THAT(words, testing::IsSupersetOf({slot.bundle + "/train", slot.run_folder + "/slurm/config.textproto",
                                            std::string("~/$HOME {a,b} !x"), std::string("*")}));
  EXPECT_FALSE(std::filesystem::exists(folder + "/marker"));
  // sbatch reads options up to the first line that is none and no comment.
  const size_t first_command = script.find("\nexport ");
  EXPECT_EQ(script.substr(0, first_command).find("nodes=9"), std::string::npos);
}

TEST(CheckBatchOptions, NamesEveryMistake) {
  const auto error = [](const std::function<void(Launch*)>& change) {
    Launch launch = Options();
    change(&launch);
    const absl::Status status = CheckBatchOptions(launch);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kConfig);
    return std::string(status.message());
  };
  EXPECT_THAT(error([](Launch* l) { l->set_account("a\n#SBATCH --uid=0"); }), HasSubstr("account has a newline"));
  EXPECT_THAT(error([](Launch* l) { l->add_sbatch_option("--array=1-5"); }),
              HasSubstr("slurm_launch decides on --array"));
  EXPECT_THAT(error([](Launch* l) { l->add_sbatch_option("--arr=0-3"); }), HasSubstr("decides on --array"));
  EXPECT_THAT(error([](Launch* l) { l->add_sbatch_option("-N 3"); }), HasSubstr("write it as --NAME"));
  EXPECT_THAT(error([](Launch* l) { l->add_environment("A B=1"); }), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(error([](Launch* l) { l->add_environment("NAME"); }), HasSubstr("NAME=VALUE"));
  EXPECT_THAT(error([](Launch* l) { l->add_container_mount("/a"); }), HasSubstr("no container_image"));
  EXPECT_THAT(error([](Launch* l) {
                l->set_container_image("i");
                l->add_container_mount("/a,/b");
              }),
              HasSubstr("without commas"));
  EXPECT_THAT(error([](Launch* l) { l->set_time_limit("4h"); }), HasSubstr("'4h' is no length of time"));
  EXPECT_THAT(error([](Launch* l) { l->set_time_limit("5"); }), HasSubstr("shorter warning"));
  const std::string both = error([](Launch* l) {
    l->set_time_limit("4h");
    l->set_qos("\n");
  });
  EXPECT_THAT(both, HasSubstr("qos"));
  EXPECT_THAT(both, HasSubstr("4h"));
}

}  // namespace
}  // namespace cubist

#include "tools/training/logging/wandb_logger.h"

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/wandb/core_process.h"
#include "tools/wandb/run_identity.h"
#include "tools/wandb/testing/core.h"
#include "tools/wandb/testing/loopback_server.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

bool Never() { return false; }

class WandbLoggerTest : public testing::Test {
 protected:
  WandbLoggerTest()
      : folder_(absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name())),
        server_(folder_ + "/server") {
    options_.environment = CurrentEnvironment();
    options_.environment["HOME"] = folder_;
    options_.environment["WANDB_BASE_URL"] = server_.Credentials().base_url;
    options_.environment["WANDB_API_KEY"] = server_.Credentials().api_key;
    options_.wandb_core = FindWandbCore("", options_.environment).value_or("");
    options_.run_folder = folder_ + "/runs/street";
    Wandb& wandb = *options_.config.mutable_logging()->mutable_wandb();
    wandb.set_entity("team");
    wandb.set_project("roads");
    wandb.set_upload_checkpoints(true);
    wandb.set_upload_interval_hours(0);
    wandb.set_finish_minutes(60);
    wandb.set_grace_seconds(60);
    fs::create_directories(options_.run_folder);
  }
  ~WandbLoggerTest() override { EXPECT_TRUE(RemoveTree(SystemFileOps(), folder_).ok()); }

  Wandb& wandb() { return *options_.config.mutable_logging()->mutable_wandb(); }
  std::unique_ptr<WandbLogger> Start() {
    auto logger = WandbLogger::Start(SystemFileOps(), options_);
    EXPECT_TRUE(logger.ok()) << logger.status();
    return logger.ok() ? *std::move(logger) : nullptr;
  }
  SavedCheckpoint MakeCheckpoint(int64_t step) {
    SavedCheckpoint saved;
    saved.step = step;
    saved.folder = absl::StrCat(folder_, "/step-", step);
    fs::create_directories(saved.folder + "/parts");
    std::ofstream(saved.folder + "/manifest") << "manifest " << step;
    std::ofstream(saved.folder + "/parts/weights") << "weights " << step;
    saved.metadata = absl::StrCat(R"({"step":)", step, "}");
    return saved;
  }
  std::vector<json> Artifacts() {
    const json state = server_.State();
    return {state["artifacts"].begin(), state["artifacts"].end()};
  }

  const std::string folder_;
  LoopbackServer server_;
  WandbLoggerOptions options_;
};

TEST_F(WandbLoggerTest, ARunIsThereAsItIsConfigured) {
  options_.config.mutable_optimizer()->set_beta1(0.9);
  options_.config.mutable_data()->add_train_clips("a");
  wandb().set_group("sweep");
  wandb().add_tags("small");
  wandb().set_name("waymo_wds/");
  const std::string png = folder_ + "/picture.png";
  std::ofstream(png, std::ios::binary) << TestPng();
  const auto logger = Start();
  logger->Row(20, {{"train_loss/sum", 1.5}, {"lr-AdamW", 1e-4}});
  logger->Row(20, {{"val_loss", 2.5}});
  logger->Picture(20, "img/sample_val", png);
  logger->Line("step 20");
  logger->Finish(ExitCode::kDone, Never);
  const json run = server_.Run(logger->run_id());
  EXPECT_EQ(run["entity"], "team");
  EXPECT_EQ(run["project"], "roads");
  EXPECT_EQ(run["displayName"], "waymo_wds/street");
  EXPECT_EQ(run["config"]["optimizer/beta1"]["value"], 0.9);
  EXPECT_EQ(run["config"]["data/train_clips"]["value"], json({"a"}));
  ASSERT_THAT(run["history"], SizeIs(3));
  EXPECT_EQ(run["history"][0]["trainer/global_step"], 20);
  EXPECT_EQ(run["history"][0]["lr-AdamW"], 1e-4);
  EXPECT_EQ(run["history"][1]["val_loss"], 2.5);
  EXPECT_EQ(run["history"][2]["img/sample_val"]["_type"], "image-file");
  EXPECT_EQ(run["exit_code"], 0);
  EXPECT_THAT(run["output"], SizeIs(1));
  EXPECT_THAT(logger->TakeLines(), ElementsAre(HasSubstr("/team/roads/runs/" + logger->run_id())));
  const auto identity = ReadRunIdentity(options_.run_folder);
  ASSERT_TRUE(identity.ok() && identity->has_value());
  EXPECT_EQ((*identity)->entity, "team");
  EXPECT_EQ((*identity)->project, "roads");
  EXPECT_EQ((*identity)->id, logger->run_id());
  EXPECT_EQ((*identity)->name, "waymo_wds/street");
}

TEST_F(WandbLoggerTest, NamesComeFromTheEnvironmentWhereTheConfigHasNone) {
  wandb().clear_entity();
  wandb().clear_project();
  options_.environment["WANDB_ENTITY"] = "others";
  options_.environment["WANDB_PROJECT"] = "rivers";
  const auto logger = Start();
  logger->Finish(ExitCode::kDone, Never);
  const json run = server_.Run(logger->run_id());
  EXPECT_EQ(run["entity"], "others");
  EXPECT_EQ(run["project"], "rivers");
  EXPECT_EQ(run["displayName"], "street");
}

TEST_F(WandbLoggerTest, TheSameRunGoesOn) {
  std::set<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    // Before a checkpoint knows the run, its folder does.
    const auto logger = Start();
    logger->Row(i, {{"loss", 1}});
    logger->Finish(ExitCode::kPreempted, Never);
    ids.insert(logger->run_id());
  }
  ASSERT_THAT(ids, SizeIs(1));
  // The checkpoint's word counts.
  options_.run_id = "12345678";
  EXPECT_EQ(Start()->run_id(), "12345678");
  EXPECT_THAT(server_.Run(*ids.begin())["history"], SizeIs(2));
  EXPECT_EQ(server_.Run(*ids.begin())["preempting"], true);
}

TEST_F(WandbLoggerTest, CheckpointsAreArtifacts) {
  const auto logger = Start();
  SavedCheckpoint first = MakeCheckpoint(50), last = MakeCheckpoint(100);
  first.is_best = true;
  last.is_final = true;
  logger->Saved(first);
  ASSERT_TRUE(RemoveTree(SystemFileOps(), first.folder).ok());  // retention does not wait for anybody
  logger->Saved(last);
  logger->Finish(ExitCode::kDone, Never);
  const std::vector<json> artifacts = Artifacts();
  ASSERT_THAT(artifacts, SizeIs(2));
  EXPECT_EQ(artifacts[0]["collection"], json({"team", "roads", "model-" + logger->run_id()}));
  EXPECT_EQ(artifacts[0]["aliases"], json({"best", "step-50"}));
  EXPECT_EQ(artifacts[1]["aliases"], json({"last", "latest", "step-100"}));
  EXPECT_EQ(artifacts[1]["metadata"], R"({"step":100})");
  EXPECT_EQ(artifacts[1]["state"], "COMMITTED");
  EXPECT_TRUE(fs::is_empty(options_.run_folder + "/wandb/uploads"));
}

TEST_F(WandbLoggerTest, AStepThatIsSavedAgainAfterARollbackIsAnother) {
  server_.SetFaults("UpsertBucket silence 1");  // nothing is sent yet
  wandb().set_grace_seconds(1);
  const auto logger = Start();
  SavedCheckpoint best = MakeCheckpoint(50);
  best.is_best = true;  // does not give way to the other
  logger->Saved(best);
  logger->Saved(MakeCheckpoint(50));
  std::vector<std::string> waiting;
  for (const auto& entry : fs::directory_iterator(options_.run_folder + "/wandb/uploads")) {
    waiting.push_back(entry.path().filename());
  }
  EXPECT_THAT(waiting, SizeIs(2));
  EXPECT_THAT(logger->TakeLines(), IsEmpty());
  logger->Finish(ExitCode::kPreempted, Never);
  EXPECT_TRUE(fs::is_empty(options_.run_folder + "/wandb/uploads"));
}

TEST_F(WandbLoggerTest, WithinTheIntervalOnlyTheBestAndTheFinalOne) {
  wandb().set_upload_interval_hours(1000);
  const auto logger = Start();
  logger->Saved(MakeCheckpoint(50));
  SavedCheckpoint best = MakeCheckpoint(100);
  best.is_best = true;
  logger->Saved(best);
  logger->Saved(MakeCheckpoint(150));
  SavedCheckpoint final = MakeCheckpoint(200);
  final.is_final = true;
  logger->Saved(final);
  logger->Finish(ExitCode::kDone, Never);
  std::vector<std::string> steps;
  for (const json& artifact : Artifacts()) steps.push_back(artifact["metadata"]);
  EXPECT_THAT(steps, ElementsAre(R"({"step":100})", R"({"step":200})"));
}

TEST_F(WandbLoggerTest, NoneIfNoneIsWanted) {
  wandb().set_upload_checkpoints(false);
  const auto logger = Start();
  logger->Saved(MakeCheckpoint(50));
  logger->Finish(ExitCode::kDone, Never);
  EXPECT_THAT(Artifacts(), IsEmpty());
}

TEST_F(WandbLoggerTest, ACheckpointThatCannotBeLinkedIsSaidOnce) {
  std::ofstream(options_.run_folder + "/wandb") << "in the way";
  options_.environment["WANDB_DIR"] = folder_;
  const auto logger = Start();
  logger->Saved(MakeCheckpoint(50));
  logger->Saved(MakeCheckpoint(100));
  logger->Finish(ExitCode::kDone, Never);
  EXPECT_THAT(Artifacts(), IsEmpty());
  int warnings = 0;
  for (const std::string& line : logger->TakeLines()) {
    warnings += line.find("checkpoints are not uploaded") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(warnings, 1);
}

TEST_F(WandbLoggerTest, UploadsThatAKilledProcessHadBegunAreRemoved) {
  const std::string left = options_.run_folder + "/wandb/uploads/step-1";
  fs::create_directories(left);
  Start()->Finish(ExitCode::kDone, Never);
  EXPECT_FALSE(fs::exists(left));
}

TEST_F(WandbLoggerTest, WithoutAKeyItIsAnErrorThatNamesTheWaysOut) {
  options_.environment.erase("WANDB_API_KEY");
  const auto logger = WandbLogger::Start(SystemFileOps(), options_);
  ASSERT_FALSE(logger.ok());
  EXPECT_EQ(ExitCodeOf(logger.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(logger.status().message()), HasSubstr("--logger_type none"));
  EXPECT_THAT(std::string(logger.status().message()), HasSubstr("WANDB_MODE=offline"));
}

TEST_F(WandbLoggerTest, DisabledIsNothing) {
  options_.environment["WANDB_MODE"] = "disabled";
  EXPECT_EQ(Start(), nullptr);
  EXPECT_THAT(fs::directory_iterator(options_.run_folder), testing::Eq(fs::directory_iterator()));
}

TEST_F(WandbLoggerTest, AStopCutsALongUploadShort) {
  server_.SetFaults("PUT silence");
  wandb().set_grace_seconds(1);
  const auto logger = Start();
  logger->Saved(MakeCheckpoint(50));
  logger->Finish(ExitCode::kDone, [] { return true; });  // else it takes an hour
  EXPECT_THAT(Artifacts(), SizeIs(1));
  EXPECT_NE(Artifacts()[0]["state"], "COMMITTED");
}

}  // namespace
}  // namespace cubist

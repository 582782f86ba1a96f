// The program wandb_sync against a stand-in for the server.
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/subprocess.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/wandb/testing/core.h"
#include "tools/wandb/testing/loopback_server.h"
#include "tools/wandb/wandb_run.h"

namespace cubist {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WandbSyncTest : public testing::Test {
 protected:
  WandbSyncTest()
      : folder_(absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name())),
        server_(folder_ + "/server") {
    environment_ = CurrentEnvironment();
    environment_["WANDB_BASE_URL"] = server_.Credentials().base_url;
    environment_["WANDB_API_KEY"] = server_.Credentials().api_key;
    environment_["WANDB_MODE"] = "offline";  // as the training had it, in the same shell
    environment_["HOME"] = folder_;
  }

  // An offline run in folder_/run, with three rows, a picture and an artifact; its folder.
  std::string MakeRun(const std::string& id) {
    TestCore core = StartTestCore(folder_ + "/core");
    WandbRunOptions options;
    options.credentials = server_.Credentials();
    options.credentials.mode = WandbMode::kOffline;
    options.entity = "team";
    options.project = "roads";
    options.name = "name of " + id;
    options.id = id;
    options.config = {{"lr", "0.5"}};
    options.folder = folder_ + "/run";
    auto run = WandbRun::Open(SystemFileOps(), *core.client, options);
    EXPECT_TRUE(run.ok()) << run.status();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE((*run)->LogRow(10 * i, {{"loss", 0.1}}).ok());
    std::ofstream(folder_ + "/picture.png", std::ios::binary) << TestPng();
    std::ofstream(folder_ + "/weights") << id;
    EXPECT_TRUE((*run)->LogImage("view", 20, folder_ + "/picture.png", "").ok());
    EXPECT_TRUE((*run)->LogConsole("a line").ok());
    EXPECT_TRUE((*run)
                    ->LogArtifact({"model-" + id, "model", {{"weights", folder_ + "/weights"}}, {"latest", "last"}},
                                  nullptr, [](const absl::Status&) {})
                    .ok());
    EXPECT_TRUE(SystemFileOps().RemoveFile(folder_ + "/weights").ok());
    EXPECT_TRUE((*run)->Finish(0, seconds(60)).ok());
    EXPECT_TRUE(core.End().ok());
    return (*run)->folder();
  }

  SubprocessResult Sync(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = {environment_["TEST_SRCDIR"] + "/cubist/tools/wandb_sync"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    SubprocessOptions options;
    options.folder = folder_;
    options.deadline = std::chrono::minutes(5);
    options.environment.emplace();
    for (const auto& [name, value] : environment_) options.environment->push_back(absl::StrCat(name, "=", value));
    auto result = RunSubprocess(command, options);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or(SubprocessResult{-1, "", ""});
  }

  const std::string folder_;
  LoopbackServer server_;
  Environment environment_;
};

TEST_F(WandbSyncTest, AllRunsOfATrainingAreUploadedOnce) {
  MakeRun("one");
  MakeRun("two");
  const SubprocessResult first = Sync({"run"});
  EXPECT_EQ(first.exit_code, 0) << first.error;
  const json state = server_.State();
  EXPECT_EQ(state["unknown"], json::array());
  for (const char* id : {"one", "two"}) {
    const json run = server_.Run(id);
    ASSERT_TRUE(run.is_object()) << first.output << first.error;
    EXPECT_EQ(run["entity"], "team");
    EXPECT_EQ(run["displayName"], absl::StrCat("name of ", id));
    EXPECT_EQ(run["config"]["lr"]["value"], 0.5);
    EXPECT_EQ(run["exit_code"], 0);
    ASSERT_EQ(run["history"].size(), 4u);
    EXPECT_EQ(run["history"][1]["trainer/global_step"], 10);
    EXPECT_EQ(run["output"].size(), 1u);
    const std::string picture = run["history"][3]["view"]["path"];
    EXPECT_TRUE(state["blobs"].contains(absl::StrCat("run/team/roads/", id, "/", picture)));
  }
  ASSERT_EQ(state["artifacts"].size(), 2u);
  for (const json& artifact : state["artifacts"]) {
    EXPECT_EQ(artifact["state"], "COMMITTED");
    EXPECT_EQ(artifact["aliases"], json({"last", "latest"}));
    EXPECT_TRUE(state["blobs"].contains(absl::StrCat("artifact/", artifact["id"].get<std::string>(), "/weights")));
  }
  const SubprocessResult again = Sync({"run"});
  EXPECT_EQ(again.exit_code, 0) << again.error;
  EXPECT_THAT(again.output, HasSubstr("uploaded already"));
  EXPECT_EQ(server_.State()["requests"].size(), state["requests"].size());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/logs"));  // nothing where the user stands
}

TEST_F(WandbSyncTest, ElsewhereAndAsJson) {
  const std::string folder = MakeRun("one");
  const SubprocessResult result = Sync({folder, "--entity", "others", "--project", "streets", "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.error;
  const json said = json::parse(result.output);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0]["log"], folder + "/run-one.wandb");
  EXPECT_EQ(said[0]["state"], "uploaded");
  EXPECT_EQ(server_.Run("one")["entity"], "others");
  EXPECT_EQ(server_.Run("one")["project"], "streets");
}

TEST_F(WandbSyncTest, WhatCannotBeUploadedIsSaid) {
  const std::string folder = MakeRun("one");
  std::filesystem::create_directory(folder_ + "/empty");
  EXPECT_EQ(Sync({"nowhere"}).exit_code, 2);
  EXPECT_THAT(Sync({"empty"}).error, HasSubstr("no run of Weights & Biases"));
  EXPECT_EQ(Sync({}).exit_code, 2);
  std::ofstream(folder_ + "/text.wandb") << "no run at all";
  EXPECT_EQ(Sync({"text.wandb"}).exit_code, 3);
  const std::string key = environment_["WANDB_API_KEY"];
  environment_.erase("WANDB_API_KEY");
  const SubprocessResult without_key = Sync({"run"});
  EXPECT_EQ(without_key.exit_code, 2);
  EXPECT_THAT(without_key.error, HasSubstr("WANDB_API_KEY"));
  EXPECT_THAT(without_key.output, HasSubstr(".wandb: not tried"));
  environment_["WANDB_API_KEY"] = key;
  const SubprocessResult beside_a_typo = Sync({"run", "nowhere", "--json"});
  EXPECT_EQ(beside_a_typo.exit_code, 2);
  EXPECT_EQ(json::parse(beside_a_typo.output)[0]["state"], "not_tried");
  for (const char* fault : {"UpsertBucket 401", "UpsertBucket 403", "UpsertBucket 404", "file_stream 403"}) {
    server_.SetFaults(fault);
    const SubprocessResult result = Sync({"run", "--json"});
    EXPECT_EQ(result.exit_code, 5) << fault << ": " << result.output << result.error;
    EXPECT_EQ(json::parse(result.output)[0]["state"], "failed") << fault;
  }
  // None of these left a mark.
  server_.SetFaults("");
  EXPECT_EQ(Sync({"run"}).exit_code, 0);
  EXPECT_EQ(server_.Run("one")["history"].size(), 4u);
}

TEST_F(WandbSyncTest, OfRunsThatWereOnlineThoseThatAreNotWholeThere) {
  const std::string folder = folder_ + "/run/wandb/run-20260101_000000-one";
  std::filesystem::rename(MakeRun("one"), folder);
  const SubprocessResult whole = Sync({"run"});
  EXPECT_EQ(whole.exit_code, 2);
  EXPECT_THAT(whole.error, HasSubstr("name its folder"));
  std::ofstream(folder + kIncompleteMark).flush();
  const SubprocessResult rest = Sync({"run"});
  EXPECT_EQ(rest.exit_code, 0) << rest.error;
  EXPECT_EQ(server_.Run("one")["history"].size(), 4u);
  EXPECT_FALSE(std::filesystem::exists(folder + kIncompleteMark));
}

}  // namespace
}  // namespace cubist

#include "tools/wandb/wandb_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <future>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/wandb/testing/core.h"
#include "tools/wandb/testing/loopback_server.h"
#include "tools/wandb/transaction_log.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
namespace pb = wandb_internal;
using nlohmann::json;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string NewFolder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/" + name;
  EXPECT_TRUE(RemoveTree(SystemFileOps(), folder).ok());
  EXPECT_TRUE(MakeDirectories(SystemFileOps(), folder).ok());
  return folder;
}

WandbRunOptions Options(const std::string& folder, const WandbCredentials& credentials) {
  WandbRunOptions options;
  options.credentials = credentials;
  options.entity = "team";
  options.project = "roads";
  options.name = "a \"quoted\" name";
  options.id = "run1";
  options.tags = {"test"};
  options.config = {{"lr", "0.001"}, {"model", R"({"width":[1,2]})"}};
  options.folder = folder;
  return options;
}

WandbCredentials Offline() {
  WandbCredentials credentials;
  credentials.mode = WandbMode::kOffline;
  credentials.base_url = credentials.app_url = "http://127.0.0.1:1";
  return credentials;
}

std::unique_ptr<WandbRun> Open(TestCore& core, const WandbRunOptions& options) {
  auto run = WandbRun::Open(SystemFileOps(), *core.client, options);
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *std::move(run) : nullptr;
}

std::string Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::vector<pb::Record> RecordsOf(const WandbRun& run) {
  std::vector<pb::Record> records;
  const auto summary =
      ReadTransactionLog(absl::StrCat(run.folder(), "/run-", run.id(), ".wandb"), [&](std::string_view bytes) {
        EXPECT_TRUE(records.emplace_back().ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
        return absl::OkStatus();
      });
  EXPECT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary.value_or(TransactionLogSummary{}).damaged_bytes, 0);
  EXPECT_FALSE(summary.value_or(TransactionLogSummary{}).cut);
  return records;
}

// The members of an object have keys of their own: "views/top|width".
std::map<std::string, std::string> RowOf(const pb::HistoryRecord& record) {
  std::map<std::string, std::string> row;
  for (const pb::HistoryItem& item : record.item()) {
    row[item.nested_key_size() > 0 ? absl::StrJoin(item.nested_key(), "|") : item.key()] = item.value_json();
  }
  return row;
}

TEST(WandbRun, JsonOfNumbersAndTexts) {
  EXPECT_EQ(JsonNumber(0.1), "0.1");
  EXPECT_EQ(JsonNumber(-3), "-3");
  EXPECT_EQ(std::stod(JsonNumber(1.0 / 3)), 1.0 / 3);
  EXPECT_EQ(JsonNumber(std::nan("")), "NaN");
  EXPECT_EQ(JsonNumber(std::numeric_limits<double>::infinity()), "Infinity");
  EXPECT_EQ(JsonNumber(-std::numeric_limits<double>::infinity()), "-Infinity");
  EXPECT_EQ(JsonText("a\"\n"), R"("a\"\n")");
  EXPECT_EQ(JsonText("\xff"), "\"\xef\xbf\xbd\"");
  EXPECT_NE(RandomRunId(), RandomRunId());
  EXPECT_EQ(RandomRunId().size(), 8u);
}

TEST(WandbRun, OfflineAllIsInTheLog) {
  const std::string folder = NewFolder("offline");
  TestCore core = StartTestCore(folder + "/core");
  const auto run = Open(core, Options(folder, Offline()));
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->Url(), "");
  const std::string png = Write(folder + "/picture.png", TestPng());
  const std::string weights = Write(folder + "/weights.bin", "weights");
  // Steps may repeat and go back: a resumed run does that.
  for (const int64_t step : {10, 20, 20, 15}) {
    ASSERT_TRUE(run->LogRow(step, {{"loss", 1.0 / static_cast<double>(step)}, {"norm/a.b", std::nan("")}}).ok());
  }
  ASSERT_TRUE(run->LogImage("views/top", 20, png, "a \"caption\"").ok());
  ASSERT_TRUE(run->LogConsole("step 20").ok());
  ASSERT_TRUE(run->LogConsole("\xff no UTF-8").ok());
  ASSERT_TRUE(run->SetSummary("best", "0.25").ok());
  bool done = false;
  ASSERT_TRUE(run->LogArtifact({"model-run1", "model", {{"m/weights.bin", weights}}, {"latest", "last"}, R"({"s":1})"},
                               nullptr, [&](const absl::Status& status) { done = status.ok(); })
                  .ok());
  EXPECT_TRUE(done);
  ASSERT_TRUE(SystemFileOps().RemoveFile(weights).ok());
  EXPECT_EQ(ExitCodeOf(run->LogImage("x", 1, folder + "/none.png", "")), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(run->LogImage("x", 1, Write(folder + "/no.png", "text"), "")), ExitCode::kData);
  ASSERT_TRUE(run->Finish(0, seconds(60)).ok());
  ASSERT_TRUE(core.End().ok());

  std::vector<std::map<std::string, std::string>> rows;
  std::map<std::string, std::string> config, summary;
  std::vector<std::string> lines, files;
  pb::ArtifactRecord artifact;
  pb::RunRecord described;
  int exit_code = -1;
  for (const pb::Record& record : RecordsOf(*run)) {
    if (record.has_history()) rows.push_back(RowOf(record.history()));
    if (record.has_output_raw()) lines.push_back(record.output_raw().line());
    if (record.has_artifact()) artifact = record.artifact();
    if (record.has_exit()) exit_code = record.exit().exit_code();
    if (record.has_run()) described = record.run();
    for (const pb::FilesItem& file : record.files().files()) files.push_back(file.path());
    for (const pb::SummaryItem& item : record.summary().update()) {
      summary[item.nested_key_size() > 0 ? item.nested_key(0) : item.key()] = item.value_json();
    }
  }
  for (const pb::ConfigItem& item : described.config().update()) config[item.key()] = item.value_json();
  EXPECT_EQ(described.project(), "roads");
  EXPECT_EQ(described.display_name(), "a \"quoted\" name");
  EXPECT_EQ(config["lr"], "0.001");
  EXPECT_EQ(config["model"], R"({"width":[1,2]})");
  ASSERT_EQ(rows.size(), 5u);
  const char* steps[] = {"10", "20", "20", "15", "20"};
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i]["trainer/global_step"], steps[i]);
    EXPECT_EQ(rows[i]["_step"], absl::StrCat(i));
    EXPECT_NE(rows[i]["_timestamp"], "");
  }
  EXPECT_EQ(std::stod(rows[0]["loss"]), 0.1);
  EXPECT_EQ(rows[0]["norm/a.b"], "NaN");
  EXPECT_EQ(rows[4]["views/top|width"], "2");
  EXPECT_EQ(rows[4]["views/top|height"], "1");
  EXPECT_EQ(rows[4]["views/top|caption"], R"("a \"caption\"")");
  const std::string path = json::parse(rows[4]["views/top|path"]);
  EXPECT_EQ(*ReadWholeFile(absl::StrCat(run->folder(), "/files/", path)), TestPng());
  EXPECT_EQ(std::count(files.begin(), files.end(), path), 1);
  EXPECT_THAT(lines, ElementsAre("step 20\n", "\xef\xbf\xbd no UTF-8\n"));
  EXPECT_EQ(summary["best"], "0.25");
  EXPECT_EQ(exit_code, 0);
  EXPECT_THAT(artifact.aliases(), ElementsAre("latest", "last"));
  ASSERT_EQ(artifact.manifest().contents_size(), 1);
  EXPECT_EQ(artifact.manifest().contents(0).path(), "m/weights.bin");
  // It has to be uploaded yet: the copy is there though its source is not.
  EXPECT_EQ(*ReadWholeFile(artifact.manifest().contents(0).local_path()), "weights");
}

TEST(WandbRun, OnlineTheServerGetsAllAndAResumedRunGoesOn) {
  const std::string folder = NewFolder("online");
  LoopbackServer server(folder + "/server");
  const std::string png = Write(folder + "/picture.png", TestPng());
  for (const bool again : {false, true}) {
    TestCore core = StartTestCore(folder + "/core");
    WandbRunOptions options = Options(folder, server.Credentials());
    if (again) options.resume = "must";
    const auto run = Open(core, options);
    ASSERT_NE(run, nullptr);
    EXPECT_EQ(run->resumed(), again);
    EXPECT_EQ(run->Url(), server.Credentials().app_url + "/team/roads/runs/run1");
    for (const int64_t step : {1, 2, 3}) ASSERT_TRUE(run->LogRow(step + (again ? 1 : 0), {{"loss", 0.5}}).ok());
    ASSERT_TRUE(run->LogImage("view", 3, png, "").ok());
    ASSERT_TRUE(run->LogConsole("hello").ok());
    ASSERT_TRUE(run->SetSummary("best", "0.25").ok());
    const std::string weights = Write(folder + "/weights.bin", again ? "second" : "first");
    std::promise<absl::Status> uploaded;
    ASSERT_TRUE(run->LogArtifact({"model-run1", "model", {{"weights.bin", weights}}, {"latest", "last"}}, nullptr,
                                 [&](const absl::Status& status) { uploaded.set_value(status); })
                    .ok());
    EXPECT_TRUE(uploaded.get_future().get().ok());
    EXPECT_EQ(*ReadWholeFile(weights), again ? "second" : "first");  // wandb-core left it alone
    EXPECT_TRUE(fs::is_empty(run->folder() + "/artifacts"));         // and its copy is gone
    ASSERT_TRUE(run->Finish(again ? 0 : 75, seconds(60)).ok());
    ASSERT_TRUE(core.End().ok());
    const json seen = server.Run("run1");
    ASSERT_TRUE(seen.is_object());
    EXPECT_EQ(seen["exit_code"], again ? 0 : 75);
    EXPECT_EQ(seen["entity"], "team");
    EXPECT_EQ(seen["displayName"], "a \"quoted\" name");
    EXPECT_EQ(seen["config"]["lr"]["value"], 0.001);
    EXPECT_EQ(seen["summary"]["best"], 0.25);
    EXPECT_EQ(seen["output"].size(), again ? 2u : 1u) << seen["output"];
    std::vector<int64_t> steps;
    for (const json& row : seen["history"]) steps.push_back(row["trainer/global_step"]);
    EXPECT_EQ(steps, again ? std::vector<int64_t>({1, 2, 3, 3, 2, 3, 4, 3}) : std::vector<int64_t>({1, 2, 3, 3}));
    const json picture = seen["history"].back()["view"];
    EXPECT_TRUE(server.State()["blobs"].contains("run/team/roads/run1/" + picture["path"].get<std::string>()));
  }
  // The key is in no file.
  for (const char* place : {"/wandb", "/core"}) {
    for (const auto& file : fs::recursive_directory_iterator(folder + place)) {
      if (!file.is_regular_file()) continue;
      const std::string text = ReadWholeFile(file.path().string()).value_or("");
      EXPECT_EQ(text.find(server.Credentials().api_key), std::string::npos) << file.path();
      EXPECT_EQ(text.find("YXBpOmtra2"), std::string::npos) << file.path();  // "api:kkk" in base64
    }
  }
  const json state = server.State();
  EXPECT_EQ(state["unknown"], json::array());
  ASSERT_EQ(state["artifacts"].size(), 2u);
  EXPECT_EQ(state["artifacts"][0]["aliases"], json::array());
  EXPECT_EQ(state["artifacts"][1]["aliases"], json({"last", "latest"}));
  EXPECT_EQ(state["artifacts"][1]["state"], "COMMITTED");
}

TEST(WandbRun, WhatTheServerRefusesIsSaidInItsWords) {
  const std::string folder = NewFolder("refused");
  LoopbackServer server(folder + "/server");
  const auto open = [&](const std::string& resume) {
    TestCore core = StartTestCore(folder + "/core");
    WandbRunOptions options = Options(folder, server.Credentials());
    options.init_timeout = seconds(2);
    options.resume = resume;
    const auto run = WandbRun::Open(SystemFileOps(), *core.client, options);
    EXPECT_TRUE(core.End().ok());  // in peace
    return run.status();
  };
  for (const char* status : {"401", "403", "404", "500"}) {
    server.SetFaults(absl::StrCat("UpsertBucket ", status));
    EXPECT_EQ(ExitCodeOf(open("")), ExitCode::kPeerLost) << status;
    EXPECT_THAT(std::string(open("").message()), HasSubstr(status));
  }
  server.SetFaults("");
  EXPECT_EQ(ExitCodeOf(open("must")), ExitCode::kConfig);
  EXPECT_TRUE(open("never").ok());
  EXPECT_EQ(ExitCodeOf(open("never")), ExitCode::kConfig);
}

TEST(WandbRun, TheDefaultEntityIsTheKeysOwn) {
  const std::string folder = NewFolder("entity");
  LoopbackServer server(folder + "/server");
  TestCore core = StartTestCore(folder + "/core");
  WandbRunOptions options = Options(folder, server.Credentials());
  options.entity.clear();
  const auto run = Open(core, options);
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->entity(), "default-team");
}

TEST(WandbRun, AFolderThatCannotBeMadeIsSaid) {
  const std::string folder = NewFolder("unwritable");
  TestCore core = StartTestCore(folder + "/core");
  WandbRunOptions options = Options(Write(folder + "/file", "x"), Offline());
  EXPECT_EQ(ExitCodeOf(WandbRun::Open(SystemFileOps(), *core.client, options).status()), ExitCode::kStorage);
}

TEST(WandbRun, WhatIsNotStoredIsSaid) {
  const std::string folder = NewFolder("stored");
  TestCore core = StartTestCore(folder + "/core");
  const auto run = Open(core, Options(folder, Offline()));
  ASSERT_NE(run, nullptr);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(run->LogRow(i, {{"loss", i}}).ok());
  EXPECT_TRUE(run->ProbeFolder().ok());
  EXPECT_EQ(ExitCodeOf(run->CheckStored()), ExitCode::kStorage);  // it goes on
  ASSERT_TRUE(run->Finish(0, seconds(60)).ok());
  ASSERT_TRUE(core.End().ok());
  EXPECT_TRUE(run->CheckStored().ok()) << run->CheckStored();
  const std::string log = run->folder() + "/run-run1.wandb";
  const std::string bytes = *ReadWholeFile(log);
  // As a disk that is full from some row on leaves it.
  Write(log, bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(ExitCodeOf(run->CheckStored()), ExitCode::kStorage);
  std::string damaged = bytes;
  damaged[bytes.size() / 2] ^= 1;
  Write(log, damaged);
  EXPECT_EQ(ExitCodeOf(run->CheckStored()), ExitCode::kStorage);
  fs::remove_all(run->folder() + "/logs");
  EXPECT_EQ(ExitCodeOf(run->ProbeFolder()), ExitCode::kStorage);
}

TEST(WandbRun, WithSystemMetrics) {
  const std::string folder = NewFolder("system");
  LoopbackServer server(folder + "/server");
  TestCore core = StartTestCore(folder + "/core");
  WandbRunOptions options = Options(folder, server.Credentials());
  options.system_metrics = true;
  const auto run = Open(core, options);
  ASSERT_NE(run, nullptr);
  ASSERT_TRUE(run->LogRow(1, {{"loss", 1}}).ok());
  ASSERT_TRUE(run->Finish(0, seconds(60)).ok());
  ASSERT_TRUE(core.End().ok());
  EXPECT_EQ(server.State()["unknown"], json::array());
  EXPECT_EQ(server.Run("run1")["history"].size(), 1u);
}

}  // namespace
}  // namespace cubist

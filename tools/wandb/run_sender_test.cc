#include "tools/wandb/run_sender.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/wandb/offline_sync.h"
#include "tools/wandb/testing/core.h"
#include "tools/wandb/testing/loopback_server.h"
#include "tools/wandb/transaction_log.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::chrono::milliseconds kGrace = seconds(60);

// What a sender says, by any thread.
class Lines {
 public:
  std::function<void(const std::string&)> Sink() {
    return [this](const std::string& line) {
      const std::lock_guard<std::mutex> lock(mutex_);
      lines_.push_back(line);
      changed_.notify_all();
    };
  }
  std::vector<std::string> All() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return lines_;
  }
  void WaitForOneWith(const std::string& text) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] {
      for (const std::string& line : lines_) {
        if (line.find(text) != std::string::npos) return true;
      }
      return false;
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

class RunSenderTest : public testing::Test {
 protected:
  RunSenderTest()
      : folder_(absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name())),
        server_(folder_ + "/server") {
    options_.environment = CurrentEnvironment();
    options_.program = FindWandbCore("", options_.environment).value_or("");
    options_.run.credentials = server_.Credentials();
    options_.run.entity = "team";
    options_.run.project = "roads";
    options_.run.id = "run1";
    options_.run.folder = folder_;
    options_.run.init_timeout = seconds(2);
    options_.run.finish_timeout = seconds(2);
    options_.opened = [say = said_.Sink()](const WandbRun& run) {
      say(run.online() ? run.Url() : "offline " + run.folder());
    };
    options_.warn = warned_.Sink();
  }
  ~RunSenderTest() override { EXPECT_TRUE(RemoveTree(SystemFileOps(), folder_).ok()); }

  // Rows 1, 2, ... `count` in one run; what Finish() says.
  RunSenderReport SendRows(int count) {
    RunSender sender(SystemFileOps(), options_);
    for (int i = 1; i <= count; ++i) sender.LogRow(i, {{"loss", 1.0 / i}});
    return sender.Finish(0, kGrace);
  }
  // trainer/global_step of all rows in all logs of the folder; logs by their folders' names.
  std::vector<int64_t> StoredSteps(bool of_offline) {
    std::vector<int64_t> steps;
    const auto runs = FindOfflineRuns(folder_);
    EXPECT_EQ(runs.ok(), of_offline) << runs.status();
    if (!runs.ok()) return steps;
    for (const OfflineRun& run : *runs) {
      const auto summary = ReadTransactionLog(run.log, [&](std::string_view bytes) {
        wandb_internal::Record record;
        EXPECT_TRUE(record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
        for (const wandb_internal::HistoryItem& item : record.history().item()) {
          const std::string& key = item.nested_key_size() > 0 ? item.nested_key(0) : item.key();
          if (key == "trainer/global_step") steps.push_back(std::stoll(item.value_json()));
        }
        return absl::OkStatus();
      });
      EXPECT_TRUE(summary.ok());
    }
    return steps;
  }

  // The process numbers of the wandb-cores that are children of any of this process's threads.
  static std::vector<pid_t> Cores() {
    std::vector<pid_t> cores;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream children(thread.path() / "children");
      for (pid_t pid; children >> pid;) {
        std::ifstream command(absl::StrCat("/proc/", pid, "/comm"));
        std::string name;
        command >> name;
        if (name == "wandb-core") cores.push_back(pid);
      }
    }
    return cores;
  }

  static void SignalCores(int signal) {
    const std::vector<pid_t> cores = Cores();
    EXPECT_THAT(cores, SizeIs(1));
    for (const pid_t pid : cores) kill(pid, signal);
  }

  const std::string folder_;
  LoopbackServer server_;
  Lines said_, warned_;
  RunSenderOptions options_;
};

TEST_F(RunSenderTest, OnlineAllReachesTheServer) {
  const std::string png = folder_ + "/picture.png", weights = folder_ + "/weights";
  std::ofstream(png, std::ios::binary) << TestPng();
  std::ofstream(weights) << "weights";
  std::promise<void> staged;
  {
    RunSender sender(SystemFileOps(), options_);
    for (int i = 1; i <= 3; ++i) sender.LogRow(i, {{"loss", 1.0 / i}});
    sender.LogImage("view", 3, png, "caption");
    sender.LogConsole("a line");
    sender.SetSummary("best", "2");
    sender.LogArtifact({"model-run1", "model", {{"weights", weights}}, {"last"}, "{}", "step-3"}, false,
                       [&] { staged.set_value(); });
    staged.get_future().wait();
    EXPECT_TRUE(SystemFileOps().RemoveFile(weights).ok());
    const RunSenderReport report = sender.Finish(0, kGrace);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.lost_rows + report.lost_pictures + report.lost_artifacts, 0);
    sender.LogRow(4, {{"loss", 0}});  // too late, and counted
    EXPECT_EQ(sender.Finish(1, kGrace).lost_rows, 1);
  }
  const json run = server_.Run("run1");
  EXPECT_THAT(run["history"], SizeIs(4));
  EXPECT_EQ(run["exit_code"], 0);
  EXPECT_EQ(run["summary"]["best"], 2);
  EXPECT_THAT(run["output"], SizeIs(1));
  EXPECT_EQ(server_.State()["artifacts"][0]["state"], "COMMITTED");
  EXPECT_EQ(server_.State()["artifacts"][0]["aliases"], json({"last", "step-3"}));
  EXPECT_THAT(said_.All(), ElementsAre(server_.Credentials().app_url + "/team/roads/runs/run1"));
  EXPECT_THAT(warned_.All(), SizeIs(0));
}

TEST_F(RunSenderTest, RefusedItGoesOnOfflineAndSaysSoOnce) {
  for (const char* status : {"401", "403", "404", "500"}) {
    server_.SetFaults(absl::StrCat("UpsertBucket ", status));
    EXPECT_FALSE(SendRows(3).complete);
    EXPECT_EQ(StoredSteps(true), std::vector<int64_t>({1, 2, 3})) << status;
    EXPECT_TRUE(RemoveTree(SystemFileOps(), folder_ + "/wandb").ok());
    EXPECT_THAT(warned_.All().back(), HasSubstr(status));
    EXPECT_THAT(warned_.All().back(), HasSubstr("the run goes on offline, and wandb_sync uploads it"));
  }
  EXPECT_THAT(warned_.All(), SizeIs(4));
}

TEST_F(RunSenderTest, WithoutAServerTheSame) {
  server_.Kill();
  EXPECT_FALSE(SendRows(3).complete);
  EXPECT_EQ(StoredSteps(true), std::vector<int64_t>({1, 2, 3}));
  EXPECT_THAT(warned_.All(), ElementsAre(HasSubstr("connection refused")));
}

TEST_F(RunSenderTest, ASilentServerTakesNoMoreThanTheGrace) {
  server_.SetFaults("* silence");
  options_.run.init_timeout = std::chrono::hours(1);
  RunSender sender(SystemFileOps(), options_);
  sender.LogRow(1, {{"loss", 1}});
  EXPECT_FALSE(sender.Finish(0, seconds(4)).complete);
  EXPECT_EQ(StoredSteps(true), std::vector<int64_t>({1}));
  EXPECT_THAT(warned_.All(), ElementsAre(HasSubstr("did not answer in time")));
}

TEST_F(RunSenderTest, AServerThatDiesInTheMiddleCostsNothingThatIsKept) {
  RunSender sender(SystemFileOps(), options_);
  sender.LogRow(1, {{"loss", 1}});
  said_.WaitForOneWith("/runs/run1");
  server_.Kill();
  sender.LogRow(2, {{"loss", 1}});
  EXPECT_FALSE(sender.Finish(0, kGrace).complete);
  EXPECT_THAT(warned_.All(), ElementsAre(HasSubstr("not all of the run is on the server")));
  EXPECT_THAT(warned_.All()[0], HasSubstr("wandb_sync"));
  // What the advice leads to: the server is there again, without what it knew.
  server_.Restart();
  TestCore core = StartTestCore(folder_ + "/core");
  const std::string line = warned_.All()[0];
  const size_t at = line.find("it is in ") + 9;
  const auto runs = FindOfflineRuns(line.substr(at, line.find(',', at) - at));
  ASSERT_TRUE(runs.ok()) << runs.status();
  SyncOptions sync;
  sync.credentials = server_.Credentials();
  const absl::Status status = UploadRun(
      SystemFileOps(), *core.client, (*runs)[0].log, sync, [](const auto&) {}, nullptr);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(server_.Run("run1")["history"], SizeIs(2));
}

TEST_F(RunSenderTest, AStreamThatIsRefusedIsSaid) {
  for (const char* status : {"401", "403", "404"}) {
    server_.SetFaults(absl::StrCat("file_stream ", status));
    EXPECT_FALSE(SendRows(2).complete) << status;
  }
  EXPECT_THAT(warned_.All(),
              Contains(HasSubstr("not all of the run is on the server (the server refused it)")).Times(3));
}

TEST_F(RunSenderTest, AnArtifactThatIsRefusedCostsOnlyItself) {
  server_.SetFaults("CreateArtifact 403");
  std::ofstream(folder_ + "/weights") << "weights";
  RunSender sender(SystemFileOps(), options_);
  sender.LogArtifact({"model-run1", "model", {{"weights", folder_ + "/weights"}}, {"last"}}, false);
  sender.LogRow(1, {{"loss", 1}});
  const RunSenderReport report = sender.Finish(0, kGrace);
  EXPECT_EQ(report.lost_artifacts, 1);
  EXPECT_FALSE(report.complete);
  EXPECT_THAT(server_.Run("run1")["history"], SizeIs(1));
  EXPECT_THAT(warned_.All(), ElementsAre(HasSubstr("the artifact model-run1")));
}

TEST_F(RunSenderTest, ArtifactsGoOneAfterTheOtherAndTheNewestMatters) {
  server_.SetFaults("PUT silence 1");
  std::ofstream(folder_ + "/weights") << "weights";
  RunSender sender(SystemFileOps(), options_);
  std::vector<int> gone;  // by this thread, but for the first
  std::promise<void> first;
  const auto log = [&](int number, std::vector<std::string> aliases) {
    sender.LogArtifact({"model-run1", "model", {{"weights", folder_ + "/weights"}}, std::move(aliases)}, false,
                       [&, number] { number == 1 ? first.set_value() : gone.push_back(number); });
  };
  log(1, {"last"});
  first.get_future().wait();  // it is being uploaded, and the server takes its time
  log(2, {"last"});
  log(3, {"last", "best"});
  EXPECT_THAT(gone, ElementsAre(2));
  log(4, {"last"});  // 3 stays: it is the best
  EXPECT_THAT(gone, ElementsAre(2));
  log(5, {"last", "best"});
  EXPECT_THAT(gone, ElementsAre(2, 3, 4));
  // Nobody waits for an hour.
  const RunSenderReport report = sender.Finish(0, std::chrono::hours(1), [] { return seconds(2); });
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(report.lost_artifacts, 2);
  EXPECT_THAT(gone, ElementsAre(2, 3, 4, 5));
  // Nothing of them is left on the disk.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ + "/wandb")) {
    EXPECT_NE(entry.path().filename(), "weights") << entry.path();
  }
}

TEST_F(RunSenderTest, ArtifactsThatWaitAreUploadedInTheEnd) {
  RunSender sender(SystemFileOps(), options_);
  for (int i = 0; i < 3; ++i) {
    const std::string path = absl::StrCat(folder_, "/weights", i);
    std::ofstream(path) << i;
    sender.LogArtifact({"model-run1", "model", {{"weights", path}}, {absl::StrCat("part-", i)}}, false);
  }
  EXPECT_TRUE(sender.Finish(0, kGrace).complete);
  const json artifacts = server_.State()["artifacts"];
  ASSERT_THAT(artifacts, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(artifacts[i]["state"], "COMMITTED");
    EXPECT_EQ(artifacts[i]["aliases"], json({absl::StrCat("part-", i)}));
  }
}

TEST_F(RunSenderTest, OfflineOnlyArtifactsThatAreWorthTheSpaceAreKept) {
  options_.run.credentials.mode = WandbMode::kOffline;
  std::ofstream(folder_ + "/weights") << "weights";
  RunSender sender(SystemFileOps(), options_);
  sender.LogArtifact({"model-run1", "model", {{"left_out", folder_ + "/weights"}}, {"a"}}, false);
  sender.LogArtifact({"model-run1", "model", {{"kept", folder_ + "/weights"}}, {"b"}}, true);
  EXPECT_TRUE(sender.Finish(0, kGrace).complete);
  std::vector<std::string> kept;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ + "/wandb")) {
    if (entry.path().string().find("/artifacts/") != std::string::npos && entry.is_regular_file()) {
      kept.push_back(entry.path().filename());
    }
  }
  EXPECT_THAT(kept, ElementsAre("kept"));
}

TEST_F(RunSenderTest, WhatAKilledProcessHadNamedIsRemoved) {
  const std::string left = folder_ + "/wandb/run-20260101_000000-run1/artifacts/1-abc",
                    others = folder_ + "/wandb/run-20260101_000000-run2/artifacts/1-abc",
                    offline = folder_ + "/wandb/offline-run-20260101_000000-run1/artifacts/1-abc";
  for (const std::string& folder : {left, others, offline}) std::filesystem::create_directories(folder);
  EXPECT_TRUE(SendRows(1).complete);
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(others));
  EXPECT_TRUE(std::filesystem::exists(offline));
}

TEST_F(RunSenderTest, APreemptedRunIsOne) {
  RunSender sender(SystemFileOps(), options_);
  EXPECT_TRUE(sender.Finish(75, kGrace).complete);
  EXPECT_EQ(server_.Run("run1")["exit_code"], 75);
  EXPECT_EQ(server_.Run("run1")["preempting"], true);
}

TEST_F(RunSenderTest, TrainingGoesFirst) {
  RunSender sender(SystemFileOps(), options_);
  said_.WaitForOneWith("/runs/run1");
  const std::vector<pid_t> cores = Cores();
  ASSERT_THAT(cores, SizeIs(1));
  EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(cores[0])), 10);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 0);
}

TEST_F(RunSenderTest, KilledWandbCoreIsStartedAgainAndTheRunGoesOn) {
  RunSender sender(SystemFileOps(), options_);
  said_.WaitForOneWith("/runs/run1");
  sender.LogRow(1, {{"loss", 1}});
  SignalCores(SIGKILL);
  warned_.WaitForOneWith("wandb-core");
  for (int i = 2; i <= 4; ++i) sender.LogRow(i, {{"loss", 1}});
  EXPECT_FALSE(sender.Finish(0, kGrace).complete);
  EXPECT_THAT(warned_.All(), ElementsAre(HasSubstr("was ended by signal 9")));
  EXPECT_THAT(said_.All(), SizeIs(2));
  const json run = server_.Run("run1");
  EXPECT_EQ(run["exit_code"], 0);
  std::vector<int64_t> steps;
  for (const json& row : run["history"]) steps.push_back(row["trainer/global_step"]);
  ASSERT_GE(steps.size(), 3u);
  EXPECT_EQ(std::vector<int64_t>(steps.end() - 3, steps.end()), std::vector<int64_t>({2, 3, 4}));
}

TEST_F(RunSenderTest, WithoutAProgramItGivesUpAndLosesAll) {
  options_.program = "/nowhere/wandb-core";
  options_.core_starts = 2;
  RunSender sender(SystemFileOps(), options_);
  warned_.WaitForOneWith("no more");
  std::ofstream(folder_ + "/weights") << "weights";
  std::promise<void> gone;
  sender.LogRow(1, {{"loss", 1}});
  sender.LogArtifact({"model-run1", "model", {{"weights", folder_ + "/weights"}}, {}}, false,
                     [&] { gone.set_value(); });
  gone.get_future().wait();
  const RunSenderReport report = sender.Finish(0, kGrace);
  EXPECT_EQ(report.lost_rows, 1);
  EXPECT_EQ(report.lost_artifacts, 1);
  EXPECT_FALSE(report.complete);
}

TEST_F(RunSenderTest, AFolderThatCannotBeMadeFailsNothing) {
  options_.run.folder = folder_ + "/file";
  std::ofstream(options_.run.folder) << "x";
  options_.core_starts = 1;
  const RunSenderReport report = SendRows(2);
  EXPECT_EQ(report.lost_rows, 2);
  EXPECT_THAT(warned_.All(), Contains(HasSubstr(folder_ + "/file")));
}

TEST_F(RunSenderTest, AFolderThatCannotBeWrittenAnyMoreIsSaid) {
  options_.run.credentials.mode = WandbMode::kOffline;
  RunSender sender(SystemFileOps(), options_);
  said_.WaitForOneWith("offline");
  const std::string line = said_.All()[0];
  std::filesystem::rename(line.substr(line.find('/')) + "/logs", folder_ + "/elsewhere");
  sender.LogRow(1, {{"loss", 1}});
  EXPECT_FALSE(sender.Finish(0, kGrace).complete);
  EXPECT_THAT(warned_.All(), ElementsAre(HasSubstr("what is logged may be lost")));
}

TEST_F(RunSenderTest, AHundredThousandRowsDoNotWaitForAStoppedWandbCore) {
  options_.run.credentials.mode = WandbMode::kOffline;
  options_.row_capacity = 1000;
  RunSender sender(SystemFileOps(), options_);
  said_.WaitForOneWith("offline");
  SignalCores(SIGSTOP);
  // None of these returns if one waits: nobody reads what the sender's thread sends.
  for (int i = 1; i <= 100000; ++i) sender.LogRow(i, {{"a", i}, {"b", 2.0 * i}, {"c", 3.0 * i}});
  SignalCores(SIGCONT);
  const RunSenderReport report = sender.Finish(0, kGrace);
  EXPECT_GT(report.lost_rows, 0);
  EXPECT_FALSE(report.complete);
  const std::vector<int64_t> steps = StoredSteps(true);
  // The newest are there, and none is lost but those that are counted.
  EXPECT_EQ(steps.back(), 100000);
  EXPECT_EQ(static_cast<int64_t>(steps.size()) + report.lost_rows, 100000);
  EXPECT_THAT(warned_.All(), Contains(HasSubstr("the oldest are left out")));
}

TEST_F(RunSenderTest, AHundredThousandRowsAreStored) {
  options_.run.credentials.mode = WandbMode::kOffline;
  options_.row_capacity = 100000;
  const RunSenderReport report = SendRows(100000);
  EXPECT_TRUE(report.complete);
  const std::vector<int64_t> steps = StoredSteps(true);
  ASSERT_EQ(steps.size(), 100000u);
  for (size_t i = 0; i < steps.size(); ++i) ASSERT_EQ(steps[i], static_cast<int64_t>(i) + 1);
}

TEST_F(RunSenderTest, TooManyPicturesAreCountedAndRowsStay) {
  options_.picture_capacity = 0;
  RunSender sender(SystemFileOps(), options_);
  sender.LogImage("view", 1, folder_ + "/none.png", "");
  sender.LogRow(1, {{"loss", 1}});
  const RunSenderReport report = sender.Finish(0, kGrace);
  EXPECT_EQ(report.lost_pictures, 1);
  EXPECT_EQ(report.lost_rows, 0);
  EXPECT_THAT(server_.Run("run1")["history"], SizeIs(1));
}

TEST_F(RunSenderTest, WithoutFinishItEndsAtOnce) {
  server_.SetFaults("* silence");
  options_.run.init_timeout = std::chrono::hours(1);
  RunSender sender(SystemFileOps(), options_);
  sender.LogRow(1, {{"loss", 1}});
}

}  // namespace
}  // namespace cubist

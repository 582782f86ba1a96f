#include "tools/wandb/reference_lookup.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/wandb/testing/core.h"
#include "tools/wandb/testing/loopback_server.h"
#include "tools/wandb/wandb_run.h"

namespace cubist {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const RemoteProject kProject = {"team", "roads"};

class ReferenceLookupTest : public testing::Test {
 protected:
  ReferenceLookupTest()
      : folder_(absl::StrCat(testing::TempDir(), "/", testing::UnitTest::GetInstance()->current_test_info()->name())),
        server_(folder_ + "/server"),
        core_(StartTestCore(folder_ + "/core")) {
    LogRun();
    auto session = ServerSession::Open(*core_.client, server_.Credentials());
    EXPECT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
  }

  // A run of two versions of an artifact with three files.
  void LogRun() {
    WandbRunOptions options;
    options.credentials = server_.Credentials();
    options.entity = kProject.entity;
    options.project = kProject.name;
    options.name = "shown name";
    options.id = "run1";
    options.folder = folder_;
    auto run = WandbRun::Open(SystemFileOps(), *core_.client, options);
    ASSERT_TRUE(run.ok()) << run.status();
    for (const char* contents : {"first", "second"}) {
      WandbArtifact artifact = {"model-run1", "model", {}, {"latest", contents}};
      for (const char* name : {"a.bin", "b.bin", "m/c.bin"}) {
        artifact.files.emplace_back(name, folder_ + "/file");
      }
      std::ofstream(folder_ + "/file") << contents;
      std::promise<absl::Status> done;
      ASSERT_TRUE((*run)->LogArtifact(artifact, nullptr, [&](const auto& status) { done.set_value(status); }).ok());
      const absl::Status uploaded = done.get_future().get();
      ASSERT_TRUE(uploaded.ok()) << uploaded;
      ASSERT_TRUE(SystemFileOps().RemoveFile(folder_ + "/file").ok());  // what follows is another file
    }
    ASSERT_TRUE((*run)->Finish(0, seconds(60)).ok());
  }

  const std::string folder_;
  LoopbackServer server_;
  TestCore core_;
  std::unique_ptr<ServerSession> session_;
};

TEST_F(ReferenceLookupTest, AnArtifactIsFoundByAliasAndDownloaded) {
  for (const char* reference : {"second", "latest", "v1"}) {
    const auto artifact = FindArtifact(*session_, kProject, absl::StrCat("model-run1:", reference));
    ASSERT_TRUE(artifact.ok()) << artifact.status();
    ASSERT_TRUE(artifact->has_value()) << reference;
    EXPECT_EQ((*artifact)->version, 1);
    const auto files = FilesOfArtifact(*session_, (*artifact)->id);
    ASSERT_TRUE(files.ok()) << files.status();
    ASSERT_EQ(files->size(), 3u);
    EXPECT_EQ((*files)[0].size, 6);
    const std::string folder = absl::StrCat(folder_, "/cache/", (*artifact)->digest);
    int64_t last = 0, total = 0;
    const absl::Status status =
        DownloadFiles(SystemFileOps(), *session_, *files, folder, [&](int64_t done, int64_t all) {
          EXPECT_GE(done, last);
          last = done;
          total = all;
          return absl::OkStatus();
        });
    ASSERT_TRUE(status.ok()) << status;
    // The second and third time it is there already.
    EXPECT_EQ(last, std::string(reference) == "second" ? 18 : 0);
    EXPECT_EQ(total, last);
    for (const char* name : {"a.bin", "b.bin", "m/c.bin"}) {
      EXPECT_EQ(*ReadWholeFile(absl::StrCat(folder, "/", name)), "second");
    }
  }
}

TEST_F(ReferenceLookupTest, WhatIsNotThereIsNoError) {
  EXPECT_EQ(FindArtifact(*session_, kProject, "model-run1:best")->has_value(), false);
  EXPECT_EQ(FindArtifact(*session_, kProject, "model-run2:last")->has_value(), false);
  EXPECT_EQ(FindArtifact(*session_, {"team", "nothing"}, "model-run1:last")->has_value(), false);
  EXPECT_EQ(FilesOfRun(*session_, kProject, "run2")->has_value(), false);
  EXPECT_EQ(FilesOfRun(*session_, {"nobody", "roads"}, "run1")->has_value(), false);
  EXPECT_THAT(*RunsNamed(*session_, kProject, "other"), IsEmpty());
  EXPECT_THAT(*RunsNamed(*session_, {"nobody", "roads"}, "shown name"), IsEmpty());
}

TEST_F(ReferenceLookupTest, FilesAndNamesOfRuns) {
  EXPECT_THAT(*RunsNamed(*session_, kProject, "shown name"), ElementsAre("run1"));
  const auto files = FilesOfRun(*session_, kProject, "run1");
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_TRUE(files->has_value());
  std::vector<std::string> names;
  for (const RemoteFile& file : **files) names.push_back(file.name);
  EXPECT_THAT(names, testing::Contains("config.yaml"));
}

TEST_F(ReferenceLookupTest, WhereNobodyCanTellItIsAnError) {
  for (const auto& [fault, code] : std::map<std::string, ExitCode>{
           {"* 401", ExitCode::kConfig}, {"* 403", ExitCode::kConfig}, {"* 404", ExitCode::kConfig}}) {
    server_.SetFaults(fault);
    EXPECT_EQ(ExitCodeOf(FindArtifact(*session_, kProject, "model-run1:best").status()), code) << fault;
    EXPECT_EQ(ExitCodeOf(FilesOfRun(*session_, kProject, "run1").status()), code) << fault;
    EXPECT_EQ(ExitCodeOf(RunsNamed(*session_, kProject, "shown name").status()), code) << fault;
  }
  // A server that comes back is waited for.
  server_.SetFaults("* 500 1");
  EXPECT_TRUE(FindArtifact(*session_, kProject, "model-run1:latest")->has_value());
  server_.Kill();
  EXPECT_EQ(ExitCodeOf(FindArtifact(*session_, kProject, "model-run1:best").status()), ExitCode::kPeerLost);
}

TEST_F(ReferenceLookupTest, DamageAndInterruptionLeaveNothing) {
  const auto artifact = FindArtifact(*session_, kProject, "model-run1:latest");
  ASSERT_TRUE(artifact.ok() && artifact->has_value());
  std::vector<RemoteFile> files = *FilesOfArtifact(*session_, (*artifact)->id);
  const std::string folder = folder_ + "/cache/x";
  const auto download = [&] { return DownloadFiles(SystemFileOps(), *session_, files, folder, nullptr); };
  server_.SetFaults("GET wrong");
  absl::Status status = download();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a.bin"));
  server_.SetFaults("GET 404");
  EXPECT_FALSE(download().ok());
  server_.SetFaults("");
  const std::string md5 = files[1].md5;
  files[1].md5 = "XUFAKrxLKna5cZ2REBfFkg==";
  EXPECT_EQ(ExitCodeOf(download()), ExitCode::kPeerLost);
  files[1].md5 = md5;
  EXPECT_EQ(ExitCodeOf(DownloadFiles(SystemFileOps(), *session_, files, folder,
                                     [](int64_t, int64_t) { return PreemptedError("stop"); })),
            ExitCode::kPreempted);
  // A download that stands still can be ended.
  server_.SetFaults("GET silence");
  EXPECT_EQ(ExitCodeOf(DownloadFiles(SystemFileOps(), *session_, files, folder,
                                     [](int64_t, int64_t) { return PreemptedError("stop"); })),
            ExitCode::kPreempted);
  server_.SetFaults("");
  server_.SetFaults("GET cut");
  EXPECT_EQ(ExitCodeOf(download()), ExitCode::kPeerLost);
  server_.SetFaults("");
  const int64_t size = files[0].size;
  files[0].size = int64_t{1} << 60;
  status = download();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage);
  EXPECT_THAT(std::string(status.message()), HasSubstr("are free there"));
  files[0].size = size;
  files[0].md5.clear();
  status = download();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kPeerLost);
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not say its MD5"));
  files[0].md5 = files[2].md5;
  EXPECT_FALSE(IsDirectory(folder));
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/cache")) {
    EXPECT_EQ(entry.path().filename(), "x.lock");
  }
  // Of a process that was killed.
  std::filesystem::create_directories(folder + ".tmp-host-1/m");
  files[0].name = "../out";
  EXPECT_EQ(ExitCodeOf(download()), ExitCode::kConfig);
  files[0].name = "in";
  EXPECT_TRUE(download().ok());
  EXPECT_EQ(*ReadWholeFile(folder + "/in"), "second");
  EXPECT_FALSE(IsDirectory(folder + ".tmp-host-1"));
  const auto look = [](int64_t) { return absl::OkStatus(); };
  const absl::Status unwritable = session_->Download(files[0].url, "/proc/nowhere/file", look);
  EXPECT_EQ(ExitCodeOf(unwritable), ExitCode::kStorage) << unwritable;
}

TEST_F(ReferenceLookupTest, WaitsEnd) {
  std::atomic<bool> stop{false};
  ServerSessionOptions options = {&stop, std::chrono::milliseconds(500), std::chrono::milliseconds(500)};
  auto session = ServerSession::Open(*core_.client, server_.Credentials(), options);
  ASSERT_TRUE(session.ok()) << session.status();
  const auto artifact = FindArtifact(**session, kProject, "model-run1:latest");
  ASSERT_TRUE(artifact.ok() && artifact->has_value());
  const std::vector<RemoteFile> files = *FilesOfArtifact(**session, (*artifact)->id);
  server_.SetFaults("GET stall");
  const absl::Status stalled = DownloadFiles(SystemFileOps(), **session, files, folder_ + "/cache/x", nullptr);
  EXPECT_EQ(ExitCodeOf(stalled), ExitCode::kPeerLost);
  EXPECT_THAT(std::string(stalled.message()), HasSubstr("stands still"));
  server_.SetFaults("* silence");
  EXPECT_EQ(ExitCodeOf(FindArtifact(**session, kProject, "model-run1:best").status()), ExitCode::kPeerLost);
  stop = true;
  EXPECT_EQ(ExitCodeOf(FindArtifact(**session, kProject, "model-run1:best").status()), ExitCode::kPreempted);
}

TEST_F(ReferenceLookupTest, TheBestEpochIsWhatItsRowSays) {
  server_.Seed({{"runs",
                 {{{"entity", "team"},
                   {"project", "roads"},
                   {"name", "other1"},
                   {"history",
                    {{{"val_loss", 0.5}, {"epoch", 1}},
                     {{"loss", 0.0}, {"epoch", 2}},
                     {{"val_loss", "NaN"}, {"epoch", 3}},
                     {{"val_loss", 0.25}, {"epoch", 5}},
                     {{"val_loss", 0.125}},
                     {{"val_loss", 0.25}, {"epoch", 7}}}}}}}});
  EXPECT_EQ(*EpochOfLowest(*session_, kProject, "other1", "val_loss"), 5);
  EXPECT_EQ(*EpochOfLowest(*session_, kProject, "other1", "test_loss"), std::nullopt);
  EXPECT_EQ(*EpochOfLowest(*session_, kProject, "other2", "val_loss"), std::nullopt);
  EXPECT_EQ(*DefaultEntity(*session_), "default-team");
  WandbCredentials unknown = server_.Credentials();
  unknown.api_key[0] = 'x';
  auto session = ServerSession::Open(*core_.client, unknown);
  ASSERT_TRUE(session.ok());
  EXPECT_EQ(ExitCodeOf(DefaultEntity(**session).status()), ExitCode::kConfig);
}

}  // namespace
}  // namespace cubist

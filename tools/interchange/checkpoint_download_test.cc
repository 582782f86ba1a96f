#include "tools/interchange/checkpoint_download.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/interchange/checkpoint_reference.h"
#include "tools/training/checkpoint/checkpoint_store.h"
#include "tools/wandb/core_process.h"
#include "tools/wandb/run_identity.h"
#include "tools/wandb/testing/loopback_server.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CheckpointDownloadTest : public testing::Test {
 protected:
  CheckpointDownloadTest()
      : folder_(fs::path(absl::StrCat(testing::TempDir(), "/",
                                      testing::UnitTest::GetInstance()->current_test_info()->name()))
                    .lexically_normal()
                    .string()),
        here_(folder_ + "/here"),
        cache_(folder_ + "/home/.cache/cubist/wandb/"),
        loopback_(folder_ + "/server") {
    fs::create_directories(here_);
    ::setenv("BUILD_WORKING_DIRECTORY", here_.c_str(), 1);
    ::setenv("TMPDIR", "/tmp", 1);
    Environment& environment = server_.environment;
    environment = CurrentEnvironment();
    for (const char* name : {"XDG_CACHE_HOME", "WANDB_ENTITY", "NETRC"}) environment.erase(name);
    environment["HOME"] = folder_ + "/home";
    environment["WANDB_BASE_URL"] = loopback_.Credentials().base_url;
    environment["WANDB_API_KEY"] = loopback_.Credentials().api_key;
    server_.program = FindWandbCore("", environment);
  }

  // The folder of a new checkpoint of ours in the run `run`.
  std::string Save(const std::string& run, int64_t step) {
    CheckpointStore store(SystemFileOps(), run + "/checkpoints", {100, 0});
    CheckpointContents contents;
    contents.state.set_step(step);
    const auto saved = store.Save(contents);
    EXPECT_TRUE(saved.ok()) << saved.status();
    return saved->folder;
  }
  std::string Write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
    return path;
  }
  json Run(const std::string& id, const std::string& name, const std::string& entity = "team") {
    return {{"entity", entity}, {"project", "roads"}, {"name", id}, {"displayName", name}};
  }
  json Artifact(const std::string& id, const std::vector<std::string>& aliases, const std::string& checkpoint,
                const std::string& entity = "team") {
    json files = json::object();
    for (const auto& file : fs::directory_iterator(checkpoint)) files[file.path().filename()] = file.path().string();
    return {{"collection", {entity, "roads", "model-" + id}}, {"aliases", aliases}, {"files", files}};
  }
  // A run of ours with the checkpoints of steps 10 (the best) and 20, as they are on the server.
  void SeedOurs(const std::string& entity = "team") {
    ten_ = Save(folder_ + "/elsewhere/run", 10);
    twenty_ = Save(folder_ + "/elsewhere/run", 20);
    loopback_.Seed({{"runs", {Run("1a2b3c4d", "waymo/small", entity)}},
                    {"artifacts",
                     {Artifact("1a2b3c4d", {"step-10", "best"}, ten_, entity),
                      Artifact("1a2b3c4d", {"step-20", "latest", "last"}, twenty_, entity)}}});
  }

  std::string Find(const std::string& reference) {
    const auto path = FindCheckpoint(reference, server_);
    if (path.ok()) return *path;
    return absl::StrCat(static_cast<int>(ExitCodeOf(path.status())), " ", std::string(path.status().message()));
  }
  // Whether the folder has what the other has.
  static bool SameFiles(const std::string& path, const std::string& other) {
    int files = 0;
    for (const auto& file : fs::directory_iterator(other)) {
      const auto copy = ReadWholeFile(absl::StrCat(path, "/", file.path().filename().string()));
      if (!copy.ok() || *copy != *ReadWholeFile(file.path().string())) return false;
      ++files;
    }
    const auto in_path = std::distance(fs::directory_iterator(path), fs::directory_iterator());
    return files > 0 && files == in_path;
  }
  int64_t Requests(const std::string& name) {
    const json state = loopback_.State();
    if (!state.contains("requests")) return 0;
    return std::count(state["requests"].begin(), state["requests"].end(), name);
  }
  // Nothing in the cache but locks.
  bool NothingIsCached() {
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(cache_, error)) {
      if (entry.is_regular_file() && entry.path().extension() != ".lock") return false;
      if (absl::StrContains(entry.path().filename().string(), ".tmp-")) return false;
    }
    return true;
  }

  const std::string folder_, here_, cache_;
  LoopbackServer loopback_;
  CheckpointServer server_;
  std::string ten_, twenty_;
};

TEST_F(CheckpointDownloadTest, ARunOfOursByEveryName) {
  SeedOurs();
  const std::string last = Find("wdb:team/roads/1a2b3c4d");
  EXPECT_TRUE(absl::StartsWith(last, cache_ + "team/roads/1a2b3c4d/")) << last;
  EXPECT_TRUE(SameFiles(last, twenty_)) << last;
  const std::string best = Find("wdb:team/roads/waymo/small:best");
  EXPECT_TRUE(SameFiles(best, ten_)) << best;
  EXPECT_EQ(Find("wdb:team/roads/1a2b3c4d:epoch"), best);
  EXPECT_EQ(Find("wdb:team/roads/1a2b3c4d:10"), best);
  EXPECT_EQ(Find("wdb:team/roads/waymo/small"), last);
  EXPECT_EQ(Find("wdb:team/roads/waymo/small:20"), last);
  EXPECT_EQ(Find("wdb:team/roads/waymo/small:last_auto"), last);
  server_.environment["WANDB_ENTITY"] = "team";
  EXPECT_EQ(Find("wdb:roads/1a2b3c4d"), last);
  EXPECT_EQ(Find("wdb:roads/waymo/small"), last);  // no entity "roads" has a project "waymo"
  EXPECT_EQ(loopback_.State()["unknown"], json::array());
  EXPECT_EQ(fs::status(fs::path(last).parent_path() / "x").type(), fs::file_type::not_found);
}

TEST_F(CheckpointDownloadTest, WithoutAnEntityItIsTheKeysOwn) {
  SeedOurs("default-team");
  EXPECT_TRUE(SameFiles(Find("wdb:roads/1a2b3c4d"), twenty_));
  server_.environment["WANDB_ENTITY"] = "team";
  EXPECT_THAT(Find("wdb:roads/1a2b3c4d"), HasSubstr("no run of team/roads there"));
  server_.environment["XDG_CACHE_HOME"] = folder_ + "/other";
  EXPECT_TRUE(absl::StartsWith(Find("wdb:default-team/roads/1a2b3c4d"), folder_ + "/other/cubist/wandb/default-team/"));
}

TEST_F(CheckpointDownloadTest, WhatIsInTheCacheIsNotFetchedAgainAndNamesMove) {
  SeedOurs();
  const std::string first = Find("wdb:team/roads/1a2b3c4d");
  const int64_t fetched = Requests("GET");
  EXPECT_EQ(Find("wdb:team/roads/1a2b3c4d"), first);
  EXPECT_EQ(Requests("GET"), fetched);
  const std::string thirty = Save(folder_ + "/elsewhere/run", 30);
  loopback_.Seed({{"artifacts", {Artifact("1a2b3c4d", {"step-30", "latest", "last"}, thirty)}}});
  const std::string moved = Find("wdb:team/roads/1a2b3c4d");
  EXPECT_NE(moved, first);
  EXPECT_TRUE(SameFiles(moved, thirty));
  EXPECT_TRUE(SameFiles(first, twenty_));
  // A server that is away is no reason to take one of these, which may be another one by now.
  loopback_.Kill();
  server_.session.query_deadline = std::chrono::seconds(2);
  EXPECT_THAT(Find("wdb:team/roads/1a2b3c4d"), AllOf(HasSubstr("5 "), HasSubstr("Earlier downloads"),
                                                     HasSubstr("\n  " + first), HasSubstr("\n  " + moved)));
  EXPECT_THAT(Find("wdb:team/roads/waymo/small"), HasSubstr("\n  " + first));
  EXPECT_THAT(Find("wdb:team/streets/1a2b3c4d"), Not(HasSubstr(first)));
}

TEST_F(CheckpointDownloadTest, SeveralAtOnceFetchOnce) {
  SeedOurs();
  std::vector<std::future<std::string>> paths;
  for (int i = 0; i < 4; ++i) {
    paths.push_back(std::async(std::launch::async, [this] { return Find("wdb:team/roads/1a2b3c4d"); }));
  }
  const std::string first = paths[0].get();
  EXPECT_TRUE(SameFiles(first, twenty_)) << first;
  for (int i = 1; i < 4; ++i) EXPECT_EQ(paths[static_cast<size_t>(i)].get(), first);
  EXPECT_EQ(Requests("GET"), std::distance(fs::directory_iterator(twenty_), fs::directory_iterator()));
}

TEST_F(CheckpointDownloadTest, LightningsArtifacts) {
  const std::string newest = Write(folder_ + "/new.ckpt", "newest"), best = Write(folder_ + "/best.ckpt", "best");
  loopback_.Seed({{"runs", {Run("aaaabbbb", "theirs")}},
                  {"artifacts",
                   {{{"collection", {"team", "roads", "model-aaaabbbb"}},
                     {"aliases", {"best"}},
                     {"files", {{"model.ckpt", best}}}},
                    {{"collection", {"team", "roads", "model-aaaabbbb"}},
                     {"aliases", {"latest"}},
                     {"files", {{"model.ckpt", newest}}}},
                    {{"collection", {"team", "roads", "model-ccccdddd"}},
                     {"aliases", {"latest"}},
                     {"files", {{"a.txt", newest}, {"b.txt", best}}}}}}});
  const std::string path = Find("wdb:team/roads/aaaabbbb");
  EXPECT_EQ(fs::path(path).filename(), "model.ckpt") << path;
  EXPECT_EQ(*ReadWholeFile(path), "newest");
  EXPECT_EQ(*ReadWholeFile(Find("wdb:team/roads/theirs:best")), "best");
  EXPECT_THAT(Find("wdb:team/roads/aaaabbbb:7"),
              AllOf(HasSubstr("2 "), HasSubstr("has no artifact model-aaaabbbb:step-7"), HasSubstr("no file of :7")));
  EXPECT_THAT(Find("wdb:team/roads/ccccdddd"),
              AllOf(HasSubstr("2 "), HasSubstr("is neither"), HasSubstr("a.txt, b.txt")));
}

TEST_F(CheckpointDownloadTest, FilesOfARunOfTheReference) {
  json run = Run("aaaabbbb", "waymo_wds/theirs");
  for (const char* name : {"epoch=000001-step=10.ckpt", "last.ckpt", "epoch=2-step=20.ckpt", "epoch=4-step=40.ckpt",
                           "epoch=4-step=44.ckpt", "notes.txt"}) {
    run["files"][absl::StrCat("checkpoints/", name)] = Write(absl::StrCat(folder_, "/", name), name);
  }
  run["files"]["config.yaml"] = Write(folder_ + "/config.yaml", "");
  // The lowest is in the third row, whose epoch is 2.
  run["history"] = {{{"val_loss", 0.5}, {"epoch", 0}},
                    {{"val_loss", 0.4}, {"epoch", 1}},
                    {{"loss", 0.4}, {"epoch", 1}},
                    {{"val_loss", 0.2}, {"epoch", 2}},
                    {{"val_loss", 0.3}, {"epoch", 4}}};
  run["history"].erase(1);
  loopback_.Seed({{"runs", {run, Run("ccccdddd", "empty")}}});
  const auto name_of = [&](const std::string& which) {
    const std::string path = Find("wdb:team/roads/waymo_wds/theirs" + which);
    const auto text = ReadWholeFile(path);
    return text.ok() && absl::EndsWith(path, "/" + *text) ? *text : path;
  };
  EXPECT_EQ(name_of(""), "last.ckpt");
  EXPECT_EQ(name_of(":last"), "last.ckpt");
  EXPECT_EQ(name_of(":1"), "epoch=000001-step=10.ckpt");
  EXPECT_EQ(name_of(":best"), "epoch=2-step=20.ckpt");
  EXPECT_EQ(name_of(":epoch"), "epoch=2-step=20.ckpt");
  EXPECT_EQ(name_of(":last_auto"), "last.ckpt");  // the seed is read in the order of the names
  EXPECT_THAT(name_of(":4"), AllOf(HasSubstr("2 "), HasSubstr("several files are of epoch 4")));
  EXPECT_THAT(name_of(":5"), AllOf(HasSubstr("2 "), HasSubstr("has no file of :5")));
  EXPECT_THAT(Find("wdb:team/roads/ccccdddd"), AllOf(HasSubstr("2 "), HasSubstr("no .ckpt")));
  EXPECT_THAT(Find("wdb:team/roads/ccccdddd:best"),
              AllOf(HasSubstr("2 "), HasSubstr("its history no row with val_loss")));
  // Their files are here, and the server knows which was the best.
  const std::string local = Write(here_ + "/wandb/roads/ccccdddd/checkpoints/epoch=3-step=30.ckpt", "local");
  json history = Run("ccccdddd", "empty");
  history["history"] = {{{"val_loss", 0.1}, {"epoch", 3}}};
  loopback_.Seed({{"runs", {history}}});
  EXPECT_EQ(Find("wdb:team/roads/ccccdddd:best"), local);
}

TEST_F(CheckpointDownloadTest, WhatIsHereComesFirst) {
  SeedOurs();
  const std::string mine = Save(here_ + "/runs/mine", 40);
  ASSERT_TRUE(WriteRunIdentity(SystemFileOps(), here_ + "/runs/mine", {"", "roads", "1a2b3c4d", "other name"}).ok());
  EXPECT_EQ(Find("wdb:team/roads/1a2b3c4d"), mine);
  EXPECT_EQ(Find("runs/mine"), mine);
  EXPECT_EQ(Find("runs/mine:40"), mine);
  EXPECT_EQ(Requests("ArtifactMembershipByName"), 0);
  // What retention has removed is on the server, by the id that the run here has.
  EXPECT_TRUE(SameFiles(Find("wdb:team/roads/other name:10"), ten_));
  EXPECT_THAT(Find("wdb:team/roads/1a2b3c4d:15"),
              AllOf(HasSubstr("2 "), HasSubstr("has no checkpoint of step 15; it has those of: 40"),
                    HasSubstr("has no artifact model-1a2b3c4d:step-15")));
  server_.environment.erase("WANDB_API_KEY");
  EXPECT_EQ(Find("wdb:team/roads/1a2b3c4d"), mine);
  EXPECT_THAT(Find("wdb:team/roads/1a2b3c4d:10"),
              AllOf(HasSubstr("2 "), HasSubstr("those of: 40"), HasSubstr("there is no key for Weights & Biases")));
}

TEST_F(CheckpointDownloadTest, NamesOfNoneAndOfSeveral) {
  loopback_.Seed({{"runs", {Run("1a2b3c4d", "twice"), Run("5e6f7a8b", "twice"), Run("my-own-id", "shown")}},
                  {"artifacts", {Artifact("my-own-id", {"last"}, Save(folder_ + "/a", 1))}}});
  EXPECT_THAT(Find("wdb:team/roads/twice"),
              AllOf(HasSubstr("2 "), HasSubstr("several runs"), HasSubstr("5e6f7a8b, 1a2b3c4d")));
  for (const char* nothing : {"wdb:team/roads/none", "wdb:team/roads/aaaaaaaa", "wdb:team/streets/1a2b3c4d",
                              "wdb:nobody/roads/1a2b3c4d", "wdb:team/roads/a/b"}) {
    EXPECT_THAT(Find(nothing),
                AllOf(HasSubstr("2 "), HasSubstr("no such run here (looked for "), HasSubstr("no run of ")))
        << nothing;
  }
  EXPECT_TRUE(absl::StartsWith(Find("wdb:team/roads/my-own-id"), cache_));
  EXPECT_THAT(Find("wdb:team"), HasSubstr("is named wdb:ENTITY/PROJECT/RUN"));
  EXPECT_THAT(Find("wdb:team/roads/twice:newest"), HasSubstr("after the colon comes"));
  EXPECT_EQ(loopback_.State()["unknown"], json::array());
}

// "Could not tell" is never "is not there".
TEST_F(CheckpointDownloadTest, ServersThatDoNotTell) {
  SeedOurs();
  const std::string reference = "wdb:team/roads/1a2b3c4d";
  for (const auto& [fault, said] : std::vector<std::pair<std::string, std::string>>{
           {"* 401", "2 "}, {"* 403", "2 "}, {"* 404", "2 "}, {"ArtifactMembershipByName 403", "2 "}}) {
    loopback_.SetFaults(fault);
    EXPECT_THAT(Find(reference), AllOf(testing::StartsWith(said), HasSubstr("no such run here"),
                                       HasSubstr(loopback_.Credentials().base_url)))
        << fault;
  }
  server_.session.query_deadline = std::chrono::seconds(1);
  for (const char* fault : {"* 500", "* silence", "ArtifactFileURLs silence"}) {
    loopback_.SetFaults(fault);
    EXPECT_THAT(Find(reference), AllOf(testing::StartsWith("5 "), HasSubstr(loopback_.Credentials().base_url)))
        << fault;
  }
  loopback_.SetFaults("");
  const auto program = server_.program;
  server_.program = ConfigError("cannot find the program wandb-core");
  EXPECT_THAT(Find(reference), AllOf(testing::StartsWith("2 "), HasSubstr("cannot find the program wandb-core")));
  server_.program = program;
  server_.environment.erase("HOME");
  EXPECT_THAT(Find(reference), AllOf(testing::StartsWith("2 "), HasSubstr("XDG_CACHE_HOME")));
  EXPECT_TRUE(NothingIsCached());
}

TEST_F(CheckpointDownloadTest, BadDownloadsLeaveNothing) {
  SeedOurs();
  const std::string reference = "wdb:team/roads/1a2b3c4d";
  server_.session.download_silence = std::chrono::seconds(1);
  for (const auto& [fault, said] : std::vector<std::pair<std::string, std::string>>{
           {"GET wrong", "bytes came"}, {"GET cut", "unexpected EOF"}, {"GET stall", "stands still"}}) {
    loopback_.SetFaults(fault);
    EXPECT_THAT(Find(reference), AllOf(testing::StartsWith("5 "), HasSubstr(said))) << fault;
    EXPECT_TRUE(NothingIsCached()) << fault;
  }
  loopback_.SetFaults("");
  server_.session.download_silence = std::chrono::minutes(2);
  std::atomic<bool> stop{true};
  server_.session.stop = &stop;
  EXPECT_THAT(Find(reference), testing::StartsWith("75 "));
  for (const auto& [fault, request] : std::vector<std::pair<std::string, std::string>>{
           {"ArtifactMembershipByName silence", "ArtifactMembershipByName"}, {"GET stall", "GET"}}) {
    stop = false;
    loopback_.SetFaults(fault);
    const int64_t before = Requests(request);
    auto found = std::async(std::launch::async, [&] { return Find(reference); });
    while (Requests(request) == before) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    stop = true;
    EXPECT_THAT(found.get(), testing::StartsWith("75 ")) << fault;
    EXPECT_TRUE(NothingIsCached()) << fault;
  }
  loopback_.SetFaults("");
  stop = false;
  fs::remove_all(cache_);
  Write(cache_ + "team", "a file where a folder should be");
  EXPECT_THAT(Find(reference), AllOf(testing::StartsWith("6 "), HasSubstr("XDG_CACHE_HOME")));
  fs::remove_all(cache_);
  EXPECT_TRUE(SameFiles(Find(reference), twenty_));
}

}  // namespace
}  // namespace cubist

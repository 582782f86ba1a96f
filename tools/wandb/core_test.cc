// wandb-core itself, without a server.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/wandb/core_client.h"
#include "tools/wandb/core_process.h"
#include "wandb/proto/wandb_server.pb.h"

namespace cubist {
namespace {

namespace pb = wandb_internal;
using std::chrono::seconds;
using ::testing::HasSubstr;

std::unique_ptr<CoreProcess> StartCore(const std::string& folder) {
  auto program = FindWandbCore("", CurrentEnvironment());
  EXPECT_TRUE(program.ok()) << program.status();
  CoreProcessOptions options;
  options.program = program.value_or("");
  options.folder = testing::TempDir() + "/" + folder;
  options.environment = CurrentEnvironment();
  auto core = CoreProcess::Start(SystemFileOps(), options);
  EXPECT_TRUE(core.ok()) << core.status();
  return core.ok() ? *std::move(core) : nullptr;
}

pb::ServerRequest Teardown() {
  pb::ServerRequest request;
  request.mutable_inform_teardown()->set_exit_code(0);
  return request;
}

pb::ServerRequest RecordOfNobody() {
  pb::ServerRequest request;
  request.mutable_record_publish()->mutable__info()->set_stream_id("nobody");
  request.mutable_record_publish()->mutable_request()->mutable_internal_messages();
  return request;
}

TEST(Core, StartsAnswersAndEndsAsItIsTold) {
  const auto core = StartCore("plain");
  ASSERT_NE(core, nullptr);
  EXPECT_EQ(core->End(), std::nullopt);
  EXPECT_EQ(getsid(core->pid()), core->pid());  // out of reach of Ctrl-C
  auto client = CoreClient::Connect(core->socket_path());
  ASSERT_TRUE(client.ok()) << client.status();
  pb::ServerRequest request;
  request.mutable_api_init_request()->mutable_settings()->mutable_base_url()->set_value("http://127.0.0.1:1");
  const auto answer = (*client)->Ask(request, seconds(30));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_NE(answer->api_init_response().api_id(), "");
  ASSERT_TRUE((*client)->Send(Teardown(), seconds(30)).ok());
  EXPECT_TRUE(core->Wait(seconds(30)).ok());
  EXPECT_EQ(core->End(), "ended with exit code 0");
}

TEST(Core, HoldsNoneOfOurDescriptors) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);  // without O_CLOEXEC
  const auto core = StartCore("descriptors");
  ASSERT_NE(core, nullptr);
  close(ends[1]);
  char byte;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);  // its end would keep this waiting
  close(ends[0]);
}

TEST(Core, KilledInTheMiddleWhoWaitsIsToldAtOnce) {
  const auto core = StartCore("killed");
  ASSERT_NE(core, nullptr);
  auto client = CoreClient::Connect(core->socket_path());
  ASSERT_TRUE(client.ok());
  std::promise<absl::Status> told;
  ASSERT_TRUE(
      (*client)
          ->AskLater(RecordOfNobody(), seconds(30), [&](const auto& answer) { told.set_value(answer.status()); })
          .ok());
  kill(core->pid(), SIGKILL);
  EXPECT_EQ(ExitCodeOf(told.get_future().get()), ExitCode::kPeerLost);
  EXPECT_EQ(ExitCodeOf(core->Wait(seconds(30))), ExitCode::kPeerLost);
  EXPECT_THAT(core->End().value_or(""), HasSubstr("was ended by signal 9"));
  EXPECT_TRUE((*client)->closed());
  EXPECT_EQ(ExitCodeOf((*client)->Send(Teardown(), seconds(30))), ExitCode::kPeerLost);
  EXPECT_EQ(ExitCodeOf((*client)->Ask(Teardown(), seconds(30)).status()), ExitCode::kPeerLost);
}

TEST(Core, WithoutAnAnswerTheDeadlineHolds) {
  const auto core = StartCore("silent");
  ASSERT_NE(core, nullptr);
  auto client = CoreClient::Connect(core->socket_path());
  ASSERT_TRUE(client.ok());
  const auto answer = (*client)->Ask(RecordOfNobody(), std::chrono::milliseconds(200));
  EXPECT_EQ(ExitCodeOf(answer.status()), ExitCode::kPeerLost);
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("no answer"));
  // The conversation goes on.
  pb::ServerRequest request;
  request.mutable_api_init_request()->mutable_settings()->mutable_base_url()->set_value("http://127.0.0.1:1");
  EXPECT_TRUE((*client)->Ask(request, seconds(30)).ok());
}

TEST(Core, WhatWouldEndItIsNotSent) {
  const auto core = StartCore("typeless");
  ASSERT_NE(core, nullptr);
  auto client = CoreClient::Connect(core->socket_path());
  ASSERT_TRUE(client.ok());
  pb::ServerRequest typeless_record, typeless_request;
  typeless_record.mutable_record_publish()->mutable__info()->set_stream_id("x");
  typeless_request.mutable_record_publish()->mutable_request();
  for (const pb::ServerRequest& request : {pb::ServerRequest(), typeless_record, typeless_request}) {
    EXPECT_EQ(ExitCodeOf((*client)->Send(request, seconds(1))), ExitCode::kInternal);
    EXPECT_EQ(ExitCodeOf((*client)->Ask(request, seconds(1)).status()), ExitCode::kInternal);
  }
  EXPECT_EQ(core->End(), std::nullopt);
  EXPECT_FALSE((*client)->closed());
}

TEST(Core, ThatCannotStart) {
  CoreProcessOptions options;
  options.folder = testing::TempDir() + "/start";
  options.environment = CurrentEnvironment();
  options.program = "/nowhere/wandb-core";
  EXPECT_EQ(ExitCodeOf(CoreProcess::Start(SystemFileOps(), options).status()), ExitCode::kConfig);
  options.program = "/bin/false";
  const auto ended = CoreProcess::Start(SystemFileOps(), options);
  EXPECT_EQ(ExitCodeOf(ended.status()), ExitCode::kPeerLost);
  EXPECT_THAT(std::string(ended.status().message()), HasSubstr("exit code 1"));
  const std::string silent = testing::TempDir() + "/silent.sh";
  std::ofstream(silent) << "#!/bin/sh\nexec sleep 1000\n";
  ASSERT_TRUE(SystemFileOps().MakeExecutable(silent).ok());
  options.program = silent;
  options.start_deadline = std::chrono::milliseconds(100);
  EXPECT_EQ(ExitCodeOf(CoreProcess::Start(SystemFileOps(), options).status()), ExitCode::kPeerLost);
  const std::atomic<bool> stop = true;
  options.stop = &stop;
  options.start_deadline = std::chrono::hours(1);
  EXPECT_EQ(ExitCodeOf(CoreProcess::Start(SystemFileOps(), options).status()), ExitCode::kPreempted);
  std::ofstream(testing::TempDir() + "/file") << "x";
  options.folder = testing::TempDir() + "/file/below";
  EXPECT_EQ(ExitCodeOf(CoreProcess::Start(SystemFileOps(), options).status()), ExitCode::kStorage);
}

// A peer of the test's own: what wandb-core does only when something is wrong with it.
class Peer {
 public:
  Peer() : path_(absl::StrCat("/tmp/cubist-peer-", getpid())) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    unlink(path_.c_str());
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
  }
  ~Peer() {
    close(listener_);
    if (connection_ >= 0) close(connection_);
    unlink(path_.c_str());
  }
  std::unique_ptr<CoreClient> Connect() {
    auto client = CoreClient::Connect(path_);
    EXPECT_TRUE(client.ok()) << client.status();
    connection_ = accept(listener_, nullptr, nullptr);
    return *std::move(client);
  }
  void Say(const std::string& bytes) {
    EXPECT_EQ(write(connection_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

 private:
  std::string path_;
  int listener_ = -1, connection_ = -1;
};

TEST(CoreClient, ThatIsNotReadFromGivesUpAtItsDeadline) {
  Peer peer;
  const auto client = peer.Connect();
  pb::ServerRequest large;
  large.mutable_record_publish()->mutable_output_raw()->set_line(std::string(size_t{8} << 20, 'x'));
  EXPECT_EQ(ExitCodeOf(client->Send(large, std::chrono::milliseconds(100))), ExitCode::kPeerLost);
  // A part of a message was sent: nothing may follow it.
  EXPECT_EQ(ExitCodeOf(client->Send(Teardown(), seconds(10))), ExitCode::kPeerLost);
}

TEST(CoreClient, NonsenseEndsTheConnection) {
  for (const std::string& nonsense :
       {std::string("X\1\0\0\0a", 6), std::string("W\1\0\0\0\xff", 6), std::string("W\xff\xff\xff\xff", 5)}) {
    Peer peer;
    const auto client = peer.Connect();
    std::promise<absl::Status> told;
    ASSERT_TRUE(
        client->AskLater(Teardown(), seconds(10), [&](const auto& answer) { told.set_value(answer.status()); }).ok());
    peer.Say(nonsense);
    EXPECT_EQ(ExitCodeOf(told.get_future().get()), ExitCode::kPeerLost);
  }
  EXPECT_EQ(ExitCodeOf(CoreClient::Connect("/nowhere/socket").status()), ExitCode::kPeerLost);
  EXPECT_EQ(ExitCodeOf(CoreClient::Connect(std::string(200, 'x')).status()), ExitCode::kPeerLost);
}

TEST(CoreClient, ClosedByUsWhoWaitsIsTold) {
  Peer peer;
  const auto client = peer.Connect();
  auto waiting = std::async(std::launch::async, [&] { return client->Ask(Teardown(), seconds(3600)).status(); });
  client->Close();
  EXPECT_EQ(ExitCodeOf(waiting.get()), ExitCode::kPeerLost);
}

}  // namespace
}  // namespace cubist

#include "tools/wandb/testing/loopback_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/file_ops.h"
#include "base/subprocess.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {
namespace {

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "loopback server: %s\n", what.c_str());
  std::abort();
}

}  // namespace

LoopbackServer::LoopbackServer(const std::string& folder) : folder_(folder) {
  if (const absl::Status made = MakeDirectories(SystemFileOps(), folder_); !made.ok()) Fail(made.ToString());
  Start();
}

void LoopbackServer::Start() {
  Environment environment = CurrentEnvironment();
  const std::string script =
      environment["TEST_SRCDIR"] + "/" + environment["TEST_WORKSPACE"] + "/tools/wandb/testing/loopback_server.py";
  std::vector<std::string> command = {"python3", script, folder_};
  if (!port_.empty()) command.push_back(port_);
  (void)SystemFileOps().RemoveFile(folder_ + "/port");
  const absl::StatusOr<pid_t> pid = StartSubprocess(command, STDERR_FILENO);
  if (!pid.ok()) Fail(pid.status().ToString());
  pid_ = *pid;
  while (true) {
    if (const auto port = ReadFileIfThere(folder_ + "/port"); port.has_value()) {
      port_ = *port;
      return;
    }
    if (::waitpid(pid_, nullptr, WNOHANG) != 0) Fail("it ended");
    ::usleep(10000);
  }
}

WandbCredentials LoopbackServer::Credentials() const {
  WandbCredentials credentials;
  credentials.base_url = credentials.app_url = "http://127.0.0.1:" + port_;
  credentials.api_key = std::string(40, 'k');
  return credentials;
}

void LoopbackServer::SetFaults(const std::string& lines) {
  if (!WriteFileAtomically(SystemFileOps(), folder_ + "/faults", lines).ok()) Fail("cannot write faults");
}

void LoopbackServer::Seed(const nlohmann::json& seed) {
  if (!WriteFileAtomically(SystemFileOps(), folder_ + "/seed.json", seed.dump()).ok()) Fail("cannot write the seed");
}

nlohmann::json LoopbackServer::State() const {
  const auto text = ReadWholeFile(folder_ + "/state.json");
  return text.ok() ? nlohmann::json::parse(*text) : nlohmann::json::object();
}

nlohmann::json LoopbackServer::Run(const std::string& id) const {
  const nlohmann::json state = State();
  for (const nlohmann::json& run : state.value("runs", nlohmann::json::array())) {
    if (run.at("name") == id) return run;
  }
  return nullptr;
}

void LoopbackServer::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void LoopbackServer::Restart() { Start(); }

}  // namespace cubist

#include "tools/wandb/core_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/training/launch/worker_location.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause(10);
// sockaddr_un has room for 107 characters, and "/wandb-<pid>-<pid>-<random>/socket" is to follow.
constexpr size_t kLongestTemporaryFolder = 50;

std::vector<std::string> EnvironmentOf(const CoreProcessOptions& options, const std::string& folder) {
  Environment environment = options.environment;
  environment.try_emplace("WANDB_CACHE_DIR", folder + "/cache");
  if (const auto found = environment.find("TMPDIR"); found != environment.end()) {
    if (found->second.size() > kLongestTemporaryFolder) environment.erase(found);
  }
  std::vector<std::string> texts;
  for (const auto& [name, value] : environment) texts.push_back(absl::StrCat(name, "=", value));
  return texts;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::StatusOr<pid_t> Spawn(std::vector<std::string> arguments, std::vector<std::string> environment,
                            const std::string& folder, const std::string& log) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());  // where it leaves things that have no other place
  // It lives on for a moment when this process dies: no lock or pipe of ours may live on with it.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  pid_t child = 0;
  const int result = posix_spawn(&child, arguments[0].c_str(), &actions, &attributes, Pointers(arguments).data(),
                                 Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (result != 0) {
    return ConfigError(
        absl::StrCat("cannot start ", arguments[0], ", whose output goes to ", log, ": ", ErrnoText(result)));
  }
  return child;
}

}  // namespace

absl::StatusOr<std::string> FindWandbCore(const std::string& argv0, const Environment& environment) {
  ASSIGN_OR_RETURN(const std::string program, ProgramPath());
  return FindProgram(program, argv0, environment, "third_party/wandb/wandb-core");
}

absl::StatusOr<std::unique_ptr<CoreProcess>> CoreProcess::Start(FileOps& ops, const CoreProcessOptions& options) {
  RETURN_IF_ERROR(MakeDirectories(ops, options.folder));
  const std::string folder = std::filesystem::absolute(options.folder).lexically_normal().string();
  const std::string log = folder + "/wandb-core.log";
  const std::string port_file = absl::StrCat(folder, "/port-", ::getpid());
  (void)ops.RemoveFile(port_file);  // of a process that had our number
  // --pid: it ends with this process. --no-observability: it tells nobody of itself.
  ASSIGN_OR_RETURN(const pid_t pid, Spawn({options.program, "--no-observability", "--port-filename", port_file, "--pid",
                                           absl::StrCat(::getpid())},
                                          EnvironmentOf(options, folder), folder, log));
  std::unique_ptr<CoreProcess> core(new CoreProcess(pid, log));
  const absl::Status status = core->WaitUntilItListens(port_file, options);
  (void)ops.RemoveFile(port_file);
  if (!status.ok()) return status;
  return core;
}

absl::Status CoreProcess::WaitUntilItListens(const std::string& port_file, const CoreProcessOptions& options) {
  const Clock::time_point end = Clock::now() + options.start_deadline;
  while (Clock::now() < end) {
    if (options.stop != nullptr && *options.stop) return PreemptedError("stopped while wandb-core started");
    if (const std::optional<std::string> how = End()) {
      return PeerLostError(absl::StrCat("wandb-core ", *how, " before it was ready: see ", log_));
    }
    // "unix=/tmp/.../socket", then "EOF".
    const absl::StatusOr<std::string> text = ReadWholeFile(port_file);
    if (text.ok() && absl::EndsWith(*text, "EOF")) {
      for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
        if (absl::StartsWith(line, "unix=")) socket_path_ = std::string(line.substr(5));
      }
      return socket_path_.empty() ? PeerLostError(absl::StrCat("wandb-core has no Unix socket: see ", log_))
                                  : absl::OkStatus();
    }
    std::this_thread::sleep_for(kPause);
  }
  return PeerLostError(
      absl::StrCat("wandb-core was not ready after ", options.start_deadline.count() / 1000.0, " s: see ", log_));
}

CoreProcess::~CoreProcess() {
  if (!End().has_value()) {
    ::kill(pid_, SIGKILL);
    (void)Wait(std::chrono::seconds(10));
  }
  // One that was killed leaves its socket, in a folder made for that.
  if (!socket_path_.empty() && SystemFileOps().RemoveFile(socket_path_).ok()) {
    (void)SystemFileOps().RemoveDirectory(std::filesystem::path(socket_path_).parent_path().string());
  }
}

std::optional<std::string> CoreProcess::End() {
  int status = 0;
  if (!status_.has_value() && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  if (!status_.has_value()) return std::nullopt;
  if (!WIFSIGNALED(*status_)) return absl::StrCat("ended with exit code ", WEXITSTATUS(*status_));
  return absl::StrCat("was ended by signal ", WTERMSIG(*status_), " (", ::strsignal(WTERMSIG(*status_)), ")");
}

absl::Status CoreProcess::Wait(std::chrono::milliseconds deadline) {
  const Clock::time_point end = Clock::now() + deadline;
  while (!End().has_value()) {
    if (Clock::now() >= end) return PeerLostError("wandb-core does not end");
    std::this_thread::sleep_for(kPause);
  }
  if (WIFEXITED(*status_) && WEXITSTATUS(*status_) == 0) return absl::OkStatus();
  return PeerLostError(absl::StrCat("wandb-core ", *End(), ": see ", log_));
}

}  // namespace cubist

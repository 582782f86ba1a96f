#include "base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Pointers to the characters of `texts`, with a null pointer at the end, as exec wants them.
std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments, int output, int error,
                            const SubprocessOptions& options) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, options.folder.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  const std::vector<char*> pointers = Pointers(arguments);
  std::vector<char*> environment;
  if (options.environment.has_value()) environment = Pointers(*options.environment);
  pid_t child = 0;
  const int result = posix_spawnp(&child, pointers[0], &actions, &attributes, pointers.data(),
                                  options.environment.has_value() ? environment.data() : environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (result == EAGAIN || result == ENOMEM) {
    return InternalError(absl::StrCat("cannot start ", arguments[0], ": ", ErrnoText(result)));
  }
  if (result != 0) {
    return ConfigError(absl::StrCat("cannot execute ", arguments[0],
                                    options.folder.empty() ? "" : absl::StrCat(" in ", options.folder), ": ",
                                    ErrnoText(result)));
  }
  return child;
}

// The reading ends of a child's two outputs.
class Pipes {
 public:
  ~Pipes() {
    for (const int descriptor : {out_[0], out_[1], error_[0], error_[1]}) {
      if (descriptor >= 0) close(descriptor);
    }
  }

  absl::Status Open() {
    if (pipe2(out_, O_CLOEXEC) != 0 || pipe2(error_, O_CLOEXEC) != 0) {
      return InternalError(absl::StrCat("pipe: ", ErrnoText(errno)));
    }
    return absl::OkStatus();
  }

  int out() const { return out_[1]; }
  int error() const { return error_[1]; }

  void CloseWritingEnds() {
    for (int* descriptor : {&out_[1], &error_[1]}) {
      close(*descriptor);
      *descriptor = -1;
    }
  }

  // Reads until both are closed by all who write; false when the deadline came first.
  bool ReadAll(Clock::time_point deadline, size_t limit, SubprocessResult* result) {
    while (out_[0] >= 0 || error_[0] >= 0) {
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return false;
      pollfd waited[2] = {{out_[0], POLLIN, 0}, {error_[0], POLLIN, 0}};  // negative ones are passed over
      if (poll(waited, 2, static_cast<int>(std::min<int64_t>(left, 60'000))) <= 0) continue;
      if (waited[0].revents != 0) ReadSome(&out_[0], limit, &result->output);
      if (waited[1].revents != 0) ReadSome(&error_[0], limit, &result->error);
    }
    return true;
  }

 private:
  static void ReadSome(int* descriptor, size_t limit, std::string* text) {
    char buffer[65536];
    const ssize_t count = read(*descriptor, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) return;
    if (count <= 0) {
      close(*descriptor);
      *descriptor = -1;
      return;
    }
    text->append(buffer, std::min(static_cast<size_t>(count), limit - std::min(limit, text->size())));
  }

  int out_[2] = {-1, -1};
  int error_[2] = {-1, -1};
};

}  // namespace

absl::StatusOr<SubprocessResult> RunSubprocess(const std::vector<std::string>& arguments,
                                               const SubprocessOptions& options) {
  const Clock::time_point deadline = Clock::now() + options.deadline;
  Pipes pipes;
  RETURN_IF_ERROR(pipes.Open());
  ASSIGN_OR_RETURN(const pid_t child, Spawn(arguments, pipes.out(), pipes.error(), options));
  pipes.CloseWritingEnds();
  SubprocessResult result;
  const bool in_time = pipes.ReadAll(deadline, options.output_limit, &result);
  // The group is gone once the child is waited for; only then could its number mean others.
  if (!in_time) kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return InternalError(absl::StrCat("waiting for ", arguments[0], ": ", ErrnoText(errno)));
  }
  if (!in_time) {
    return PeerLostError(absl::StrCat(absl::StrJoin(arguments, " "), ": no answer within ",
                                      static_cast<double>(options.deadline.count()) / 1000, " s"));
  }
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

absl::StatusOr<pid_t> StartSubprocess(const std::vector<std::string>& arguments, int descriptor,
                                      const SubprocessOptions& options) {
  return Spawn(arguments, descriptor, descriptor, options);
}

}  // namespace cubist

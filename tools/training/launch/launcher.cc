#include "tools/training/launch/launcher.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "tools/training/launch/rendezvous_environment.h"
#include "tools/training/launch/worker_ends.h"

namespace cubist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A second signal within this time is the first one coming in twice: from a terminal, or from SLURM,
// which signal all processes of a group.
constexpr milliseconds kSameRequest(1000);

// Pointers to the characters of `texts`, with a null pointer at the end, as exec wants them.
std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> FullEnvironment(const std::vector<std::string>& added) {
  Environment environment = CurrentEnvironment();
  for (const std::string& entry : added) {
    const size_t equals = entry.find('=');
    environment[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  std::vector<std::string> entries;
  for (const auto& [name, value] : environment) entries.push_back(absl::StrCat(name, "=", value));
  return entries;
}

class Supervisor {
 public:
  Supervisor(const std::vector<WorkerCommand>& workers, const LaunchOptions& options)
      : workers_(workers), options_(options) {
    sigemptyset(&waited_);
    for (const int number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP, SIGCHLD}) {
      struct sigaction current = {};
      if (number == SIGHUP && sigaction(number, nullptr, &current) == 0 && current.sa_handler == SIG_IGN) continue;
      sigaddset(&waited_, number);
    }
    sigprocmask(SIG_BLOCK, &waited_, &previous_mask_);
  }

  ~Supervisor() {
    KillRemaining();
    while (!running_.empty()) Reap(0);
    sigprocmask(SIG_SETMASK, &previous_mask_, nullptr);
  }

  absl::StatusOr<int> Run() {
    for (const WorkerCommand& worker : workers_) RETURN_IF_ERROR(Start(worker));
    while (!running_.empty()) {
      HandleSignal(WaitForSignal());
      while (!running_.empty() && Reap(WNOHANG)) {
      }
      if (deadline_.has_value() && Clock::now() >= *deadline_ && !running_.empty()) {
        std::vector<int> ranks;
        for (const auto& [pid, rank] : running_) ranks.push_back(rank);
        std::sort(ranks.begin(), ranks.end());
        std::fprintf(stderr, "train: rank %s did not end in the %g s after the others failed; killing it\n",
                     absl::StrJoin(ranks, ", ").c_str(), static_cast<double>(grace_.count()) / 1000);
        deadline_.reset();
        KillRemaining();
      }
    }
    Report();
    if (second_signal_ != 0) return 128 + second_signal_;
    return CombinedExitCode(ends_, first_signal_ != 0);
  }

 private:
  absl::Status Start(const WorkerCommand& worker) {
    const std::vector<std::string> environment = FullEnvironment(worker.environment);
    const std::vector<char*> arguments = Pointers(worker.arguments);
    const std::vector<char*> entries = Pointers(environment);
    int output = -1;
    if (!worker.output_path.empty()) {
      output = open(worker.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
      if (output < 0) {
        return StorageError(absl::StrCat("cannot open ", worker.output_path, ": ", ErrnoText(errno)));
      }
      output_starts_[worker.rank] = lseek(output, 0, SEEK_END);
    }
    // The child reports through it why it could not become the worker; exec closes it.
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
      if (output >= 0) close(output);
      return InternalError(absl::StrCat("pipe: ", ErrnoText(errno)));
    }
    // What was printed and not written yet would be written by parent and child.
    std::fflush(nullptr);
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) BecomeWorker(worker, arguments, entries, output, report[1], parent);
    const int fork_error = errno;
    if (output >= 0) close(output);
    close(report[1]);
    int exec_error = 0;
    ssize_t count = 0;
    if (pid > 0) {
      running_[pid] = worker.rank;
      do {
        count = read(report[0], &exec_error, sizeof(exec_error));
      } while (count < 0 && errno == EINTR);
    }
    close(report[0]);
    if (pid < 0) return InternalError(absl::StrCat("cannot start a process: ", ErrnoText(fork_error)));
    if (count == sizeof(exec_error)) {
      return ConfigError(absl::StrCat("cannot execute ", worker.arguments[0], ": ", ErrnoText(exec_error)));
    }
    return absl::OkStatus();
  }

  [[noreturn]] void BecomeWorker(const WorkerCommand& worker, const std::vector<char*>& arguments,
                                 const std::vector<char*>& environment, int output, int report, pid_t parent) {
    // The stopping signals stay blocked (step 1); SIGCHLD is none of them.
    sigset_t child_only;
    sigemptyset(&child_only);
    sigaddset(&child_only, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &child_only, nullptr);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(static_cast<int>(ExitCode::kPeerLost));  // it died before the line above
    if (output >= 0) {
      dup2(output, STDOUT_FILENO);
      dup2(output, STDERR_FILENO);
    }
    for (const int descriptor : worker.inherited_descriptors) {
      fcntl(descriptor, F_SETFD, fcntl(descriptor, F_GETFD) & ~FD_CLOEXEC);
    }
    execve(arguments[0], arguments.data(), environment.data());
    const int error = errno;
    (void)!write(report, &error, sizeof(error));
    _exit(127);
  }

  // The next signal, or 0 when the deadline has passed.
  int WaitForSignal() {
    if (!deadline_.has_value()) {
      int number = 0;
      return sigwait(&waited_, &number) == 0 ? number : 0;
    }
    const auto left = std::max(std::chrono::nanoseconds(0),
                               std::chrono::duration_cast<std::chrono::nanoseconds>(*deadline_ - Clock::now()));
    timespec timeout;
    timeout.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
    timeout.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
    return std::max(0, sigtimedwait(&waited_, nullptr, &timeout));
  }

  void HandleSignal(int number) {
    if (number == 0 || number == SIGCHLD) return;
    if (first_signal_ == 0) {
      first_signal_ = number;
      first_time_ = Clock::now();
      for (const auto& [pid, rank] : running_) kill(pid, number);
      if (number == SIGINT) {
        std::fprintf(stderr, "\ntrain: stopping after this step and saving; Ctrl-C again ends it at once\n");
      }
    } else if ((number == SIGINT || number == SIGTERM) && first_signal_ != SIGINT && first_signal_ != SIGTERM) {
      // After a warning, which the workers have got: the first request of its kind.
      first_signal_ = number;
      first_time_ = Clock::now();
    } else if ((number == SIGINT || (number == SIGTERM && !in_slurm_job_)) &&
               Clock::now() - first_time_ > kSameRequest && second_signal_ == 0) {
      second_signal_ = number;
      KillRemaining();
    }
  }

  // Takes note of one worker that ended; false when none did.
  bool Reap(int flags) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, flags);
    if (pid < 0 && errno == EINTR) return true;
    if (pid < 0) running_.clear();  // no children: cannot be, and waiting longer would not help
    if (pid <= 0) return false;
    const auto found = running_.find(pid);
    if (found == running_.end()) return true;
    WorkerEnd end;
    end.rank = found->second;
    running_.erase(found);
    if (WIFSIGNALED(status)) {
      end.signal = WTERMSIG(status);
      end.ended_by_front = end.signal == SIGKILL && killed_;
    } else {
      end.exit_code = WEXITSTATUS(status);
    }
    ends_.push_back(end);
    const int code = ExitCodeFor(end, first_signal_ != 0);
    const bool fine = code == static_cast<int>(ExitCode::kDone) || code == static_cast<int>(ExitCode::kPreempted);
    if (!fine && !killed_) SetDeadline(end);
    return true;
  }

  // After the failure `end`: a deadline is only ever brought forward.
  void SetDeadline(const WorkerEnd& end) {
    constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);
    const bool lost_its_peer = end.signal == 0 && end.exit_code == kPeerLost;
    const bool has_cause = CombinedExitCode(ends_, first_signal_ != 0) != kPeerLost;
    const milliseconds grace =
        lost_its_peer && !has_cause ? options_.grace_after_peer_lost : options_.grace_after_failure;
    const Clock::time_point deadline = Clock::now() + grace;
    if (deadline_.has_value() && *deadline_ <= deadline) return;
    deadline_ = deadline;
    grace_ = grace;
  }

  void KillRemaining() {
    killed_ = true;
    for (const auto& [pid, rank] : running_) kill(pid, SIGKILL);
  }

  // Says what failed: a run of one rank has said it itself, unless a signal ended it.
  void Report() const {
    for (const WorkerEnd& end : ends_) {
      const int code = ExitCodeFor(end, first_signal_ != 0);
      const bool fine = code == static_cast<int>(ExitCode::kDone) || code == static_cast<int>(ExitCode::kPreempted);
      if (fine || end.ended_by_front) continue;
      if (workers_.size() > 1 || end.signal != 0 || end.exit_code == kCannotBeLoaded)
        std::fprintf(stderr, "train: %s\n", DescribeEnd(end).c_str());
      // Of the ranks that only lost their peer, the line above is enough.
      if (code != CombinedExitCode(ends_, first_signal_ != 0)) continue;
      for (const WorkerCommand& worker : workers_) {
        if (worker.rank == end.rank && !worker.output_path.empty()) ShowEndOf(worker);
      }
    }
  }

  // What this start wrote, not an earlier one.
  void ShowEndOf(const WorkerCommand& worker) const {
    std::ifstream file(worker.output_path);
    file.seekg(output_starts_.at(worker.rank));
    std::deque<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      lines.push_back(line);
      if (lines.size() > static_cast<size_t>(options_.shown_lines)) lines.pop_front();
    }
    if (lines.empty()) return;
    std::fprintf(stderr, "train: the end of %s:\n", worker.output_path.c_str());
    for (const std::string& line : lines) std::fprintf(stderr, "  %s\n", line.c_str());
  }

  const std::vector<WorkerCommand>& workers_;
  const LaunchOptions options_;
  sigset_t waited_;
  sigset_t previous_mask_;
  std::map<pid_t, int> running_;        // process -> rank
  std::map<int, off_t> output_starts_;  // rank -> size of its output file before it started
  std::vector<WorkerEnd> ends_;         // in the order in which they happened
  // SLURM sends SIGTERM several times, and SIGKILL when it wants an end.
  const bool in_slurm_job_ = std::getenv("SLURM_JOB_ID") != nullptr;
  int first_signal_ = 0;
  int second_signal_ = 0;
  Clock::time_point first_time_;
  std::optional<Clock::time_point> deadline_;
  milliseconds grace_{0};  // that deadline_ comes from
  bool killed_ = false;
};

}  // namespace

absl::StatusOr<int> RunWorkers(const std::vector<WorkerCommand>& workers, const LaunchOptions& options) {
  return Supervisor(workers, options).Run();
}

absl::StatusOr<ListeningSocket> ListenOnLoopback() {
  ListeningSocket result;
  result.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (result.descriptor < 0 || bind(result.descriptor, generic, size) != 0 ||
      listen(result.descriptor, SOMAXCONN) != 0 || getsockname(result.descriptor, generic, &size) != 0) {
    const std::string reason = ErrnoText(errno);
    if (result.descriptor >= 0) close(result.descriptor);
    return InternalError(absl::StrCat("cannot listen on 127.0.0.1 for the ranks to meet: ", reason));
  }
  result.port = ntohs(address.sin_port);
  return result;
}

}  // namespace cubist

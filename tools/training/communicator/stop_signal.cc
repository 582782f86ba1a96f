#include "tools/training/communicator/stop_signal.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>

namespace cubist {
namespace {

constexpr int64_t kSameRequestNanoseconds = 1'000'000'000;

std::atomic<int> first_signal{0};
std::atomic<int64_t> first_time{0};  // of a SIGINT or SIGTERM; 0: none yet
std::atomic<bool> in_slurm_job{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "a signal handler must not take locks");

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Calls nothing but async-signal-safe functions.
void Handle(int signal_number) {
  const int saved_errno = errno;
  int none = 0;
  first_signal.compare_exchange_strong(none, signal_number);
  if (signal_number == SIGINT || signal_number == SIGTERM) {
    int64_t no_time = 0;
    const bool is_first = first_time.compare_exchange_strong(no_time, Now());
    const bool is_slurms = signal_number == SIGTERM && in_slurm_job.load();
    if (!is_first && !is_slurms && Now() - first_time.load() > kSameRequestNanoseconds) {
      signal(signal_number, SIG_DFL);
      raise(signal_number);  // taken when this handler returns
    }
  }
  errno = saved_errno;
}

}  // namespace

void InstallStopSignalHandlers() {
  in_slurm_job.store(std::getenv("SLURM_JOB_ID") != nullptr);
  struct sigaction action = {};
  action.sa_handler = Handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigset_t handled;
  sigemptyset(&handled);
  for (const int signal_number : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction current = {};
    if (signal_number == SIGHUP && sigaction(SIGHUP, nullptr, &current) == 0 && current.sa_handler == SIG_IGN) {
      continue;
    }
    sigaction(signal_number, &action, nullptr);
    sigaddset(&handled, signal_number);
  }
  sigprocmask(SIG_UNBLOCK, &handled, nullptr);
}

int StopSignal() { return first_signal.load(std::memory_order_relaxed); }

}  // namespace cubist

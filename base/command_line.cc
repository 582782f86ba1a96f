#include "base/command_line.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/status.h"

namespace cubist {
namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");

void RequestStop(int /*signal_number*/) { stop_requested.store(true, std::memory_order_relaxed); }

}  // namespace

std::string ResolvePath(std::string_view path) {
  if (path.empty()) return "";
  std::filesystem::path resolved(path);
  if (resolved.is_relative()) {
    const char* stands_in = std::getenv("BUILD_WORKING_DIRECTORY");
    std::error_code ignored;
    const std::filesystem::path folder = stands_in != nullptr && *stands_in != '\0'
                                             ? std::filesystem::path(stands_in)
                                             : std::filesystem::current_path(ignored);
    resolved = folder / resolved;
  }
  std::string text = resolved.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

bool StandardErrorIsTerminal() { return isatty(STDERR_FILENO) == 1; }

const std::atomic<bool>* StopOnSignals() {
  struct sigaction action = {};
  action.sa_handler = RequestStop;
  // The default action is back after the first signal, and system calls go on after it.
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
  return &stop_requested;
}

int FinishProgram(std::string_view program, const absl::Status& result) {
  // First, so that what follows stands after it where both go to one place.
  const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  const absl::Status status =
      result.ok() && !is_written ? StorageError("standard output could not be written: it is not complete") : result;
  if (!status.ok()) {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(program.size()), program.data(),
                 std::string(status.message()).c_str());
  }
  return static_cast<int>(ExitCodeOf(status));
}

}  // namespace cubist

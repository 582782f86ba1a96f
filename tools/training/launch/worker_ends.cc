#include "tools/training/launch/worker_ends.h"

#include <signal.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr int kDone = static_cast<int>(ExitCode::kDone);
constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);
constexpr int kInternal = static_cast<int>(ExitCode::kInternal);
constexpr int kPreempted = static_cast<int>(ExitCode::kPreempted);

const char* Meaning(int exit_code) {
  switch (static_cast<ExitCode>(exit_code)) {
    case ExitCode::kDone:
      return "done";
    case ExitCode::kConfig:
      return "bad flag or config";
    case ExitCode::kData:
      return "bad data";
    case ExitCode::kNotFinite:
      return "not finite";
    case ExitCode::kPeerLost:
      return "a peer was lost";
    case ExitCode::kStorage:
      return "storage";
    case ExitCode::kInternal:
      return "a bug in Cubist";
    case ExitCode::kPreempted:
      return "stopped, saved";
  }
  return nullptr;
}

int Gravity(int exit_code) {
  switch (exit_code) {
    case kDone:
      return 0;
    case kPreempted:
      return 1;
    case kPeerLost:
      return 2;
    case kInternal:
      return 4;
    default:
      return 3;
  }
}

}  // namespace

int ExitCodeFor(const WorkerEnd& end, bool stop_passed_on) {
  switch (end.signal) {
    case 0:
      if (end.exit_code == kCannotBeLoaded) return static_cast<int>(ExitCode::kConfig);
      return Meaning(end.exit_code) != nullptr ? end.exit_code : kInternal;
    case SIGSEGV:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSYS:
    case SIGTRAP:
      return kInternal;
    case SIGINT:
    case SIGTERM:
    case SIGUSR1:
    case SIGHUP:
      return stop_passed_on ? kPreempted : kPeerLost;
    default:
      return kPeerLost;
  }
}

int CombinedExitCode(const std::vector<WorkerEnd>& ends, bool stop_passed_on) {
  int combined = kDone;
  for (const WorkerEnd& end : ends) {
    if (end.ended_by_front) continue;
    const int code = ExitCodeFor(end, stop_passed_on);
    if (Gravity(code) > Gravity(combined)) combined = code;
  }
  return combined;
}

std::string DescribeEnd(const WorkerEnd& end) {
  if (end.signal != 0) {
    return absl::StrCat("rank ", end.rank, " was ended by signal ", end.signal, " (", strsignal(end.signal), ")");
  }
  if (end.exit_code == kCannotBeLoaded) {
    return absl::StrCat("rank ", end.rank,
                        " could not load its libraries (exit code 127): LibTorch's have to be in lib/ beside "
                        "the programs, or in LD_LIBRARY_PATH; a bundle's MANIFEST says which");
  }
  const char* meaning = Meaning(end.exit_code);
  return absl::StrCat("rank ", end.rank, " ended with exit code ", end.exit_code, " (",
                      meaning != nullptr ? meaning : "not one of Cubist's", ")");
}

}  // namespace cubist

// How the workers of a run ended, and what the run's exit code then is.
#ifndef CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_ENDS_H_
#define CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_ENDS_H_

#include <string>
#include <vector>

namespace cubist {

// Exit code of the dynamic loader when it cannot load a program's libraries, of which it says so on standard error.
constexpr int kCannotBeLoaded = 127;

struct WorkerEnd {
  int rank = 0;
  int exit_code = 0;            // when `signal` is 0
  int signal = 0;               // the signal that ended it, or 0
  bool ended_by_front = false;  // killed because another worker had failed, or at the user's second signal
};

// The exit code that one worker's end stands for: its own if base/status.h knows it, 2 for kCannotBeLoaded, else 70.
// Ended by a signal: 70 for a crash (SIGSEGV, SIGABRT, ...); 75 for a signal that asks to stop when the front passed
// one on; else 5, as somebody outside ended it (the kernel out of memory, an operator).
int ExitCodeFor(const WorkerEnd& end, bool stop_passed_on);

// The exit code of the run, from the ends in the order in which they happened. The gravest kind wins:
// 70, then a cause (2, 3, 4, 6), then 5 (a rank that lost its peer, mostly in consequence), then 75,
// then 0; of one kind, the first. Workers that the front itself killed say nothing.
int CombinedExitCode(const std::vector<WorkerEnd>& ends, bool stop_passed_on);

// "rank 1 ended with exit code 3 (bad data)", "rank 0 was ended by signal 9 (Killed)".
std::string DescribeEnd(const WorkerEnd& end);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LAUNCH_WORKER_ENDS_H_

// How far work on bytes has come, for a program: a bar on a terminal, and an end when a signal asks for one.
#ifndef CUBIST_TOOLS_INTERCHANGE_TERMINAL_PROGRESS_H_
#define CUBIST_TOOLS_INTERCHANGE_TERMINAL_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/progress_bar.h"
#include "tools/interchange/checkpoint_draft.h"

namespace cubist {

class TerminalProgress {
 public:
  // From here on SIGINT and SIGTERM are caught (StopOnSignals of base/command_line.h).
  TerminalProgress();
  // To be called by the work; PreemptedError after a signal. Refers to this.
  BytesProgress Callback();
  // Takes the bar away, before something is printed.
  void Clear() { bar_.reset(); }

 private:
  absl::Status Update(int64_t done, int64_t total);

  const std::atomic<bool>* const stop_;
  std::unique_ptr<ProgressBar> bar_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_TERMINAL_PROGRESS_H_

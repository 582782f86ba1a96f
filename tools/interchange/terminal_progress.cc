#include "tools/interchange/terminal_progress.h"

#include "base/command_line.h"
#include "base/status.h"

namespace cubist {

TerminalProgress::TerminalProgress() : stop_(StopOnSignals()) {}

BytesProgress TerminalProgress::Callback() {
  return [this](int64_t done, int64_t total) { return Update(done, total); };
}

absl::Status TerminalProgress::Update(int64_t done, int64_t total) {
  if (stop_->load()) {
    Clear();
    return PreemptedError("asked to stop; nothing was written");
  }
  // What is printed elsewhere than on a terminal is the result. In megabytes, as people count files.
  constexpr int64_t kMegabyte = 1000000;
  if (bar_ == nullptr && StandardErrorIsTerminal()) {
    bar_ = std::make_unique<ProgressBar>("MB", total / kMegabyte, true);
  }
  if (bar_ != nullptr) bar_->Update(done / kMegabyte);
  return absl::OkStatus();
}

}  // namespace cubist

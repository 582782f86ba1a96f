#include "tools/slurm/node_exits.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "tools/training/launch/worker_ends.h"

namespace cubist {
namespace {

int Gravest(const std::vector<int>& codes) {
  std::vector<WorkerEnd> ends;
  for (const int code : codes) {
    WorkerEnd end;
    end.exit_code = code;
    ends.push_back(end);
  }
  return CombinedExitCode(ends, false);
}

}  // namespace

NodeExits NodeExits::Read(const std::string& folder) {
  NodeExits exits;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!absl::StartsWith(name, "node-") || !absl::EndsWith(name, ".exit")) continue;
    const absl::StatusOr<std::string> text = ReadWholeFile(entry->path().string(), 64);
    int code = 0;
    if (text.ok() && absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &code) && code < 128)
      exits.codes_.push_back(code);
  }
  return exits;
}

std::optional<int> NodeExits::Combined(int nodes, bool ended_from_outside) const {
  if (codes_.empty()) return {};
  if (static_cast<int>(codes_.size()) >= nodes) return Gravest(codes_);
  constexpr int kPeerLost = static_cast<int>(ExitCode::kPeerLost);
  std::vector<int> codes = codes_;
  codes.push_back(kPeerLost);
  const int gravest = Gravest(codes);
  if (gravest == kPeerLost && ended_from_outside) return {};
  return gravest;
}

}  // namespace cubist

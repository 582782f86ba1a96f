#include "tools/training/rehearsal/memory_use.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file_ops.h"
#include "base/status.h"

namespace cubist {
namespace {

// Bytes in the line "<key>:   1234 kB" of a file.
absl::StatusOr<uint64_t> KilobyteLine(const std::string& path, const char* key) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) return InternalError(std::string(text.status().message()));
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (!absl::ConsumePrefix(&line, absl::StrCat(key, ":")) || !absl::ConsumeSuffix(&line, " kB")) continue;
    uint64_t kilobytes = 0;
    if (absl::SimpleAtoi(line, &kilobytes)) return kilobytes * 1024;
  }
  return InternalError(absl::StrCat(path, ": has no line ", key));
}

std::optional<uint64_t> NumberIn(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  uint64_t number = 0;
  if (!text.ok() || !absl::SimpleAtoi(*text, &number)) return std::nullopt;  // "max" is no limit
  return number;
}

// Lowers what there is to the limits of the control groups that this process is in: their own, and those of the
// groups around them. Version 2 has one line "0::/path", version 1 one a controller, "4:memory:/path".
void ApplyControlGroups(const std::string& root, MemoryUse* use) {
  const absl::StatusOr<std::string> groups = ReadWholeFile(root + "/proc/self/cgroup");
  if (!groups.ok()) return;
  for (const absl::string_view line : absl::StrSplit(*groups, '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const bool version_2 = parts[0] == "0" && parts[1].empty();
    if (!version_2 && !absl::StrContains(absl::StrCat(",", parts[1], ","), ",memory,")) continue;
    const std::string mount = root + (version_2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    for (std::string path = parts[2] == "/" ? "" : parts[2];; path.resize(path.rfind('/'))) {
      const auto limit = NumberIn(mount + path + (version_2 ? "/memory.max" : "/memory.limit_in_bytes"));
      const auto used = NumberIn(mount + path + (version_2 ? "/memory.current" : "/memory.usage_in_bytes"));
      if (limit.has_value()) {
        use->total = std::min(use->total, *limit);
        use->available = std::min(use->available, *limit - std::min(*limit, used.value_or(0)));
      }
      if (path.empty()) break;
    }
  }
}

}  // namespace

absl::StatusOr<MemoryUse> ReadMemoryUse(const std::string& root) {
  MemoryUse use;
  ASSIGN_OR_RETURN(use.peak_resident, KilobyteLine(root + "/proc/self/status", "VmHWM"));
  ASSIGN_OR_RETURN(use.total, KilobyteLine(root + "/proc/meminfo", "MemTotal"));
  ASSIGN_OR_RETURN(use.available, KilobyteLine(root + "/proc/meminfo", "MemAvailable"));
  ApplyControlGroups(root, &use);
  return use;
}

}  // namespace cubist

#include "tools/training/rehearsal/report_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace cubist {

std::string FormatRow(Verdict verdict, std::string_view name, std::string_view text) {
  std::string head = "  ";
  switch (verdict) {
    case Verdict::kNone:
      break;
    case Verdict::kOk:
      head = "  ok       ";
      break;
    case Verdict::kWarning:
      head = "  WARNING  ";
      break;
    case Verdict::kSkipped:
      head = "  skipped  ";
      break;
    case Verdict::kFailed:
      head = "  FAILED   ";
      break;
  }
  head += name;
  constexpr size_t kNameWidth = 12;
  head.append(name.size() < kNameWidth ? kNameWidth - name.size() : 1, ' ');
  const std::string indent = "\n" + std::string(head.size(), ' ');
  return absl::StrCat(head, absl::StrReplaceAll(std::string(text), {{"\n", indent}}), "\n");
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes);
  const char* unit = "B";
  for (const char* larger : {"kB", "MB", "GB", "TB", "PB"}) {
    if (value < 999.5) break;  // what would be rounded to 1000
    value /= 1000;
    unit = larger;
  }
  return absl::StrFormat("%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, unit);
}

std::string FormatSeconds(double seconds) {
  if (seconds < 10) return absl::StrFormat("%.2g s", seconds);
  if (seconds < 120) return absl::StrFormat("%.0f s", seconds);
  if (seconds < 2 * 3600) return absl::StrFormat("%.1f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

}  // namespace cubist

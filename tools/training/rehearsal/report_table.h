// The lines that a rehearsal prints: what was looked at, how that went, and what it says.
#ifndef CUBIST_TOOLS_TRAINING_REHEARSAL_REPORT_TABLE_H_
#define CUBIST_TOOLS_TRAINING_REHEARSAL_REPORT_TABLE_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace cubist {

enum class Verdict { kNone, kOk, kWarning, kSkipped, kFailed };

// Of a check that has not failed.
struct CheckOutcome {
  Verdict verdict = Verdict::kOk;
  std::string text;
};

// "  ok       steps        0.31 s a step\n"; further lines of `text` are indented to the first. kNone has no column
// of verdicts.
std::string FormatRow(Verdict verdict, std::string_view name, std::string_view text);

// Three significant digits in powers of 1000: "512 B", "1.30 MB", "22.3 GB".
std::string FormatBytes(uint64_t bytes);

// "0.31 s", "2.5 min", "3.2 h".
std::string FormatSeconds(double seconds);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_REHEARSAL_REPORT_TABLE_H_

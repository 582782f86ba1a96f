#include "tools/training/logging/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/progress_bar.h"

namespace cubist {
namespace {

constexpr int kBarWidth = 20;
constexpr size_t kUsualWidth = 120;

bool IsLiveTerminal(std::FILE* stream) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(::fileno(stream)) == 1 && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

size_t WidthOf(std::FILE* stream) {
  winsize size = {};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

std::string Percent(double share) { return FormatNumber(std::round(share * 100)) + "%"; }

std::string Bar(int64_t step, int64_t total) {
  const double share = std::clamp(static_cast<double>(step) / static_cast<double>(total), 0.0, 1.0);
  const int filled = static_cast<int>(share * kBarWidth);
  return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
}

}  // namespace

std::string FormatNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%.4g", value);
  // From 0.001 down with an exponent: %g would write 1e-4 as 0.0001.
  const bool small = value != 0 && std::abs(value) < 0.9995e-3;
  if (small) std::snprintf(buffer, sizeof(buffer), "%.3e", value);
  const std::string text = buffer;
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  // "1.000e-04" as "1e-4", "1e+06" as "1e6".
  std::string mantissa = text.substr(0, exponent);
  if (small) mantissa.erase(mantissa.find_last_not_of("0") + 1);
  if (mantissa.back() == '.') mantissa.pop_back();
  std::string digits = text.substr(exponent + 2);
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  return mantissa + "e" + (text[exponent + 1] == '-' ? "-" : "") + digits;
}

std::string FormatStepLine(const StepStatus& status) {
  std::string line = "step " + std::to_string(status.step);
  if (status.total_steps) line += "/" + std::to_string(*status.total_steps);
  if (status.loss) line += "  loss " + FormatNumber(*status.loss);
  if (status.gradient_norm) line += "  gradient norm " + FormatNumber(*status.gradient_norm);
  if (status.learning_rate) line += "  lr " + FormatNumber(*status.learning_rate);
  for (const auto& [words, value] : status.more) line += "  " + words + " " + FormatNumber(value);
  if (status.samples_per_second) line += "  " + FormatNumber(*status.samples_per_second) + " samples/s";
  if (status.data_wait) line += "  data wait " + Percent(*status.data_wait);
  if (status.flop_utilisation) line += "  FLOP utilisation " + Percent(*status.flop_utilisation);
  if (status.eta_seconds) {
    const bool known = std::isfinite(*status.eta_seconds) && *status.eta_seconds >= 0;
    line += "  ETA " + (known ? FormatDuration(*status.eta_seconds) : "?");
  }
  return line;
}

Console::Console(std::FILE* stream, bool live) : stream_(stream), live_(live) {}
Console::Console(std::FILE* stream) : Console(stream, IsLiveTerminal(stream)) {}
Console::~Console() { Finish(); }

void Console::Step(const StepStatus& status, bool plain) {
  if (!live_) {
    if (plain) Message(FormatStepLine(status));
    return;
  }
  const bool has_bar = status.total_steps && *status.total_steps > 0;
  std::string line = (has_bar ? Bar(status.step, *status.total_steps) : "") + FormatStepLine(status);
  // A line that wraps could not be rewritten in place.
  const size_t width = WidthOf(stream_);
  if (line.size() >= width) line.resize(width - 1);
  shown_ = std::move(line);
  Show();
}

void Console::Message(std::string_view line) {
  Hide();
  std::fwrite(line.data(), 1, line.size(), stream_);
  std::fputc('\n', stream_);
  Show();
}

void Console::Finish() {
  if (!shown_.empty()) std::fputc('\n', stream_);
  shown_.clear();
  std::fflush(stream_);
}

void Console::Show() {
  if (!shown_.empty()) std::fprintf(stream_, "\r\x1b[2K%s", shown_.c_str());
  std::fflush(stream_);
}

void Console::Hide() {
  if (!shown_.empty()) std::fputs("\r\x1b[2K", stream_);
}

}  // namespace cubist

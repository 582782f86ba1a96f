#include "base/progress_bar.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

namespace cubist {
namespace {

constexpr int kBarWidth = 24;
constexpr double kSecondsBetweenFrames = 0.1;
constexpr double kSecondsBetweenLines = 5.0;

double SteadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void WriteToStandardError(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

std::string FormatDuration(double seconds) {
  const int64_t whole = std::isfinite(seconds) ? static_cast<int64_t>(std::clamp(seconds, 0.0, 3.6e9) + 0.5) : 0;
  char text[48];
  if (whole >= 3600) {
    std::snprintf(text, sizeof(text), "%lld:%02d:%02d", static_cast<long long>(whole / 3600),
                  static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  } else {
    std::snprintf(text, sizeof(text), "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  }
  return text;
}

ProgressBar::ProgressBar(std::string label, int64_t total, bool is_tty, Sink sink, Clock clock)
    : label_(std::move(label)),
      total_(total),
      is_tty_(is_tty),
      sink_(sink ? std::move(sink) : Sink(WriteToStandardError)),
      clock_(clock ? std::move(clock) : Clock(SteadySeconds)),
      start_(clock_()),
      last_drawn_(start_) {}

ProgressBar::~ProgressBar() { Abandon(); }

std::string ProgressBar::Describe(double seconds) const {
  std::string text = std::to_string(done_);
  if (total_ > 0) text += "/" + std::to_string(total_);
  text += "  " + FormatDuration(seconds);
  if (total_ > 0 && done_ > 0 && done_ < total_) {
    const double left = seconds / static_cast<double>(done_) * static_cast<double>(total_ - done_);
    text += ", " + FormatDuration(left) + " left";
  }
  if (!note_.empty()) text += "  " + note_;
  return text;
}

void ProgressBar::Draw(double seconds, bool last) {
  std::string text;
  if (is_tty_) {
    text = "\r\x1b[2K" + label_ + " ";
    if (total_ > 0) {
      const double part = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
      const int filled = static_cast<int>(part * kBarWidth);
      text += "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
    }
    text += Describe(seconds) + (last ? "\n" : "");
  } else {
    text = label_ + ": " + Describe(seconds) + "\n";
  }
  sink_(text);
  drawn_ = true;
}

void ProgressBar::Update(int64_t done, const std::string& note) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (finished_ || done < done_) return;
  done_ = done;
  note_ = note;
  const double now = clock_();
  const double wait = is_tty_ ? kSecondsBetweenFrames : kSecondsBetweenLines;
  if (now - last_drawn_ < wait && (drawn_ || !is_tty_)) return;
  last_drawn_ = now;
  Draw(now - start_, /*last=*/false);
}

void ProgressBar::Finish() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (finished_) return;
  finished_ = true;
  Draw(clock_() - start_, /*last=*/true);
}

void ProgressBar::Abandon() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (finished_) return;
  finished_ = true;
  if (is_tty_ && drawn_) sink_("\r\x1b[2K");
}

}  // namespace cubist

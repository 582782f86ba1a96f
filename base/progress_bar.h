// How far something has come: a live bar with the time left on a terminal, a plain line now and then
// everywhere else.
#ifndef CUBIST_BASE_PROGRESS_BAR_H_
#define CUBIST_BASE_PROGRESS_BAR_H_

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace cubist {

// Any thread may call Update and Finish. On a terminal the bar is redrawn in place, at most ten times
// a second; elsewhere a line is printed at most every five seconds, and one at the end.
class ProgressBar {
 public:
  // Where text goes (standard error by default) and the seconds that passed (a steady clock by
  // default); tests replace both.
  using Sink = std::function<void(const std::string& text)>;
  using Clock = std::function<double()>;

  // `total` units make 100 %; 0 or less means it is not known, and the bar only counts.
  ProgressBar(std::string label, int64_t total, bool is_tty, Sink sink = nullptr, Clock clock = nullptr);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` units are finished; a smaller number than before is ignored. `note` ("loss 0.31") follows
  // the numbers.
  void Update(int64_t done, const std::string& note = "");
  // Shows the last state with the time it took and ends the line. Later calls do nothing.
  void Finish();
  // Removes the bar from a terminal without a closing line, before an error message.
  void Abandon();

 private:
  std::string Describe(double seconds) const;
  void Draw(double seconds, bool last);

  const std::string label_;
  const int64_t total_;
  const bool is_tty_;
  Sink sink_;
  Clock clock_;
  double start_;
  std::mutex mutex_;
  int64_t done_ = 0;
  std::string note_;
  bool drawn_ = false;
  double last_drawn_ = 0;
  bool finished_ = false;
};

// "0:07", "12:40", "3:05:00": minutes and seconds, with hours from an hour on.
std::string FormatDuration(double seconds);

}  // namespace cubist

#endif  // CUBIST_BASE_PROGRESS_BAR_H_

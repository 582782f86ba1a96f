// What the user of a training run sees: one line that is rewritten in place on a terminal, plain
// lines elsewhere.
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_CONSOLE_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_CONSOLE_H_

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cubist {

// What is absent is left out of the line.
struct StepStatus {
  int64_t step = 0;
  std::optional<int64_t> total_steps;
  std::optional<double> loss;
  std::optional<double> gradient_norm;
  std::optional<double> learning_rate;
  std::optional<double> samples_per_second;
  // Share of the time in which the step waited for data, in [0, 1].
  std::optional<double> data_wait;
  // Model FLOP utilisation, in [0, 1].
  std::optional<double> flop_utilisation;
  // Time to the end, in seconds.
  std::optional<double> eta_seconds;
  // Further numbers, by the words that stand before them.
  std::vector<std::pair<std::string, double>> more;
};

// "step 120/400  loss 12.34  gradient norm 1.2  lr 1e-4  5.2 samples/s  data wait 3%  ETA 1:23".
std::string FormatStepLine(const StepStatus& status);

// Four significant digits, exponents without padding: "12.34", "1e-4", "NaN", "inf".
std::string FormatNumber(double value);

// Not for use by several threads at once.
class Console {
 public:
  // Writes to `stream`, which stays the caller's. `live`: rewrite one line in place, as on a terminal.
  Console(std::FILE* stream, bool live);
  // Live if `stream` is a terminal that can do it (TERM is set and not "dumb").
  explicit Console(std::FILE* stream);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool live() const { return live_; }
  // Live: replaces the line shown, with a bar in front when the number of steps is known and cut to the
  // terminal's width. Otherwise: prints the line if `plain`, so that a caller may call this every
  // step and print one line an interval.
  void Step(const StepStatus& status, bool plain = true);
  // A line that stays, above the live one.
  void Message(std::string_view line);
  // Ends the live line; the last one stays on the screen. Also done by the destructor.
  void Finish();

 private:
  void Show();
  void Hide();
  std::FILE* stream_;
  bool live_;
  std::string shown_;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_CONSOLE_H_

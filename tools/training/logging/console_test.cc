#include "tools/training/logging/console.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace cubist {
namespace {

StepStatus Example() {
  StepStatus status;
  status.step = 120;
  status.total_steps = 400;
  status.loss = 12.34;
  status.gradient_norm = 1.2;
  status.learning_rate = 1e-4;
  status.samples_per_second = 5.2;
  status.data_wait = 0.03;
  status.eta_seconds = 83;
  return status;
}

// What was written to a file in place of a terminal.
std::string Captured(bool live, const std::function<void(Console&)>& use) {
  std::FILE* file = std::tmpfile();
  {
    Console console(file, live);
    use(console);
  }
  std::string text(static_cast<size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  EXPECT_EQ(std::fread(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  return text;
}

TEST(ConsoleTest, TheStepLine) {
  EXPECT_EQ(FormatStepLine(Example()),
            "step 120/400  loss 12.34  gradient norm 1.2  lr 1e-4  5.2 samples/s  data wait 3%  ETA 1:23");
  StepStatus status;
  status.step = 7;
  EXPECT_EQ(FormatStepLine(status), "step 7");
  status.loss = std::nan("");
  status.more = {{"IoU", 0.51236}};
  status.flop_utilisation = 0.417;
  status.eta_seconds = std::numeric_limits<double>::infinity();
  EXPECT_EQ(FormatStepLine(status), "step 7  loss NaN  IoU 0.5124  FLOP utilisation 42%  ETA ?");
}

TEST(ConsoleTest, Numbers) {
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(12.3456), "12.35");
  EXPECT_EQ(FormatNumber(-0.00123456), "-0.001235");
  EXPECT_EQ(FormatNumber(0.001), "0.001");
  EXPECT_EQ(FormatNumber(0.00099999), "0.001");
  EXPECT_EQ(FormatNumber(-0.00012345), "-1.234e-4");
  EXPECT_EQ(FormatNumber(7e-5), "7e-5");
  EXPECT_EQ(FormatNumber(1.5e-9), "1.5e-9");
  EXPECT_EQ(FormatNumber(1e-10), "1e-10");
  EXPECT_EQ(FormatNumber(3.25e6), "3.25e6");
  EXPECT_EQ(FormatNumber(1e100), "1e100");
  EXPECT_EQ(FormatNumber(-std::numeric_limits<double>::infinity()), "-inf");
}

TEST(ConsoleTest, PlainLinesOnlyWhenAskedFor) {
  const std::string line = FormatStepLine(Example()) + "\n";
  EXPECT_EQ(Captured(false,
                     [](Console& console) {
                       console.Step(Example());
                       console.Step(Example(), /*plain=*/false);
                       console.Message("saved");
                       console.Step(Example());
                     }),
            line + "saved\n" + line);
}

TEST(ConsoleTest, ALiveLineIsRewrittenAndMessagesStayAboveIt) {
  const std::string erase = "\r\x1b[2K", bar = "[######..............] ";
  const std::string line = bar + FormatStepLine(Example());
  ASSERT_LT(line.size(), 120u);
  EXPECT_EQ(Captured(true,
                     [](Console& console) {
                       console.Step(Example(), /*plain=*/false);
                       console.Message("saved");
                       console.Step(Example());
                     }),
            erase + line + erase + "saved\n" + erase + line + erase + line + "\n");
}

TEST(ConsoleTest, ALiveLineNeverWraps) {
  StepStatus status = Example();
  for (int i = 0; i < 30; ++i) status.more.emplace_back("words", i);
  const std::string text = Captured(true, [&](Console& console) { console.Step(status); });
  EXPECT_EQ(text.size(), 5 + 119 + 1u);
}

TEST(ConsoleTest, AFileIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  EXPECT_FALSE(Console(file).live());
  std::fclose(file);
}

}  // namespace
}  // namespace cubist

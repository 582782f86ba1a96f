#include "tools/training/logging/metrics_writer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>

#include "nlohmann/json.hpp"
#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class MetricsWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(path_);
  }
  std::string Read() const {
    const auto bytes = ReadWholeFile(path_);
    return bytes.ok() ? *bytes : "missing";
  }
  void Put(const std::string& bytes) const { ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path_, bytes).ok()); }
  std::string path_;
  std::string warnings_;
  TelemetryErrors errors_{[this](const std::string& line) { warnings_ += line + "\n"; }};
};

TEST_F(MetricsWriterTest, RowsAreAsDocumented) {
  EXPECT_EQ(FormatMetricsRow(120, Split::kTrain, 1767225600.125, {{"train_loss/sum", 12.5}, {"lr", 1e-4}}),
            "{\"step\":120,\"split\":\"train\",\"time\":1767225600.125,\"train_loss/sum\":12.5,\"lr\":1e-04}\n");
  EXPECT_EQ(FormatMetricsRow(0, Split::kValidation, 0, {}), "{\"step\":0,\"split\":\"validation\",\"time\":0}\n");
  const std::string row =
      FormatMetricsRow(1, Split::kTrain, kInfinity,
                       {{"a", std::nan("")}, {"b\"\n\\", 1}, {"c", kInfinity}, {"d", -kInfinity}, {"e\xff", -0.0}});
  EXPECT_EQ(row.find('\n'), row.size() - 1);
  const nlohmann::json parsed = nlohmann::json::parse(row);
  EXPECT_TRUE(parsed["a"].is_null());
  EXPECT_EQ(parsed["b\"\n\\"], 1);
  EXPECT_EQ(parsed["non_finite"], (nlohmann::json{"a", "c", "d"}));
  EXPECT_EQ(parsed["e\xEF\xBF\xBD"], 0.0);
}

TEST_F(MetricsWriterTest, NumbersReadBackAsTheSameDouble) {
  std::mt19937_64 generator(1);
  std::vector<double> values = {0.1, 1.0 / 3, 5e-324, std::numeric_limits<double>::max(), 1e22, 123456789012345678.0};
  for (int i = 0; i < 2000; ++i) {
    const uint64_t bits = generator();
    double value;
    static_assert(sizeof(value) == sizeof(bits));
    std::memcpy(&value, &bits, sizeof(value));
    if (std::isfinite(value)) values.push_back(value);
  }
  for (const double value : values) {
    const nlohmann::json row = nlohmann::json::parse(FormatMetricsRow(1, Split::kTrain, 0, {{"x", value}}));
    EXPECT_EQ(row["x"].get<double>(), value);
  }
}

TEST_F(MetricsWriterTest, ResumingGivesTheRowsOfAnUninterruptedRun) {
  const auto run = [this](int64_t from, int64_t to) {
    MetricsWriter writer(UnsyncedFileOps(), path_, errors_);
    for (int64_t step = from; step <= to; ++step) {
      writer.Write(step, Split::kTrain, 0, {{"loss", 1.0 / static_cast<double>(step)}});
      if (step % 5 == 0) writer.Write(step, Split::kValidation, 0, {{"loss", 2.0 / static_cast<double>(step)}});
    }
    writer.Sync();
  };
  run(1, 20);
  const std::string whole = Read();
  for (int64_t saved = 0; saved <= 20; ++saved) {
    for (int64_t died = saved; died <= 20; ++died) {
      std::filesystem::remove(path_);
      run(1, died);
      // Killed in the middle of a line.
      ASSERT_TRUE(UnsyncedFileOps().Truncate(path_, Read().size() - (died > saved ? 7 : 0)).ok());
      const absl::StatusOr<int64_t> removed = TruncateMetricsAfter(UnsyncedFileOps(), path_, saved);
      ASSERT_TRUE(removed.ok()) << removed.status();
      run(saved + 1, 20);
      ASSERT_EQ(Read(), whole) << saved << " " << died;
    }
  }
}

TEST_F(MetricsWriterTest, TruncationDropsWhatIsNoRowAndSaysHowMany) {
  EXPECT_EQ(*TruncateMetricsAfter(SystemFileOps(), path_, 5), 0);
  EXPECT_EQ(Read(), "missing");
  Put("{\"step\":5,\"a\":1}\ngarbage\n[5]\n{\"step\":\"5\"}\n{\"step\":4}\n\n{\"step\":6}\n{\"step\":5}");
  EXPECT_EQ(*TruncateMetricsAfter(SystemFileOps(), path_, 5), 6);
  EXPECT_EQ(Read(), "{\"step\":5,\"a\":1}\n{\"step\":4}\n");
  EXPECT_EQ(*TruncateMetricsAfter(SystemFileOps(), path_, 5), 0);
  EXPECT_EQ(*TruncateMetricsAfter(SystemFileOps(), path_, -1), 2);
  EXPECT_EQ(Read(), "");
}

TEST_F(MetricsWriterTest, ATornLineStaysALineOfItsOwn) {
  Put("{\"step\":1}\n{\"ste");
  MetricsWriter(SystemFileOps(), path_, errors_).Write(2, Split::kTrain, 0, {});
  EXPECT_EQ(Read(), "{\"step\":1}\n{\"ste\n{\"step\":2,\"split\":\"train\",\"time\":0}\n");
  EXPECT_EQ(errors_.count(), 0);
}

TEST_F(MetricsWriterTest, ErrorsAreOneWarningAndACount) {
  FaultFileOps ops(SystemFileOps());
  ops.FailAt(2, ENOSPC);
  {
    MetricsWriter writer(ops, path_, errors_);
    for (int64_t step = 1; step <= 3; ++step) writer.Write(step, Split::kTrain, 0, {{"a", 1}});
  }
  EXPECT_EQ(errors_.count(), 1);
  EXPECT_NE(warnings_.find("No space left"), std::string::npos) << warnings_;
  EXPECT_NE(warnings_.find(path_), std::string::npos) << warnings_;
  // The half-written row is a line that the next start takes away.
  EXPECT_EQ(*TruncateMetricsAfter(SystemFileOps(), path_, 3), 1);
  EXPECT_EQ(Read(),
            FormatMetricsRow(1, Split::kTrain, 0, {{"a", 1}}) + FormatMetricsRow(3, Split::kTrain, 0, {{"a", 1}}));
}

TEST_F(MetricsWriterTest, AFolderThatIsNotThereYetIsTriedAgain) {
  const std::string path = path_ + "/metrics.jsonl";
  {
    MetricsWriter writer(SystemFileOps(), path, errors_);
    writer.Write(1, Split::kTrain, 0, {});
    writer.Sync();
    EXPECT_EQ(errors_.count(), 2);
    std::filesystem::create_directory(path_);
    writer.Write(2, Split::kTrain, 0, {});
  }
  EXPECT_EQ(*ReadWholeFile(path), FormatMetricsRow(2, Split::kTrain, 0, {}));
  EXPECT_EQ(std::count(warnings_.begin(), warnings_.end(), '\n'), 1);
}

}  // namespace
}  // namespace cubist

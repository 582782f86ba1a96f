#include "tools/wandb/transaction_log.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

// Bit by bit, RFC 1952 section 8: shares nothing with the reader.
uint32_t SlowCrc(const std::string& bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

std::string Little(uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

// The format as its description says, LevelDB's doc/log_format.md.
std::string Write(const std::vector<std::string>& records) {
  std::string file(":W&B\xe1\xbe\0", 7);
  for (const std::string& record : records) {
    size_t at = 0;
    bool first = true;
    do {
      const size_t room = 32768 - file.size() % 32768;
      if (room < 7) {
        file.append(room, '\0');
        continue;
      }
      const size_t size = std::min(room - 7, record.size() - at);
      const bool last = at + size == record.size();
      const char type = static_cast<char>(first ? (last ? 1 : 2) : (last ? 4 : 3));
      const std::string checked = type + record.substr(at, size);
      file += Little(SlowCrc(checked), 4) + Little(static_cast<uint32_t>(size), 2) + checked;
      at += size;
      first = false;
      if (last) break;
    } while (true);
  }
  return file;
}

struct Reading {
  absl::StatusOr<TransactionLogSummary> summary = TransactionLogSummary();
  std::vector<std::string> records;
};

Reading Read(const std::string& bytes) {
  const std::string path = testing::TempDir() + "/run.wandb";
  std::ofstream(path, std::ios::binary) << bytes;
  Reading reading;
  reading.summary = ReadTransactionLog(path, [&](std::string_view record) {
    reading.records.emplace_back(record);
    return absl::OkStatus();
  });
  return reading;
}

std::vector<std::string> SomeRecords() {
  std::vector<std::string> records;
  for (const size_t size : {0u, 1u, 100u, 32740u, 5u, 32767u, 100000u, 3u, 32754u, 60u, 40000u, 7u}) {
    std::string record;
    for (size_t i = 0; i < size; ++i) record += static_cast<char>('a' + (records.size() * 7 + i * i) % 26);
    records.push_back(record);
  }
  return records;
}

TEST(TransactionLog, RecordsOfAllSizesComeBack) {
  const Reading reading = Read(Write(SomeRecords()));
  ASSERT_TRUE(reading.summary.ok()) << reading.summary.status();
  EXPECT_EQ(reading.records, SomeRecords());
  EXPECT_EQ(reading.summary->records, 12);
  EXPECT_EQ(reading.summary->damaged_bytes, 0);
  EXPECT_FALSE(reading.summary->cut);
}

TEST(TransactionLog, BlocksThatEndAtEachDistance) {
  for (size_t rest = 0; rest < 20; ++rest) {
    const std::vector<std::string> records = {std::string(32768 - 7 - 7 - rest, 'x'), "next", std::string(9, 'y')};
    EXPECT_EQ(Read(Write(records)).records, records) << rest;
  }
}

TEST(TransactionLog, OtherFilesAreRefused) {
  for (const std::string& bytes : {std::string(), std::string(":W&B"), std::string("not a run at all")}) {
    EXPECT_EQ(ExitCodeOf(Read(bytes).summary.status()), ExitCode::kData);
  }
  EXPECT_EQ(ExitCodeOf(ReadTransactionLog("/nowhere.wandb", nullptr).status()), ExitCode::kData);
}

TEST(TransactionLog, WhoTakesRecordsCanEndTheReading) {
  const std::string path = testing::TempDir() + "/ended.wandb";
  std::ofstream(path, std::ios::binary) << Write({"a", "b"});
  const auto result = ReadTransactionLog(path, [](std::string_view) { return ConfigError("enough"); });
  EXPECT_EQ(result.status().message(), "enough");
}

// Every record that is given is one that was written, in order.
void ExpectSubsequence(const std::vector<std::string>& part, const std::vector<std::string>& whole, size_t place) {
  auto at = whole.begin();
  for (const std::string& record : part) {
    at = std::find(at, whole.end(), record);
    ASSERT_NE(at, whole.end()) << place;
    ++at;
  }
}

TEST(TransactionLog, CutAtEveryByteTheWholeRecordsBeforeItComeBack) {
  const std::vector<std::string> records = {"one", std::string(300, 'b'), "", "four"};
  const std::string file = Write(records);
  for (size_t size = 7; size < file.size(); ++size) {
    const Reading reading = Read(file.substr(0, size));
    ASSERT_TRUE(reading.summary.ok());
    const std::vector<std::string> begin(records.begin(), records.begin() + static_cast<long>(reading.records.size()));
    EXPECT_EQ(reading.records, begin) << size;
    EXPECT_EQ(reading.summary->damaged_bytes, 0) << size;
    // Cut unless a record ends just there.
    EXPECT_EQ(reading.summary->cut, size != Write(begin).size()) << size;
  }
}

TEST(TransactionLog, AFlipAnywhereCostsNoMoreThanItsBlock) {
  std::vector<std::string> records;
  for (int i = 0; i < 40; ++i)
    records.push_back(absl::StrCat("record ", i, std::string(static_cast<size_t>(i) * 97, '.')));
  const std::string file = Write(records);
  ASSERT_GT(file.size(), size_t{2} * 32768);
  for (size_t at = 7; at < file.size(); at += at < 2000 ? 1 : 37) {
    for (const char flip : {'\x01', '\x80'}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const Reading reading = Read(damaged);
      ASSERT_TRUE(reading.summary.ok());
      ExpectSubsequence(reading.records, records, at);
      EXPECT_LT(reading.records.size(), records.size()) << at;
      EXPECT_TRUE(reading.summary->damaged_bytes > 0 || reading.summary->cut) << at;
      // What does not touch its block is there.
      EXPECT_TRUE(at >= 32768 || reading.records.back() == records.back()) << at;
    }
  }
}

}  // namespace
}  // namespace cubist

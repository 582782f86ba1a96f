// Reads the files back with a reader of its own: a bitwise CRC, and Protobuf's wire format by hand.
#include "tools/training/logging/event_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "tools/training/checkpoint/testing/fault_file_ops.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

uint64_t LittleEndian(const std::string& bytes, size_t offset, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes.at(offset + i));
  return value;
}

uint32_t BitwiseMaskedCrc(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::vector<std::string> ReadRecords(const std::string& file) {
  std::vector<std::string> records;
  for (size_t offset = 0; offset < file.size();) {
    const uint64_t length = LittleEndian(file, offset, 8);
    EXPECT_EQ(LittleEndian(file, offset + 8, 4), BitwiseMaskedCrc(file.substr(offset, 8)));
    records.push_back(file.substr(offset + 12, length));
    EXPECT_EQ(LittleEndian(file, offset + 12 + length, 4), BitwiseMaskedCrc(records.back()));
    offset += 16 + length;
  }
  return records;
}

// Field number -> values; numbers as their raw bits, text as it is.
struct Field {
  uint64_t number = 0;
  std::string text;
};
using Message = std::multimap<int, Field>;

Message ParseMessage(const std::string& bytes) {
  Message message;
  size_t offset = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const unsigned char byte = static_cast<unsigned char>(bytes.at(offset++));
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (offset < bytes.size()) {
    const uint64_t tag = varint();
    Field field;
    if (tag % 8 == 0) {
      field.number = varint();
    } else if (tag % 8 == 2) {
      const uint64_t length = varint();
      field.text = bytes.substr(offset, length);
      offset += length;
    } else {
      const int count = tag % 8 == 1 ? 8 : 4;
      field.number = LittleEndian(bytes, offset, count);
      offset += count;
    }
    message.emplace(static_cast<int>(tag / 8), field);
  }
  return message;
}

template <typename T>
T BitsAs(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

const Field& Only(const Message& message, int number) {
  EXPECT_EQ(message.count(number), 1u) << "field " << number;
  static const Field kNone;
  return message.count(number) == 1 ? message.find(number)->second : kNone;
}

// A PNG's signature and first chunk, which is all that is looked at.
std::string PngHead(int width, int height, int colour_type) {
  std::string png = "\x89PNG\r\n\x1a\n";
  png += std::string("\0\0\0\x0dIHDR", 8);
  for (const int value : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) png += static_cast<char>(value >> shift & 0xff);
  }
  return png + '\x08' + static_cast<char>(colour_type) + std::string(7, '\0');
}

class EventWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  const EventFileName name_ = {1767225600.5, "node7", 4711};
  std::string folder_;
  std::string warnings_;
  TelemetryErrors errors_{[this](const std::string& line) { warnings_ += line + "\n"; }};
};

TEST_F(EventWriterTest, ScalarsAndPicturesReadBack) {
  const std::string png = PngHead(300, 2, 2);
  std::string path;
  {
    EventWriter writer(SystemFileOps(), folder_, name_, std::nullopt, errors_);
    path = writer.path();
    writer.WriteScalars(0, 10.5, {{"train_loss/sum", 12.25}, {"zero", 0}, {"bad", std::nan("")}});
    writer.WriteScalars(1, 11, {});
    writer.WriteImage(int64_t{1} << 40, 12, "pictures/sample", png);
    writer.Sync();
  }
  EXPECT_EQ(fs::path(path).filename(), "events.out.tfevents.1767225600.node7.4711");
  const std::vector<std::string> records = ReadRecords(*ReadWholeFile(path));
  ASSERT_EQ(records.size(), 3u);

  const Message version = ParseMessage(records[0]);
  EXPECT_EQ(BitsAs<double>(Only(version, 1).number), 1767225600.5);
  EXPECT_EQ(Only(version, 3).text, "brain.Event:2");
  EXPECT_EQ(version.size(), 2u);

  const Message scalars = ParseMessage(records[1]);
  EXPECT_EQ(BitsAs<double>(Only(scalars, 1).number), 10.5);
  EXPECT_EQ(Only(scalars, 2).number, 0u);
  const Message summary = ParseMessage(Only(scalars, 5).text);
  ASSERT_EQ(summary.count(1), 3u);
  auto value = summary.find(1);
  const Message first = ParseMessage(value->second.text);
  EXPECT_EQ(Only(first, 1).text, "train_loss/sum");
  EXPECT_EQ(BitsAs<float>(Only(first, 2).number), 12.25f);
  const Message second = ParseMessage((++value)->second.text);
  EXPECT_EQ(Only(second, 1).text, "zero");
  EXPECT_EQ(BitsAs<float>(Only(second, 2).number), 0.0f);
  EXPECT_TRUE(std::isnan(BitsAs<float>(Only(ParseMessage((++value)->second.text), 2).number)));

  const Message picture = ParseMessage(records[2]);
  EXPECT_EQ(Only(picture, 2).number, uint64_t{1} << 40);
  const Message entry = ParseMessage(Only(ParseMessage(Only(picture, 5).text), 1).text);
  EXPECT_EQ(Only(entry, 1).text, "pictures/sample");
  const Message image = ParseMessage(Only(entry, 4).text);
  EXPECT_EQ(Only(image, 1).number, 2u);
  EXPECT_EQ(Only(image, 2).number, 300u);
  EXPECT_EQ(Only(image, 3).number, 3u);
  EXPECT_EQ(Only(image, 4).text, png);
  EXPECT_EQ(errors_.count(), 0);
}

TEST_F(EventWriterTest, AResumedRunStartsASessionBeyondItsCheckpoint) {
  std::string path;
  {
    EventWriter writer(SystemFileOps(), folder_, name_, 120, errors_);
    path = writer.path();
  }
  const std::vector<std::string> records = ReadRecords(*ReadWholeFile(path));
  ASSERT_EQ(records.size(), 2u);
  const Message start = ParseMessage(records[1]);
  EXPECT_EQ(Only(start, 2).number, 121u);
  EXPECT_EQ(Only(ParseMessage(Only(start, 7).text), 1).number, 1u);
}

TEST_F(EventWriterTest, AFileOfTheSameSecondStays) {
  EventWriter first(SystemFileOps(), folder_, name_, std::nullopt, errors_);
  first.WriteScalars(1, 1, {{"a", 1}});
  EventWriter second(SystemFileOps(), folder_, name_, std::nullopt, errors_);
  EXPECT_NE(first.path(), second.path());
  EXPECT_EQ(ReadRecords(*ReadWholeFile(first.path())).size(), 2u);
}

TEST_F(EventWriterTest, WhatIsNoPngIsNotWritten) {
  EventWriter writer(SystemFileOps(), folder_, name_, std::nullopt, errors_);
  writer.WriteImage(1, 1, "a", "JFIF");
  EXPECT_EQ(errors_.count(), 1);
  for (const auto& [type, channels] : std::map<int, uint64_t>{{0, 1}, {2, 3}, {3, 3}, {4, 2}, {6, 4}}) {
    writer.WriteImage(1, 1, "a", PngHead(1, 1, type));
    const std::string last = ReadRecords(*ReadWholeFile(writer.path())).back();
    const Message entry = ParseMessage(Only(ParseMessage(Only(ParseMessage(last), 5).text), 1).text);
    EXPECT_EQ(Only(ParseMessage(Only(entry, 4).text), 3).number, channels);
  }
}

TEST_F(EventWriterTest, ErrorsAreOneWarningAndNoRecordFollowsATornOne) {
  FaultFileOps ops(SystemFileOps());
  ops.FailAt(3, ENOSPC);
  {
    EventWriter writer(ops, folder_, name_, std::nullopt, errors_);
    for (int64_t step = 1; step <= 4; ++step) writer.WriteScalars(step, 1, {{"a", 1}});
    writer.Sync();
    EXPECT_EQ(errors_.count(), 3);
  }
  EXPECT_NE(warnings_.find("No space left"), std::string::npos);
  EXPECT_EQ(std::count(warnings_.begin(), warnings_.end(), '\n'), 1);

  EventWriter nowhere(SystemFileOps(), folder_ + "/missing", name_, std::nullopt, errors_);
  nowhere.WriteScalars(1, 1, {{"a", 1}});
  EXPECT_EQ(errors_.count(), 5);
}

TEST_F(EventWriterTest, TheNameOfThisProcess) {
  const EventFileName name = EventFileNameOfThisProcess();
  EXPECT_EQ(name.process, ::getpid());
  EXPECT_FALSE(name.host.empty());
  EXPECT_GT(name.time, 1.7e9);
}

}  // namespace
}  // namespace cubist

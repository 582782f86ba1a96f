#include "data_process/formats/npz.h"

#include "data_process/formats/format_testing.h"
#include "data_process/formats/zip_writer.h"

namespace cubist {
namespace {

absl::Status ParseStatus(const std::string& bytes, const NpzLimits& limits = {}) {
  return ParseNpz(bytes, "objects.npz", limits).status();
}

TEST(NpzTest, ReadsWhatNumpyWrites) {
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    const auto arrays = ParseNpz(ReadFixture(name), name);
    ASSERT_TRUE(arrays.ok()) << arrays.status();
    EXPECT_EQ(arrays->size(), name == "stored.npz" ? 3u : 4u);
    EXPECT_EQ(Values<double>(arrays->at("a_xyz")), (std::vector<double>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(arrays->at("a_xyz").shape(), (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(Values<int64_t>(arrays->at("a_semantic")), std::vector<int64_t>{7});
    EXPECT_TRUE(arrays->at("a_semantic").shape().empty());
    EXPECT_EQ(arrays->at("empty").shape(), (std::vector<int64_t>{0, 3}));
  }
}

TEST(NpzTest, RoundTrip) {
  const std::vector<std::pair<std::string, HostTensor>> arrays = {{"z_xyz", HostTensor::Of<double>({1, 2, 3}, {1, 3})},
                                                                  {"a/b", HostTensor::Of<int32_t>({}, {0})},
                                                                  {"c", HostTensor::Of<float>({4}, {})}};
  const auto bytes = FormatNpz(arrays);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, *FormatNpz(arrays));
  const auto back = ParseNpz(*bytes, "round trip");
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), 3u);
  EXPECT_EQ(Values<double>(back->at("z_xyz")), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(back->at("a/b").shape(), std::vector<int64_t>{0});
  EXPECT_EQ(Values<float>(back->at("c")), std::vector<float>{4});
  EXPECT_TRUE(ParseNpz(*FormatNpz({}), "none")->empty());
  EXPECT_EQ(ExitCodeOf(FormatNpz({arrays[0], arrays[0]}).status()), ExitCode::kData);
}

TEST(NpzTest, EveryTruncationIsAnError) {
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    const std::string bytes = ReadFixture(name);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const absl::Status status = ParseStatus(bytes.substr(0, size));
      ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << name << size << status;
    }
  }
}

// Checksums hold the data; the fields that they do not cover must not change the arrays.
TEST(NpzTest, EveryFlippedByteIsAnErrorOrHarmless) {
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    const std::string good = ReadFixture(name);
    const auto expected = ParseNpz(good, name);
    ASSERT_TRUE(expected.ok());
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
      const auto arrays = ParseNpz(bytes, name);
      if (!arrays.ok()) {
        ASSERT_EQ(ExitCodeOf(arrays.status()), ExitCode::kData) << arrays.status();
        continue;
      }
      ASSERT_EQ(Values<double>(arrays->at("a_xyz")), Values<double>(expected->at("a_xyz"))) << at;
    }
  }
}

TEST(NpzTest, ZipBombsAreRefusedBeforeUnpacking) {
  NpzLimits limits;
  limits.max_total_bytes = 10000;  // deflated.npz declares 24,000 bytes of zeros
  ExpectDataError(ParseStatus(ReadFixture("deflated.npz"), limits), {"objects.npz", "zeros.npy", "limit of 10000"});
  limits = {};
  limits.max_members = 2;
  ExpectDataError(ParseStatus(ReadFixture("stored.npz"), limits), {"limit of 2"});

  // A directory that declares more than deflate can make of the compressed bytes.
  std::string bytes = ReadFixture("deflated.npz");
  const size_t entry = bytes.find("PK\x01\x02");
  ASSERT_NE(entry, std::string::npos);
  bytes.replace(entry + 24, 4, std::string("\xff\xff\xff\x7f", 4));
  EXPECT_EQ(ExitCodeOf(ParseStatus(bytes)), ExitCode::kData);

  // An end record that announces far more entries than there are bytes.
  bytes = ReadFixture("stored.npz");
  const size_t end = bytes.find("PK\x05\x06");
  ASSERT_NE(end, std::string::npos);
  bytes.replace(end + 8, 4, "\xfe\xff\xfe\xff");
  EXPECT_EQ(ExitCodeOf(ParseStatus(bytes)), ExitCode::kData);
}

// Directory and member agree on a size that two bytes of deflate cannot have: no memory is taken for it.
TEST(NpzTest, ImpossibleSizesAreRefusedInLittleMemory) {
  const auto number = [](uint64_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
    return bytes;
  };
  // APPNOTE 4.3.7, 4.3.12 and 4.3.16: version to checksum, sizes, name.
  const std::string name = "a.npy", data("\x03\0", 2);
  const std::string fields = number(20, 2) + number(0, 2) + number(8, 2) + number(0, 8) + number(data.size(), 4) +
                             number(0x7fffffff, 4) + number(name.size(), 2) + number(0, 2);
  const std::string local = "PK\x03\x04" + fields + name + data;
  const std::string entry = "PK\x01\x02" + number(20, 2) + fields + std::string(14, '\0') + name;
  const std::string bytes = local + entry + "PK\x05\x06" + number(0, 4) + number(1, 2) + number(1, 2) +
                            number(entry.size(), 4) + number(local.size(), 4) + number(0, 2);
  ExpectDataError(ParseStatus(bytes), {"objects.npz", "'a.npy'", "2147483647 bytes cannot come from 2"});
  EXPECT_EXIT(ExitAfterLittleMemory([&] { return ExitCodeOf(ParseStatus(bytes)) == ExitCode::kData; }),
              ::testing::ExitedWithCode(0), "");
}

// The 64-bit end record can announce any number of entries; none of it may be believed before it is read.
TEST(NpzTest, HugeEntryCountsAreRefused) {
  const auto append = [](std::string& bytes, uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  };
  for (const uint64_t entries : {uint64_t{1} << 20, uint64_t{1} << 33, uint64_t{1} << 58, ~uint64_t{0}}) {
    for (const uint64_t directory_size : {uint64_t{0}, entries * 46, ~uint64_t{0} >> 1}) {
      std::string bytes = "PK\x06\x06";  // 64-bit end record (APPNOTE 4.3.14)
      append(bytes, 44, 8);
      append(bytes, 45 | 45 << 16, 4);
      append(bytes, 0, 8);
      append(bytes, entries, 8);
      append(bytes, entries, 8);
      append(bytes, directory_size, 8);
      append(bytes, 0, 8);
      bytes += "PK\x06\x07";  // its locator
      append(bytes, 0, 4);
      append(bytes, 0, 8);
      append(bytes, 1, 4);
      bytes += "PK\x05\x06";
      append(bytes, 0, 4);
      bytes += std::string(12, '\xff');
      append(bytes, 0, 2);
      EXPECT_EQ(ExitCodeOf(ParseStatus(bytes)), ExitCode::kData) << entries << " " << directory_size;
    }
  }
}

TEST(NpzTest, OddMembersAreRefused) {
  const auto archive = [](const std::vector<std::pair<std::string, std::string>>& members) {
    std::string bytes;
    ZipWriter zip(1, AppendTo(bytes));
    for (const auto& [name, member] : members) EXPECT_TRUE(zip.Add(name, member).ok());
    EXPECT_TRUE(zip.Finish().ok());
    return bytes;
  };
  ExpectDataError(ParseStatus(archive({{"readme.txt", "hello"}})), {"'readme.txt'", "not an array"});
  ExpectDataError(ParseStatus(archive({{"a.npy", "hello"}})), {"'a.npy'", "no npy file"});
  ExpectDataError(ParseStatus(""), {"objects.npz"});
  ExpectDataError(ParseStatus(std::string(1000, 'x')), {"objects.npz"});

  // The same name twice: rename one of two of equal length in both places.
  std::string bytes = archive({{"a.npy", "1"}, {"b.npy", "2"}});
  for (size_t at = bytes.find("b.npy"); at != std::string::npos; at = bytes.find("b.npy")) bytes[at] = 'a';
  ExpectDataError(ParseStatus(bytes), {"objects.npz", "twice"});
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/zip_writer.h"

#include "base/status.h"
#include "data_process/formats/format_testing.h"
#include "data_process/formats/zip_reader.h"

namespace cubist {
namespace {

std::string Archive(size_t alignment, const std::vector<std::pair<std::string, std::string>>& members) {
  std::string archive;
  ZipWriter zip(alignment, AppendTo(archive));
  for (const auto& [name, bytes] : members) EXPECT_TRUE(zip.Add(name, bytes).ok());
  EXPECT_TRUE(zip.Finish().ok());
  return archive;
}

constexpr char kPythonReads[] = R"(
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
assert len(archive.namelist()) == int(sys.argv[2]), len(archive.namelist())
assert archive.read(archive.namelist()[-1]) == sys.argv[3].encode()
)";

TEST(ZipWriterTest, PythonReadsIt) {
  for (const size_t alignment : {1, 2, 64, 4096}) {
    const std::string archive = Archive(alignment, {{"a", "first"}, {"caf\xc3\xa9/b", ""}, {"c", "third"}});
    EXPECT_EQ(archive.find("third") % alignment, 0u);
    EXPECT_TRUE(RunPython(kPythonReads, {WriteTemporary("some.zip", archive), "3", "third"}));
  }
}

TEST(ZipWriterTest, MoreMembersThanSixteenBitsCount) {
  for (const int count : {65534, 65535, 65537}) {
    std::vector<std::pair<std::string, std::string>> members;
    for (int i = 0; i < count; ++i) members.emplace_back(std::to_string(i), i + 1 == count ? "last" : "x");
    const std::string archive = Archive(1, members);
    EXPECT_EQ(archive.find("PK\x06\x06") != std::string::npos, count > 65534);
    EXPECT_TRUE(RunPython(kPythonReads, {WriteTemporary("many.zip", archive), std::to_string(count), "last"}));
    const auto reader = ZipReader::Open(archive, "many.zip", {});
    ASSERT_TRUE(reader.ok()) << reader.status();
    ASSERT_EQ((*reader)->members().size(), static_cast<size_t>(count));
    EXPECT_EQ(*(*reader)->Read((*reader)->members().back()), "last");
  }
}

TEST(ZipWriterTest, Refusals) {
  std::string archive;
  ZipWriter zip(1, AppendTo(archive));
  EXPECT_TRUE(zip.Add("a", "").ok());
  ExpectDataError(zip.Add("a", "x"), {"'a'", "already"});
  ExpectDataError(zip.Add("", "x"), {"impossible name"});
  ExpectDataError(zip.Add(std::string(5000, 'n'), "x"), {"impossible name"});
  int left = 0;
  for (left = 0; left < 5; ++left) {
    int calls = left;
    ZipWriter full(
        1, [&calls](std::string_view) { return calls-- > 0 ? absl::OkStatus() : StorageError("the disk is full"); });
    absl::Status status = full.Add("a", "x");
    if (status.ok()) status = full.Finish();
    EXPECT_EQ(ExitCodeOf(status), left < 4 ? ExitCode::kStorage : ExitCode::kDone) << left << status;
  }
}

TEST(ZipWriterTest, StreamsGiveTheBytesOfTheWhole) {
  const std::string content(100000, 'x');
  std::string whole, streamed, torn;
  ZipWriter a(64, AppendTo(whole)), b(64, AppendTo(streamed)), c(64, AppendTo(torn));
  const auto pieces = [&](const std::string& bytes) {
    return [&bytes](const ByteSink& sink) -> absl::Status {
      for (size_t at = 0; at < bytes.size(); at += 777) RETURN_IF_ERROR(sink(std::string_view(bytes).substr(at, 777)));
      return absl::OkStatus();
    };
  };
  ASSERT_TRUE(a.Add("m", content).ok() && a.Finish().ok());
  ASSERT_TRUE(b.AddStream("m", content.size(), pieces(content)).ok() && b.Finish().ok());
  EXPECT_EQ(whole, streamed);
  EXPECT_FALSE(c.AddStream("m", content.size() + 1, pieces(content)).ok());
  // Another content the second time.
  std::string changing = content;
  int calls = 0;
  const absl::Status changed = c.AddStream("n", content.size(), [&](const ByteSink& sink) {
    if (++calls == 2) changing[5] = 'y';
    return sink(changing);
  });
  EXPECT_EQ(ExitCodeOf(changed), ExitCode::kInternal) << changed;
}

}  // namespace
}  // namespace cubist

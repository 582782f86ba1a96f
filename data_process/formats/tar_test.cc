#include "data_process/formats/tar.h"

#include <cstdio>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

using ::testing::HasSubstr;

struct HeaderFields {
  HeaderFields(std::string name_in, std::string size_in = "", char type_in = '0', std::string link_in = "",
               bool good_checksum_in = true)
      : name(std::move(name_in)),
        size(std::move(size_in)),
        type(type_in),
        link(std::move(link_in)),
        good_checksum(good_checksum_in) {}
  std::string name;
  std::string size;  // as it stands in the field; octal of the payload's size if empty
  char type;
  std::string link;
  bool good_checksum;
};

// One header block after POSIX.1-2001 "ustar interchange format".
std::string Header(const HeaderFields& fields, size_t bytes) {
  std::string block(512, '\0');
  const auto put = [&block](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  char size[13];
  std::snprintf(size, sizeof(size), "%011zo", bytes);
  put(0, fields.name);
  put(100, "0000444");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fields.size.empty() ? size : fields.size);
  put(136, "00000000000");
  put(148, "        ");
  block[156] = fields.type;
  put(157, fields.link);
  put(257, std::string("ustar\00000", 8));
  unsigned sum = fields.good_checksum ? 0 : 1;
  for (char byte : block) sum += static_cast<unsigned char>(byte);
  char checksum[9];
  std::snprintf(checksum, sizeof(checksum), "%06o", sum);
  put(148, std::string(checksum, 7));
  block[155] = ' ';
  return block;
}

std::string Member(const HeaderFields& fields, std::string payload) {
  std::string bytes = Header(fields, payload.size());
  payload.resize((payload.size() + 511) / 512 * 512);
  return bytes + payload;
}

const std::string& End() {
  static const auto* end = new std::string(1024, '\0');
  return *end;
}

absl::Status OpenBytes(const std::string& bytes, const TarLimits& limits = {}) {
  return TarIndex::Open(WriteTemporary("crafted.tar", bytes), limits).status();
}

TEST(TarTest, ReadsWhatPythonWrites) {
  for (const std::string name : {"ustar.tar", "gnu.tar", "pax.tar"}) {
    const auto index = TarIndex::Open(FixturePath(name));
    ASSERT_TRUE(index.ok()) << name << index.status();
    std::vector<std::string> expected = {"clip_a.000000.pose.front.npy", "./clip_a.000001.pose.front.npy",
                                         "folder/clip_a.json"};
    if (name != "ustar.tar") expected.push_back("long/" + std::string(150, 'n') + ".json");
    ASSERT_EQ((*index)->members().size(), expected.size()) << name;
    const std::string file = ReadFixture(name);
    for (size_t i = 0; i < expected.size(); ++i) {
      std::string payload;
      for (size_t repeat = 0; repeat < i; ++repeat) {
        for (int byte = 0; byte < 256; ++byte) payload += static_cast<char>(byte);
      }
      payload += "end of " + expected[i];
      const TarMember* member = (*index)->Find(expected[i]);
      ASSERT_NE(member, nullptr) << expected[i];
      EXPECT_EQ(member, &(*index)->members()[i]);
      EXPECT_EQ(file.substr(member->offset, member->size), payload);
      const auto read = (*index)->Read(*member);
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(*read, payload);
    }
    EXPECT_EQ((*index)->members()[1].name, "clip_a.000001.pose.front.npy");
    EXPECT_EQ((*index)->Find("folder"), nullptr);
  }
}

TEST(TarTest, WritesDeterministicUstar) {
  const std::string path = ::testing::TempDir() + "/written.tar";
  const std::string long_name = std::string(90, 'd') + "/" + std::string(60, 'f');
  const std::vector<std::pair<std::string, std::string>> members = {
      {"clip.000000.pose.front.npy", std::string(1000, 'p')},
      {"clip.empty", ""},
      {long_name, std::string("\0\1\2", 3)},
      {"clip.block", std::string(512, 'b')}};
  std::string first_bytes;
  for (int round = 0; round < 2; ++round) {
    auto writer = TarWriter::Create(SystemFileOps(), path);
    ASSERT_TRUE(writer.ok());
    for (const auto& [name, bytes] : members) ASSERT_TRUE((*writer)->Add(name, bytes).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
    const std::string bytes = *ReadWholeFile(path);
    if (round == 0) first_bytes = bytes;
    EXPECT_EQ(bytes, first_bytes);
  }
  EXPECT_EQ(first_bytes.size() % 10240, 0u);
  EXPECT_EQ(first_bytes.substr(257, 8), std::string("ustar\00000", 8));
  EXPECT_EQ(first_bytes.substr(265, 8), std::string("bigdata\0", 8));
  EXPECT_EQ(first_bytes.substr(297, 8), std::string("bigdata\0", 8));
  EXPECT_THAT(first_bytes.substr(100, 8), HasSubstr("0444"));
  const auto index = TarIndex::Open(path);
  ASSERT_TRUE(index.ok()) << index.status();
  ASSERT_EQ((*index)->members().size(), members.size());
  for (const auto& [name, bytes] : members) EXPECT_EQ(*(*index)->Read(*(*index)->Find(name)), bytes) << name;
}

TEST(TarTest, WriterRefusesWhatTheReaderWould) {
  auto writer = TarWriter::Create(SystemFileOps(), ::testing::TempDir() + "/refused.tar");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Add("a", "1").ok());
  for (const std::string name : {"a", "../a", "/a", "b/../a", "", "./a", "line\nfeed"}) {
    EXPECT_EQ(ExitCodeOf((*writer)->Add(name, "2")), ExitCode::kData) << name;
  }
  EXPECT_EQ(ExitCodeOf((*writer)->Add(std::string(300, 'n'), "2")), ExitCode::kData);
  ASSERT_TRUE((*writer)->Finish().ok());
}

TEST(TarTest, UnfinishedArchiveIsRefused) {
  const std::string path = ::testing::TempDir() + "/unfinished.tar";
  {
    auto writer = TarWriter::Create(SystemFileOps(), path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Add("a", std::string(30000, 'a')).ok());
  }
  EXPECT_EQ(ExitCodeOf(TarIndex::Open(path).status()), ExitCode::kData);
}

// A file cut anywhere before its end marker is complete is never a shorter archive.
TEST(TarTest, EveryTruncationIsAnError) {
  std::string bytes;
  for (const std::string name : {"one", "two", "three"}) bytes += Member(HeaderFields(name), "payload of " + name);
  bytes += End();
  ASSERT_TRUE(OpenBytes(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = OpenBytes(bytes.substr(0, size));
    ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << size << status;
    ASSERT_THAT(std::string(status.message()), HasSubstr("crafted.tar")) << size;
  }
  // The message names member and offset.
  ExpectDataError(OpenBytes(bytes.substr(0, 1024 + 515)), {"'two'", "offset 1024", "1539"});
}

// No byte of a header may turn the archive into something else without notice: either it is an error, or all members
// are still inside of the file.
TEST(TarTest, FlippedHeaderBytesNeverReachOutside) {
  const std::string good = Member(HeaderFields("one"), "payload") + Member(HeaderFields("two"), "more") + End();
  int refused = 0;
  for (size_t at = 0; at < 512; ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      const auto index = TarIndex::Open(WriteTemporary("flipped.tar", bytes));
      if (!index.ok()) {
        ++refused;
        continue;
      }
      for (const TarMember& member : (*index)->members()) {
        EXPECT_LE(member.offset + member.size, bytes.size());
        EXPECT_TRUE((*index)->Read(member).ok());
      }
    }
  }
  EXPECT_GT(refused, 1000);  // the checksum catches nearly all
}

TEST(TarTest, DangerousMembersAreRefusedByName) {
  struct Case {
    HeaderFields fields;
    std::string payload;
    std::string reason;
  };
  const std::string huge_base256 = "\x80" + std::string(3, '\0') + std::string("\x7f\xff\xff\xff\xff\xff\xff\xff");
  const std::string negative_base256 = std::string(12, '\xff');
  const std::vector<Case> cases = {
      {{"../escape"}, "x", "'..'"},
      {{"a/../../escape"}, "x", "'..'"},
      {{"/etc/passwd"}, "x", "absolute"},
      {{"bell\x07"}, "x", "control character"},
      {{"link", "", '2', "target"}, "", "symbolic link"},
      {{"hard", "", '1', "target"}, "", "hard link"},
      {{"char", "", '3'}, "", "device"},
      {{"block", "", '4'}, "", "device"},
      {{"pipe", "", '6'}, "", "fifo"},
      {{"../folder", "", '5'}, "", "'..'"},
      {{"/folder", "", '5'}, "", "absolute"},
      {{"big", "77777777777\0"}, "x", "beyond the end"},
      {{"huge", huge_base256}, "x", "overflow"},
      {{"negative", negative_base256}, "x", "negative"},
      {{"sum", "", '0', "", false}, "x", ""},
  };
  for (const Case& test : cases) {
    const absl::Status status = OpenBytes(Member(test.fields, test.payload) + End());
    SCOPED_TRACE(test.fields.name);
    ExpectDataError(status, {"crafted.tar", "offset 0", test.reason});
  }
}

TEST(TarTest, RepeatedNamesAreRefused) {
  ExpectDataError(OpenBytes(Member(HeaderFields("a"), "1") + Member(HeaderFields("a"), "2") + End()),
                  {"'a'", "offset 1024", "twice"});
  ExpectDataError(OpenBytes(Member(HeaderFields("a/b"), "1") + Member(HeaderFields("./a//b"), "2") + End()),
                  {"'a/b'", "twice"});
}

// Extended headers can say other things than the header that follows.
TEST(TarTest, ExtendedHeaderTricksAreRefused) {
  const auto pax = [](const std::string& record) { return Member(HeaderFields("pax", "", 'x'), record); };
  ExpectDataError(OpenBytes(pax("15 path=../abc\n") + Member(HeaderFields("a"), "1") + End()), {"'../abc'", "'..'"});
  ExpectDataError(OpenBytes(pax("16 linkpath=b/c\n") + Member(HeaderFields("a", "", '2'), "") + End()),
                  {"symbolic link"});
  // A size that differs from the header's own moves the data of all later members.
  ExpectDataError(OpenBytes(pax("13 size=1024\n") + Member(HeaderFields("a"), std::string(512, 'x')) +
                            Member(HeaderFields("b"), std::string(512, 'x')) + End()),
                  {"'a'", "1024", "512"});
  const std::string sparse =
      "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n25 GNU.sparse.name=hidden\n"
      "29 GNU.sparse.realsize=100000\n";
  const std::string map = std::string("1\n0\n1\n") + std::string(506, '\0') + "x";
  EXPECT_EQ(ExitCodeOf(OpenBytes(pax(sparse) + Member(HeaderFields("a"), map) + End())), ExitCode::kData);
  // GNU long name of a path that climbs.
  ExpectDataError(OpenBytes(Member(HeaderFields("././@LongLink", "", 'L'), std::string("../gnu\0", 7)) +
                            Member(HeaderFields("a"), "1") + End()),
                  {"'../gnu'", "'..'"});
}

TEST(TarTest, GarbageAfterTheLastMemberIsAnError) {
  const std::string member = Member(HeaderFields("a"), "1");
  EXPECT_EQ(ExitCodeOf(OpenBytes(member + std::string(1024, 'g'))), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(OpenBytes(member + std::string(512, '\0') + Member(HeaderFields("b"), "2") + End())),
            ExitCode::kData);
}

TEST(TarTest, EmptyArchiveAndOtherFiles) {
  const auto index = TarIndex::Open(WriteTemporary("empty.tar", std::string(10240, '\0')));
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_TRUE((*index)->members().empty());
  EXPECT_EQ(ExitCodeOf(OpenBytes(std::string(20480, 'x'))), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(OpenBytes("#!/bin/sh\n" + std::string(5000, ' '))), ExitCode::kData);
  ExpectDataError(TarIndex::Open(::testing::TempDir() + "/absent.tar").status(), {"absent.tar", "No such file"});
  ExpectDataError(TarIndex::Open(::testing::TempDir()).status(), {"not a regular file"});
}

TEST(TarTest, Limits) {
  const std::string bytes = Member(HeaderFields("a"), "1234") + Member(HeaderFields("b"), "1") + End();
  TarLimits limits;
  limits.max_members = 1;
  ExpectDataError(OpenBytes(bytes, limits), {"limit of 1 members"});
  limits = {};
  limits.max_member_bytes = 3;
  ExpectDataError(OpenBytes(bytes, limits), {"'a'", "limit of 3"});
  limits = {};
  limits.max_name_bytes = 0;
  EXPECT_EQ(ExitCodeOf(OpenBytes(bytes, limits)), ExitCode::kData);
}

TEST(TarTest, ReadNoticesAReplacedFile) {
  const std::string path = WriteTemporary("replaced.tar", Member(HeaderFields("a"), "old") + End());
  const auto index = TarIndex::Open(path);
  ASSERT_TRUE(index.ok());
  WriteTemporary("replaced.tar", Member(HeaderFields("a"), "new!") + End() + End());
  ExpectDataError((*index)->Read((*index)->members()[0]).status(), {"replaced.tar", "'a'", "changed or replaced"});
  ASSERT_EQ(std::remove(path.c_str()), 0);
  ExpectDataError((*index)->Read((*index)->members()[0]).status(), {"replaced.tar", "cannot open"});
}

}  // namespace
}  // namespace cubist

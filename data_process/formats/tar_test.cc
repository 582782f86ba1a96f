#include "data_process/formats/tar.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/data_place.h"
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
  std::string prefix;  // stands before the name
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
  put(345, fields.prefix);
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

// F6: a file cut anywhere before its end marker is complete is never a shorter archive, and what is wrong is said with
// file, member and offset.
TEST(TarTest, EveryTruncationIsAnError) {
  const std::vector<std::string> names = {"one", "two", "three"};
  std::string bytes;
  std::vector<size_t> headers, data_ends;
  for (const std::string& name : names) {
    headers.push_back(bytes.size());
    data_ends.push_back(bytes.size() + 512 + ("payload of " + name).size());
    bytes += Member(HeaderFields(name), "payload of " + name);
  }
  headers.push_back(bytes.size());
  bytes += End();
  ASSERT_TRUE(OpenBytes(bytes).ok());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = OpenBytes(bytes.substr(0, size));
    SCOPED_TRACE(status.ToString());
    ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << size;
    const std::optional<DataPlace> place = DataPlaceOf(status);
    ASSERT_TRUE(place.has_value()) << size;
    ASSERT_EQ(place->path, ::testing::TempDir() + "/crafted.tar");
    ASSERT_THAT(std::string(status.message()), HasSubstr(place->path)) << size;
    // The first entry that is not whole; what is smaller than any archive is not looked into.
    size_t entry = 0;
    while (size >= 1024 && entry < names.size() && size >= data_ends[entry]) ++entry;
    const bool named = size >= 1024 && entry < names.size() && size >= headers[entry] + 512;
    ASSERT_EQ(place->member, named ? names[entry] : "") << size;
    ASSERT_EQ(place->begin, headers[entry]) << size;
    ASSERT_EQ(place->end, std::max(size, headers[entry])) << size;
    ASSERT_THAT(std::string(status.message()),
                HasSubstr(size < 1024 ? std::to_string(size) + " bytes" : "offset " + std::to_string(headers[entry])));
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

// An archive that is refused, and what the message says beside file and offset.
struct Hostile {
  std::string name;
  std::string bytes;
  std::string reason;
  size_t offset = 0;  // of the entry at fault
};

std::string Pax(const std::string& record, char type = 'x') { return Member(HeaderFields("pax", "", type), record); }

// A PAX record, whose length counts itself.
std::string Record(const std::string& key_and_value) {
  size_t length = key_and_value.size() + 2;
  while (std::to_string(length).size() + 2 + key_and_value.size() > length) ++length;
  return std::to_string(length) + " " + key_and_value + "\n";
}

// F7: sizes and checksums that lie.
std::vector<Hostile> HostileSizes() {
  const auto base256 = [](unsigned char first, const std::string& last) {
    return std::string(1, static_cast<char>(first)) + std::string(11 - last.size(), first == 0xff ? '\xff' : '\0') +
           last;
  };
  const auto sized = [](const std::string& size) { return Member(HeaderFields("a", size), "x") + End(); };
  const auto summed = [](const std::string& checksum) {
    std::string bytes = Member(HeaderFields("a"), "x") + End();
    return bytes.replace(148, 8, checksum);
  };
  const auto pax_size = [](const std::string& size) {
    return Pax(Record("size=" + size)) + Member(HeaderFields("a"), "x") + End();
  };
  return {
      {"base-256: 2^63 - 1", sized(base256(0x80, "\x7f\xff\xff\xff\xff\xff\xff\xff")), "overflow"},
      {"base-256: 2^63", sized(base256(0x80, std::string("\x80\0\0\0\0\0\0\0", 8))), ""},
      {"base-256: 2^64", sized(base256(0x80, std::string("\1\0\0\0\0\0\0\0\0", 9))), ""},
      {"base-256: 2^64 + 1, of which 64 bits look small", sized(base256(0x80, std::string("\1\0\0\0\0\0\0\0\1", 9))),
       ""},
      {"base-256: all bits", sized("\x80" + std::string(11, '\xff')), ""},
      {"base-256: 2^62", sized(base256(0x80, std::string("\x40\0\0\0\0\0\0\0", 8))), ""},
      {"base-256: 5 GiB in 3 KiB", sized(base256(0x80, std::string("\1\x40\0\0\0", 5))), "beyond the end"},
      {"base-256: -1", sized(std::string(12, '\xff')), "negative"},
      {"base-256: -512", sized(base256(0xff, std::string("\xfe\0", 2))), "negative"},
      {"base-256: -2^88", sized("\xff" + std::string(11, '\0')), ""},
      {"octal: all digits", sized("77777777777"), "beyond the end"},
      {"octal: 12 digits", sized("777777777777"), ""},
      {"octal: one block more than there is", sized("00000003001"), "beyond the end"},
      {"octal: negative", sized("-0000000001"), ""},
      {"octal: no digits", sized("zzzzzzzzzzz"), ""},
      {"octal: digits 8 and 9", sized("00000000089"), ""},
      {"less than there is", Member(HeaderFields("a", "00000000001"), std::string(600, 'x')) + End(), "", 1024},
      {"none of what there is", Member(HeaderFields("a", "00000000000"), "x") + End(), "", 512},
      {"PAX: negative", pax_size("-1"), ""},
      {"PAX: 2^63", pax_size("9223372036854775808"), ""},
      {"PAX: 2^64 + 1", pax_size("18446744073709551617"), ""},
      {"PAX: 100 digits", pax_size(std::string(100, '9')), ""},
      {"PAX: no number", pax_size("x"), ""},
      {"PAX: other than the header's", pax_size("1025"), ""},
      {"PAX: longer record than there is", Pax("999999 size=1\n") + Member(HeaderFields("a"), "x") + End(), ""},
      {"PAX: a header of 2^40 bytes",
       Member(HeaderFields("p", base256(0x80, std::string("\1\0\0\0\0\0", 6)), 'x'), "x") + End(), ""},
      {"GNU: a name of 2^40 bytes",
       Member(HeaderFields("l", base256(0x80, std::string("\1\0\0\0\0\0", 6)), 'L'), "x") + End(), ""},
      {"checksum: one more", Member(HeaderFields("a", "", '0', "", false), "x") + End(), ""},
      {"checksum: zero", summed("000000\0 "), ""},
      {"checksum: blank", summed("        "), ""},
      {"checksum: no digits", summed("abcdefgh"), ""},
      {"checksum: of another header", summed(Header(HeaderFields("b"), 1).substr(148, 8)), ""},
  };
}

// F8: names and kinds that would be dangerous or ambiguous to unpack.
std::vector<Hostile> HostileNames() {
  const auto named = [](const HeaderFields& fields) { return Member(fields, "x") + End(); };
  const auto kind = [](char type, const std::string& link = "", const std::string& name = "a") {
    return Member(HeaderFields(name, "", type, link), "") + End();
  };
  const auto prefixed = [](const std::string& prefix, const std::string& name) {
    HeaderFields fields(name);
    fields.prefix = prefix;
    return Member(fields, "x") + End();
  };
  const auto pax = [](const std::string& record, const HeaderFields& fields = {"a"}, const std::string& payload = "1") {
    return Pax(record) + Member(fields, payload) + End();
  };
  const auto gnu = [](char type, const std::string& text, const HeaderFields& fields = {"a"},
                      const std::string& payload = "1") {
    return Member(HeaderFields("././@LongLink", "", type), text + std::string(1, '\0')) + Member(fields, payload) +
           End();
  };
  const std::string a = Member(HeaderFields("a"), "1");
  const std::string sparse = Record("GNU.sparse.major=1") + Record("GNU.sparse.minor=0") +
                             Record("GNU.sparse.name=hidden") + Record("GNU.sparse.realsize=100000");
  return {
      {"'..'", named({"../escape"}), "'..'"},
      {"'..' alone", named({".."}), "'..'"},
      {"'..' inside", named({"a/../../escape"}), "'..'"},
      {"'..' at the end", named({"a/.."}), "'..'"},
      {"'..' in the prefix", prefixed("..", "escape"), "'..'"},
      {"'..' of a folder", kind('5', "", "../folder"), "'..'"},
      {"absolute", named({"/etc/passwd"}), "absolute"},
      {"absolute by the prefix", prefixed("/etc", "passwd"), "absolute"},
      {"absolute folder", kind('5', "", "/folder"), "absolute"},
      {"two slashes", named({"//server/share"}), "absolute"},
      {"no name", named({""}), ""},
      {"a dot", named({"."}), ""},
      {"a control character", named({"bell\x07"}), "control character"},
      {"a line feed", named({"line\nfeed"}), "control character"},
      {"a file named as a folder", named({"folder/"}), ""},
      {"symbolic link", kind('2', "target"), "symbolic link"},
      {"symbolic link that climbs", kind('2', "../../etc/passwd"), "symbolic link"},
      {"hard link", kind('1', "target"), "hard link"},
      {"hard link with data", Member(HeaderFields("a", "", '1', "target"), "x") + End(), ""},
      {"character device", kind('3'), "device"},
      {"block device", kind('4'), "device"},
      {"fifo", kind('6'), "fifo"},
      {"contiguous file", kind('7'), "type"},
      {"GNU sparse file", kind('S'), ""},
      {"GNU continued file", kind('M'), ""},
      {"unknown kind", kind('Z'), "type"},
      {"the same name", a + Member(HeaderFields("a"), "2") + End(), "twice", 1024},
      {"the same name in other words", Member(HeaderFields("a/b"), "1") + Member(HeaderFields("./a//b"), "2") + End(),
       "twice", 1024},
      {"the same name by the prefix", Member(HeaderFields("a/b"), "1") + prefixed("a", "b"), "twice", 1024},
      {"the same name by PAX", a + pax(Record("path=a"), {"b"}), "twice", 1024},
      {"the same name by GNU", a + gnu('L', "a", {"b"}), "twice", 1024},
      {"PAX: '..'", pax(Record("path=../abc")), "'..'"},
      {"PAX: absolute", pax(Record("path=/abc")), "absolute"},
      {"PAX: control character", pax(Record("path=a\nb")), "control character"},
      {"PAX: zero byte", pax(Record(std::string("path=../x\0y", 11))), ""},
      {"PAX: link", pax(Record("linkpath=b/c"), {"a", "", '2'}, ""), "symbolic link"},
      {"PAX: hard link", pax(Record("linkpath=/etc/passwd"), {"a", "", '1'}, ""), "refused"},
      {"PAX: the later of two", pax(Record("path=good") + Record("path=../bad")), "'..'"},
      {"PAX: a size that moves what follows",
       Pax(Record("size=1024")) + Member(HeaderFields("a"), std::string(512, 'x')) +
           Member(HeaderFields("b"), std::string(512, 'x')) + End(),
       "1024"},
      {"PAX: sparse file", pax(sparse, {"a"}, std::string("1\n0\n1\n") + std::string(506, '\0') + "x"), ""},
      {"PAX: old sparse file", pax(Record("GNU.sparse.size=100000") + Record("GNU.sparse.map=0,1")), ""},
      {"PAX: no record", pax("nonsense\n"), ""},
      {"PAX: without a member", Pax(Record("path=b")) + End(), ""},
      {"GNU: '..'", gnu('L', "../gnu"), "'..'"},
      {"GNU: absolute", gnu('L', "/gnu"), "absolute"},
      {"GNU: long link", gnu('K', "../target", {"a", "", '2', "t"}, ""), "symbolic link"},
      {"GNU: without a member", Member(HeaderFields("././@LongLink", "", 'L'), "b") + End(), ""},
      {"a name of 5000 bytes", pax(Record("path=" + std::string(5000, 'n'))), "limit"},
  };
}

void ExpectRefused(const std::vector<Hostile>& archives) {
  for (const Hostile& test : archives) {
    SCOPED_TRACE(test.name);
    const absl::Status status = OpenBytes(test.bytes);
    ExpectDataError(status, {"crafted.tar", "offset " + std::to_string(test.offset), test.reason});
    const std::optional<DataPlace> place = DataPlaceOf(status);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->path, ::testing::TempDir() + "/crafted.tar");
    EXPECT_EQ(place->begin, test.offset);
    // Whose name could be read, is named.
    const std::string message(status.message());
    const bool named = message.find("crafted.tar: member '") != std::string::npos &&
                       message.find("crafted.tar: member ''") == std::string::npos;
    EXPECT_EQ(!place->member.empty(), named) << status;
  }
}

TEST(TarTest, SizesAndChecksumsThatLieAreRefused) { ExpectRefused(HostileSizes()); }

TEST(TarTest, DangerousNamesAndKindsAreRefused) { ExpectRefused(HostileNames()); }

TEST(TarTest, HostileSizesAreRefusedInLittleMemory) {
  const auto refuse = [] {
    const std::vector<Hostile> all = HostileSizes();
    return std::all_of(all.begin(), all.end(),
                       [](const Hostile& test) { return ExitCodeOf(OpenBytes(test.bytes)) == ExitCode::kData; });
  };
  EXPECT_EXIT(ExitAfterLittleMemory(refuse), ::testing::ExitedWithCode(0), "");
}

// Members as "<name> <offset> <size>" lines, by Python's tarfile, which shares no code with us.
std::string ByPython(const std::string& path) {
  const std::string script =
      "import sys, tarfile\n"
      "for member in tarfile.open(sys.argv[1], 'r:'):\n"
      "    if not member.isdir():\n"
      "        assert member.isreg(), member.type\n"
      "        name = '/'.join(part for part in member.name.split('/') if part not in ('', '.'))\n"
      "        print(name, member.offset_data, member.size)\n";
  FILE* const pipe = popen(("python3 -c \"" + script + "\" '" + path + "' 2>&1").c_str(), "r");
  std::string text;
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, count);
  EXPECT_EQ(pclose(pipe), 0) << path << ": " << text;
  return text;
}

// What is accepted means to us what it means to another reader, however it is written.
TEST(TarTest, ReadsWhatPythonReads) {
  const std::string b = Member(HeaderFields("b"), "after") + End();
  HeaderFields prefixed("clip.json");
  prefixed.prefix = "folder/of";
  std::string old = Member(HeaderFields("old", "", '\0'), "a header before POSIX");
  old.replace(257, 8, std::string(8, '\0'));
  unsigned sum = 8 * ' ';
  for (size_t at = 0; at < 512; ++at) sum += at < 148 || at >= 156 ? static_cast<unsigned char>(old[at]) : 0;
  char checksum[9];
  std::snprintf(checksum, sizeof(checksum), "%06o", sum);
  old.replace(148, 7, checksum, 7);
  const std::vector<std::pair<std::string, std::string>> archives = {
      {"prefix", Member(prefixed, "x") + b},
      {"dots", Member(HeaderFields("./a/.//c"), "x") + b},
      {"empty", Member(HeaderFields("a"), "") + b},
      {"a whole block", Member(HeaderFields("a"), std::string(512, 'x')) + b},
      {"folder", Member(HeaderFields("folder/", "", '5'), "") + Member(HeaderFields("folder/a"), "x") + b},
      {"name of 100 bytes", Member(HeaderFields(std::string(100, 'n')), "x") + b},
      {"base-256", Member(HeaderFields("a", "\x80" + std::string(10, '\0') + "\3"), "xyz") + b},
      {"base-256 and zeros in front",
       Member(HeaderFields("a", "\x80" + std::string(9, '\0') + "\2\1"), std::string(513, 'x')) + b},
      {"blanks before digits", Member(HeaderFields("a", "          3"), "xyz") + b},
      {"before POSIX", old + b},
      {"PAX: name", Pax(Record("path=long/" + std::string(200, 'n'))) + Member(HeaderFields("short"), "x") + b},
      {"PAX: same size", Pax(Record("size=3")) + Member(HeaderFields("a"), "xyz") + b},
      {"PAX: for one member only", Pax(Record("path=c")) + Member(HeaderFields("a"), "x") + b},
      {"PAX: other records",
       Pax(Record("mtime=1.5") + Record("comment=no path=../x")) + Member(HeaderFields("a"), "x") + b},
      {"PAX: for all", Pax(Record("comment=x"), 'g') + Member(HeaderFields("a"), "x") + b},
      {"GNU: name", Member(HeaderFields("././@LongLink", "", 'L'), std::string(300, 'g') + std::string(1, '\0')) +
                        Member(HeaderFields(std::string(100, 'g')), "x") + b},
      {"end marker longer", Member(HeaderFields("a"), "x") + b + std::string(9216, '\0')},
  };
  for (const auto& [name, bytes] : archives) {
    SCOPED_TRACE(name);
    const std::string path = WriteTemporary("accepted.tar", bytes);
    const auto index = TarIndex::Open(path);
    ASSERT_TRUE(index.ok()) << index.status();
    std::string ours;
    for (const TarMember& member : (*index)->members()) {
      ours += member.name + " " + std::to_string(member.offset) + " " + std::to_string(member.size) + "\n";
    }
    EXPECT_EQ(ours, ByPython(path));
  }
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

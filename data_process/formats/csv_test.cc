#include "data_process/formats/csv.h"

#include <random>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

using Rows = std::vector<std::vector<std::string>>;

absl::Status ParseStatus(std::string_view bytes, const CsvLimits& limits = {}) {
  return ParseCsv(bytes, "metadata.csv", limits).status();
}

Rows Parsed(std::string_view bytes) {
  const auto rows = ParseCsv(bytes, "metadata.csv");
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *rows : Rows();
}

TEST(CsvTest, Rows) {
  EXPECT_EQ(FormatCsvRow({"video", "prompt"}), "video,prompt\r\n");
  EXPECT_EQ(FormatCsvRow({"a,b", "say \"hi\"", "two\nlines", "", " blank ", "=1+1"}),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",, blank ,=1+1\r\n");
  EXPECT_EQ(FormatCsvRow({""}), "\"\"\r\n");
  EXPECT_EQ(FormatCsvRow({"", ""}), ",\r\n");
  EXPECT_EQ(FormatCsvRow({}), "\r\n");
}

TEST(CsvTest, LineEndsAndBlanks) {
  const Rows rows = {{"a", " b "}, {"c", ""}};
  EXPECT_EQ(Parsed("a, b \r\nc,\r\n"), rows);
  EXPECT_EQ(Parsed("a, b \nc,"), rows);
  EXPECT_EQ(Parsed("a, b \r\rc,\r"), rows);
  EXPECT_EQ(Parsed("\xEF\xBB\xBF"
                   "a, b \r\n\r\nc,\"\"\r\n"),
            rows);
  EXPECT_EQ(Parsed(""), Rows());
  EXPECT_EQ(Parsed("\xEF\xBB\xBF"), Rows());
  EXPECT_EQ(Parsed("\"\"\r\n"), Rows({{""}}));
  EXPECT_EQ(Parsed("\"a\r\nb\"\"\"\r\n"), Rows({{"a\r\nb\""}}));
}

TEST(CsvTest, MalformedTablesAreRefused) {
  ExpectDataError(ParseStatus("a,b\r\nc\r\n"), {"metadata.csv", "line 2", "1 fields", "has 2"});
  ExpectDataError(ParseStatus("a,b\r\nc,d,e"), {"line 2", "3 fields"});
  ExpectDataError(ParseStatus("a,b\n\"x\ny\",1\nc\n"), {"line 4"});
  ExpectDataError(ParseStatus("a,b\r\nc,x\"y\r\n"), {"line 2", "quote"});
  ExpectDataError(ParseStatus("a,b\rc,\"x\"y\r"), {"line 2", "quote"});
  ExpectDataError(ParseStatus("a,b\r\nc,\"d\r\n"), {"ends within quotes"});
  ExpectDataError(ParseStatus("a,\""), {"line 1", "ends within quotes"});
  ExpectDataError(ParseStatus("a,b\r\nc,\xff\r\n"), {"not UTF-8 at line 2"});
  ExpectDataError(ParseStatus("a,b\r\nc,\xc3"), {"not UTF-8 at line 2"});
}

TEST(CsvTest, Limits) {
  CsvLimits limits;
  limits.max_bytes = 7;
  EXPECT_TRUE(ParseStatus("a,b\r\nc,", limits).ok());
  ExpectDataError(ParseStatus("a,b\r\nc,d", limits), {"8 bytes", "limit of 7"});
  limits = {};
  limits.max_rows = 2;
  EXPECT_TRUE(ParseStatus("a\nb\n", limits).ok());
  ExpectDataError(ParseStatus("a\nb\nc", limits), {"line 3", "more than 2 rows"});
  limits = {};
  limits.max_fields = 2;
  EXPECT_TRUE(ParseStatus("a,b\n", limits).ok());
  ExpectDataError(ParseStatus("a,b,c\n", limits), {"line 1", "more than 2 fields"});
  limits = {};
  limits.max_field_bytes = 5000;
  EXPECT_TRUE(ParseStatus("a\n" + std::string(5000, 'x'), limits).ok());
  ExpectDataError(ParseStatus("a\n" + std::string(5001, 'x'), limits), {"line 2", "field"});
  // Left before it has been read to its end.
  ExpectDataError(ParseStatus("\"" + std::string(10000, 'x'), limits), {"line 1", "field of more than 5000"});
}

// Fields of everything that a CSV may stumble over (F22), against Python's csv module: it reads what we write, writes
// the same bytes, and we read them.
TEST(CsvTest, PythonAgrees) {
  const std::vector<std::string> pieces = {",", "\"", "\"\"", "\r", "\n",  "\r\n", "=",    "=cmd|'/C calc'!A0",
                                           " ", "\t", "'",    ";",  "\\",  "+",    "-",    "@",
                                           "ä", "道", "🚗",    "a",  "b c", "1e5",  "\x01", "\u2028"};
  std::mt19937 random(20);
  const auto below = [&](size_t limit) { return random() % limit; };
  constexpr int kRows = 3000;
  Rows rows;
  std::string ours, lists;  // lists: fields in hexadecimal, a row a line, for Python
  for (int i = 0; i < kRows; ++i) {
    std::vector<std::string> row(1 + below(5));
    for (std::string& field : row) {
      for (size_t left = below(6); left > 0; --left) field += pieces[below(pieces.size())];
      if (below(10) == 0) field = " " + field + " ";
      if (below(10) == 0) field = "=" + field;
    }
    ours += FormatCsvRow(row);
    for (const std::string& field : row) {
      lists += ".";
      for (const char c : field) lists += absl::StrCat(absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    }
    lists += "\n";
    // All rows of one table have as many fields: each is a table here.
    EXPECT_EQ(Parsed(FormatCsvRow(row)), Rows({row}));
  }
  const std::string csv = WriteTemporary("ours.csv", ours);
  const std::string expected = WriteTemporary("lists.txt", lists);
  const std::string script = WriteTemporary("check.py", R"(
import csv, io, sys
rows = [[bytes.fromhex(field).decode() for field in line[1:].split(".")] for line in open(sys.argv[2]).read().split("\n")[:-1]]
with open(sys.argv[1], newline="", encoding="utf-8") as file:
    assert list(csv.reader(file)) == rows
theirs = io.StringIO(newline="")
csv.writer(theirs).writerows(rows)
assert theirs.getvalue().encode() == open(sys.argv[1], "rb").read()
print(len(rows), "rows")
)");
  EXPECT_EQ(std::system(absl::StrCat("python3 ", script, " ", csv, " ", expected).c_str()), 0);
  RecordProperty("rows", kRows);
}

// One table of many rows, in the way of metadata.csv.
TEST(CsvTest, RoundTrip) {
  std::string bytes;
  Rows rows;
  for (int i = 0; i < 500; ++i) {
    rows.push_back({absl::StrCat("clip_", i, ".mp4"), absl::StrCat("It is \"", i, "\",\r\nor so. "), ""});
    bytes += FormatCsvRow(rows.back());
  }
  EXPECT_EQ(Parsed(bytes), rows);
}

}  // namespace
}  // namespace cubist

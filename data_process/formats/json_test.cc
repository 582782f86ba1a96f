#include "data_process/formats/json.h"

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

using nlohmann::json;

absl::Status ParseStatus(std::string_view bytes, const JsonLimits& limits = {}) {
  return ParseJson(bytes, "clip.tar: member 'a.json'", limits).status();
}

TEST(JsonTest, Values) {
  const auto value = ParseJson(
      R"( {"id": {"object_to_world": [[1, 0.5], [-2e3, 18446744073709551615]], "object_is_moving": true, "x": null,
          "empty": {}, "list": [], "text": "\u00e9\n"}, "z": -9223372036854775808} )",
      "a.json");
  ASSERT_TRUE(value.ok()) << value.status();
  const json& object = (*value)["id"];
  EXPECT_EQ(object["object_to_world"][0][1].get<double>(), 0.5);
  EXPECT_EQ(object["object_to_world"][1][0].get<double>(), -2000.0);
  EXPECT_EQ(object["object_to_world"][1][1].get<uint64_t>(), UINT64_MAX);
  EXPECT_TRUE(object["object_is_moving"].get<bool>());
  EXPECT_TRUE(object["x"].is_null());
  EXPECT_TRUE(object["empty"].is_object());
  EXPECT_TRUE(object["list"].is_array());
  EXPECT_EQ(object["text"].get<std::string>(), "\xc3\xa9\n");
  EXPECT_EQ((*value)["z"].get<int64_t>(), INT64_MIN);
  EXPECT_EQ(ParseJson("3", "a.json")->get<int>(), 3);
}

// The library's own parser is the oracle for what is built from its events.
TEST(JsonTest, AgreesWithTheLibrary) {
  std::string text = "[";
  for (int i = 0; i < 200; ++i) {
    text += R"({"a":[1,[2,{"b":[]}],"s"],"c":{"d":{"e":[null,false]}}},)" + std::to_string(i) + "." +
            std::to_string(i) + ",";
  }
  text += "0]";
  const auto value = ParseJson(text, "a.json");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(*value, json::parse(text));
}

TEST(JsonTest, RefusedWithTheirOffset) {
  for (const std::string text :
       {"",   " ",       "{",           "[1,",     "[1,]", "{\"a\":}",  "{\"a\" 1}", "{a:1}", "nul",   "tru",
        "\"", "\"\\x\"", "\"\\ud800\"", "01",      "+1",   "1.",        ".5",        "1e",    "NaN",   "Infinity",
        "-",  "1 2",     "[1] x",       "// c\n1", "[1}",  "{\"a\":1]", "1e999",     "\x01",  "\"\n\""}) {
    const absl::Status status = ParseStatus(text);
    ExpectDataError(status, {"clip.tar: member 'a.json'", "JSON"});
  }
  ExpectDataError(ParseStatus("[1, 2, x]"), {"offset 8"});
  EXPECT_EQ(ExitCodeOf(ParseStatus("\"\xff\"")), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(ParseStatus("\"\xed\xa0\x80\"")), ExitCode::kData);
  // What a message shows of the file is fit for a terminal.
  ExpectDataError(ParseStatus("[\"\x1b[2J\"]"), {"U+001B"});
  ExpectDataError(ParseStatus("\"\xff\""), {"last read: '\"\\xff'"});
  ExpectDataError(ParseStatus(R"({"a": {"k": 1, "j": 2, "k": 3}})"), {"'k'", "twice"});
  EXPECT_TRUE(ParseStatus(R"([{"k": 1}, {"k": 2}])").ok());
}

TEST(JsonTest, EveryTruncationIsAnError) {
  const std::string text = R"({"ab": [1.5, true, "x\u0041", {"c": null}], "d": {}})";
  ASSERT_TRUE(ParseStatus(text).ok());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ExitCodeOf(ParseStatus(text.substr(0, size))), ExitCode::kData) << size;
  }
}

// The library's own parser is the oracle for what is JSON.
TEST(JsonTest, EveryFlippedBitIsAnErrorUnlessItIsJson) {
  const std::string good = R"({"ab": [1.5, true, "x\u0041\u00e9", {"cde": null}], "fghi": {}})";
  int refused = 0;
  for (size_t at = 0; at < 8 * good.size(); ++at) {
    std::string text = good;
    text[at / 8] = static_cast<char>(text[at / 8] ^ (1 << at % 8));
    const absl::Status status = ParseStatus(text);
    EXPECT_EQ(status.ok(), json::accept(text)) << text << ": " << status;
    if (status.ok()) continue;
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
    ++refused;
  }
  EXPECT_GT(refused, 200);
}

TEST(JsonTest, Limits) {
  EXPECT_TRUE(ParseStatus(std::string(64, '[') + std::string(64, ']')).ok());
  ExpectDataError(ParseStatus(std::string(65, '[') + std::string(65, ']')), {"limit of 64"});
  ExpectDataError(ParseStatus(std::string(1000000, '[')), {"limit of 64"});
  JsonLimits limits;
  limits.max_values = 3;
  EXPECT_TRUE(ParseStatus("[1,2]", limits).ok());
  ExpectDataError(ParseStatus("[1,2,3]", limits), {"limit of 3 values"});
  limits = {};
  limits.max_bytes = 4;
  ExpectDataError(ParseStatus("[1,2]", limits), {"limit of 4"});
}

}  // namespace
}  // namespace cubist

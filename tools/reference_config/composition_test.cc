// Holds the composition against what OmegaConf makes of the same files (testdata/make_testdata.py), its errors word for
// word, and shows that no text makes it crash or take long.
#include "tools/reference_config/composition.h"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tools/reference_config/interpolation.h"

namespace cubist {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using Kind = YamlValue::Kind;

constexpr char kTestdata[] = "tools/reference_config/testdata/";

// Every value with Python's name of its type, as make_testdata.py writes them.
json Typed(const YamlValue& value) {
  json result;
  switch (value.kind) {
    case Kind::kMap:
      result = json::object();
      for (const YamlValue::Entry& entry : value.entries) result[entry.first] = Typed(entry.second);
      return result;
    case Kind::kList:
      result = json::array();
      for (const YamlValue& element : value.elements) result.push_back(Typed(element));
      return result;
    case Kind::kNull:
      return "NoneType None";
    case Kind::kBool:
      return "bool " + PythonText(value);
    case Kind::kInteger:
      return "int " + PythonText(value);
    case Kind::kFloat:
      return "float " + PythonText(value);
    case Kind::kText:
      return "str " + value.text;
  }
  return result;
}

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, IsWhatOmegaConfMakesOfIt) {
  const std::string path = kTestdata + GetParam();
  const auto golden = ReadWholeFile(path + ".json");
  ASSERT_TRUE(golden.ok()) << golden.status();
  const auto composed = ComposeReferenceConfig(path + ".yaml");
  ASSERT_TRUE(composed.ok()) << composed.status();
  const json expected = json::parse(*golden), got = Typed(composed->root);
  EXPECT_EQ(got, expected) << json::diff(expected, got).dump(1);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenTest,
                         ::testing::Values("composition/scalars", "composition/aliases", "composition/includes",
                                           "composition/interpolations", "composition/expansion", "composition/assign",
                                           "configs/vae_64x64x64_height_down2_vs02_dense_residual",
                                           "configs/diffusion_64x64x64_dense_vs02_map_cond",
                                           "configs/gsm_vs02_res512_view1_voxel_branch_only_sky_panorama",
                                           "configs/gsm_vs02_res512_view1_pixel_branch_only_sky_mlp_modulator",
                                           "configs/gsm_vs02_res512_view1_dual_branch_sky_mlp_modulator"),
                         [](const auto& info) {
                           return absl::StrReplaceAll(info.param, {{"/", "_"}});
                         });

TEST(CompositionTest, FilesAreNamedInTheOrderInWhichTheyAreRead) {
  const auto composed = ComposeReferenceConfig(absl::StrCat(kTestdata, "composition/includes.yaml"));
  ASSERT_TRUE(composed.ok()) << composed.status();
  std::vector<std::string> names;
  for (const std::string& file : composed->files) names.push_back(file.substr(file.find("composition/") + 12));
  EXPECT_THAT(names, ::testing::ElementsAre("default/param.yaml", "includes.yaml", "parts/first.yaml",
                                            "parts/second.yaml", "parts/inner.yaml"));
  const YamlValue* map = composed->root.Find("map");
  ASSERT_NE(map, nullptr);
  EXPECT_THAT(PlaceText(map->Find("d")->place), HasSubstr("includes.yaml:4:10"));
  EXPECT_THAT(PlaceText(map->Find("c")->place), HasSubstr("parts/inner.yaml:3:10"));
}

// A folder with files; text in them may name each other.
class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(std::getenv("TEST_TMPDIR"), "/",
                           ::testing::UnitTest::GetInstance()->current_test_info()->name(), "/");
    ASSERT_TRUE(MakeDirectories(SystemFileOps(), folder_).ok());
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), folder_ + name, text).ok());
  }
  std::string Error(const std::string& text, const CompositionOptions& options = {}) {
    Write("main.yaml", text);
    const auto composed = ComposeReferenceConfig(folder_ + "main.yaml", options);
    EXPECT_FALSE(composed.ok()) << text;
    if (composed.ok()) return "";
    EXPECT_EQ(ExitCodeOf(composed.status()), ExitCode::kConfig);
    return absl::StrReplaceAll(composed.status().message(), {{folder_, ""}});
  }
  std::string folder_;
};

TEST_F(FilesTest, FlagsGoOverAndBetween) {
  Write("main.yaml", "a: main\nb: main\nc: main\nx: {y: 1}\nfollows: ${c}\n");
  Write("extra.yaml", "a: extra\nd: extra\ne: extra\n");
  Write("weak.yaml", "d: weak\nf: weak\n");
  CompositionOptions options;
  options.includes = {folder_ + "extra.yaml"};
  options.assignments = {"c=1e-3", "x.z=[1, two]", "e=null"};
  options.defaults = folder_ + "weak.yaml";
  const auto composed = ComposeReferenceConfig(folder_ + "main.yaml", options);
  ASSERT_TRUE(composed.ok()) << composed.status();
  const std::map<std::string, std::string> expected = {
      {"a", "\"main\""}, {"b", "\"main\""}, {"c", "0.001"},       {"d", "\"extra\""},
      {"e", "null"},     {"f", "\"weak\""}, {"follows", "0.001"}, {"x", "{\"y\": 1, \"z\": [1, \"two\"]}"}};
  for (const auto& [key, value] : expected) EXPECT_EQ(JsonText(*composed->root.Find(key)), value) << key;
}

TEST_F(FilesTest, PlacesAreWhereAValueWasSetLast) {
  Write("weak.yaml", "a: weak\nb: weak\n");
  Write("included.yaml", "size: 3\nx: {follows: '${size}', list: ['${size}', 1], map: {inner: 1}}\nb: included\n");
  Write("main.yaml", "include_configs: included.yaml\n\nx: {own: '${size}'}\nsize: 4\ncopy: ${x.map}\n");
  CompositionOptions options;
  options.defaults = folder_ + "weak.yaml";
  options.assignments = {"x.set={y: [1]}"};
  const auto composed = ComposeReferenceConfig(folder_ + "main.yaml", options);
  ASSERT_TRUE(composed.ok()) << composed.status();
  const auto place = [&](const YamlValue* value) {
    return absl::StrReplaceAll(PlaceText(value->place), {{folder_, ""}});
  };
  const YamlValue &root = composed->root, &x = *root.Find("x");
  EXPECT_EQ(place(&root), "main.yaml");
  EXPECT_EQ(place(root.Find("a")), "weak.yaml:1:4");
  EXPECT_EQ(place(root.Find("b")), "included.yaml:3:4");
  EXPECT_EQ(place(root.Find("size")), "main.yaml:4:7");
  EXPECT_EQ(place(x.Find("own")), "main.yaml:4:7");  // of the value, not of ${size}
  EXPECT_EQ(place(x.Find("follows")), "main.yaml:4:7");
  EXPECT_EQ(place(&x.Find("list")->elements[0]), "main.yaml:4:7");
  EXPECT_EQ(place(&x.Find("list")->elements[1]), "included.yaml:2:43");
  EXPECT_EQ(place(root.Find("copy")->Find("inner")), "included.yaml:2:60");
  EXPECT_EQ(place(&x.Find("set")->Find("y")->elements[0]), "--set x.set={y: [1]}");
}

TEST_F(FilesTest, WithoutADefaultsFileThereAreTheReferencesDefaults) {
  Write("main.yaml", "");
  const auto composed = ComposeReferenceConfig(folder_ + "main.yaml");
  ASSERT_TRUE(composed.ok()) << composed.status();
  EXPECT_EQ(JsonText(composed->root),
            "{\"test_set_shuffle\": false, \"batch_size\": 1, \"accumulate_grad_batches\": 1, "
            "\"visualize\": false, \"name\": \"--\"}");
}

TEST_F(FilesTest, MistakesAreNamedWithTheirPlace) {
  Write("included.yaml", "a: 1\nlist: [1]\n");
  Write("cycle.yaml", "include_configs: [main.yaml]\n");
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"a: 1\na: 2\n", "main.yaml:2:1: key \"a\" stands here twice"},
      {"a: 1\n\nb: {c: 1\nd: 2\n", "main.yaml:4:2: expected , or } because a { is still open"},
      {"a: [1, 2\nd: 2\n", "main.yaml:2:2: expected , or ] because a [ is still open"},
      {"a: 1\n  b: 2\n", "main.yaml:2:4: no \"key: value\" may stand here"},
      {"a: 1\n- b\n", "main.yaml:2:1: expected the next key, in line with the keys above"},
      {"a:\n  - [1]\n    2\n", "main.yaml:3:5: expected the next element, its - in line"},
      {"a: 1\nb: }\n", "main.yaml:2:4: this bracket closes nothing"},
      {"a: - 1\n", "main.yaml:1:4: no element of a list may stand here"},
      {"a: @b\n", "main.yaml:1:4: no value begins with this character; text that does needs quotes"},
      {"a: \"\\q\"\n", "main.yaml:1:7: no such escape"},
      {"a: \"\\xzz\"\n", "main.yaml:1:9: expected a hexadecimal digit"},
      {"a: & b\n", "main.yaml:1:5: expected a name right behind & or *"},
      {"a: !b !c d\n", "at most one &name, one *name and one tag"},
      {"a: !<b\n", "a tag (!...) that is malformed"},
      {"a: |x\n b\n", "behind | or > comes a digit from 1 to 9"},
      {"%YAML 1.2 3\n---\na: 1\n", "main.yaml:1:1: a %YAML or %TAG line that is malformed"},
      // What follows an open quote is not to vanish in its text.
      {"# \u00e9\na: \"b\nc: 'd'\n", "main.yaml:2:4: the closing quote is missing"},
      {"\xef\xbb\xbf# \u00e9\r\n? \"b\"\r\n: 'it''s\r\n  \"c\": 1\r\n", "main.yaml:3:3: the closing quote is missing"},
      {"a: \"b\\\"\n", "main.yaml:1:4: the closing quote is missing"},
      {"- 1\n- 2\n", "main.yaml:1:1: a config is a mapping from keys to values"},
      {"a: 1\n---\nb: 1\n", "main.yaml:2:1: more than one document"},
      {"x: ${nothing}\n", "main.yaml:1:4: ${nothing}: there is no nothing"},
      {"x: {y: '${a.b}'}\na: {c: 1}\n", "main.yaml:1:8: ${a.b}: there is no a.b"},
      {"x: ${y}\ny: ${z}\nz: ${x}\n", "stands for itself"},
      {"x: {y: '${x}'}\n", "stands for itself"},
      {"x: 'a${x}'\n", "stands for itself"},
      {"x: ${oc.env:HOME}\n", "main.yaml:1:4: ${oc.env:HOME}: resolvers are not supported"},
      {"x: 'a ${b'\n", "main.yaml:1:4: \"a ${b\": ${ without }"},
      {"x: ${}\n", "is no path of keys"},
      {"x: ${a..b}\na: 1\n", "is no path of keys"},
      {"x: ${....a}\n", "leads above the config"},
      {"x: 'm ${m}'\nm: {a: 1}\n", "has a map or a list inside a text"},
      {"x: ${m}\nm: ???\n", "m is \"???\", to be given"},
      {"include_configs: nothing.yaml\n", "main.yaml:1:18: nothing.yaml: "},
      {"include_configs: {a: 1}\n", "main.yaml:1:18: include_configs takes the path of a file, or a list of them"},
      {"include_configs: [included.yaml, 3]\n", "include_configs takes the path of a file, or a list of them"},
      {"include_configs:\n", "include_configs takes the path of a file, or a list of them"},
      {"include_configs: cycle.yaml\n", "main.yaml includes itself: main.yaml -> cycle.yaml -> main.yaml"},
      {"include_configs: included.yaml\nlist: {a: 1}\n", "list is a map here and a list in included.yaml:2:7"},
      {"assign: 3\n", "main.yaml:1:9: assign takes a mapping from paths to values"},
      {"assign: {'a..b': 3}\n", "\"a..b\" is no path of keys joined by dots"},
      {"assign: {'a[0]': 3}\n", "\"a[0]\" is no path of keys joined by dots"},
      {"a: !!python/object/apply:os.system ['true']\n", "is not supported"},
      {"a: !!int four\n", "which it cannot be"},
      {"a: 99999999999999999999\n", "is no number of 64 bits"},
      {"? [1, 2]\n: 3\n", "a key must be a word or a number"},
      {"<<: 3\n", "<< takes a mapping or a list of mappings"},
      {"a: *nothing\n", "main.yaml:1:4: no &name before this *name"},
      {"a: 1\nassign: {b: '[1'}\n", "main.yaml:2:13: expected , or ] because a [ is still open"},
  };
  for (const auto& [text, message] : mistakes) EXPECT_THAT(Error(text), HasSubstr(message)) << text;
  RecordProperty("mistakes", static_cast<int>(mistakes.size()));

  CompositionOptions options;
  options.assignments = {"no equals sign"};
  EXPECT_THAT(Error("a: 1\n", options), HasSubstr("--set no equals sign: expected KEY=VALUE"));
  options.assignments = {"a={"};
  EXPECT_THAT(Error("a: 1\n", options), ::testing::StartsWith("--set a={: expected , or }"));
  EXPECT_FALSE(ComposeReferenceConfig(folder_ + "no_such_file.yaml").ok());
}

TEST_F(FilesTest, BombsAreRefused) {
  // Ten lists of ten of the list before: 10^10 values, of which few are written down.
  std::string aliases = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
              interpolations = "a0: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
              texts = "a0: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n";
  for (int i = 1; i <= 10; ++i) {
    std::string a, b, c;
    for (int j = 0; j < 10; ++j) {
      absl::StrAppend(&a, j > 0 ? ", " : "", "*a", i - 1);
      absl::StrAppend(&b, j > 0 ? ", " : "", "\"${a", i - 1, "}\"");
      absl::StrAppend(&c, "${a", i - 1, "}");
    }
    absl::StrAppend(&aliases, "a", i, ": &a", i, " [", a, "]\n");
    absl::StrAppend(&interpolations, "a", i, ": [", b, "]\n");
    absl::StrAppend(&texts, "a", i, ": \"", c, "\"\n");
  }
  EXPECT_THAT(Error(aliases), HasSubstr("more than 20000 values"));
  EXPECT_THAT(Error(interpolations), HasSubstr("more than 20000 values"));
  EXPECT_THAT(Error(texts), ::testing::AnyOf(HasSubstr("too long a text"), HasSubstr("more than 20000 values")));
  EXPECT_THAT(Error("a: &a [*a]\n"), HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(Error("a: &a {b: *a}\n"), HasSubstr("nested more than 64 deep"));
  EXPECT_THAT(Error("a: " + std::string(70, '[') + std::string(70, ']')), HasSubstr("nested more than 64 deep"));
  EXPECT_NE(Error("a: " + std::string(200000, '[')), "");
  EXPECT_NE(Error("a: " + std::string(200000, '{')), "");
  EXPECT_THAT(Error(std::string((1 << 20) + 1, '#')), HasSubstr("main.yaml"));
  std::string chain = "a0: 1\n";
  for (int i = 1; i < 100; ++i) absl::StrAppend(&chain, "a", i, ": ${a", i - 1, "}\n");
  EXPECT_THAT(Error(chain), HasSubstr("interpolations lead to more than 64 others"));
  std::string wide;
  for (int i = 0; i < 30000; ++i) absl::StrAppend(&wide, "a", i, ": 1\n");
  EXPECT_THAT(Error(wide), HasSubstr("more than 20000 values"));
  EXPECT_EQ(ParseYaml("a: " + std::string(100000, '1'), "long number")->Find("a")->kind, Kind::kText);
}

TEST(CompositionTest, WhatIsNoText) {
  const auto parsed = ParseYaml(std::string("PK\x03\x04\0\0", 6), "archive.ckpt");
  EXPECT_EQ(ExitCodeOf(parsed.status()), ExitCode::kConfig);
  EXPECT_EQ(parsed.status().message(), "archive.ckpt is not a text config: byte 2 is 0x03");
}

// Seeded: bytes of the fixtures changed, removed, repeated and joined. Whatever comes out, it is a value or an error.
TEST(MutationTest, NothingCrashes) {
  std::vector<std::string> seeds;
  for (const char* name : {"composition/scalars.yaml", "composition/aliases.yaml", "composition/interpolations.yaml",
                           "composition/assign.yaml", "composition/parts/first.yaml"}) {
    const auto text = ReadWholeFile(std::string(kTestdata) + name);
    ASSERT_TRUE(text.ok()) << text.status();
    seeds.push_back(*text);
  }
  const std::string spice = "${}[]{}&*!<<:?-|>'\"\\\n \t#%@`,0.e~=";
  uint64_t state = 20240601;
  const auto random = [&state](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int values = 0, errors = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = seeds[random(seeds.size())];
    for (uint64_t changes = 1 + random(6); changes > 0 && !text.empty(); --changes) {
      const size_t at = random(text.size());
      switch (random(5)) {
        case 0:
          text[at] = static_cast<char>(random(256));
          break;
        case 1:
          text[at] = spice[random(spice.size())];
          break;
        case 2:
          text.erase(at, 1 + random(20));
          break;
        case 3:
          text.insert(at, text.substr(random(text.size()), random(40)));
          break;
        case 4:
          text.resize(at);
          break;
      }
    }
    const auto parsed = ParseYaml(text, "mutation");
    const bool good = parsed.ok() && ResolveInterpolations(*parsed, {}).ok();
    ++(good ? values : errors);
  }
  RecordProperty("values", values);
  RecordProperty("errors", errors);
  EXPECT_GT(values, 100);
  EXPECT_GT(errors, 100);
}

}  // namespace
}  // namespace cubist

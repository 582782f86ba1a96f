#include "configs/loader.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/canonical_text.h"
#include "configs/proto/field_options.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kGood[] = "configs/testdata/good.textproto";

// The experiment of `text`, which stands beside good.textproto.
ValidatedExperiment Load(const std::string& text, const std::vector<std::string>& flags = {},
                         const std::vector<FieldFlag>& field_flags = {}) {
  auto loaded = LoadExperimentText(text, "configs/testdata/test.textproto", flags, field_flags);
  if (!loaded.ok()) {
    ADD_FAILURE() << loaded.status().message();
    loaded = LoadExperiment(kGood);
  }
  return *loaded;
}

ValidatedExperiment LoadGood(const std::vector<std::string>& flags = {},
                             const std::vector<FieldFlag>& field_flags = {}) {
  return Load("include: \"good.textproto\"", flags, field_flags);
}

std::string FailureOf(const absl::StatusOr<ValidatedExperiment>& loaded) {
  EXPECT_FALSE(loaded.ok());
  EXPECT_EQ(ExitCodeOf(loaded.status()), ExitCode::kConfig);
  return std::string(loaded.status().message());
}

// A folder of files for one test.
class Folder {
 public:
  Folder() {
    static int count = 0;
    const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) / absl::StrCat("loader_", count++);
    path_ = folder.lexically_normal().string();
    EXPECT_TRUE(RemoveTree(SystemFileOps(), path_).ok());
  }
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = path_ + "/" + name;
    EXPECT_TRUE(MakeDirectories(SystemFileOps(), path.substr(0, path.rfind('/'))).ok());
    std::ofstream(path) << text;
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string GoodText() {
  const auto text = ReadWholeFile(kGood);
  EXPECT_TRUE(text.ok());
  return text.ok() ? *text : "";
}

TEST(LoaderTest, FilesLieOverWhatTheyIncludeInOrder) {
  const Folder folder;
  folder.Write("base/good.textproto", GoodText());
  folder.Write("base/first.textproto",
               "include: \"good.textproto\" batch { per_gpu: 2 } training { seed: 2 max_steps: 2 }");
  folder.Write("second.textproto", "batch { per_gpu: 3 } training { seed: 3 }");
  const std::string top = folder.Write("deep/top.textproto",
                                       "training { seed: 4 }\n"
                                       "include: [\"../base/first.textproto\", \"../second.textproto\"]");
  const auto loaded = LoadExperiment(top);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->proto().training().seed(), 4);       // the file itself, wherever its include stands
  EXPECT_EQ(loaded->proto().batch().per_gpu(), 3);       // the later include
  EXPECT_EQ(loaded->proto().training().max_steps(), 2);  // the earlier include
  EXPECT_EQ(loaded->proto().name(), "good");
  EXPECT_EQ(loaded->proto().include_size(), 0);
  EXPECT_EQ(loaded->OriginOf("training.seed"), folder.path() + "/deep/top.textproto:1");
  EXPECT_EQ(loaded->OriginOf("batch.per_gpu"), folder.path() + "/second.textproto:1");
}

TEST(LoaderTest, AFileMayBeIncludedTwiceButNotByItself) {
  const Folder folder;
  folder.Write("good.textproto", GoodText());
  folder.Write("a.textproto", "include: \"good.textproto\" training { seed: 1 }");
  folder.Write("b.textproto", "include: \"good.textproto\" batch { per_gpu: 2 }");
  const std::string diamond = folder.Write("diamond.textproto", "include: [\"a.textproto\", \"b.textproto\"]");
  const auto loaded = LoadExperiment(diamond);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->proto().training().seed(), 1);
  const std::string itself = folder.Write("itself.textproto", "include: \"./itself.textproto\"");
  EXPECT_THAT(FailureOf(LoadExperiment(itself)), HasSubstr(itself + " -> " + itself));
}

TEST(LoaderTest, ListsReplaceAndMessagesMerge) {
  const auto loaded = Load(
      "include: \"good.textproto\"\n"
      "data { attributes: [\"pose\", \"pc_voxelsize_01\"] supervision_frame_offsets: 0 supervision_frame_offsets: 3 }");
  EXPECT_THAT(loaded.proto().data().attributes(), ElementsAre("pose", "pc_voxelsize_01"));
  EXPECT_THAT(loaded.proto().data().supervision_frame_offsets(), ElementsAre(0, 3));
  EXPECT_THAT(loaded.proto().data().crop_min(), ElementsAre(-6.4, -6.4, -3.2));
}

TEST(LoaderTest, AnEmptyListEmpties) {
  const std::string base = "include: \"good.textproto\"\n";
  const Folder folder;
  folder.Write("good.textproto", GoodText());
  folder.Write("clips.textproto", "include: \"good.textproto\" data { train_clips: [\"a\", \"b\"] }");
  const std::string kept = folder.Write("kept.textproto", "include: \"clips.textproto\" data { }");
  const std::string emptied =
      folder.Write("emptied.textproto", "include: \"clips.textproto\" data { train_clips: [] }");
  const auto with = LoadExperiment(kept), without = LoadExperiment(emptied);
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_EQ(with->proto().data().train_clips_size(), 2);
  EXPECT_EQ(without->proto().data().train_clips_size(), 0);
  EXPECT_EQ(without->OriginOf("data.train_clips"), emptied + ":1");
  const auto by_flag = LoadExperiment(kept, {"data.train_clips=[]"});
  ASSERT_TRUE(by_flag.ok());
  EXPECT_EQ(by_flag->proto().data().train_clips_size(), 0);
}

TEST(LoaderTest, AMemberOfAOneofReplacesTheOther) {
  const Folder folder;
  folder.Write("good.textproto", GoodText());
  folder.Write("base.textproto",
               "include: \"good.textproto\" batch { accumulate: 4 } voxel_vae { kl_anneal { end_step: 9 } }");
  const std::string top =
      folder.Write("top.textproto", "include: \"base.textproto\" batch { global: 8 } voxel_vae { kl_weight: 0.5 }");
  const auto loaded = LoadExperiment(top);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_FALSE(loaded->proto().batch().has_accumulate());
  EXPECT_EQ(loaded->proto().batch().global(), 8);
  EXPECT_FALSE(loaded->proto().voxel_vae().has_kl_anneal());
  EXPECT_EQ(loaded->OriginOf("batch.accumulate"), "not set");
  EXPECT_EQ(loaded->OriginOf("voxel_vae.kl_anneal.end_step"), "not set");
  // And back again, by a flag.
  const auto back = LoadExperiment(top, {"batch.accumulate=2", "validation.interval_steps=10"},
                                   {{"--eval_interval", "validation.interval_epochs", "3"}});
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->proto().batch().accumulate(), 2);
  EXPECT_FALSE(back->proto().batch().has_global());
  EXPECT_EQ(back->proto().validation().interval_steps(), 10);  // --set comes after flags of fields
}

TEST(LoaderTest, ResetClearsWhatLiesBelowAndNotItsOwnFile) {
  const Folder folder;
  folder.Write("good.textproto", GoodText());
  folder.Write("base.textproto",
               "include: \"good.textproto\"\n"
               "data { train_clips: [\"a\"] train_clip_list: \"x.json\" synthesize { clips: 3 } }\n"
               "training { seed: 5 max_steps: 9 }");
  const std::string top =
      folder.Write("top.textproto",
                   "include: \"base.textproto\"\n"
                   "data { train_clips: [\"b\"] }\n"
                   "reset: [\"data.train_clips\", \"data.train_clip_list\", \"data.synthesize\", \"training\"]\n"
                   "training { max_steps: 1 }");
  const auto loaded = LoadExperiment(top);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_THAT(loaded->proto().data().train_clips(), ElementsAre("b"));
  EXPECT_FALSE(loaded->proto().data().has_train_clip_list());
  EXPECT_FALSE(loaded->proto().data().has_synthesize());
  EXPECT_EQ(loaded->proto().training().seed(), 0);
  EXPECT_EQ(loaded->proto().training().max_steps(), 1);
  EXPECT_EQ(loaded->proto().reset_size(), 0);
  EXPECT_EQ(loaded->OriginOf("training.seed"), "default");
  EXPECT_EQ(loaded->OriginOf("data.train_clip_list"), "not set");
}

TEST(LoaderTest, SetFlagsAreTyped) {
  const auto loaded = LoadGood({"training.max_steps=12", "training.precision=TF32", "optimizer.amsgrad=false",
                                "ema.decay = 0.5 ", "learning_rate.initial=1e-3", "name=a run, with 'commas'",
                                "data.assets_root=\"/a b/\\\"c\\\"\"", "data.train_clips=[a, \"b,c\", 'd']",
                                "data.crop_jitter_range=1,2.5, 3", "data.synthesize={ clips: 4 frames: 155 }",
                                "data.synthesize.seed=7", "voxel_vae.pool_height_levels=2"});
  const Experiment& proto = loaded.proto();
  EXPECT_EQ(proto.training().max_steps(), 12);
  EXPECT_EQ(proto.training().precision(), TF32);
  EXPECT_FALSE(proto.optimizer().amsgrad());
  EXPECT_EQ(proto.ema().decay(), 0.5);
  EXPECT_EQ(proto.learning_rate().initial(), 1e-3);
  EXPECT_EQ(proto.name(), "a run, with 'commas'");
  EXPECT_EQ(proto.data().assets_root(), "/a b/\"c\"");
  EXPECT_THAT(proto.data().train_clips(), ElementsAre("a", "b,c", "d"));
  EXPECT_THAT(proto.data().crop_jitter_range(), ElementsAre(1, 2.5, 3));
  EXPECT_EQ(proto.data().synthesize().clips(), 4);
  EXPECT_EQ(proto.data().synthesize().seed(), 7);
  EXPECT_THAT(proto.voxel_vae().pool_height_levels(), ElementsAre(2));
  EXPECT_EQ(loaded.OriginOf("training.precision"), "--set training.precision=TF32");
}

TEST(LoaderTest, FlagsBeatFilesAndTheLastOneWins) {
  const std::string text = "include: \"good.textproto\" training { seed: 1 } data { data_root: \"file\" }";
  EXPECT_EQ(Load(text, {"training.seed=2", "training.seed=3"}).proto().training().seed(), 3);
  const auto loaded = Load(text, {}, {{"--data_root", "data.data_root", "/a, 'b' \"c\"/[d]"}});
  EXPECT_EQ(loaded.proto().data().data_root(), "/a, 'b' \"c\"/[d]");
  EXPECT_EQ(loaded.OriginOf("data.data_root"), "--data_root /a, 'b' \"c\"/[d]");
  EXPECT_EQ(Load(text, {"data.data_root=b"}, {{"--data_root", "data.data_root", "a"}}).proto().data().data_root(), "b");
}

TEST(LoaderTest, FlagsOfFieldsAreNamedInErrors) {
  const auto loaded = LoadExperiment(kGood, {}, {{"--max_steps", "training.max_steps", "ten"}});
  EXPECT_THAT(FailureOf(loaded), HasSubstr("--max_steps ten: training.max_steps takes a whole number of at least 0"));
}

// By reflection: every scalar that states a default, wherever its message is there at all.
void ExpectComplete(const google::protobuf::Message& message) {
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->is_repeated()) continue;
    const bool has = message.GetReflection()->HasField(message, field);
    if (field->has_default_value() && field->containing_oneof() == nullptr) {
      EXPECT_TRUE(has) << field->full_name();
    }
    if (field->message_type() == nullptr) continue;
    if (has) ExpectComplete(message.GetReflection()->GetMessage(message, field));
    const bool optional = field->containing_oneof() != nullptr || field->options().GetExtension(off_unless_set);
    EXPECT_TRUE(has || optional) << field->full_name();
  }
}

TEST(LoaderTest, TheResultIsComplete) {
  const auto loaded = LoadGood();
  ExpectComplete(loaded.proto());
  EXPECT_TRUE(loaded.proto().batch().has_accumulate());
  EXPECT_TRUE(loaded.proto().validation().has_interval_epochs());
  EXPECT_TRUE(loaded.proto().voxel_vae().has_kl_weight());
  EXPECT_FALSE(loaded.proto().data().has_synthesize());
  EXPECT_FALSE(loaded.proto().training().has_max_steps());
  EXPECT_FALSE(LoadGood({"batch.global=4"}).proto().batch().has_accumulate());
  EXPECT_EQ(LoadGood({"data.synthesize.frames=200"}).proto().data().synthesize().clips(), 8);
}

TEST(LoaderTest, CanonicalTextLoadsToItself) {
  for (const char* path : {kGood, "configs/quickstart/vae.textproto",
                           "configs/recipes/vae_64x64x64_height_down2_vs02_dense_residual.textproto"}) {
    for (const std::vector<std::string>& flags :
         {std::vector<std::string>{},
          {"compat=REFERENCE", "batch.global=16", "voxel_vae.kl_anneal={}"},
          {"name=\"a \\\"quoted\\\" \\\\ \u00fcber\"", "learning_rate.initial=0.30000000000000004",
           "training.seed=4294967295", "validation.interval_steps=9007199254740993"}}) {
      const auto first = LoadExperiment(path, flags);
      ASSERT_TRUE(first.ok()) << first.status().message();
      const auto second = LoadExperimentText(first->CanonicalText(), "stored");
      ASSERT_TRUE(second.ok()) << second.status().message();
      EXPECT_EQ(second->CanonicalText(), first->CanonicalText());
      EXPECT_EQ(second->Hash(), first->Hash());
      EXPECT_EQ(second->proto().SerializeAsString(), first->proto().SerializeAsString());
    }
  }
}

TEST(LoaderTest, CanonicalTextIsInTheOrderOfNumbersWithListsInOneLine) {
  const std::string text = LoadGood({"learning_rate.initial=2e-5"}).CanonicalText();
  EXPECT_EQ(text.rfind("name: \"good\"\ncompat: CORRECT\ndata {\n  data_root: \"data\"\n", 0), 0u) << text;
  EXPECT_THAT(text, HasSubstr("\n  crop_min: [-6.4, -6.4, -3.2]\n"));
  EXPECT_THAT(text, HasSubstr("\nlearning_rate {\n  initial: 2e-05\n  decay_factor: 1\n"));
  EXPECT_THAT(text, HasSubstr("\nvoxel_vae {\n  num_semantic: 23\n"));
}

TEST(LoaderTest, NumbersAreShortAndExact) {
  EXPECT_EQ(ShortestNumber(0.1), "0.1");
  EXPECT_EQ(ShortestNumber(0.1 + 0.2), "0.30000000000000004");
  EXPECT_EQ(ShortestNumber(1e-4), "0.0001");
  EXPECT_EQ(ShortestNumber(1e-6), "1e-06");
  EXPECT_EQ(ShortestNumber(100000), "100000");
  EXPECT_EQ(ShortestNumber(-25.6), "-25.6");
  EXPECT_EQ(ShortestNumber(5e-324), "5e-324");
  std::mt19937_64 generator(1);
  for (int i = 0; i < 10000; ++i) {
    const uint64_t bits = generator();
    double value;
    static_assert(sizeof(value) == sizeof(bits));
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    const std::string text = ShortestNumber(value);
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), value) << text;
    char longest[40];
    std::snprintf(longest, sizeof(longest), "%.16e", value);
    EXPECT_LE(text.size(), std::string(longest).size());
  }
}

// FIPS 180-4, section 6.2, to check the library's use.
std::string Sha256(std::string message) {
  const auto fraction = [](double root) { return static_cast<uint32_t>((root - std::floor(root)) * 4294967296.0); };
  std::array<uint32_t, 64> k;
  std::array<uint32_t, 8> h;
  int found = 0;
  for (int n = 2; found < 64; ++n) {
    bool prime = true;
    for (int d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    if (found < 8) h[found] = fraction(std::sqrt(static_cast<double>(n)));
    k[found++] = static_cast<uint32_t>(static_cast<uint64_t>(
        (std::cbrt(static_cast<long double>(n)) - std::floor(std::cbrt(static_cast<long double>(n)))) * 4294967296.0L));
  }
  const uint64_t bits = message.size() * 8;
  message += '\x80';
  while (message.size() % 64 != 56) message += '\0';
  for (int i = 7; i >= 0; --i) message += static_cast<char>(bits >> (8 * i));
  const auto rotate = [](uint32_t x, int n) { return (x >> n) | (x << (32 - n)); };
  for (size_t block = 0; block < message.size(); block += 64) {
    std::array<uint32_t, 64> w;
    for (int i = 0; i < 16; ++i) {
      w[i] = 0;
      for (int j = 0; j < 4; ++j) w[i] = w[i] << 8 | static_cast<unsigned char>(message[block + 4 * i + j]);
    }
    for (int i = 16; i < 64; ++i) {
      const uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    std::array<uint32_t, 8> v = h;
    for (int i = 0; i < 64; ++i) {
      const uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
      const uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
      const uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
      const uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      v = {t1 + t2, v[0], v[1], v[2], v[3] + t1, v[4], v[5], v[6]};
    }
    for (int i = 0; i < 8; ++i) h[i] += v[i];
  }
  std::string hex;
  for (const uint32_t word : h) {
    char text[9];
    std::snprintf(text, sizeof(text), "%08x", word);
    hex += text;
  }
  return hex;
}

TEST(LoaderTest, HashIsSha256OfTheCanonicalText) {
  ASSERT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const auto loaded = LoadGood();
  EXPECT_EQ(loaded.Hash(), Sha256(loaded.CanonicalText()));
  EXPECT_NE(loaded.Hash(), LoadGood({"training.seed=1"}).Hash());
}

TEST(LoaderTest, OriginsOfEveryKind) {
  const auto loaded = Load("include: \"good.textproto\"\n\nbatch {\n  per_gpu: 2\n}\ncompat: REFERENCE",
                           {"data.crop_jitter_range=[1, 2, 3]"}, {{"--seed", "training.seed", "4"}});
  EXPECT_EQ(loaded.OriginOf("batch.per_gpu"), "configs/testdata/test.textproto:4");
  EXPECT_EQ(loaded.OriginOf("batch.accumulate"), "default");
  EXPECT_EQ(loaded.OriginOf("batch"), "configs/testdata/test.textproto:4, default");
  EXPECT_EQ(loaded.OriginOf("name"), "configs/testdata/good.textproto:2");
  EXPECT_EQ(loaded.OriginOf("training.seed"), "--seed 4");
  EXPECT_EQ(loaded.OriginOf("training.max_steps"), "not set");
  EXPECT_EQ(loaded.OriginOf("data.crop_jitter_range"), "--set data.crop_jitter_range=[1, 2, 3]");
  EXPECT_EQ(loaded.OriginOf("data.train_clips"), "not set");
  EXPECT_EQ(loaded.OriginOf("data.synthesize"), "not set");
  EXPECT_EQ(loaded.OriginOf("gradient.clip_each_micro_batch"), "compat: REFERENCE");
  EXPECT_EQ(loaded.OriginOf("no.such.field"), "");
}

TEST(LoaderTest, ReferenceCompatibilityIsAPresetOfNamedFields) {
  const auto correct = LoadGood();
  EXPECT_FALSE(correct.proto().gradient().clip_each_micro_batch());
  EXPECT_FALSE(correct.proto().gradient().batch_mean_over_voxels());
  EXPECT_FALSE(correct.proto().data().label_lookup_half_to_even());
  const auto reference = LoadGood({"compat=REFERENCE"});
  EXPECT_TRUE(reference.proto().gradient().clip_each_micro_batch());
  EXPECT_TRUE(reference.proto().gradient().batch_mean_over_voxels());
  EXPECT_TRUE(reference.proto().data().label_lookup_half_to_even());
  const auto mixed = Load("include: \"good.textproto\" compat: REFERENCE gradient { batch_mean_over_voxels: false }",
                          {"data.label_lookup_half_to_even=false"});
  EXPECT_TRUE(mixed.proto().gradient().clip_each_micro_batch());
  EXPECT_FALSE(mixed.proto().gradient().batch_mean_over_voxels());
  EXPECT_FALSE(mixed.proto().data().label_lookup_half_to_even());
}

TEST(LoaderTest, FilesThatCannotBeRead) {
  EXPECT_THAT(FailureOf(LoadExperiment("configs/testdata/none.textproto")),
              HasSubstr("configs/testdata/none.textproto: cannot open: No such file or directory"));
  const Folder folder;
  folder.Write("sub/file", "");
  EXPECT_THAT(FailureOf(LoadExperiment(folder.path())), HasSubstr("Is a directory"));
}

// One line, and not one for each byte that is wrong.
TEST(LoaderTest, FilesThatAreNoText) {
  const Folder folder;
  const std::pair<std::string, std::string> files[] = {
      {std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16), "byte 0 is 0x89"},
      {std::string("\xd8\x3a\0\0\0\0\0\0{\"model\": 1}", 20), "byte 0 is 0xd8"},  // safetensors
      {std::string("PK\3\4", 4), "byte 2 is 0x03"},
      {std::string("name: \"\xc3\xa4\"\n\0", 13), "byte 11 is 0x00"},
      {std::string("a\0b\0", 4), "byte 1 is 0x00"},  // UTF-16
      {"na\xe9\xe9me", "byte 2 is 0xe9"}};
  for (const auto& [bytes, what] : files) {
    const std::string path = folder.Write("file", bytes);
    EXPECT_EQ(FailureOf(LoadExperiment(path)), path + " is not a text config: " + what);
  }
  const std::string including = folder.Write("including.textproto", "include: \"file\"\n");
  EXPECT_THAT(FailureOf(LoadExperiment(including)), HasSubstr(folder.path() + "/file is not a text config: byte 2"));
  // A text with a mistake has its line and caret.
  const std::string typo = folder.Write("typo.textproto", "name: \"x\"\n\x01 # \xe4\n" + std::string(50, '#'));
  EXPECT_THAT(FailureOf(LoadExperiment(typo)), HasSubstr("typo.textproto:2:1"));
}

// Whatever bytes come in, an answer comes out, and nothing that Protobuf itself refuses is let through.
TEST(LoaderTest, DamagedTextsNeverPassUnnoticed) {
  const std::string good = GoodText();
  const std::string odd = "{}[]<>:;,\"'#\\\n\t -.eaz05\x01\xff";
  std::mt19937 generator(7);
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(generator); };
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    const size_t edits = 1 + pick(4);
    for (size_t j = 0; j < edits; ++j) {
      const size_t at = pick(text.size());
      switch (pick(4)) {
        case 0:
          text.erase(at, 1 + pick(12));
          break;
        case 1:
          text.insert(at, 1, odd[pick(odd.size())]);
          break;
        case 2:
          text[at] = odd[pick(odd.size())];
          break;
        default:
          text.insert(at, text.substr(pick(text.size()), 1 + pick(40)));
      }
    }
    const auto loaded = LoadExperimentText(text, "configs/testdata/damaged.textproto");
    google::protobuf::TextFormat::Parser parser;
    struct Silent : google::protobuf::io::ErrorCollector {
      void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
    } silent;
    parser.RecordErrorsTo(&silent);
    Experiment strict;
    if (!parser.ParseFromString(text, &strict)) {
      EXPECT_FALSE(loaded.ok()) << text;
      ++refused;
    }
    if (!loaded.ok()) {
      EXPECT_EQ(ExitCodeOf(loaded.status()), ExitCode::kConfig);
      EXPECT_THAT(std::string(loaded.status().message()), HasSubstr("damaged.textproto"));
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(LoaderTest, DeepNestingIsRefused) {
  std::string text, list = "data { train_clips: ";
  for (int i = 0; i < 100000; ++i) text += "data {";
  for (int i = 0; i < 100000; ++i) list += "[ { a: ";
  FailureOf(LoadExperimentText(text, "deep"));
  FailureOf(LoadExperimentText(list, "deep"));
}

}  // namespace
}  // namespace cubist

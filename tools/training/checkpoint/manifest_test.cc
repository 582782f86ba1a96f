#include "tools/training/checkpoint/manifest.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/status.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

checkpoint::Manifest MakeManifest() {
  checkpoint::Manifest manifest;
  manifest.set_format_version(kCheckpointFormatVersion);
  manifest.set_step(7);
  manifest.set_program_version("1.2");
  manifest.set_parent_sha256(Sha256Hex("parent"));
  checkpoint::TensorFile& file = *manifest.add_tensor_files();
  file.set_name("model-00001-of-00002.safetensors");
  file.set_group("model");
  file.set_header_size(100);
  file.set_header_xxh3_128(Xxh3Hex("header", 6));
  file.set_size(100 + 2 * 3 * 4);
  checkpoint::TensorRecord& record = *file.add_tensors();
  record.set_name("weight");
  record.set_dtype("float32");
  record.add_shape(2);
  record.add_shape(3);
  record.add_global_shape(4);
  record.add_global_shape(3);
  record.add_offset(2);
  record.add_offset(0);
  record.set_xxh3_128(Xxh3Hex("data", 4));
  checkpoint::PlainFile& plain = *manifest.add_plain_files();
  plain.set_name(kTrainingStateName);
  plain.set_size(3);
  plain.set_sha256(Sha256Hex("abc"));
  return manifest;
}

TEST(ManifestTest, RoundTrip) {
  const checkpoint::Manifest manifest = MakeManifest();
  const std::string bytes = EncodeManifest(manifest);
  const absl::StatusOr<DecodedManifest> decoded = DecodeManifest(bytes, "MANIFEST");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->manifest.SerializeAsString(), manifest.SerializeAsString());
  EXPECT_EQ(decoded->sha256, Sha256Hex(manifest.SerializeAsString()));
}

TEST(ManifestTest, EveryFlippedBitAndEveryTruncationIsSeen) {
  const std::string bytes = EncodeManifest(MakeManifest());
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      const absl::StatusOr<DecodedManifest> decoded = DecodeManifest(damaged, "some/MANIFEST");
      ASSERT_FALSE(decoded.ok()) << "byte " << i << " bit " << bit;
      EXPECT_EQ(ExitCodeOf(decoded.status()), ExitCode::kStorage);
      EXPECT_NE(decoded.status().message().find("some/MANIFEST"), absl::string_view::npos);
    }
    EXPECT_FALSE(DecodeManifest(bytes.substr(0, i), "MANIFEST").ok()) << "cut at " << i;
  }
  EXPECT_FALSE(DecodeManifest(bytes + "x", "MANIFEST").ok());
}

struct Mistake {
  const char* expected;
  std::function<void(checkpoint::Manifest&)> make;
};

TEST(ManifestTest, InconsistentManifestsWithARightHashAreRefused) {
  const auto record = [](checkpoint::Manifest& m) { return m.mutable_tensor_files(0)->mutable_tensors(0); };
  const std::vector<Mistake> mistakes = {
      {"newer program", [](auto& m) { m.set_format_version(kCheckpointFormatVersion + 1); }},
      {"no format version", [](auto& m) { m.clear_format_version(); }},
      {"no step", [](auto& m) { m.set_step(-1); }},
      {"malformed parent", [](auto& m) { m.set_parent_sha256("abc"); }},
      {"no plain file name", [](auto& m) { m.mutable_tensor_files(0)->set_name("../model.safetensors"); }},
      {"no plain file name", [](auto& m) { m.mutable_plain_files(0)->set_name("/etc/passwd"); }},
      {"is there twice", [](auto& m) { m.mutable_plain_files(0)->set_name(m.tensor_files(0).name()); }},
      {"is there twice", [](auto& m) { m.mutable_plain_files(0)->set_name(kManifestName); }},
      {"no SHA-256", [](auto& m) { m.mutable_plain_files(0)->clear_sha256(); }},
      {"belongs to no group", [](auto& m) { m.mutable_tensor_files(0)->clear_group(); }},
      {"its header and tensors make", [](auto& m) { m.mutable_tensor_files(0)->set_size(99); }},
      {"unknown dtype \"float33\"", [&](auto& m) { record(m)->set_dtype("float33"); }},
      {"no XXH3-128", [&](auto& m) { record(m)->set_xxh3_128("zz"); }},
      {"impossible shape", [&](auto& m) { record(m)->set_shape(0, -1); }},
      {"impossible shape", [&](auto& m) { record(m)->set_shape(0, int64_t{1} << 62); }},
      {"impossible global shape", [&](auto& m) { record(m)->set_global_shape(0, int64_t{1} << 62); }},
      {"leaves the tensor", [&](auto& m) { record(m)->set_offset(0, 3); }},
      {"leaves the tensor", [&](auto& m) { record(m)->set_offset(0, -1); }},
      {"leaves the tensor", [&](auto& m) { record(m)->set_offset(0, INT64_MAX); }},
      {"differs in rank", [&](auto& m) { record(m)->add_offset(0); }},
      {"differs in rank", [&](auto& m) { record(m)->clear_offset(); }},
      {"tensor \"weight\" is there twice", [&](auto& m) { *m.mutable_tensor_files(0)->add_tensors() = *record(m); }},
  };
  for (size_t i = 0; i < mistakes.size(); ++i) {
    checkpoint::Manifest manifest = MakeManifest();
    mistakes[i].make(manifest);
    const absl::StatusOr<DecodedManifest> decoded = DecodeManifest(EncodeManifest(manifest), "MANIFEST");
    ASSERT_FALSE(decoded.ok()) << i;
    EXPECT_NE(std::string(decoded.status().message()).find(mistakes[i].expected), std::string::npos)
        << i << ": " << decoded.status();
    EXPECT_EQ(ExitCodeOf(decoded.status()), ExitCode::kStorage);
  }
}

TEST(ManifestTest, DTypesAreKnownByTheirNames) {
  EXPECT_EQ(DTypeByName("bfloat16"), DType::kBFloat16);
  EXPECT_EQ(DTypeByName("float64"), DType::kFloat64);
  EXPECT_EQ(DTypeByName("bool"), DType::kBool);
  EXPECT_EQ(DTypeByName("unknown"), std::nullopt);
}

}  // namespace
}  // namespace cubist

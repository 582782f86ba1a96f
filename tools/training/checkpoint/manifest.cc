#include "tools/training/checkpoint/manifest.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

constexpr std::string_view kMagic = "CUBISTMF";
constexpr size_t kSha256Size = 32;
constexpr int kMaximumRank = 64;

std::vector<int64_t> Extents(const google::protobuf::RepeatedField<int64_t>& field) {
  return std::vector<int64_t>(field.begin(), field.end());
}

// What is wrong with `record`, or nothing; `bytes` grows by its size.
std::optional<std::string> WrongWithRecord(const checkpoint::TensorRecord& record, uint64_t& bytes) {
  if (record.name().empty()) return "has no name";
  const std::optional<DType> dtype = DTypeByName(record.dtype());
  if (!dtype) return absl::StrCat("has the unknown dtype \"", record.dtype(), "\"");
  if (!IsHex(record.xxh3_128(), 32)) return "has no XXH3-128";
  if (record.shape_size() > kMaximumRank) return absl::StrCat("has ", record.shape_size(), " dimensions");
  const std::optional<uint64_t> size = CheckedByteSize(*dtype, Extents(record.shape()));
  if (!size || __builtin_add_overflow(bytes, *size, &bytes)) return "has an impossible shape";
  const std::vector<int64_t> global = GlobalShapeOf(record), offset = OffsetOf(record);
  if (!CheckedByteSize(*dtype, global)) return "has an impossible global shape";
  if (static_cast<int>(global.size()) != record.shape_size() || offset.size() != global.size()) {
    return "differs in rank from the tensor that it is a part of";
  }
  for (size_t d = 0; d < global.size(); ++d) {
    if (offset[d] < 0 || offset[d] > global[d] || record.shape(d) > global[d] - offset[d]) {
      return absl::StrCat("leaves the tensor that it is a part of, in dimension ", d);
    }
  }
  return std::nullopt;
}

std::optional<std::string> WrongWithTensorFile(const checkpoint::TensorFile& file) {
  if (file.group().empty()) return "belongs to no group";
  if (!IsHex(file.header_xxh3_128(), 32)) return "has no XXH3-128 of its header";
  uint64_t bytes = file.header_size();
  std::set<std::string_view> names;
  for (const checkpoint::TensorRecord& record : file.tensors()) {
    const std::optional<std::string> wrong =
        names.insert(record.name()).second ? WrongWithRecord(record, bytes) : "is there twice";
    if (wrong) return absl::StrCat("tensor \"", record.name(), "\" ", *wrong);
  }
  if (bytes != file.size()) {
    return absl::StrCat("is ", file.size(), " bytes long, but its header and tensors make ", bytes);
  }
  return std::nullopt;
}

// What is wrong with the manifest, or nothing.
std::optional<std::string> WrongWithManifest(const checkpoint::Manifest& manifest) {
  if (manifest.format_version() > kCheckpointFormatVersion) {
    return absl::StrCat("has format version ", manifest.format_version(), ", written by ", manifest.program_version(),
                        "; this program reads up to ", kCheckpointFormatVersion, ": use a newer program");
  }
  if (manifest.format_version() < 1) return "has no format version";
  if (!manifest.has_step() || manifest.step() < 0) return "has no step";
  if (manifest.has_parent_sha256() && !IsHex(manifest.parent_sha256(), 64)) return "has a malformed parent";
  for (const checkpoint::Parent& parent : manifest.parents()) {
    if (!IsHex(parent.identity(), 64)) return "has a malformed parent";
  }
  std::set<std::string_view> names = {kManifestName};
  const auto wrong_name = [&names](const std::string& name) -> std::optional<std::string> {
    if (!IsPlainFileName(name)) return "is no plain file name";
    if (!names.insert(name).second) return "is there twice";
    return std::nullopt;
  };
  for (const checkpoint::TensorFile& file : manifest.tensor_files()) {
    std::optional<std::string> wrong = wrong_name(file.name());
    if (!wrong) wrong = WrongWithTensorFile(file);
    if (wrong) return absl::StrCat("file \"", file.name(), "\": ", *wrong);
  }
  for (const checkpoint::PlainFile& file : manifest.plain_files()) {
    std::optional<std::string> wrong = wrong_name(file.name());
    if (!wrong && !IsHex(file.sha256(), 64)) wrong = "has no SHA-256";
    if (wrong) return absl::StrCat("file \"", file.name(), "\": ", *wrong);
  }
  return std::nullopt;
}

}  // namespace

std::string EncodeManifest(const checkpoint::Manifest& manifest) {
  const std::string message = manifest.SerializeAsString();
  return std::string(kMagic) + Sha256(message) + message;
}

absl::StatusOr<DecodedManifest> DecodeManifest(std::string_view bytes, const std::string& path) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < kMagic.size() + kSha256Size) {
    return StorageError(absl::StrCat(path, ": is no checkpoint manifest, or is damaged at its beginning"));
  }
  const std::string_view sha256 = bytes.substr(kMagic.size(), kSha256Size);
  const std::string_view message = bytes.substr(kMagic.size() + kSha256Size);
  if (Sha256(message) != sha256) {
    return StorageError(absl::StrCat(path, ": does not verify: the SHA-256 of its ", message.size(), " bytes is ",
                                     Sha256Hex(message), ", it should be ", ToHex(sha256), "; the file is damaged"));
  }
  DecodedManifest decoded;
  if (!decoded.manifest.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return StorageError(absl::StrCat(path, ": cannot be parsed although its hash is right"));
  }
  if (const std::optional<std::string> wrong = WrongWithManifest(decoded.manifest)) {
    return StorageError(absl::StrCat(path, ": ", *wrong));
  }
  decoded.sha256 = ToHex(sha256);
  return decoded;
}

std::optional<DType> DTypeByName(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(DType::kFloat64); ++i) {
    if (Name(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

bool IsPlainFileName(std::string_view name) {
  if (name.empty() || name.size() > 255 || name.front() == '.') return false;
  for (const char c : name) {
    if (c <= ' ' || c > '~' || c == '/' || c == '\\') return false;
  }
  return true;
}

std::vector<int64_t> GlobalShapeOf(const checkpoint::TensorRecord& record) {
  const bool whole = record.global_shape_size() == 0 && record.offset_size() == 0;
  return Extents(whole ? record.shape() : record.global_shape());
}

std::vector<int64_t> OffsetOf(const checkpoint::TensorRecord& record) {
  const bool whole = record.global_shape_size() == 0 && record.offset_size() == 0;
  return whole ? std::vector<int64_t>(record.shape_size(), 0) : Extents(record.offset());
}

}  // namespace cubist

#include "tools/interchange/safetensors_checkpoint.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/safetensors.h"
#include "google/protobuf/text_format.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

class SafetensorsCheckpoint : public AnyCheckpoint {
 public:
  static absl::StatusOr<std::unique_ptr<AnyCheckpoint>> Open(const std::string& path) {
    ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::Open(path));
    auto opened = std::make_unique<SafetensorsCheckpoint>(std::move(file));
    RETURN_IF_ERROR(opened->Describe());
    return opened;
  }

  explicit SafetensorsCheckpoint(std::unique_ptr<SafetensorsFile> file) : file_(std::move(file)) {}

  absl::StatusOr<HostTensor> Read(size_t i) const override { return file_->Read(file_->names()[order_[i]]); }
  absl::Status Stream(size_t i, const ByteSink& sink) const override {
    return file_->Stream(file_->names()[order_[i]], sink);
  }

 private:
  absl::Status Describe() {
    description_.path = file_->path();
    description_.format = CheckpointFormat::kSafetensors;
    description_.format_name = "safetensors";
    description_.metadata = file_->metadata();
    if (const auto state = description_.metadata.find(kStateMetadata); state != description_.metadata.end()) {
      if (!google::protobuf::TextFormat::ParseFromString(state->second, &description_.state)) {
        return DataError(absl::StrCat(file_->path(), ": its metadata ", kStateMetadata, " cannot be parsed"));
      }
      description_.metadata.erase(state);
    }
    if (const auto config = description_.metadata.find(kConfigMetadata); config != description_.metadata.end()) {
      description_.config_text = config->second;
      description_.metadata.erase(config);
    }
    std::string header;
    std::vector<std::pair<ListedTensor, size_t>> found;
    for (size_t i = 0; i < file_->names().size(); ++i) {
      const TensorInfo& info = *file_->Info(file_->names()[i]);
      absl::StrAppend(&header, info.name, "\n", std::string(Name(info.dtype)), "\n", info.offset, "\n", info.size,
                      "\n");
      ListedTensor tensor{"model", info.name, info.dtype, info.shape};
      if (absl::StartsWith(info.name, kGroupPrefix)) {
        const size_t begin = std::string_view(kGroupPrefix).size(), slash = info.name.find('/', begin);
        if (slash != std::string::npos) {
          tensor.group = info.name.substr(begin, slash - begin);
          tensor.name = info.name.substr(slash + 1);
        }
      }
      found.emplace_back(std::move(tensor), i);
    }
    // The weights first, as written; files are in the order of their data, not of groups.
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      const auto rank = [](const std::string& group) { return group == "model" ? 0 : group == "ema" ? 1 : 2; };
      return rank(a.first.group) < rank(b.first.group);
    });
    std::vector<ListedTensor> tensors;
    for (auto& [tensor, i] : found) {
      tensors.push_back(std::move(tensor));
      order_.push_back(i);
    }
    // Up to a megabyte of each tensor: what was trained differs there, and a file of any size opens at once.
    for (const std::string& name : file_->names()) {
      Xxh3Hasher hasher;
      const absl::Status enough = absl::CancelledError();
      const absl::Status read = file_->Stream(name, [&](std::string_view bytes) {
        hasher.Add(bytes);
        return enough;
      });
      if (!read.ok() && read != enough) return read;
      absl::StrAppend(&header, hasher.Hex(), "\n");
    }
    description_.identity = Sha256Hex(header);
    SetTensors(std::move(tensors));
    return absl::OkStatus();
  }

  std::unique_ptr<SafetensorsFile> file_;
  std::vector<size_t> order_;  // of names() of the file
};

}  // namespace

absl::StatusOr<std::unique_ptr<AnyCheckpoint>> OpenSafetensorsCheckpoint(const std::string& path) {
  return SafetensorsCheckpoint::Open(path);
}

}  // namespace cubist

#include "configs/loader.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "configs/canonical_text.h"
#include "configs/diagnostics.h"
#include "configs/experiment_rules.h"
#include "configs/field_path.h"
#include "configs/field_rules.h"
#include "configs/layered_config.h"
#include "configs/overrides.h"

namespace cubist {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Lays files and flags over one another, checks, and closes the result.
class ExperimentLoader {
 public:
  ExperimentLoader() { config_.message = std::make_unique<Experiment>(); }

  LayeredConfig* config() { return &config_; }
  Diagnostics* diagnostics() { return &diagnostics_; }

  absl::StatusOr<ValidatedExperiment> Finish(const std::vector<std::string>& set_flags,
                                             const std::vector<FieldFlag>& field_flags) {
    for (const FieldFlag& flag : field_flags) {
      ApplyFieldFlag(flag.flag, flag.path, flag.value, &config_, &diagnostics_);
    }
    for (const std::string& assignment : set_flags) ApplySetFlag(assignment, &config_, &diagnostics_);
    ExpandCompatibility(&config_);
    CheckFieldRules(&config_, &diagnostics_);
    CheckExperimentRules(config_, &diagnostics_);
    if (absl::Status status = diagnostics_.ToStatus(); !status.ok()) return status;
    FillDefaults(config_.message.get());
    ValidatedExperiment result;
    result.proto_ = static_cast<const Experiment&>(*config_.message);
    for (const auto& [path, places] : config_.places) result.origins_[path] = OriginText(places.statement);
    for (const auto& [path, origin] : config_.preset_origins) result.origins_[path] = origin;
    return result;
  }

 private:
  LayeredConfig config_;
  Diagnostics diagnostics_;
};

std::string ValidatedExperiment::CanonicalText() const { return CanonicalMessageText(proto_); }

std::string ValidatedExperiment::Hash() const {
  const std::string text = CanonicalText();
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  // Fails only where SHA-256 is not built in, which no OpenSSL 3 is.
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) return "";
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

// Of every field that `message`, which is at `path`, holds.
void ValidatedExperiment::CollectOrigins(const Message& message, const std::string& path,
                                         std::vector<std::string>* distinct) const {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string field_path = JoinPath(path, field->name());
    if (!field->is_repeated() && field->message_type() != nullptr) {
      CollectOrigins(message.GetReflection()->GetMessage(message, field), field_path, distinct);
      continue;
    }
    const auto entry = origins_.find(field_path);
    const std::string origin = entry == origins_.end() ? "default" : entry->second;
    if (std::find(distinct->begin(), distinct->end(), origin) == distinct->end()) distinct->push_back(origin);
  }
}

std::string ValidatedExperiment::OriginOf(std::string_view path) const {
  const std::string path_text(path);
  const ResolvedPath resolved = ResolvePath(Experiment::descriptor(), path_text);
  if (!resolved.ok()) return "";
  const Message* message = &proto_;
  for (const FieldDescriptor* field : resolved.fields) {
    const bool list = field->is_repeated();
    if (list || field->message_type() == nullptr) {
      const auto entry = origins_.find(path_text);
      if (entry != origins_.end()) return entry->second;
      return !list && message->GetReflection()->HasField(*message, field) ? "default" : "not set";
    }
    if (!message->GetReflection()->HasField(*message, field)) return "not set";
    message = &message->GetReflection()->GetMessage(*message, field);
  }
  std::vector<std::string> distinct;
  CollectOrigins(*message, path_text, &distinct);
  return absl::StrJoin(distinct, ", ");
}

absl::StatusOr<ValidatedExperiment> LoadExperiment(const std::string& path, const std::vector<std::string>& set_flags,
                                                   const std::vector<FieldFlag>& field_flags) {
  ExperimentLoader loader;
  ApplyFile(path, loader.config(), loader.diagnostics());
  return loader.Finish(set_flags, field_flags);
}

absl::StatusOr<ValidatedExperiment> LoadExperimentText(std::string_view text, const std::string& name,
                                                       const std::vector<std::string>& set_flags,
                                                       const std::vector<FieldFlag>& field_flags) {
  ExperimentLoader loader;
  ApplyText(std::string(text), name, loader.config(), loader.diagnostics());
  return loader.Finish(set_flags, field_flags);
}

}  // namespace cubist

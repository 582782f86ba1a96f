#include "configs/layered_config.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_ops.h"
#include "configs/field_path.h"
#include "configs/source_text.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// A config is text for people; clip lists of a thousand ids take 50 kB.
constexpr size_t kMaximumFileSize = size_t{4} << 20;

bool IsAtOrBelow(const std::string& path, const std::string& ancestor) {
  return path == ancestor || absl::StartsWith(path, ancestor + ".");
}

void ForgetPlaces(const std::string& path, LayeredConfig* config) {
  for (auto entry = config->places.begin(); entry != config->places.end();) {
    entry = IsAtOrBelow(entry->first, path) ? config->places.erase(entry) : std::next(entry);
  }
}

// Makes room in `below` for the fields that are set in `above`.
void ClearReplaced(const Message& above, Message* below, const std::string& path, LayeredConfig* config) {
  const Reflection* reflection = above.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(above, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string field_path = JoinPath(path, field->name());
    if (field->containing_oneof() != nullptr) {
      const FieldDescriptor* other = reflection->GetOneofFieldDescriptor(*below, field->containing_oneof());
      if (other != nullptr && other != field) {
        ForgetPlaces(JoinPath(path, other->name()), config);
        reflection->ClearField(below, other);
      }
    }
    if (field->is_repeated()) {
      reflection->ClearField(below, field);
    } else if (field->message_type() != nullptr) {
      ClearReplaced(reflection->GetMessage(above, field), reflection->MutableMessage(below, field), field_path, config);
    }
  }
}

// Clears the field if the messages above it exist.
void ClearField(const std::vector<const FieldDescriptor*>& fields, Message* message) {
  for (size_t i = 0; i + 1 < fields.size(); ++i) {
    if (!message->GetReflection()->HasField(*message, fields[i])) return;
    message = message->GetReflection()->MutableMessage(message, fields[i]);
  }
  message->GetReflection()->ClearField(message, fields.back());
}

std::vector<std::string> TakeTexts(const char* name, Message* message) {
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
  std::vector<std::string> texts;
  for (int i = 0; i < message->GetReflection()->FieldSize(*message, field); ++i) {
    texts.push_back(message->GetReflection()->GetRepeatedString(*message, field, i));
  }
  message->GetReflection()->ClearField(message, field);
  return texts;
}

// A file by whatever name: includes that go in circles are found through links as well.
std::string IdentityOf(const std::string& path) {
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, error);
  return error ? path : canonical.string();
}

class FileReader {
 public:
  FileReader(LayeredConfig* config, Diagnostics* diagnostics) : config_(config), diagnostics_(diagnostics) {}

  void ApplyFile(const std::string& path, const Place& asked_at) {
    const std::string identity = IdentityOf(path);
    for (size_t i = 0; i < open_.size(); ++i) {
      if (open_[i].identity != identity) continue;
      std::vector<std::string> chain;
      for (size_t j = i; j < open_.size(); ++j) chain.push_back(open_[j].name);
      chain.push_back(path);
      diagnostics_->Add(asked_at, "files include one another in a circle",
                        {absl::StrJoin(chain, " -> "), "move what they share into a file that includes neither"});
      config_->complete = false;
      return;
    }
    absl::StatusOr<std::string> text = ReadWholeFile(path, kMaximumFileSize);
    std::vector<std::string> notes;
    if (!text.ok()) {
      if (asked_at.source != nullptr) notes.push_back("an included file is found relative to the file that names it");
      diagnostics_->Add(asked_at, absl::StrCat("cannot read a config file: ", std::string(text.status().message())),
                        std::move(notes));
    } else if (const std::string message = NoTextMessage(path, *text); !message.empty()) {
      diagnostics_->Add(asked_at, message);
    } else {
      Apply(*text, path, identity);
      return;
    }
    config_->complete = false;
  }

  void Apply(const std::string& text, const std::string& name, const std::string& identity) {
    const auto source = std::make_shared<SourceText>(SourceText{name, text, SourceText::Kind::kFile});
    if (open_.empty()) config_->beginning = {source, 0, 0};
    Layer layer = ParseTextLayer(source, *config_->message, config_->message->GetDescriptor(), "", diagnostics_);
    const std::vector<std::string> includes = TakeTexts("include", layer.message.get());
    const std::vector<std::string> resets = TakeTexts("reset", layer.message.get());
    const FieldPlaces include_places = TakePlaces("include", &layer);
    const FieldPlaces reset_places = TakePlaces("reset", &layer);
    // Without knowing what lies below nothing can be said about what is missing.
    if (layer.failed.count("include") + layer.failed.count("reset") > 0) config_->complete = false;
    open_.push_back({name, identity});
    const std::filesystem::path folder = std::filesystem::path(name).parent_path();
    for (size_t i = 0; i < includes.size(); ++i) {
      ApplyFile((folder / includes[i]).lexically_normal().string(), include_places.elements[i]);
    }
    open_.pop_back();
    for (size_t i = 0; i < resets.size(); ++i) Reset(resets[i], reset_places.elements[i]);
    ApplyLayer(layer, config_);
  }

 private:
  struct OpenFile {
    std::string name;
    std::string identity;
  };

  static FieldPlaces TakePlaces(const std::string& path, Layer* layer) {
    FieldPlaces places = layer->places[path];
    layer->places.erase(path);
    layer->emptied.erase(path);
    return places;
  }

  void Reset(const std::string& path, const Place& place) {
    const ResolvedPath resolved = ResolvePath(config_->message->GetDescriptor(), path);
    if (path.empty()) {
      diagnostics_->Add(place, "reset needs the path of a field, such as \"data.train_clips\"");
    } else if (!resolved.ok()) {
      diagnostics_->Add(place, "reset: " + resolved.error, resolved.notes);
    } else {
      ResetPath(path, config_);
    }
  }

  LayeredConfig* config_;
  Diagnostics* diagnostics_;
  std::vector<OpenFile> open_;  // the chain of files that are being read
};

}  // namespace

bool LayeredConfig::Sound(const std::vector<std::string>& paths) const {
  if (!complete) return false;
  for (const std::string& path : paths) {
    for (const std::string& wrong : failed) {
      if (IsAtOrBelow(path, wrong) || IsAtOrBelow(wrong, path)) return false;
    }
  }
  return true;
}

Place LayeredConfig::PlaceOf(const std::string& path) const {
  for (std::string at = path; !at.empty(); at.resize(at.rfind('.') == std::string::npos ? 0 : at.rfind('.'))) {
    const auto entry = places.find(at);
    if (entry != places.end()) return entry->second.value;
  }
  return beginning;
}

Place LayeredConfig::PlaceOfElement(const std::string& path, int index) const {
  const auto entry = places.find(path);
  if (entry == places.end() || index >= static_cast<int>(entry->second.elements.size())) return PlaceOf(path);
  return entry->second.elements[index];
}

void ApplyLayer(const Layer& layer, LayeredConfig* config) {
  ClearReplaced(*layer.message, config->message.get(), "", config);
  config->message->MergeFrom(*layer.message);
  for (const auto& [path, places] : layer.places) config->places[path] = places;
  for (const std::string& path : layer.emptied) {
    ClearField(ResolvePath(config->message->GetDescriptor(), path).fields, config->message.get());
  }
  config->failed.insert(layer.failed.begin(), layer.failed.end());
  config->complete = config->complete && layer.complete;
}

void ResetPath(const std::string& path, LayeredConfig* config) {
  ClearField(ResolvePath(config->message->GetDescriptor(), path).fields, config->message.get());
  ForgetPlaces(path, config);
}

void ApplyFile(const std::string& path, LayeredConfig* config, Diagnostics* diagnostics) {
  FileReader(config, diagnostics).ApplyFile(path, Place());
}

void ApplyText(const std::string& text, const std::string& name, LayeredConfig* config, Diagnostics* diagnostics) {
  FileReader(config, diagnostics).Apply(text, name, IdentityOf(name));
}

}  // namespace cubist

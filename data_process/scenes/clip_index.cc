#include "data_process/scenes/clip_index.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "base/file_ops.h"
#include "base/parallel_for.h"
#include "base/philox.h"
#include "base/status.h"
#include "data_process/formats/json.h"

namespace cubist {
namespace {

constexpr char kTarExtension[] = ".tar";
constexpr size_t kListedAtMost = 10;
// The split must not move with the run's seed: runs are compared on the same held-out clips, and
// a run that starts from another's weights must not validate on what those were trained on.
constexpr uint32_t kSplitSeed = 0;

using Ids = std::vector<std::string>;

std::string Joined(const Ids& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kListedAtMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kListedAtMost) text += ", and " + std::to_string(names.size() - kListedAtMost) + " more";
  return text;
}

// Letters, digits, '_' and '-': an id becomes part of a path, and a member's key ends at the first dot.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
}

absl::Status CheckNames(const Ids& names, const std::string& field) {
  for (const std::string& name : names) {
    if (!IsPlainName(name)) {
      return ConfigError(field + ": '" + name + "' is no name of a clip or attribute: these have letters, digits, " +
                         "'_' and '-' only");
    }
  }
  return absl::OkStatus();
}

bool IsFolder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

absl::Status CheckFolders(const Data& data) {
  if (!IsFolder(data.data_root())) {
    return DataError("data.data_root: there is no folder '" + data.data_root() +
                     "'; name the folder that holds the clips (--data_root), or make scenes with "
                     "`bazel run //data_process:synthesize_scenes`");
  }
  Ids missing;
  for (const std::string& attribute : data.attributes()) {
    if (!IsFolder(data.data_root() + "/" + attribute)) missing.push_back(attribute);
  }
  if (missing.empty()) return absl::OkStatus();
  return DataError("data_root '" + data.data_root() + "' has no folder for " + Joined(missing) +
                   "; each of data.attributes needs its folder there");
}

// Ids of the tars in one attribute folder.
absl::StatusOr<std::set<std::string>> ClipsInFolder(const std::string& folder) {
  std::error_code error;
  std::set<std::string> clips;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == kTarExtension) clips.insert(it->path().stem().string());
  }
  if (error) return DataError("cannot list the folder '" + folder + "': " + error.message());
  return clips;
}

// The clips that every attribute folder holds, sorted. Those that only some hold give a warning.
absl::StatusOr<Ids> ClipsOfAllFolders(const Data& data, Ids* warnings) {
  std::set<std::string> seen, common;
  for (int i = 0; i < data.attributes_size(); ++i) {
    ASSIGN_OR_RETURN(const std::set<std::string> clips, ClipsInFolder(data.data_root() + "/" + data.attributes(i)));
    seen.insert(clips.begin(), clips.end());
    std::set<std::string> both;
    std::set_intersection(common.begin(), common.end(), clips.begin(), clips.end(), std::inserter(both, both.end()));
    common = i == 0 ? clips : both;
  }
  Ids result, incomplete, unusable;
  for (const std::string& clip : seen) {
    if (common.count(clip) == 0) {
      incomplete.push_back(clip);
    } else if (!IsPlainName(clip)) {
      unusable.push_back(clip);
    } else {
      result.push_back(clip);
    }
  }
  if (!incomplete.empty()) {
    warnings->push_back(std::to_string(incomplete.size()) + " clips of '" + data.data_root() +
                        "' are left out because an attribute folder lacks them: " + Joined(incomplete));
  }
  if (!unusable.empty()) {
    warnings->push_back(std::to_string(unusable.size()) + " tars of '" + data.data_root() +
                        "' are left out because their names are no clip ids: " + Joined(unusable));
  }
  return result;
}

absl::StatusOr<Ids> ReadClipList(const Data& data, const std::string& list) {
  const std::string path = list[0] == '/' ? list : data.assets_root() + "/" + list;
  const absl::StatusOr<std::string> file = ReadWholeFile(path, size_t{64} << 20);
  if (!file.ok()) {
    return Annotate(file.status(),
                    "the list of clips that data.assets_root (--assets_root) and the config's clip lists "
                    "name");
  }
  const std::string& text = *file;
  ASSIGN_OR_RETURN(const nlohmann::json array, ParseJson(text, path));
  Ids clips;
  if (!array.is_array()) return DataError(path + ": a clip list is a JSON array of clip ids, this is something else");
  for (const nlohmann::json& element : array) {
    if (!element.is_string() || !IsPlainName(element.get<std::string>())) {
      return DataError(path + ": element " + std::to_string(clips.size()) + " is no clip id");
    }
    clips.push_back(element.get<std::string>());
  }
  if (clips.empty()) return DataError(path + ": the clip list is empty");
  return clips;
}

// The clips that config or lists name for one side; none when they say nothing.
absl::StatusOr<Ids> NamedClips(const Data& data, const google::protobuf::RepeatedPtrField<std::string>& clips,
                               const std::string& field, const std::string& list, Ids* warnings) {
  Ids named(clips.begin(), clips.end());
  RETURN_IF_ERROR(CheckNames(named, field));
  if (named.empty() && !list.empty()) {
    if (list[0] == '/' || !data.assets_root().empty()) {
      ASSIGN_OR_RETURN(named, ReadClipList(data, list));
    } else {
      warnings->push_back("'" + list +
                          "' is not read, because data.assets_root (--assets_root) does not say where it "
                          "lies: the clips of the folder are used");
    }
  }
  std::set<std::string> seen;
  Ids unique, repeated;
  for (std::string& clip : named) (seen.insert(clip).second ? unique : repeated).push_back(clip);
  if (!repeated.empty()) warnings->push_back(field + " or its list names clips more than once: " + Joined(repeated));
  return unique;
}

// Uniform in [0, 1), from the id alone.
double SplitPosition(const std::string& clip) {
  const uint64_t hash = XXH3_64bits(clip.data(), clip.size());
  return PhiloxUniform(PhiloxKey(kSplitSeed, RandomPurpose::kClipSplit), hash, 0);
}

void SplitByHash(const Ids& clips, double fraction, Ids* train, Ids* validation) {
  std::vector<std::pair<double, std::string>> order;
  for (const std::string& clip : clips) order.emplace_back(SplitPosition(clip), clip);
  std::sort(order.begin(), order.end());
  size_t held_out = 0;
  while (held_out < order.size() && order[held_out].first < fraction) ++held_out;
  if (fraction > 0 && order.size() >= 2) held_out = std::clamp<size_t>(held_out, 1, order.size() - 1);
  if (order.size() == 1) held_out = 0;
  for (size_t i = 0; i < order.size(); ++i) (i < held_out ? validation : train)->push_back(order[i].second);
  std::sort(train->begin(), train->end());
  std::sort(validation->begin(), validation->end());
}

struct Tar {
  std::string attribute, clip;
  int64_t size = -1;  // below 0: there is no such file
};

absl::StatusOr<std::vector<Tar>> FindTars(const Data& data, const Ids& clips) {
  std::vector<Tar> tars;
  for (const std::string& clip : clips) {
    for (const std::string& attribute : data.attributes()) tars.push_back({attribute, clip, -1});
  }
  // On a network file system each look takes a millisecond and thousands are needed.
  ParallelFor(static_cast<int64_t>(tars.size()), 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::filesystem::path path = ClipTarPath(data.data_root(), tars[i].attribute, tars[i].clip);
      std::error_code error;
      if (!std::filesystem::is_regular_file(path, error)) continue;
      const uintmax_t size = std::filesystem::file_size(path, error);
      if (!error) tars[i].size = static_cast<int64_t>(size);
    }
  });
  Ids missing;
  for (const Tar& tar : tars) {
    if (tar.size < 0) missing.push_back(ClipTarPath(data.data_root(), tar.attribute, tar.clip));
  }
  if (missing.empty()) return tars;
  return DataError(std::to_string(missing.size()) + " of " + std::to_string(tars.size()) +
                   " tars are missing: " + Joined(missing) +
                   "; complete the data, or list only whole clips in data.train_clips and data.validation_clips");
}

std::string ManifestHash(const Ids& train, const Ids& validation, const std::vector<Tar>& tars) {
  std::string text;
  for (const std::string& clip : train) text += "train " + clip + "\n";
  for (const std::string& clip : validation) text += "validation " + clip + "\n";
  for (const Tar& tar : tars) text += tar.attribute + "/" + tar.clip + " " + std::to_string(tar.size) + "\n";
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  char digits[33];
  std::snprintf(digits, sizeof(digits), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return digits;
}

}  // namespace

std::string ClipTarPath(std::string_view data_root, std::string_view attribute, std::string_view clip) {
  std::string path(data_root);
  path.append("/").append(attribute).append("/").append(clip).append(kTarExtension);
  return path;
}

absl::StatusOr<ClipIndex> ClipIndex::Open(const Data& data) {
  if (data.attributes().empty()) {
    return ConfigError("data.attributes is empty: name the attribute folders that each clip must have");
  }
  RETURN_IF_ERROR(CheckNames(Ids(data.attributes().begin(), data.attributes().end()), "data.attributes"));
  RETURN_IF_ERROR(CheckFolders(data));
  ClipIndex index;
  ASSIGN_OR_RETURN(index.train_clips_,
                   NamedClips(data, data.train_clips(), "data.train_clips", data.train_clip_list(), &index.warnings_));
  ASSIGN_OR_RETURN(index.validation_clips_, NamedClips(data, data.validation_clips(), "data.validation_clips",
                                                       data.validation_clip_list(), &index.warnings_));
  if (index.train_clips_.empty()) {
    ASSIGN_OR_RETURN(const Ids clips, ClipsOfAllFolders(data, &index.warnings_));
    if (index.validation_clips_.empty()) {
      SplitByHash(clips, data.validation_fraction(), &index.train_clips_, &index.validation_clips_);
    } else {
      const std::set<std::string> held_out(index.validation_clips_.begin(), index.validation_clips_.end());
      for (const std::string& clip : clips) {
        if (held_out.count(clip) == 0) index.train_clips_.push_back(clip);
      }
    }
    if (index.train_clips_.empty()) {
      return DataError("data_root '" + data.data_root() +
                       "' holds no clip to train on: none has a tar in every one of " +
                       std::to_string(data.attributes_size()) +
                       " attribute folders; `bazel run //data_process:synthesize_scenes` makes some");
    }
  }
  if (index.validation_clips_.empty()) {
    index.warnings_.push_back("no clip is held out, so nothing is validated; name some in data.validation_clips");
  }
  std::set<std::string> all(index.train_clips_.begin(), index.train_clips_.end());
  Ids both;
  for (const std::string& clip : index.validation_clips_) {
    if (!all.insert(clip).second) both.push_back(clip);
  }
  if (!both.empty()) index.warnings_.push_back("these clips both train and validate: " + Joined(both));
  ASSIGN_OR_RETURN(const std::vector<Tar> tars, FindTars(data, Ids(all.begin(), all.end())));
  index.manifest_hash_ = ManifestHash(index.train_clips_, index.validation_clips_, tars);
  return index;
}

}  // namespace cubist

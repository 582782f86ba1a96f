#include "data_process/inspection/data_tree.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/data_place.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"
#include "data_process/inspection/name_list.h"
#include "data_process/inspection/video_check.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr char kFolderAttribute[] = "lidars";

std::optional<ClipFile::Kind> KindOf(const std::string& ending) {
  const std::string lower = absl::AsciiStrToLower(ending);
  if (lower == ".tar") return ClipFile::Kind::kTar;
  if (lower == ".json") return ClipFile::Kind::kJson;
  if (HasVideoEnding(ending)) return ClipFile::Kind::kVideo;
  return std::nullopt;
}

// Names of a folder's entries, sorted, without hidden ones.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name[0] != '.') names.push_back(name);
  }
  if (error) return DataError(absl::StrCat("cannot list the folder '", folder, "': ", error.message()));
  std::sort(names.begin(), names.end());
  return names;
}

// Such a name is no clip's, and would be an instruction to the terminal that a report is read on.
bool HasControlCharacter(const std::string& name) {
  return std::any_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

absl::StatusOr<AttributeFolder> ListAttribute(const std::string& root, const std::string& name,
                                              std::vector<std::string>* remarks) {
  AttributeFolder attribute;
  attribute.name = name;
  const std::string folder = absl::StrCat(root, "/", name);
  ASSIGN_OR_RETURN(const std::vector<std::string> entries, NamesIn(folder));
  std::vector<std::string> others, twice;
  for (const std::string& entry : entries) {
    const std::string path = absl::StrCat(folder, "/", entry);
    const std::string ending = fs::path(entry).extension().string();
    std::optional<ClipFile::Kind> kind = KindOf(ending);
    std::string clip = fs::path(entry).stem().string();
    if (IsDirectory(path)) {
      kind = name == kFolderAttribute ? std::make_optional(ClipFile::Kind::kFolder) : std::nullopt;
      clip = entry;
    } else if (absl::EqualsIgnoreCase(ending, ".csv")) {
      continue;
    }
    if (HasControlCharacter(entry)) {
      others.push_back(Quoted(entry));
    } else if (!kind.has_value()) {
      others.push_back(entry);
    } else if (!attribute.clips.emplace(clip, ClipFile{*kind, path}).second) {
      twice.push_back(entry);
    }
  }
  if (attribute.clips.empty()) {
    remarks->push_back(absl::StrCat(name, "/ holds no tars, videos or captions: it counts as no attribute"));
  } else if (!others.empty()) {
    remarks->push_back(absl::StrCat(name, "/ also holds what is no data: ", ListNames(others)));
  }
  if (!twice.empty()) {
    remarks->push_back(
        absl::StrCat(name, "/ holds a second file of a clip, which was not looked at: ", ListNames(twice)));
  }
  return attribute;
}

}  // namespace

absl::StatusOr<DataTree> ListDataTree(const std::string& root, const std::vector<std::string>& only,
                                      const std::vector<std::string>& wanted) {
  if (!IsDirectory(root)) {
    return DataError(absl::StrCat("there is no folder '", root, "'; name the folder that holds a folder an attribute"));
  }
  DataTree tree;
  tree.root = root;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(root));
  const std::set<std::string> chosen(only.begin(), only.end());
  std::set<std::string> clips;
  for (const std::string& name : names) {
    if (!IsDirectory(absl::StrCat(root, "/", name))) continue;
    if (HasControlCharacter(name)) {
      tree.remarks.push_back(absl::StrCat("the folder ", Quoted(name), " counts as no attribute"));
      continue;
    }
    absl::StatusOr<AttributeFolder> listed = ListAttribute(root, name, &tree.remarks);
    if (!listed.ok()) {
      tree.broken.push_back(WithDataPlace(listed.status(), {"", name, absl::StrCat(root, "/", name), "", 0, 0}));
      continue;
    }
    AttributeFolder& attribute = *listed;
    if (attribute.clips.empty()) continue;
    for (auto it = attribute.clips.begin(); it != attribute.clips.end();) {
      const bool keep = chosen.empty() || chosen.count(it->first) > 0;
      if (keep) clips.insert(it->first);
      it = keep ? std::next(it) : attribute.clips.erase(it);
    }
    tree.attributes.push_back(std::move(attribute));
  }
  tree.clips.assign(clips.begin(), clips.end());
  if (tree.attributes.empty() && !tree.broken.empty()) return tree.broken[0];
  if (tree.attributes.empty()) {
    return DataError(absl::StrCat("'", root,
                                  "' has no folder with <clip>.tar, <clip>.mp4 or <clip>.json: name the "
                                  "folder that holds a folder an attribute"));
  }
  std::vector<std::string> unknown;
  std::set_difference(chosen.begin(), chosen.end(), clips.begin(), clips.end(), std::back_inserter(unknown));
  if (!unknown.empty()) return DataError(absl::StrCat("'", root, "' holds no clip ", ListNames(unknown)));
  for (const std::string& name : wanted) {
    const auto at = std::lower_bound(tree.attributes.begin(), tree.attributes.end(), name,
                                     [](const AttributeFolder& a, const std::string& b) { return a.name < b; });
    if (at == tree.attributes.end() || at->name != name) tree.attributes.insert(at, {name, {}});
  }
  return tree;
}

}  // namespace cubist

#include "tools/deployment/bundle_sources.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/training/launch/worker_location.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

std::string NameOf(const std::string& program) { return fs::path(program).filename().string(); }

// Folders, with the files in them, and files that go into every bundle, by their place in the workspace.
constexpr const char* kFiles[] = {"LICENSE", "LICENSE.wandb", "NOTICE", "configs/quickstart", "configs/recipes"};

absl::Status AddFiles(const std::string& workspace, const std::string& path, BundleSources& sources) {
  const std::string place = absl::StrCat(workspace, "/", path);
  std::error_code error;
  if (!fs::is_directory(place, error)) {
    sources.files.push_back({path, place});
    return absl::OkStatus();
  }
  for (const fs::directory_entry& file : fs::directory_iterator(place, error)) {
    sources.files.push_back({absl::StrCat(path, "/", file.path().filename().string()), file.path().string()});
  }
  return error ? ConfigError(absl::StrCat(place, ": cannot list: ", error.message())) : absl::OkStatus();
}

// The one of RunfilesFolders that holds all of kFiles.
absl::StatusOr<std::string> WorkspaceOf(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    if (std::all_of(std::begin(kFiles), std::end(kFiles), [&](const char* path) {
          std::error_code error;
          return fs::exists(fs::path(folder) / path, error);
        })) {
      return folder;
    }
  }
  return ConfigError(absl::StrCat("cannot find the configs and licences of a bundle (", absl::StrJoin(kFiles, ", "),
                                  "). Looked for them in:\n  ", absl::StrJoin(folders, "\n  "),
                                  "\nRun this program by ./bazelw run, or from bazel-bin."));
}

}  // namespace

std::vector<std::string> BundledPrograms() { return absl::StrSplit(CUBIST_BUNDLED_PROGRAMS, ','); }

absl::StatusOr<BundleSources> FindBundleSources(const std::string& program_path, const std::string& argv0,
                                                const Environment& environment, const std::vector<std::string>& names,
                                                bool with_libtorch) {
  BundleSources sources;
  sources.with_libtorch = with_libtorch;
  std::vector<std::string> known;
  for (const std::string& program : BundledPrograms()) {
    known.push_back(NameOf(program));
    if (!names.empty() && std::find(names.begin(), names.end(), known.back()) == names.end()) continue;
    ASSIGN_OR_RETURN(sources.programs.emplace_back(), FindProgram(program_path, argv0, environment, program));
  }
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return ConfigError(
        absl::StrCat("there is no program ", name, " to bundle: there are ", absl::StrJoin(known, ", ")));
  }
  ASSIGN_OR_RETURN(const std::string workspace, WorkspaceOf(RunfilesFolders(program_path, argv0, environment)));
  for (const char* path : kFiles) RETURN_IF_ERROR(AddFiles(workspace, path, sources));
  return sources;
}

}  // namespace cubist

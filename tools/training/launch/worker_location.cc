#include "tools/training/launch/worker_location.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace cubist {
namespace {

bool IsProgram(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

absl::StatusOr<std::string> ProgramPath() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return InternalError(absl::StrCat("cannot read /proc/self/exe: ", error.message()));
  return path.string();
}

std::vector<std::string> RunfilesFolders(const std::string& program_path, const std::string& argv0,
                                         const Environment& environment) {
  std::vector<std::string> folders;
  for (const char* variable : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
    const auto found = environment.find(variable);
    if (found != environment.end() && !found->second.empty()) folders.push_back(found->second);
  }
  if (!argv0.empty()) folders.push_back(argv0 + ".runfiles");
  folders.push_back(program_path + ".runfiles");
  for (std::string& folder : folders) folder += "/cubist";
  return folders;
}

absl::StatusOr<std::string> FindProgram(const std::string& program_path, const std::string& argv0,
                                        const Environment& environment, const std::string& target) {
  const std::filesystem::path path = target;
  const std::string name = path.filename().string();
  std::vector<std::string> candidates = {(std::filesystem::path(program_path).parent_path() / name).string()};
  for (const std::string& folder : RunfilesFolders(program_path, argv0, environment)) {
    candidates.push_back(absl::StrCat(folder, "/", target));
  }
  for (const std::string& candidate : candidates) {
    if (!IsProgram(candidate)) continue;
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(candidate, error);
    return error ? candidate : absolute.lexically_normal().string();
  }
  return ConfigError(absl::StrCat("cannot find the program ", name, ". Looked for:\n  ",
                                  absl::StrJoin(candidates, "\n  "), "\nBuild it with ./bazelw build //",
                                  path.parent_path().string(), ":", name, ", or copy it beside this program."));
}

absl::StatusOr<std::string> FindWorker(const std::string& program_path, const std::string& argv0,
                                       const Environment& environment, const std::string& name) {
  return FindProgram(program_path, argv0, environment, "tools/" + name);
}

}  // namespace cubist

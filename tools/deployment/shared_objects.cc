#include "tools/deployment/shared_objects.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "base/subprocess.h"

namespace cubist {
namespace {

constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";

// In this environment alone: no LD_LIBRARY_PATH of the user, no translations.
absl::StatusOr<SubprocessResult> RunIn(std::vector<std::string> environment,
                                       const std::vector<std::string>& arguments) {
  SubprocessOptions options;
  options.environment = std::move(environment);
  return RunSubprocess(arguments, options);
}

// The output of a program of binutils or of patchelf.
absl::StatusOr<std::string> RunTool(const std::vector<std::string>& arguments) {
  absl::StatusOr<SubprocessResult> result = RunIn({}, arguments);
  if (!result.ok()) {
    return WithMessage(result.status(), absl::StrCat(result.status().message(),
                                                     "; install the packages binutils and patchelf (./bazelw does)"));
  }
  if (!result->ok()) {
    return ConfigError(absl::StrCat(arguments[0], " failed: ", absl::StripAsciiWhitespace(result->error)));
  }
  return std::move(result->output);
}

// "2.36" of "GLIBC_2.36"; 0.0 for what stands for no release of its own.
std::pair<int, int> GlibcVersion(const std::string& symbol_version) {
  if (symbol_version == "GLIBC_ABI_DT_RELR") return {2, 36};  // the first that has relative relocations in this form
  std::pair<int, int> version = {0, 0};
  if (std::sscanf(symbol_version.c_str(), "GLIBC_%d.%d", &version.first, &version.second) != 2) return {0, 0};
  return version;
}

}  // namespace

bool ComesWithMachine(std::string_view library) {
  const absl::string_view name(library.data(), library.size());
  for (const char* glibc :
       {"ld-linux-x86-64", "libBrokenLocale", "libanl", "libc", "libc_malloc_debug", "libdl", "libm", "libmvec",
        "libnsl", "libpthread", "libresolv", "librt", "libthread_db", "libutil"}) {
    // Only the names of glibc's own time: libnsl.so.2 is somebody else's.
    for (const char* version : {".so.0", ".so.1", ".so.2", ".so.6"}) {
      const bool is_other_nsl = absl::string_view(glibc) == "libnsl" && absl::string_view(version) == ".so.2";
      if (name == absl::StrCat(glibc, version) && !is_other_nsl) return true;
    }
  }
  for (const char* start : {"linux-vdso.so", "libnss_", "libcuda.so", "libcudadebugger.so", "libnvcuvid.so",
                            "libnvidia-", "libnvoptix.so", "libGLX_nvidia.so", "libEGL_nvidia.so"}) {
    if (absl::StartsWith(name, start)) return true;
  }
  return false;
}

absl::StatusOr<std::vector<LoadedLibrary>> LibrariesOf(const std::string& program) {
  // As ldd does it: the loader's own --list ends at the first library that is missing.
  ASSIGN_OR_RETURN(const SubprocessResult result, RunIn({"LD_TRACE_LOADED_OBJECTS=1"}, {kLoader, program}));
  // Of a library that lacks a version, it says "PROGRAM: LIBRARY: version `ZLIB_9' not found (required by ...)" and
  // goes on.
  if (!result.ok() || result.error.find(": version `") != std::string::npos) {
    return ConfigError(
        absl::StrCat(program, ": the dynamic loader cannot start it: ", absl::StripAsciiWhitespace(result.error)));
  }
  // "\tlibz.so.1 => /lib/libz.so.1 (0x7f...)", "\tlibz.so.1 => not found", "\tlinux-vdso.so.1 (0x7f...)".
  std::vector<LoadedLibrary> libraries;
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    const size_t arrow = line.find(" => ");
    if (arrow == std::string::npos || line[0] != '\t') continue;
    LoadedLibrary library = {line.substr(1, arrow - 1), line.substr(arrow + 4)};
    if (ComesWithMachine(library.name)) continue;
    library.path = library.path == "not found" ? "" : library.path.substr(0, library.path.rfind(" (0x"));
    libraries.push_back(std::move(library));
  }
  return libraries;
}

absl::StatusOr<std::vector<SharedObject>> ReadSharedObjects(const std::vector<std::string>& paths) {
  std::vector<SharedObject> objects;
  if (paths.empty()) return objects;
  std::vector<std::string> arguments = {"objdump", "--private-headers", "--"};
  arguments.insert(arguments.end(), paths.begin(), paths.end());
  ASSIGN_OR_RETURN(const std::string output, RunTool(arguments));
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(":     file format elf64-x86-64") != std::string::npos) objects.emplace_back();
    if (objects.empty() || !absl::StartsWith(line, "  ")) continue;
    std::istringstream words(line);
    std::string tag, value;
    std::getline(words >> tag >> std::ws, value);
    if (tag == "RPATH") objects.back().rpath = value;
    if (tag == "RUNPATH") objects.back().runpath = value;
    if (tag == "NEEDED") objects.back().needed.push_back(value);
    // The last word of "    0x09691a75 0x00 07 GLIBC_2.14".
    objects.back().glibc = std::max(objects.back().glibc, GlibcVersion(line.substr(line.rfind(' ') + 1)));
  }
  if (objects.size() != paths.size()) {
    return InternalError(absl::StrCat("objdump spoke of ", objects.size(), " files of ", paths.size()));
  }
  return objects;
}

absl::StatusOr<std::string> BuildIdOf(const std::string& program) {
  constexpr char kLabel[] = "Build ID: ";
  ASSIGN_OR_RETURN(const std::string output, RunTool({"readelf", "--notes", "--", program}));
  const size_t at = output.find(kLabel);
  return at == std::string::npos ? std::string() : output.substr(at + sizeof(kLabel) - 1, 16);
}

absl::Status SetSearchPath(const std::string& path, const std::string& search_path) {
  return RunTool({"patchelf", "--force-rpath", "--set-rpath", search_path, path}).status();
}

}  // namespace cubist

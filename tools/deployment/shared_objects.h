// Which shared libraries programs need, by the dynamic loader and by binutils, and where they look for them.
#ifndef CUBIST_TOOLS_DEPLOYMENT_SHARED_OBJECTS_H_
#define CUBIST_TOOLS_DEPLOYMENT_SHARED_OBJECTS_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cubist {

// Whether a library of this name comes with the machine that a program runs on: those of glibc, which belong to the
// machine's dynamic loader, and those of NVIDIA's driver, which belong to its kernel.
bool ComesWithMachine(std::string_view library);

struct LoadedLibrary {
  std::string name;  // as it is asked for: "libz.so.1"
  std::string path;  // where the loader finds it; empty: nowhere
};

// All that the dynamic loader would load with the program, in its order, in an empty environment; without what comes
// with the machine. ConfigError if the loader cannot read the program, or a library lacks a version that is asked for.
absl::StatusOr<std::vector<LoadedLibrary>> LibrariesOf(const std::string& program);

struct SharedObject {
  std::string rpath;                // DT_RPATH: where it looks for what it needs, and so does what it loads
  std::string runpath;              // DT_RUNPATH: where it alone looks; turns DT_RPATH off, that of the program too
  std::vector<std::string> needed;  // the names of libraries that it asks for itself
  std::pair<int, int> glibc = {};   // the newest version of glibc that it asks for; 0.0: none
};

// What the programs and libraries with these paths say of themselves, in the same order. ConfigError without objdump
// (of binutils), or if one of them is no ELF file.
absl::StatusOr<std::vector<SharedObject>> ReadSharedObjects(const std::vector<std::string>& paths);

// The first 16 hexadecimal digits of the GNU build id of a program, as ProgramVersion() says it; empty without one.
absl::StatusOr<std::string> BuildIdOf(const std::string& program);

// Changes the file in place: DT_RPATH is `search_path`, and there is no DT_RUNPATH. ConfigError without patchelf.
absl::Status SetSearchPath(const std::string& path, const std::string& search_path);

}  // namespace cubist

#endif  // CUBIST_TOOLS_DEPLOYMENT_SHARED_OBJECTS_H_

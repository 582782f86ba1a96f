// A bundle: one folder with programs and all that they need to run on a machine with neither Bazel nor the source. It
// may be moved; glibc and NVIDIA's driver are the machine's own.
//
//   DIR/train, ...    the programs; each looks for its libraries in lib/ beside it first (DT_RPATH $ORIGIN/lib), unless
//                     it needs none but the machine's: then it is the same, byte for byte
//   DIR/lib/          the shared libraries
//   DIR/...           further files: configs, licences
//   DIR/MANIFEST      what the bundle needs, and the SHA-256 and size of each file; sha256sum --check reads it
#ifndef CUBIST_TOOLS_DEPLOYMENT_BUNDLE_H_
#define CUBIST_TOOLS_DEPLOYMENT_BUNDLE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_ops.h"

namespace cubist {

struct BundleSources {
  struct File {
    std::string path;    // in the bundle: "configs/quickstart/vae.textproto"
    std::string source;  // where it is now
  };
  std::vector<std::string> programs;  // paths of executables; in the bundle they have the same names
  std::vector<File> files;
  bool with_libtorch = false;  // put LibTorch's libraries into lib/, all that lie in its folder
};

// What a bundle will hold, each file with where it comes from.
struct BundlePlan {
  enum class Kind { kProgram, kLibrary, kLibTorch, kFile };
  struct Entry {
    std::string path;    // in the bundle
    std::string source;  // a real path, links followed
    int64_t size = 0;    // bytes
    Kind kind = Kind::kFile;
    std::string search_path;  // DT_RPATH to give to the copy; empty: it has a right one, or needs none
  };
  std::vector<Entry> entries;                    // by `path`
  std::vector<std::string> libtorch_of_machine;  // names of LibTorch's libraries that the machine has to provide
  std::vector<std::pair<std::string, std::string>> build_ids;  // of programs: name, and what ProgramVersion() says
  std::pair<int, int> glibc = {};                              // the oldest version that runs all of it: {2, 36}

  int64_t size() const;
};

// Called now and then with bytes that are done and that there are in all; an error ends the work with it.
using BundleProgress = std::function<absl::Status(int64_t done, int64_t total)>;

// Finds the libraries that the programs need on this machine. Errors: ConfigError that names a program, library or file
// that is not there or cannot be read, or binutils if they are missing.
absl::StatusOr<BundlePlan> PlanBundle(const BundleSources& sources);

// 16 hexadecimal digits over all that a bundle by this plan would hold: names, and contents (of LibTorch's libraries,
// which are pinned, sizes). Reads all but LibTorch. DataError for a file that cannot be read.
absl::StatusOr<std::string> BundleId(const BundlePlan& plan);

// Makes the bundle `folder`, whole or not at all, and lets the dynamic loader confirm that each program finds in it
// what it needs. LibTorch's libraries become hard links where that is possible, else copies. Errors: ConfigError
// if `folder` exists, or the loader does not confirm; StorageError; what `progress` returns.
absl::Status WriteBundle(FileOps& ops, const BundlePlan& plan, const std::string& folder,
                         const BundleProgress& progress);

// For people: what is in it, what it needs of a machine, and how LibTorch is provided if it is not in it. Lines with an
// end each.
std::string DescribeBundle(const BundlePlan& plan, const std::string& folder);

// Whether every file that the MANIFEST of the bundle `folder` lists is there with its size. DataError that names the
// first that is not.
absl::Status CheckBundle(const std::string& folder);

}  // namespace cubist

#endif  // CUBIST_TOOLS_DEPLOYMENT_BUNDLE_H_

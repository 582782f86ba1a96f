#include "tools/deployment/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/count_of.h"
#include "base/program_version.h"
#include "base/status.h"
#include "tools/deployment/shared_objects.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;
using Entry = BundlePlan::Entry;
using Kind = BundlePlan::Kind;

// A library that is always among those of a program with LibTorch; the others lie beside it.
constexpr char kLibTorch[] = "libtorch_cpu.so";
// The Python package with the same libraries (third_party/libtorch/libtorch.lock).
constexpr char kTorchPackage[] = "torch 2.11.0+cu130";
constexpr char kManifest[] = "MANIFEST";
constexpr char kSizeLine[] = "# size ";
constexpr std::pair<int, int> kGlibcOfDebian12 = {2, 36};

struct Library {
  std::string path;
  bool is_libtorch = false;
};

std::string GlibcText(const BundlePlan& plan) { return absl::StrCat(plan.glibc.first, ".", plan.glibc.second); }

bool HoldsLibTorch(const BundlePlan& plan) {
  return std::any_of(plan.entries.begin(), plan.entries.end(),
                     [](const Entry& e) { return e.kind == Kind::kLibTorch; });
}

// How a machine provides what is not in the bundle; `folder` is the bundle as the reader knows it.
std::string LibTorchAdvice(const std::string& folder) {
  return absl::StrCat("LibTorch is not in it: on the nodes, set LD_LIBRARY_PATH to torch/lib and nvidia/*/lib of the ",
                      "Python package ", kTorchPackage, ", or link the libraries of these folders into ", folder,
                      "lib");
}

absl::StatusOr<std::string> RealFolderOf(const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::canonical(fs::path(path).parent_path(), error);
  if (error) return ConfigError(absl::StrCat(path, ": cannot follow its folder: ", error.message()));
  return folder.string();
}

// The folder of LibTorch's libraries; empty if none of the programs loads them.
absl::StatusOr<std::string> LibTorchFolder(const std::vector<std::vector<LoadedLibrary>>& loaded) {
  for (const std::vector<LoadedLibrary>& libraries : loaded) {
    for (const LoadedLibrary& library : libraries) {
      if (library.name == kLibTorch) return RealFolderOf(library.path);
    }
  }
  return std::string();
}

// By name. Of a name that both have (libgomp), the bundle gets LibTorch's file if LibTorch is in it, else the other
// one.
absl::StatusOr<std::map<std::string, Library>> CollectLibraries(const std::vector<std::string>& programs,
                                                                bool with_libtorch) {
  std::vector<std::vector<LoadedLibrary>> loaded;
  for (const std::string& program : programs) {
    ASSIGN_OR_RETURN(loaded.emplace_back(), LibrariesOf(program));
    for (const LoadedLibrary& library : loaded.back()) {
      if (!library.path.empty()) continue;
      return ConfigError(absl::StrCat(program, ": the library ", library.name,
                                      " that it needs is not on this machine; ",
                                      "install it, or build the program again with ./bazelw"));
    }
  }
  ASSIGN_OR_RETURN(const std::string libtorch, LibTorchFolder(loaded));
  std::map<std::string, Library> found;
  const auto add = [&](const std::string& name, const Library& library) {
    const auto [place, is_new] = found.try_emplace(name, library);
    if (!is_new && library.is_libtorch == with_libtorch) place->second = library;
  };
  for (const std::vector<LoadedLibrary>& libraries : loaded) {
    for (const LoadedLibrary& library : libraries) {
      ASSIGN_OR_RETURN(const std::string folder, RealFolderOf(library.path));
      add(library.name, {library.path, folder == libtorch});
    }
  }
  if (libtorch.empty()) return found;
  // What it loads only when it is asked for.
  std::error_code error;
  for (const fs::directory_entry& file : fs::directory_iterator(libtorch, error)) {
    const std::string name = file.path().filename().string();
    if (name.find(".so") != std::string::npos && !ComesWithMachine(name)) add(name, {file.path().string(), true});
  }
  if (error) return ConfigError(absl::StrCat(libtorch, ": cannot list: ", error.message()));
  return found;
}

absl::Status Add(std::string path, const std::string& source, Kind kind, BundlePlan& plan) {
  std::error_code error;
  const std::string real = fs::canonical(source, error).string();
  struct stat info;
  if (error || stat(real.c_str(), &info) != 0) {
    return ConfigError(absl::StrCat(source, ": cannot find it: ", error ? error.message() : ErrnoText(errno)));
  }
  if (!S_ISREG(info.st_mode)) return ConfigError(absl::StrCat(source, ": it is no file"));
  plan.entries.push_back({std::move(path), real, info.st_size, kind, ""});
  return absl::OkStatus();
}

// Where the copy of a library or program has to look for what it needs, if it says something else itself.
std::string WantedSearchPath(Kind kind, const SharedObject& object) {
  const bool has_path = !object.rpath.empty() || !object.runpath.empty();
  if (kind == Kind::kProgram) {
    // What needs nothing of lib/ stays as it is: patchelf breaks programs of Go, which crash when they start.
    if (!has_path && std::all_of(object.needed.begin(), object.needed.end(), ComesWithMachine)) return "";
    return object.rpath == "$ORIGIN/lib" && object.runpath.empty() ? "" : "$ORIGIN/lib";
  }
  if (!has_path) return "";
  // Its own folder has to be among them, and no folder of the machine that built it. (An empty part is the current
  // one.)
  bool right = true, own = false;
  const std::string all =
      absl::StrCat(object.rpath, object.rpath.empty() || object.runpath.empty() ? "" : ":", object.runpath);
  for (const absl::string_view part : absl::StrSplit(all, ':')) {
    const bool is_relative = absl::StartsWith(part, "$ORIGIN") || absl::StartsWith(part, "${ORIGIN}");
    right = right && is_relative;
    own = own || part == "$ORIGIN" || part == "${ORIGIN}";
  }
  return right && own ? "" : "$ORIGIN";
}

absl::Status ReadObjects(BundlePlan& plan) {
  std::vector<Entry*> entries;
  std::vector<std::string> paths;
  for (Entry& entry : plan.entries) {
    if (entry.kind == Kind::kFile) continue;
    entries.push_back(&entry);
    paths.push_back(entry.source);
  }
  ASSIGN_OR_RETURN(const std::vector<SharedObject> objects, ReadSharedObjects(paths));
  for (size_t i = 0; i < objects.size(); ++i) {
    entries[i]->search_path = WantedSearchPath(entries[i]->kind, objects[i]);
    plan.glibc = std::max(plan.glibc, objects[i].glibc);
  }
  return absl::OkStatus();
}

// Bytes of all files so far.
class ByteCount {
 public:
  ByteCount(int64_t total, const BundleProgress& progress) : total_(total), progress_(progress) {}
  absl::Status Add(int64_t bytes) {
    done_ += bytes;
    return progress_ ? progress_(done_, total_) : absl::OkStatus();
  }

 private:
  const int64_t total_;
  const BundleProgress& progress_;
  int64_t done_ = 0;
};

// Reads a file to its end, into `target` unless that is null; the SHA-256 of its contents. `count`: may be null.
absl::StatusOr<std::string> ReadThrough(const std::string& path, WritableFile* target, ByteCount* count) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return DataError(absl::StrCat(path, ": cannot open: ", ErrnoText(errno)));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* open) { ::close(*open); });
  Sha256Hasher hasher;
  std::vector<char> piece(size_t{4} << 20);
  while (true) {
    const ssize_t size = ::read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return DataError(absl::StrCat(path, ": cannot read: ", ErrnoText(errno)));
    if (size == 0) return hasher.Hex();
    hasher.Add(std::string_view(piece.data(), static_cast<size_t>(size)));
    if (target != nullptr) RETURN_IF_ERROR(target->Append(piece.data(), static_cast<size_t>(size)));
    if (count != nullptr) RETURN_IF_ERROR(count->Add(size));
  }
}

absl::Status SyncFile(FileOps& ops, const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, ops.OpenForAppend(path));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

// Puts one file at `path`; its SHA-256.
absl::StatusOr<std::string> Place(FileOps& ops, const Entry& entry, const std::string& path, ByteCount& count) {
  // A link shares the file's contents: what has to be changed is copied.
  if (entry.kind == Kind::kLibTorch && entry.search_path.empty() && ops.Link(entry.source, path).ok()) {
    return ReadThrough(path, nullptr, &count);
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, ops.Create(path));
  ASSIGN_OR_RETURN(std::string sha256, ReadThrough(entry.source, file.get(), &count));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(file->Close());
  if (entry.kind == Kind::kProgram) RETURN_IF_ERROR(ops.MakeExecutable(path));
  if (entry.search_path.empty()) return sha256;
  RETURN_IF_ERROR(SetSearchPath(path, entry.search_path));
  RETURN_IF_ERROR(SyncFile(ops, path));
  return ReadThrough(path, nullptr, nullptr);
}

// That the loader finds in the bundle at `folder` all that the programs need.
absl::Status CheckLoads(const BundlePlan& plan, const std::string& folder) {
  const std::set<std::string> of_machine(plan.libtorch_of_machine.begin(), plan.libtorch_of_machine.end());
  ASSIGN_OR_RETURN(const std::string libraries, RealFolderOf(folder + "/lib/"));
  for (const Entry& entry : plan.entries) {
    if (entry.kind != Kind::kProgram) continue;
    ASSIGN_OR_RETURN(const std::vector<LoadedLibrary> loaded, LibrariesOf(absl::StrCat(folder, "/", entry.path)));
    for (const LoadedLibrary& library : loaded) {
      std::string found_in;
      if (!library.path.empty()) {
        ASSIGN_OR_RETURN(found_in, RealFolderOf(library.path));
      }
      // What the nodes are to have may be on this machine, too.
      if (of_machine.count(library.name) > 0 || found_in == libraries) continue;
      return ConfigError(absl::StrCat(folder, "/", entry.path, ": would not take ", library.name,
                                      " from the bundle but ",
                                      found_in.empty() ? "find none" : absl::StrCat("from ", found_in)));
    }
  }
  return absl::OkStatus();
}

std::string ManifestHead(const BundlePlan& plan) {
  std::string head = absl::StrCat("# A bundle made by ", ProgramVersion(), ". It may be moved. Whether it is whole:\n",
                                  "#   sha256sum --check --quiet ", kManifest, "\n# It needs glibc ", GlibcText(plan),
                                  " or newer on x86-64, and on GPUs NVIDIA's driver.\n");
  if (HoldsLibTorch(plan)) absl::StrAppend(&head, "# It holds LibTorch, of ", kTorchPackage, ".\n");
  if (!plan.libtorch_of_machine.empty()) absl::StrAppend(&head, "# ", LibTorchAdvice(""), ".\n");
  for (const auto& [name, build_id] : plan.build_ids) absl::StrAppend(&head, "# ", name, ": build ", build_id, "\n");
  return head;
}

absl::Status Fill(FileOps& ops, const BundlePlan& plan, const std::string& folder, const BundleProgress& progress) {
  // Parents stand before what is in them.
  std::set<std::string> folders = {"lib"};
  for (const Entry& entry : plan.entries) {
    for (size_t slash = entry.path.find('/'); slash != std::string::npos; slash = entry.path.find('/', slash + 1)) {
      folders.insert(entry.path.substr(0, slash));
    }
  }
  for (const std::string& inner : folders) RETURN_IF_ERROR(ops.MakeDirectory(absl::StrCat(folder, "/", inner)));
  std::string manifest = ManifestHead(plan);
  ByteCount count(plan.size(), progress);
  for (const Entry& entry : plan.entries) {
    const std::string path = absl::StrCat(folder, "/", entry.path);
    ASSIGN_OR_RETURN(const std::string sha256, Place(ops, entry, path, count));
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) return StorageError(absl::StrCat(path, ": cannot look at it: ", error.message()));
    absl::StrAppend(&manifest, kSizeLine, size, "\n", sha256, "  ", entry.path, "\n");
  }
  RETURN_IF_ERROR(CheckLoads(plan, folder));
  for (const std::string& inner : folders) RETURN_IF_ERROR(ops.SyncDirectory(absl::StrCat(folder, "/", inner)));
  return WriteFileAtomically(ops, absl::StrCat(folder, "/", kManifest), manifest);
}

}  // namespace

int64_t BundlePlan::size() const {
  int64_t size = 0;
  for (const Entry& entry : entries) size += entry.size;
  return size;
}

absl::StatusOr<BundlePlan> PlanBundle(const BundleSources& sources) {
  BundlePlan plan;
  ASSIGN_OR_RETURN(const auto libraries, CollectLibraries(sources.programs, sources.with_libtorch));
  for (const std::string& program : sources.programs) {
    const std::string name = fs::path(program).filename().string();
    RETURN_IF_ERROR(Add(name, program, Kind::kProgram, plan));
    ASSIGN_OR_RETURN(const std::string build_id, BuildIdOf(program));
    plan.build_ids.emplace_back(name, build_id);
  }
  for (const auto& [name, library] : libraries) {
    if (library.is_libtorch && !sources.with_libtorch) {
      plan.libtorch_of_machine.push_back(name);
      continue;
    }
    const Kind kind = library.is_libtorch ? Kind::kLibTorch : Kind::kLibrary;
    RETURN_IF_ERROR(Add("lib/" + name, library.path, kind, plan));
  }
  for (const BundleSources::File& file : sources.files) RETURN_IF_ERROR(Add(file.path, file.source, Kind::kFile, plan));
  std::sort(plan.entries.begin(), plan.entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  RETURN_IF_ERROR(ReadObjects(plan));
  return plan;
}

absl::StatusOr<std::string> BundleId(const BundlePlan& plan) {
  std::string listing;
  for (const Entry& entry : plan.entries) {
    std::string contents;
    if (entry.kind != Kind::kLibTorch) {
      ASSIGN_OR_RETURN(contents, ReadThrough(entry.source, nullptr, nullptr));
    }
    absl::StrAppend(&listing, entry.path, "\n", entry.size, " ", contents, "\n");
  }
  return Sha256Hex(listing).substr(0, 16);
}

absl::Status WriteBundle(FileOps& ops, const BundlePlan& plan, const std::string& folder,
                         const BundleProgress& progress) {
  return MakeFolderAtomically(ops, folder,
                              [&](const std::string& temporary) { return Fill(ops, plan, temporary, progress); });
}

std::string DescribeBundle(const BundlePlan& plan, const std::string& folder) {
  uint64_t programs = 0, libraries = 0;
  for (const Entry& entry : plan.entries) {
    programs += entry.kind == Kind::kProgram;
    libraries += entry.kind == Kind::kLibrary || entry.kind == Kind::kLibTorch;
  }
  std::string text = absl::StrCat(folder, ": ", CountOf(programs, "program"), ", ", libraries, " shared librar",
                                  libraries == 1 ? "y" : "ies", ", ", (plan.size() + 999999) / 1000000,
                                  " MB; needs glibc ", GlibcText(plan), " or newer");
  if (HoldsLibTorch(plan)) absl::StrAppend(&text, "; LibTorch is in it");
  absl::StrAppend(&text, "\n");
  if (!plan.libtorch_of_machine.empty()) absl::StrAppend(&text, LibTorchAdvice(folder + "/"), "\n");
  if (plan.glibc > kGlibcOfDebian12) {
    absl::StrAppend(&text,
                    "it was built on a newer system than Debian 12, whose glibc is 2.36: make it there if the nodes ",
                    "have an older one than ", GlibcText(plan), "\n");
  }
  return text;
}

absl::Status CheckBundle(const std::string& folder) {
  const std::string manifest = absl::StrCat(folder, "/", kManifest);
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(manifest));
  std::istringstream lines(text);
  int64_t size = -1;  // that the next file has to have
  uint64_t files = 0;
  for (std::string line; std::getline(lines, line);) {
    if (absl::StartsWith(line, kSizeLine)) size = std::atoll(line.c_str() + sizeof(kSizeLine) - 1);
    if (absl::StartsWith(line, "#")) continue;
    const size_t gap = line.find("  ");
    if (gap == std::string::npos || size < 0) return DataError(absl::StrCat(manifest, ": not a bundle's"));
    const std::string path = absl::StrCat(folder, "/", line.substr(gap + 2));
    std::error_code error;
    const auto actual = static_cast<int64_t>(fs::file_size(path, error));
    if (error || actual != size) {
      return DataError(absl::StrCat(path, ": ", error ? error.message() : absl::StrCat(actual, " bytes"), ", not the ",
                                    size, " bytes that ", manifest, " lists: remove the folder ", folder,
                                    " and make it again"));
    }
    size = -1;
    ++files;
  }
  return files > 0 ? absl::OkStatus() : DataError(absl::StrCat(manifest, ": lists no files"));
}

}  // namespace cubist

#include "tools/wandb/artifact_files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/byte_sink.h"
#include "base/status.h"
#include "tools/training/checkpoint/hashes.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = size_t{1} << 20;

absl::Status ReadInPieces(const std::string& path, const std::atomic<bool>* stop, const ByteSink& sink) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return DataError(absl::StrCat(path, ": cannot open: ", ErrnoText(errno)));
  const std::unique_ptr<const int, void (*)(const int*)> closer(&descriptor, [](const int* open) { ::close(*open); });
  std::vector<char> piece(kPiece);
  while (true) {
    if (stop != nullptr && *stop) return PreemptedError(absl::StrCat("stopped while reading ", path));
    const ssize_t size = ::read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return DataError(absl::StrCat(path, ": cannot read: ", ErrnoText(errno)));
    if (size == 0) return absl::OkStatus();
    RETURN_IF_ERROR(sink(std::string_view(piece.data(), static_cast<size_t>(size))));
  }
}

class Md5Hasher {
 public:
  Md5Hasher() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr); }
  void Add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string Digest() {
    std::string digest(16, '\0');
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), nullptr);
    return digest;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

absl::Status Copy(FileOps& ops, const std::string& from, const std::string& to, const std::atomic<bool>* stop) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file, ops.Create(to));
  RETURN_IF_ERROR(
      ReadInPieces(from, stop, [&](std::string_view bytes) { return file->Append(bytes.data(), bytes.size()); }));
  RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

}  // namespace

bool IsPathInside(const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  return !path.empty() && normal.is_relative() && normal.string() == path && normal.has_filename() &&
         *normal.begin() != ".." && path != ".";
}

absl::StatusOr<std::string> Md5OfFile(const std::string& path, const std::atomic<bool>* stop) {
  Md5Hasher hasher;
  RETURN_IF_ERROR(ReadInPieces(path, stop, [&](std::string_view bytes) {
    hasher.Add(bytes);
    return absl::OkStatus();
  }));
  return absl::Base64Escape(hasher.Digest());
}

absl::StatusOr<std::vector<StagedFile>> StageFiles(FileOps& ops,
                                                   const std::vector<std::pair<std::string, std::string>>& files,
                                                   const std::string& folder, const std::atomic<bool>* stop) {
  std::vector<StagedFile> staged;
  const std::map<std::string, std::string> sorted(files.begin(), files.end());
  for (const auto& [path, source] : sorted) {
    if (!IsPathInside(path)) return ConfigError(absl::StrCat("\"", path, "\" is no path of a file in an artifact"));
    StagedFile file = {path, absl::StrCat(folder, "/", path), "", 0};
    RETURN_IF_ERROR(MakeDirectories(ops, fs::path(file.local_path).parent_path().string()));
    if (!ops.Link(source, file.local_path).ok()) RETURN_IF_ERROR(Copy(ops, source, file.local_path, stop));
    struct stat info;
    if (::stat(file.local_path.c_str(), &info) != 0) {
      return DataError(absl::StrCat(file.local_path, ": ", ErrnoText(errno)));
    }
    file.size = info.st_size;
    staged.push_back(std::move(file));
  }
  for (StagedFile& file : staged) {
    ASSIGN_OR_RETURN(file.md5, Md5OfFile(file.local_path, stop));
  }
  return staged;
}

std::string ArtifactDigest(const std::vector<StagedFile>& files) {
  Md5Hasher hasher;
  hasher.Add("wandb-artifact-manifest-v1\n");
  for (const StagedFile& file : files) hasher.Add(absl::StrCat(file.path, ":", file.md5, "\n"));
  return ToHex(hasher.Digest());
}

}  // namespace cubist

#include "data_process/formats/fuzz/fuzz_target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cubist {

void Require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

bool Accepted(const absl::Status& status, std::string_view name) {
  if (status.ok()) return true;
  const absl::string_view message = status.message();
  const bool named = std::string_view(message.data(), message.size()).find(name) != std::string_view::npos;
  // Names and texts out of files are quoted and cut: neither control characters nor pages of bytes.
  const bool printable = std::all_of(message.begin(), message.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (ExitCodeOf(status) == ExitCode::kData && named && printable && message.size() < 2000) return false;
  std::fprintf(stderr, "no fit error of a damaged file: %s\n", status.ToString().c_str());
  std::abort();
}

void Walk(const HostTensor& tensor) {
  const std::optional<uint64_t> size = CheckedByteSize(tensor.dtype(), tensor.shape());
  Require(size.has_value() && *size == tensor.byte_size(), "an array has the bytes of its shape");
  const auto* bytes = reinterpret_cast<const volatile unsigned char*>(tensor.bytes());
  unsigned char most = 0;
  for (uint64_t i = 0; i < *size; ++i) {
    const unsigned char byte = bytes[i];
    most = std::max(most, byte);
  }
  Require(tensor.dtype() != DType::kBool || most <= 1, "a boolean is 0 or 1");
}

bool SameArray(const HostTensor& a, const HostTensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.byte_size() == 0 || std::memcmp(a.bytes(), b.bytes(), a.byte_size()) == 0);
}

MemoryFile::MemoryFile(std::string_view bytes) : descriptor_(memfd_create("fuzz", MFD_CLOEXEC)) {
  Require(descriptor_ >= 0, "a file in memory can be made");
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor_, bytes.data(), bytes.size());
    Require(count > 0, "a file in memory can be written");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  path_ = absl::StrCat("/proc/self/fd/", descriptor_);
}

MemoryFile::~MemoryFile() { close(descriptor_); }

}  // namespace cubist

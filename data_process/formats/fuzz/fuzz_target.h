// A reader of files as the fuzzers and the mutation tests see it: bytes in, everything that comes out walked.
//
// To add a format X: write X_fuzz.cc, which defines FuzzFormat below; add X to FORMATS in BUILD, which makes the
// libFuzzer program X_fuzzer and the test X_mutation_test of it; and let make_corpus.py write files to begin with into
// corpus/X.
#ifndef CUBIST_DATA_PROCESS_FORMATS_FUZZ_FUZZ_TARGET_H_
#define CUBIST_DATA_PROCESS_FORMATS_FUZZ_FUZZ_TARGET_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/host_tensor.h"

namespace cubist {

// Defined once in every program, by the X_fuzz.cc that it links. Reads `bytes` as a file of format X, with limits of
// kFuzzBytes on all that the reader may make of it, and walks the result: true if it was read, false if it was refused
// with a DataError. Aborts, and says why, where another error comes out or a result is not what the reader's header
// promises.
bool FuzzFormat(std::string_view bytes);

// What readers may make of one file; the mutation tests run within kFuzzMemoryBytes of memory for all copies of it.
constexpr uint64_t kFuzzBytes = uint64_t{4} << 20;
constexpr uint64_t kFuzzMemoryBytes = uint64_t{64} << 20;

// The name that readers are given for the file.
constexpr std::string_view kFuzzName = "fuzzed file";

// Aborts with `promise`, which does not hold.
void Require(bool holds, const char* promise);

// Whether `status` is OK. Aborts if it is an error of another class than DataError, or has a message that does not name
// the file as `name` or is not fit for a terminal or a line of a log.
bool Accepted(const absl::Status& status, std::string_view name = kFuzzName);

// Reads every byte of an array and checks that its shape, dtype and size agree and its booleans are 0 or 1.
void Walk(const HostTensor& tensor);

// Whether two arrays have the same dtype, shape and bytes.
bool SameArray(const HostTensor& a, const HostTensor& b);

// A file in memory that holds `bytes`, for readers that want a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  // Can be opened as long as this object lives.
  const std::string& path() const { return path_; }

 private:
  int descriptor_;
  std::string path_;
};

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_FUZZ_FUZZ_TARGET_H_

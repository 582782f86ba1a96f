// What the tests of this folder share.
#ifndef CUBIST_DATA_PROCESS_FORMATS_FORMAT_TESTING_H_
#define CUBIST_DATA_PROCESS_FORMATS_FORMAT_TESTING_H_

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_ops.h"
#include "base/host_tensor.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cubist {

// Path of a file of testdata/; make_fixtures.py beside it says how it was made.
inline std::string FixturePath(const std::string& name) { return "data_process/formats/testdata/" + name; }

inline std::string ReadFixture(const std::string& name) {
  const absl::StatusOr<std::string> bytes = ReadWholeFile(FixturePath(name));
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *bytes : "";
}

// Writes a file into the test's own folder and returns its path.
inline std::string WriteTemporary(const std::string& name, std::string_view bytes) {
  const std::string path = ::testing::TempDir() + "/" + name;
  // Without syncing, and as a new file (some file systems sync what is written over): some tests write thousands.
  std::remove(path.c_str());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  EXPECT_TRUE(file.good()) << path;
  return path;
}

// A DataError whose message contains all of `parts`.
inline void ExpectDataError(const absl::Status& status, std::initializer_list<std::string> parts) {
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
  for (const std::string& part : parts) EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(part));
}

// For child processes: from here on this process can have `bytes` more memory at most. False if that did not work.
inline bool LimitMemory(unsigned long bytes) {
  unsigned long pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit = {};
  limit.rlim_cur = limit.rlim_max = pages * static_cast<unsigned long>(sysconf(_SC_PAGESIZE)) + bytes;
  if (pages == 0 || setrlimit(RLIMIT_AS, &limit) != 0) return false;
  return mmap(nullptr, 2 * bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

// For death tests: ends the process, with 0 if `refuse` returns true though the process can have 64 MiB more memory at
// most, as for readers that believe a size only where the file can hold as much.
[[noreturn]] inline void ExitAfterLittleMemory(const std::function<bool()>& refuse) {
  std::_Exit(LimitMemory(64 << 20) && refuse() ? 0 : 2);
}

// Runs a script of Python's standard library; false if it fails. Its words, and its path's, hold no quotes.
inline bool RunPython(const std::string& script, const std::vector<std::string>& words) {
  std::string command = "python3 '" + WriteTemporary("script.py", script) + "'";
  for (const std::string& word : words) command += " '" + word + "'";
  return std::system(command.c_str()) == 0;
}

template <typename T>
std::vector<T> Values(const HostTensor& tensor) {
  return std::vector<T>(tensor.data<T>(), tensor.data<T>() + tensor.size());
}

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_FORMATS_FORMAT_TESTING_H_

// R6 and F17: the reference loads pickles, which run what they say. A corpus of payloads, each seen to run code in
// Python (make_pickles.py), is read by all that reads pickles here; nothing of it runs, and no tensor comes out of it.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/npy.h"
#include "data_process/formats/npz.h"
#include "data_process/formats/pickle.h"
#include "data_process/formats/torch_zip.h"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

// Reads the file by all that its extension asks for. What would be called in Python is a record here, if the file is
// read at all: no tensor or array may come out.
absl::Status Read(const std::string& path, const std::string& extension) {
  if (extension == ".ckpt") {
    const auto source = AnyCheckpoint::Open(path);
    EXPECT_TRUE(!source.ok() || (*source)->tensors().empty()) << path;
    return source.status();
  }
  const std::string bytes = ReadWholeFile(path).value();
  if (extension == ".pkl") return ParsePickle(bytes, path).status();
  if (extension == ".pth") {
    const auto tensors = ReadTorchTensors(bytes, path);
    EXPECT_TRUE(!tensors.ok() || tensors->empty()) << path;
    return tensors.status();
  }
  if (extension == ".npy") return ParseNpy(bytes, path).status();
  if (extension == ".npz") return ParseNpz(bytes, path).status();
  return InternalError(path + ": no reader");
}

TEST(ReferenceFlawsTest, R06_NothingInAPickleRuns) {
  const fs::path folder = ::testing::TempDir() + "/pickles", corpus = folder / "corpus", marker = folder / "marker";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const std::string script = std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                             "/tests/reference_flaws/make_pickles.py";
  ASSERT_EQ(std::system(("python3 '" + script + "' '" + corpus.string() + "' '" + marker.string() + "'").c_str()), 0);
  std::map<std::string, int> refused, inert;
  for (const auto& entry : fs::directory_iterator(corpus)) {
    const std::string extension = entry.path().extension().string();
    const absl::Status status = Read(entry.path().string(), extension);
    if (status.ok()) {
      ++inert[extension];
    } else {
      EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << status;
      EXPECT_NE(std::string(status.message()).find(entry.path().string()), std::string::npos) << status;
      ++refused[extension];
    }
    ASSERT_FALSE(fs::exists(marker)) << entry.path() << " ran";
  }
  EXPECT_EQ(inert[".ckpt"], 0) << "none has a tensor with a name";
  EXPECT_GT(inert[".pkl"], 0) << "most payloads are plain data here";
  EXPECT_EQ(inert[".npy"] + inert[".npz"], 0) << "arrays of objects are refused as such";
  for (const std::string extension : {".ckpt", ".pkl", ".pth", ".npy", ".npz"}) {
    const int payloads = refused[extension] + inert[extension];
    EXPECT_GE(payloads, 100) << "Python ran fewer payloads than it did when this was written";
    RecordProperty("payloads" + extension, payloads);
    RecordProperty("refused" + extension, refused[extension]);
    std::printf("%s: %d payloads, %d refused\n", extension.c_str(), payloads, refused[extension]);
  }
}

}  // namespace
}  // namespace cubist

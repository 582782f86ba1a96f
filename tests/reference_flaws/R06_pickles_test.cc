// R6 and F17: the reference loads pickles, which run what they say. A corpus of payloads, each seen to run code in
// Python (make_pickles.py), is read by all that reads pickles here; nothing of it runs, and no tensor comes out of it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/status.h"
#include "tools/training/loop/weights_source.h"

namespace cubist {
namespace {

namespace fs = std::filesystem;

TEST(ReferenceFlawsTest, R06_NothingInAPickleRuns) {
  const fs::path folder = ::testing::TempDir() + "/pickles", corpus = folder / "corpus", marker = folder / "marker";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const std::string script = std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") +
                             "/tests/reference_flaws/make_pickles.py";
  ASSERT_EQ(std::system(("python3 '" + script + "' '" + corpus.string() + "' '" + marker.string() + "'").c_str()), 0);
  int refused = 0, inert = 0;
  for (const auto& entry : fs::directory_iterator(corpus)) {
    const auto source = WeightsSource::Open(entry.path().string());
    if (source.ok()) {
      // A call became a record of its name: there is no tensor in it.
      EXPECT_TRUE((*source)->Names().empty()) << entry.path();
      ++inert;
    } else {
      EXPECT_EQ(ExitCodeOf(source.status()), ExitCode::kData) << source.status();
      EXPECT_NE(std::string(source.status().message()).find(entry.path().string()), std::string::npos)
          << source.status();
      ++refused;
    }
    ASSERT_FALSE(fs::exists(marker)) << entry.path() << " ran";
  }
  EXPECT_GE(refused + inert, 200) << "Python ran fewer payloads than it did when this was written";
  EXPECT_GT(inert, 0) << "some payloads lie beside a state dict";
  RecordProperty("payloads", refused + inert);
  RecordProperty("refused", refused);
}

}  // namespace
}  // namespace cubist

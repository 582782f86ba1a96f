#include "base/program_version.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace cubist {
namespace {

TEST(ProgramVersionTest, HoldsTheBuildIdOfThisProgram) {
  const std::string version = ProgramVersion();
  ASSERT_EQ(version.rfind("cubist 0.1 (build ", 0), 0u) << version;
  const std::string digits = version.substr(18, 16);
  ASSERT_EQ(version, "cubist 0.1 (build " + digits + ")");
  // The note as it lies in the file: sizes 4 and 20, type 3, "GNU", then the bytes.
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string program((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string header("\4\0\0\0\24\0\0\0\3\0\0\0GNU\0", 16);
  const size_t at = program.find(header);
  ASSERT_NE(at, std::string::npos);
  std::string expected;
  for (size_t i = 0; i < 8; ++i) {
    char pair[3];
    std::snprintf(pair, sizeof(pair), "%02x", static_cast<unsigned char>(program[at + 16 + i]));
    expected += pair;
  }
  EXPECT_EQ(digits, expected);
}

}  // namespace
}  // namespace cubist

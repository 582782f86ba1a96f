// Our listing of a tar archive equals that of Python's tarfile, which shares no code with us, on seeded random archives
// in all of its formats. Where tarfile accepts what we refuse, we say why.
#include <cstdlib>
#include <filesystem>
#include <map>

#include "data_process/formats/format_testing.h"
#include "data_process/formats/tar.h"

namespace cubist {
namespace {

constexpr int kArchives = 300;

// The folder into which tar_differential.py has written its archives and listings.
std::string Archives() {
  static const auto* folder = [] {
    auto* made = new std::string(::testing::TempDir() + "/archives");
    std::filesystem::create_directories(*made);
    const std::string command =
        "python3 data_process/formats/tar_differential.py '" + *made + "' " + std::to_string(kArchives);
    EXPECT_EQ(std::system(command.c_str()), 0);
    return made;
  }();
  return *folder;
}

std::string Path(const std::string& prefix, int number, const std::string& extension) {
  char digits[8];
  std::snprintf(digits, sizeof(digits), "%03d", number);
  return Archives() + "/" + prefix + digits + extension;
}

TEST(TarDifferentialTest, ListsWhatPythonLists) {
  size_t members = 0;
  for (int number = 0; number < kArchives; ++number) {
    const std::string path = Path("", number, ".tar");
    const auto index = TarIndex::Open(path);
    ASSERT_TRUE(index.ok()) << index.status();
    std::string ours;
    for (const TarMember& member : (*index)->members()) {
      ours += member.name + "\t" + std::to_string(member.offset) + "\t" + std::to_string(member.size) + "\n";
    }
    EXPECT_EQ(ours, ReadWholeFile(Path("", number, ".txt")).value()) << path;
    members += (*index)->members().size();
  }
  EXPECT_GT(members, 4u * kArchives);
  RecordProperty("archives", kArchives);
  RecordProperty("members", static_cast<int>(members));
  std::printf("%d archives, %zu members\n", kArchives, members);
}

TEST(TarDifferentialTest, SaysWhyItRefusesWhatPythonAccepts) {
  std::map<std::string, int> counts;
  for (int number = 0; number < kArchives; ++number) {
    const std::string reason = ReadWholeFile(Path("refused_", number, ".txt")).value();
    const std::string path = Path("refused_", number, ".tar");
    ExpectDataError(TarIndex::Open(path).status(), {path, reason});
    ++counts[reason];
  }
  EXPECT_GE(counts.size(), 10u);
  for (const auto& [reason, count] : counts) std::printf("%d archives: %s\n", count, reason.c_str());
}

}  // namespace
}  // namespace cubist

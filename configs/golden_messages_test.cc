// Holds the reports of seeded mistakes, word for word: configs/testdata/*.golden. The reports that this test
// got are left in its undeclared outputs, for review and for taking over after a deliberate change.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "configs/loader.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

struct Mistake {
  std::string name;
  std::string config;
  std::vector<std::string> flags;
  std::string report;
};

struct Golden {
  std::string introduction;
  std::vector<Mistake> mistakes;
};

Golden ReadGolden(const std::string& path) {
  Golden golden;
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  EXPECT_TRUE(text.ok()) << text.status();
  if (!text.ok()) return golden;
  std::string* target = &golden.introduction;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (absl::StartsWith(line, "==== ")) {
      golden.mistakes.push_back({std::string(line.substr(5)), "", {}, ""});
      target = &golden.mistakes.back().config;
    } else if (absl::StartsWith(line, "---- flag ")) {
      golden.mistakes.back().flags.push_back(std::string(line.substr(10)));
    } else if (line == "---- report") {
      target = &golden.mistakes.back().report;
    } else {
      absl::StrAppend(target, line, "\n");
    }
  }
  return golden;
}

// Empty lines at the end do not count: sections are set apart by one.
std::string Stripped(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class GoldenMessagesTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenMessagesTest, ReportIsExactlyThis) {
  const Golden golden = ReadGolden("configs/testdata/" + GetParam());
  EXPECT_GE(golden.mistakes.size(), 15u);
  std::string all = Stripped(golden.introduction) + "\n\n";
  for (const Mistake& mistake : golden.mistakes) {
    SCOPED_TRACE(mistake.name);
    const auto loaded = LoadExperimentText(mistake.config, "configs/testdata/mistake.textproto", mistake.flags);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(ExitCodeOf(loaded.status()), ExitCode::kConfig);
    const std::string report(loaded.status().message());
    EXPECT_EQ(Stripped(report), Stripped(mistake.report));
    absl::StrAppend(&all, "==== ", mistake.name, "\n", Stripped(mistake.config), "\n");
    for (const std::string& flag : mistake.flags) absl::StrAppend(&all, "---- flag ", flag, "\n");
    absl::StrAppend(&all, "---- report\n", Stripped(report), "\n\n");
  }
  if (const char* folder = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR"); folder != nullptr) {
    std::ofstream(absl::StrCat(folder, "/", GetParam())) << Stripped(all) << "\n";
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenMessagesTest,
                         ::testing::Values("mistakes_form.golden", "mistakes_values.golden", "mistakes_rules.golden",
                                           "mistakes_flags.golden", "mistakes_models.golden"),
                         [](const auto& info) { return info.param.substr(0, info.param.find('.')); });

}  // namespace
}  // namespace cubist

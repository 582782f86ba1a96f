#include "tools/slurm/node_exits.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace cubist {
namespace {

NodeExits Left(const std::map<std::string, std::string>& files) {
  const std::string folder = testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const auto& [name, text] : files) std::ofstream(folder + "/" + name) << text;
  return NodeExits::Read(folder);
}

TEST(NodeExits, TheGravestCodeOfAllNodes) {
  // srun would say 75, 70 and 5.
  EXPECT_EQ(Left({{"node-0.exit", "75\n"}, {"node-8.exit", "0\n"}}).Combined(2, false), 75);
  EXPECT_EQ(Left({{"node-0.exit", "5\n"}, {"node-8.exit", "70\n"}}).Combined(2, false), 70);
  EXPECT_EQ(Left({{"node-0.exit", "5\n"}, {"node-8.exit", "3\n"}}).Combined(2, true), 3);
  EXPECT_EQ(Left({{"node-0.exit", "0\n"}, {"node-8.exit", "0\n"}}).Combined(2, true), 0);
}

TEST(NodeExits, ANodeThatLeftNone) {
  const NodeExits one = Left({{"node-0.exit", "75\n"}, {"node-8.exit", ""}, {"rank-0.log", "70"}});
  EXPECT_EQ(one.Combined(2, false), 5);
  EXPECT_FALSE(one.Combined(2, true).has_value());
  EXPECT_EQ(Left({{"node-0.exit", "3\n"}}).Combined(2, true), 3);
  EXPECT_EQ(Left({{"node-0.exit", "0\n"}}).Combined(2, false), 5);
}

TEST(NodeExits, ANodeThatASecondSignalEndedSaysNothing) {
  EXPECT_FALSE(Left({{"node-0.exit", "143\n"}, {"node-1.exit", "143\n"}}).Combined(2, true).has_value());
  EXPECT_FALSE(Left({{"node-0.exit", "143\n"}, {"node-1.exit", "75\n"}}).Combined(2, true).has_value());
}

TEST(NodeExits, NoneAtAll) {
  const NodeExits none = NodeExits::Read(testing::TempDir() + "/no_such_folder");
  EXPECT_FALSE(none.Combined(1, false).has_value());
}

}  // namespace
}  // namespace cubist

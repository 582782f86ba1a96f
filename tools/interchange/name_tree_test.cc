#include "tools/interchange/name_tree.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cubist {
namespace {

TreeTensor Tensor(const std::string& name, std::vector<int64_t> shape, std::vector<float> values = {}) {
  const auto count = static_cast<int64_t>(values.size());
  return {name, DType::kFloat32, std::move(shape), StatisticsOf(HostTensor::Of<float>(values, {count}))};
}

// "a(b:2/8 c:1/4)": labels with tensors and values.
std::string Draw(const NameTree& tree) {
  std::string text = absl::StrCat(tree.label, ":", tree.tensors, "/", tree.values, tree.is_tensor ? "" : "-");
  if (tree.children.empty()) return text;
  text += "(";
  for (const auto& child : tree.children) absl::StrAppend(&text, &child == &tree.children[0] ? "" : " ", Draw(*child));
  return text + ")";
}

TEST(NameTreeTest, DotsAndSums) {
  EXPECT_EQ(Draw(MakeNameTree({})), ":0/0-");
  EXPECT_EQ(Draw(MakeNameTree({Tensor("b.w", {2, 3}), Tensor("a", {}), Tensor("b.c.d.e", {4})})),
            ":3/11-(b:2/10-(w:1/6 c.d.e:1/4) a:1/1)");
  // A name that others go on from, and empty parts.
  EXPECT_EQ(Draw(MakeNameTree({Tensor("a", {2}), Tensor("a.b", {3}), Tensor("..", {0})})),
            ":3/5-(a:2/5(b:1/3) ..:1/0)");
}

TEST(NameTreeTest, RepeatedSiblingsAreFolded) {
  std::vector<TreeTensor> tensors;
  for (int i = 11; i >= 0; --i) {
    tensors.push_back(Tensor(absl::StrCat("layer.", i, ".weight"), {2, 3}));
    tensors.push_back(Tensor(absl::StrCat("layer.", i, ".norm.0.bias"), {2}));
    tensors.push_back(Tensor(absl::StrCat("layer.", i, ".norm.1.bias"), {2}));
  }
  EXPECT_EQ(Draw(MakeNameTree(tensors)), ":36/120-(layer.{0..11}:36/120-(weight:12/72 norm.{0,1}.bias:24/48))");
  // One that is different stays by itself.
  tensors.push_back(Tensor("layer.5.more", {1}));
  EXPECT_EQ(Draw(MakeNameTree(tensors)),
            ":37/121-(layer:37/121-({0..4,6..11}:33/110-(weight:11/66 norm.{0,1}.bias:22/44)"
            " 5:4/11-(weight:1/6 norm.{0,1}.bias:2/4 more:1/1)))");
}

TEST(NameTreeTest, OnlyTheSameIsFolded) {
  EXPECT_EQ(Draw(MakeNameTree({Tensor("a.0", {2, 3}), Tensor("a.1", {3, 2}), Tensor("a.02", {2, 3})})),
            ":3/18-(a:3/18-(0:1/6 1:1/6 02:1/6))");
  TreeTensor other = Tensor("1", {2});
  other.dtype = DType::kFloat64;
  EXPECT_EQ(Draw(MakeNameTree({Tensor("0", {2}), other, Tensor("2", {2})})), ":3/6-({0,2}:2/4 1:1/2)");
  EXPECT_EQ(Draw(MakeNameTree({Tensor("x1", {2}), Tensor("x2", {2})})), ":2/4-(x1:1/2 x2:1/2)");
}

TEST(NameTreeTest, StatisticsOfWhatIsFolded) {
  const NameTree tree =
      MakeNameTree({Tensor("a.0.w", {2}, {1, 2}), Tensor("a.1.w", {2}, {-5, 0}), Tensor("b", {1}, {9})});
  ASSERT_EQ(tree.children.size(), 2u);
  EXPECT_EQ(tree.statistics.max, 9);
  EXPECT_EQ(tree.children[0]->label, "a.{0,1}.w");
  EXPECT_EQ(tree.children[0]->own.min, -5);
  EXPECT_EQ(tree.children[0]->own.max, 2);
  EXPECT_EQ(tree.children[0]->own.count, 4);
  EXPECT_EQ(tree.children[0]->own.zeros, 1);
}

TEST(NameTreeTest, AMillionDots) {
  const NameTree tree = MakeNameTree({Tensor(std::string(1000000, '.'), {1}), Tensor(std::string(999999, '.'), {1})});
  EXPECT_EQ(tree.tensors, 2);
}

}  // namespace
}  // namespace cubist

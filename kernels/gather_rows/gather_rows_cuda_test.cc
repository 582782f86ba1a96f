#include <string>
#include <vector>

#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/gather_rows/gather_rows_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"

namespace cubist {
namespace {

// `picked` entries in [-1, rows). "spread": any; "few": nearly all are row 3 or 4; "ascending" without repetition;
// "families": each row eight times, as subdivided voxels do, in an order that is not sorted.
std::vector<int64_t> Index(const std::string& kind, int64_t picked, int64_t rows) {
  std::vector<int64_t> index(picked);
  const PhiloxKey key(5, RandomPurpose::kSynthesis);
  for (int64_t i = 0; i < picked; ++i) {
    const int64_t random = static_cast<int64_t>(PhiloxInteger(key, 1, i, rows + 1)) - 1;
    index[i] = kind == "spread"      ? random
               : kind == "few"       ? (random % 50 == 0 ? random : 3 + random % 2 * (rows > 4 ? 1 : 0))
               : kind == "ascending" ? (i < rows ? i : -1)
                                     : (i / 16 * 2 + i % 2) % rows;
  }
  return index;
}

struct Case {
  std::string kind;
  int64_t rows, picked, channels;
};

class GatherRowsCuda : public ::testing::TestWithParam<Case> {};

TEST_P(GatherRowsCuda, MatchesTheHost) {
  const auto& [kind, rows, picked, channels] = GetParam();
  const at::Tensor index = TensorOf(Index(kind, picked, rows), {picked}), gpu_index = index.to(at::kCUDA);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor values = TensorOf(TestNumbers<float>(rows * channels, 1), {rows, channels}).to(dtype);
    const at::Tensor dy = TensorOf(TestNumbers<float>(picked * channels, 2), {picked, channels}).to(dtype);
    const at::Tensor x = values.to(at::kDouble).requires_grad_();
    const at::Tensor y = GatherRows(x, index);
    y.backward(dy.to(at::kDouble));
    at::Tensor first;
    for (int run = 0; run < 2; ++run) {
      const PoisonedMemory poisoned;
      const at::Tensor gpu_x = values.to(at::kCUDA).requires_grad_();
      const at::Tensor gpu_y = GatherRows(gpu_x, gpu_index);
      EXPECT_EQ(gpu_y.scalar_type(), dtype);
      EXPECT_TRUE(gpu_y.detach().cpu().to(at::kDouble).equal(y.detach()));
      gpu_y.backward(dy.to(at::kCUDA));
      EXPECT_EQ(gpu_x.grad().scalar_type(), dtype);
      EXPECT_LT(RelativeError(gpu_x.grad(), x.grad()), dtype == at::kFloat ? 1e-6 : 4e-3);
      if (run == 0) first = gpu_x.grad();
      EXPECT_TRUE(SameBits(gpu_x.grad(), first));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GatherRowsCuda,
                         ::testing::Values(Case{"spread", 900, 5000, 64}, Case{"spread", 900, 5000, 7},
                                           Case{"spread", 4000, 700, 24}, Case{"few", 23, 30011, 32},
                                           Case{"few", 23, 30011, 3}, Case{"few", 1000, 777, 8},
                                           Case{"ascending", 3000, 2999, 128}, Case{"ascending", 5, 12, 1},
                                           Case{"families", 2500, 20000, 16}, Case{"spread", 1, 128, 8},
                                           Case{"spread", 1, 129, 8}, Case{"few", 7, 100000, 8}));

// Ascending order is visible in float: 1e8 + 1 - 1e8 is 0 in this order and 1 in another.
TEST(GatherRowsCuda, GradientIsAddedInAscendingOrder) {
  const at::Tensor x = at::zeros({2, 1}, at::kCUDA).requires_grad_();
  GatherRows(x, TensorOf<int64_t>({1, 1, 0, 1}, {4}).to(at::kCUDA))
      .backward(TensorOf<float>({1e8f, 1.0f, 7.0f, -1e8f}, {4, 1}).to(at::kCUDA));
  EXPECT_TRUE(x.grad().cpu().equal(TensorOf<float>({7.0f, 0.0f}, {2, 1})));
}

TEST(GatherRowsCuda, EmptyInputsAndUnalignedRows) {
  const at::TensorOptions long_on_gpu = at::TensorOptions(at::kLong).device(at::kCUDA);
  const at::Tensor x = TensorOf<float>({1, 2, 3}, {1, 3}).to(at::kCUDA).requires_grad_();
  const at::Tensor y = GatherRows(x, at::empty({0}, long_on_gpu));
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 3}));
  {
    const PoisonedMemory poisoned;
    y.sum().backward();
  }
  EXPECT_TRUE(x.grad().cpu().equal(at::zeros({1, 3})));
  EXPECT_TRUE(GatherRows(at::empty({0, 3}, at::kCUDA), at::full({2}, -1, long_on_gpu)).cpu().equal(at::zeros({2, 3})));
  EXPECT_EQ(GatherRows(at::empty({4, 0}, at::kCUDA), at::full({2}, 1, long_on_gpu)).sizes(), at::IntArrayRef({2, 0}));
  const at::Tensor shifted = TensorOf(TestNumbers<float>(33, 1), {33}).to(at::kCUDA).slice(0, 1).view({4, 8});
  EXPECT_TRUE(GatherRows(shifted, TensorOf<int64_t>({3, 0}, {2}).to(at::kCUDA))[0].equal(shifted[3]));
  // What the host would refuse reads no memory that is not x's.
  EXPECT_TRUE(GatherRows(x.detach(), at::full({1}, 1 << 30, long_on_gpu)).cpu().equal(at::zeros({1, 3})));
  EXPECT_THROW(GatherRows(x, at::zeros({1}, at::kLong)), c10::Error);
}

}  // namespace
}  // namespace cubist

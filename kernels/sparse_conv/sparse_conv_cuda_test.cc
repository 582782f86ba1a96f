// The convolution's GPU kernels, by each path and in each number format, against the CPU twin in double.
#include "kernels/sparse_conv/sparse_conv_cuda.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/Context.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/constant_pad_nd.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/cuda/gpu_check.h"
#include "kernels/cuda/launch.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/sparse_conv_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"
#include "kernels/tensor_view/tensor_view.h"

namespace cubist {
namespace {

at::Tensor Numbers(at::IntArrayRef shape, uint32_t seed) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return TensorOf(TestNumbers<double>(count, seed), shape);
}

// float32's products as cuDNN would make them, put back at the end.
class AllowTf32 {
 public:
  explicit AllowTf32(bool allow) : before_(at::globalContext().allowTF32CuDNN()) {
    at::globalContext().setAllowTF32CuDNN(allow);
  }
  ~AllowTf32() { at::globalContext().setAllowTF32CuDNN(before_); }
  AllowTf32(const AllowTf32&) = delete;
  AllowTf32& operator=(const AllowTf32&) = delete;

 private:
  bool before_;
};

double Tolerance(SparseConvMath math) {
  return math == SparseConvMath::kBfloat16 ? 1e-2 : math == SparseConvMath::kTf32 ? 1e-3 : 1e-5;
}

// Voxels whose tiles differ: full blocks, thin surfaces, lonely voxels; three samples, the second one empty.
TestVoxels MixedVoxels(int extent) {
  TestVoxels voxels = SurfaceTestVoxels(extent);
  for (auto voxel : RandomTestVoxels(1, 9, 0.6, 5)) voxels.push_back({2, voxel[1], voxel[2], voxel[3]});
  for (auto voxel : RandomTestVoxels(1, 20, 0.04, 6)) voxels.push_back({2, voxel[1] + 40, voxel[2], voxel[3]});
  return voxels;
}

struct Problem {
  Problem(const TestVoxels& voxels, int64_t ci, int64_t co) {
    const int64_t rows = static_cast<int64_t>(voxels.size());
    map = TensorOf<int32_t>(TestNeighborMap(voxels), {27, rows});
    x = Numbers({rows, ci}, 1);
    weight = Numbers({co, ci, 3, 3, 3}, 2);
    bias = Numbers({co}, 3);
    dy = Numbers({rows, co}, 4);
    const at::Tensor x_leaf = x.clone().requires_grad_(), weight_leaf = weight.clone().requires_grad_(),
                     bias_leaf = bias.clone().requires_grad_();
    const at::Tensor result = SparseConv3d(x_leaf, weight_leaf, map, bias_leaf);
    result.backward(dy);
    y = result.detach();
    dx = x_leaf.grad();
    dweight = weight_leaf.grad();
    dbias = bias_leaf.grad();
  }
  at::Tensor map, x, weight, bias, dy, y, dx, dweight, dbias;
};

// [Co, Ci, 3, 3, 3] by a path, of bfloat16 rows.
at::Tensor WeightGradient(SparseConvPath path, const at::Tensor& x, const at::Tensor& dy, const at::Tensor& map) {
  const int64_t ci = x.size(1), co = dy.size(1);
  at::Tensor dweight = at::empty({co, ci, 3, 3, 3}, x.options().dtype(at::kFloat));
  const at::Tensor workspace =
      at::empty({SparseConvWeightGradientWorkspace(SparseConvMath::kBfloat16, path, x.size(0), ci, co)},
                x.options().dtype(at::kByte));
  CheckCuda(
      SparseConvWeightGradientCuda<__nv_bfloat16>(
          SparseConvMath::kBfloat16, path, ViewAs<const __nv_bfloat16, 2>(x), ViewAs<const __nv_bfloat16, 2>(dy),
          ViewOf<const int32_t, 2>(map), workspace.mutable_data_ptr(), ViewOf<float, 5>(dweight), CurrentStream(x)),
      "SparseConvWeightGradientCuda");
  return dweight;
}

class SparseConvPathTest : public ::testing::TestWithParam<std::tuple<SparseConvPath, int, int>> {};

TEST_P(SparseConvPathTest, MatchesTheTwin) {
  const auto [path, ci, co] = GetParam();
  if (path == SparseConvPath::kHopper && ComputeCapability() != 90) GTEST_SKIP() << "no card of capability 9.0";
  const Problem problem(MixedVoxels(40), ci, co);
  const at::Tensor map = problem.map.cuda();
  const at::Tensor weight = problem.weight.to(at::kFloat).cuda(), bias = problem.bias.to(at::kFloat).cuda();
  const auto run = [&](const at::Tensor& rows, bool for_gradient) {
    SparseConvWeights layout;
    layout.path = path;
    layout.inputs = rows.size(1);
    layout.outputs = for_gradient ? ci : co;
    const at::Tensor packed = at::empty({layout.Bytes()}, rows.options().dtype(at::kByte));
    at::Tensor y = at::empty({rows.size(0), layout.outputs}, rows.options());
    const cudaStream_t stream = CurrentStream(rows);
    CheckCuda(PackSparseConvWeightsCuda(ViewOf<const float, 5>(weight), for_gradient, layout, packed.mutable_data_ptr(),
                                        stream),
              "Pack");
    CheckCuda(SparseConvCuda<__nv_bfloat16>(
                  ViewAs<const __nv_bfloat16, 2>(rows), layout, packed.const_data_ptr(), ViewOf<const int32_t, 2>(map),
                  for_gradient ? nullptr : bias.const_data_ptr<float>(), ViewAs<__nv_bfloat16, 2>(y), stream),
              "SparseConvCuda");
    return y;
  };
  const PoisonedMemory poisoned;
  const at::Tensor x = problem.x.to(at::kBFloat16).cuda(), dy = problem.dy.to(at::kBFloat16).cuda();
  const at::Tensor y = run(x, false), dx = run(dy, true), dweight = WeightGradient(path, x, dy, map);
  EXPECT_LT(RelativeError(y, problem.y), 1e-2);
  EXPECT_LT(RelativeError(dx, problem.dx), 1e-2);
  EXPECT_LT(RelativeError(dweight, problem.dweight), 1e-2);
  for (int repeat = 0; repeat < 3; ++repeat) {
    EXPECT_TRUE(SameBits(run(x, false), y));
    EXPECT_TRUE(SameBits(run(dy, true), dx));
    EXPECT_TRUE(SameBits(WeightGradient(path, x, dy, map), dweight));
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, SparseConvPathTest,
                         ::testing::Combine(::testing::Values(SparseConvPath::kPortable, SparseConvPath::kHopper),
                                            ::testing::Values(8, 32, 64, 128, 200),
                                            ::testing::Values(16, 32, 64, 128, 256)));

class SparseConvCudaShape : public ::testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(SparseConvCudaShape, MatchesTheTwinInEveryFormat) {
  const auto [ci, co] = GetParam();
  const Problem problem(MixedVoxels(30), ci, co);
  const at::Tensor map = problem.map.cuda();
  for (const SparseConvMath math : {SparseConvMath::kBfloat16, SparseConvMath::kTf32, SparseConvMath::kFloat32}) {
    SCOPED_TRACE(static_cast<int>(math));
    const AllowTf32 allow(math == SparseConvMath::kTf32);
    const at::ScalarType dtype = math == SparseConvMath::kBfloat16 ? at::kBFloat16 : at::kFloat;
    at::Tensor first_y, first_dweight;
    for (int run = 0; run < 2; ++run) {
      const PoisonedMemory poisoned;
      const at::Tensor x = problem.x.to(dtype).cuda().requires_grad_();
      const at::Tensor weight = problem.weight.to(at::kFloat).cuda().requires_grad_();
      const at::Tensor bias = problem.bias.to(at::kFloat).cuda().requires_grad_();
      const at::Tensor y = SparseConv3d(x, weight, map, bias);
      EXPECT_EQ(y.scalar_type(), dtype);
      y.backward(problem.dy.to(dtype).cuda());
      EXPECT_EQ(x.grad().scalar_type(), dtype);
      EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
      EXPECT_LT(RelativeError(y.detach(), problem.y), Tolerance(math));
      EXPECT_LT(RelativeError(x.grad(), problem.dx), Tolerance(math));
      EXPECT_LT(RelativeError(weight.grad(), problem.dweight), Tolerance(math));
      EXPECT_LT(RelativeError(bias.grad(), problem.dbias), dtype == at::kFloat ? 1e-5 : 1e-2);
      if (run == 0) {
        first_y = y.detach();
        first_dweight = weight.grad();
      }
      EXPECT_TRUE(SameBits(y.detach(), first_y));
      EXPECT_TRUE(SameBits(weight.grad(), first_dweight));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, SparseConvCudaShape,
                         ::testing::Values(std::tuple{1, 1}, std::tuple{3, 5}, std::tuple{7, 23}, std::tuple{8, 8},
                                           std::tuple{16, 40}, std::tuple{32, 32}, std::tuple{32, 64},
                                           std::tuple{64, 64}, std::tuple{64, 128}, std::tuple{72, 136},
                                           std::tuple{128, 128}, std::tuple{128, 256}, std::tuple{256, 128}));

// Many rows, every range of the weight's gradient is in use; and few, of small whole numbers, whose sums are exact.
TEST(SparseConvCuda, WeightGradientByEachPath) {
  const Problem problem(MixedVoxels(150), 64, 64);
  ASSERT_GT(problem.x.size(0), 50000);
  const TestVoxels few = MixedVoxels(30);
  const int64_t rows = static_cast<int64_t>(few.size());
  const at::Tensor few_map = TensorOf<int32_t>(TestNeighborMap(few), {27, rows});
  for (const SparseConvPath path : {SparseConvPath::kPortable, SparseConvPath::kHopper}) {
    if (path == SparseConvPath::kHopper && ComputeCapability() != 90) continue;
    SCOPED_TRACE(static_cast<int>(path));
    const PoisonedMemory poisoned;
    EXPECT_LT(RelativeError(WeightGradient(path, problem.x.to(at::kBFloat16).cuda(),
                                           problem.dy.to(at::kBFloat16).cuda(), problem.map.cuda()),
                            problem.dweight),
              1e-2);
    for (const auto& [ci, co] : std::vector<std::pair<int64_t, int64_t>>{
             {8, 8}, {40, 24}, {64, 64}, {64, 128}, {128, 64}, {128, 128}, {136, 200}}) {
      const at::Tensor x = Numbers({rows, ci}, 1).mul(4).floor(), dy = Numbers({rows, co}, 4).mul(4).floor();
      at::Tensor wanted = at::empty({co, ci, 3, 3, 3}, at::kDouble);
      SparseConvWeightGradientCpu<double>(ViewOf<const double, 2>(x), ViewOf<const double, 2>(dy),
                                          ViewOf<const int32_t, 2>(few_map), ViewOf<double, 5>(wanted));
      const at::Tensor dweight =
          WeightGradient(path, x.to(at::kBFloat16).cuda(), dy.to(at::kBFloat16).cuda(), few_map.cuda());
      EXPECT_TRUE(dweight.cpu().to(at::kDouble).equal(wanted)) << ci << " -> " << co;
    }
  }
}

TEST(SparseConvCuda, NoRowsOneVoxelAndNoNeighbours) {
  const at::TensorOptions on_gpu = at::TensorOptions().device(at::kCUDA);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const PoisonedMemory poisoned;
    const at::Tensor weight = Numbers({16, 8, 3, 3, 3}, 2).to(at::kFloat).cuda().requires_grad_();
    const at::Tensor bias = Numbers({16}, 3).to(at::kFloat).cuda().requires_grad_();
    const at::Tensor x = at::empty({0, 8}, on_gpu.dtype(dtype)).requires_grad_();
    const at::Tensor y = SparseConv3d(x, weight, at::empty({27, 0}, on_gpu.dtype(at::kInt)), bias);
    EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 16}));
    y.sum().backward();
    EXPECT_EQ(x.grad().sizes(), at::IntArrayRef({0, 8}));
    EXPECT_EQ(weight.grad().abs().sum().item<float>(), 0.0f);
    EXPECT_EQ(bias.grad().abs().sum().item<float>(), 0.0f);

    // One row of whatever strides, with a gradient that is expanded from one number.
    const at::Tensor column = Numbers({8, 1}, 5).to(dtype).cuda().t().requires_grad_();
    SparseConv3d(column, weight, at::zeros({27, 1}, on_gpu.dtype(at::kInt)), bias).sum().backward();
    EXPECT_TRUE(bias.grad().equal(at::ones({16}, on_gpu.dtype(at::kFloat))));

    // Rows that have nothing but themselves, or, against the contract, not even that: what is left is the bias.
    const at::Tensor one = Numbers({1, 8}, 5).to(dtype).cuda();
    const at::Tensor alone =
        SparseConv3d(one, weight.detach(), TensorOf<int32_t>(TestNeighborMap({{0, 5, 5, 5}}), {27, 1}).cuda());
    const at::Tensor wanted =
        one.to(at::kDouble).matmul(weight.detach().select(2, 1).select(2, 1).select(2, 1).t().to(at::kDouble));
    EXPECT_LT(RelativeError(alone, wanted), 1e-2);
    const at::Tensor nothing =
        SparseConv3d(one, weight.detach(), at::full({27, 1}, -1, on_gpu.dtype(at::kInt)), bias.detach());
    EXPECT_TRUE(nothing.flatten().equal(bias.detach().to(dtype)));
  }
}

TEST(SparseConvCuda, TakesTransposedAndUnalignedInputsAndRefusesWrongOnes) {
  const Problem problem(MixedVoxels(12), 16, 24);
  const int64_t rows = problem.x.size(0);
  const at::Tensor map = problem.map.cuda(), weight = problem.weight.to(at::kFloat).cuda();
  const at::Tensor x = problem.x.to(at::kBFloat16).cuda();
  const at::Tensor wanted = SparseConv3d(x, weight, map);
  EXPECT_TRUE(SparseConv3d(x.t().contiguous().t(), weight, map).equal(wanted));
  const at::Tensor memory = at::empty({rows * 16 + 1}, x.options());
  const at::Tensor unaligned = memory.narrow(0, 1, rows * 16).view({rows, 16});
  unaligned.copy_(x);
  EXPECT_TRUE(SparseConv3d(unaligned, weight, map).equal(wanted));
  // Weights of other strides, as checkpoints store them.
  const at::Tensor permuted = weight.permute({4, 3, 2, 1, 0}).contiguous().permute({4, 3, 2, 1, 0});
  EXPECT_TRUE(SparseConv3d(x, permuted, map).equal(wanted));

  EXPECT_THROW(SparseConv3d(x.to(at::kHalf), weight, map), c10::Error);
  EXPECT_THROW(SparseConv3d(x.to(at::kDouble), weight, map), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight.to(at::kBFloat16), map), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight.cpu(), map), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight, map.cpu()), c10::Error);
  EXPECT_THROW(SparseConv3d(x, weight.narrow(1, 0, 8), map), c10::Error);
}

}  // namespace
}  // namespace cubist

// The GPU's group normalisation against the CPU twin in double on the same values.
#include "kernels/group_norm/group_norm_cuda.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "ATen/ops/cat.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "gtest/gtest.h"
#include "kernels/cuda/current_stream.h"
#include "kernels/group_norm/group_norm_torch.h"
#include "kernels/sparse_conv/test_voxels.h"
#include "kernels/tensor_view/gradient_check.h"
#include "kernels/tensor_view/tensor_view.h"
#include "torch/csrc/autograd/autograd.h"

namespace cubist {
namespace {

// An empty sample first, inside and last; one of a single row; some of several blocks of rows.
const std::vector<int64_t> kOffsets = {0, 0, 1400, 1400, 1401, 4000, 4000};

// The same with fewer rows where there are many channels: most of a test's time is the CPU's.
std::vector<int64_t> OffsetsFor(int64_t channels) {
  const int64_t fewer = std::max<int64_t>(1, channels / 96);
  std::vector<int64_t> offsets = {0};
  for (size_t b = 1; b < kOffsets.size(); ++b) {
    offsets.push_back(offsets.back() + (kOffsets[b] - kOffsets[b - 1] + fewer - 1) / fewer);
  }
  return offsets;
}

constexpr GroupNormSilu kSilu = GroupNormSilu::kOfOutput;

double RelativeError(const at::Tensor& got, const at::Tensor& wanted) {
  const at::Tensor reference = wanted.to(at::kCPU, at::kDouble);
  const double size = reference.norm().item().toDouble();
  const double error = got.to(at::kCPU, at::kDouble).sub(reference).norm().item().toDouble();
  return size > 0 ? error / size : error;
}

at::Tensor Numbers(at::IntArrayRef shape, uint32_t seed) {
  return TensorOf(TestNumbers<double>(c10::multiply_integers(shape), seed), shape);
}

// Inputs with gradients: x, gamma, beta, scale, shift, residual (the last three undefined where not wanted).
using Inputs = std::vector<at::Tensor>;

Inputs MakeInputs(const std::vector<int64_t>& offsets, int64_t channels, bool modulated, bool residual,
                  at::ScalarType dtype) {
  const int64_t samples = static_cast<int64_t>(offsets.size()) - 1, rows = offsets.back();
  Inputs inputs = {Numbers({rows, channels}, 1).mul(3.0).add(2.0).to(dtype),
                   Numbers({channels}, 2).add(1.5).to(at::kFloat),
                   Numbers({channels}, 3).to(at::kFloat),
                   modulated ? Numbers({samples, channels}, 4).to(at::kFloat) : at::Tensor(),
                   modulated ? Numbers({samples, channels}, 5).to(at::kFloat) : at::Tensor(),
                   residual ? Numbers({rows, channels}, 6).to(dtype) : at::Tensor()};
  return inputs;
}

struct Results {
  at::Tensor y;
  Inputs gradients;
};

// On the GPU in the inputs' dtypes, or on the CPU in double. Of y and of x, which is handed on, where the residual is.
Results RunGroupNorm(const Inputs& values, const std::vector<int64_t>& offsets, int64_t groups, GroupNormSilu silu,
                     bool on_gpu) {
  Inputs in;
  for (const at::Tensor& value : values) {
    if (!value.defined()) {
      in.push_back(value);
      continue;
    }
    in.push_back((on_gpu ? value.to(at::kCUDA) : value.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true))
                     .detach()
                     .requires_grad_());
  }
  GroupNormInputs inputs;
  inputs.scale = in[3];
  inputs.shift = in[4];
  inputs.residual = in[5];
  Results results;
  const auto [y, x] = GroupNormAndInput(in[0], offsets, in[1], in[2], {groups, 1e-5, silu}, inputs);
  results.y = y;
  const auto gradient = [&](uint32_t seed) {
    const at::Tensor numbers = Numbers(results.y.sizes(), seed).add(0.25).to(values[0].scalar_type());
    return numbers.to(results.y.device(), results.y.scalar_type());
  };
  if (in[5].defined()) {
    torch::autograd::backward({y, x}, {gradient(7), gradient(8)});
  } else {
    y.backward(gradient(7));
  }
  for (const at::Tensor& leaf : in) results.gradients.push_back(leaf.defined() ? leaf.grad() : at::Tensor());
  return results;
}

const char* const kNames[] = {"x", "gamma", "beta", "scale", "shift", "residual"};

void ExpectMatch(const Inputs& values, const std::vector<int64_t>& offsets, int64_t groups, GroupNormSilu silu) {
  const Results got = RunGroupNorm(values, offsets, groups, silu, true),
                wanted = RunGroupNorm(values, offsets, groups, silu, false);
  const double tolerance = values[0].scalar_type() == at::kFloat ? 1e-5 : 1e-2;
  EXPECT_EQ(got.y.scalar_type(), values[0].scalar_type());
  EXPECT_LT(RelativeError(got.y, wanted.y), tolerance);
  for (size_t k = 0; k < values.size(); ++k) {
    if (!values[k].defined()) continue;
    EXPECT_EQ(got.gradients[k].scalar_type(), values[k].scalar_type()) << kNames[k];
    EXPECT_LT(RelativeError(got.gradients[k], wanted.gradients[k]), k == 0 || k == 5 ? tolerance : 1e-5) << kNames[k];
  }
}

class GroupNormCudaShape : public ::testing::TestWithParam<std::tuple<int, int, at::ScalarType>> {};

TEST_P(GroupNormCudaShape, MatchesTheCpu) {
  const auto [channels, groups, dtype] = GetParam();
  const std::vector<int64_t> offsets = OffsetsFor(channels);
  for (const GroupNormSilu silu : {GroupNormSilu::kNone, GroupNormSilu::kOfInput, kSilu}) {
    for (const bool modulated : {false, true}) {
      for (const bool residual : {false, true}) {
        SCOPED_TRACE(testing::Message() << "silu " << static_cast<int>(silu) << " modulated " << modulated
                                        << " residual " << residual);
        ExpectMatch(MakeInputs(offsets, channels, modulated, residual, dtype), offsets, groups, silu);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Channels, GroupNormCudaShape,
                         ::testing::Combine(::testing::Values(8, 16, 32, 64, 128, 192, 256, 384, 512, 768),
                                            ::testing::Values(8), ::testing::Values(at::kFloat, at::kBFloat16)));
INSTANTIATE_TEST_SUITE_P(Groups, GroupNormCudaShape,
                         ::testing::Combine(::testing::Values(192, 1536), ::testing::Values(1, 32),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));
// Rows that cannot be read in packs of 16 bytes, of more channels than a block has threads among them.
INSTANTIATE_TEST_SUITE_P(Odd, GroupNormCudaShape,
                         ::testing::Combine(::testing::Values(1, 6, 7, 300), ::testing::Values(1),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

TEST(GroupNormCuda, ManySamplesAndManyBlocks) {
  std::vector<int64_t> offsets = {0};
  for (int64_t b = 0; b < 300; ++b) offsets.push_back(offsets.back() + b * b % 50);
  ExpectMatch(MakeInputs(offsets, 16, true, true, at::kFloat), offsets, 4, kSilu);
  ExpectMatch(MakeInputs({0, 150000, 400000}, 32, true, true, at::kBFloat16), {0, 150000, 400000}, 8, kSilu);
}

TEST(GroupNormCuda, RowsOfUnalignedTensors) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Inputs inputs = MakeInputs(kOffsets, 64, false, false, dtype);
    const int64_t size = inputs[0].numel();
    const at::Tensor x = at::empty({size + 1}, inputs[0].options().device(at::kCUDA)).narrow(0, 1, size).view({-1, 64});
    x.copy_(inputs[0]);
    const at::Tensor gamma = inputs[1].to(at::kCUDA), beta = inputs[2].to(at::kCUDA);
    const Results wanted = RunGroupNorm(inputs, kOffsets, 8, kSilu, false);
    EXPECT_LT(RelativeError(GroupNorm(x, kOffsets, gamma, beta, {8, 1e-5, kSilu}), wanted.y),
              dtype == at::kFloat ? 1e-5 : 1e-2);
  }
}

// LibTorch calls a single row contiguous whatever the step to the next would be.
TEST(GroupNormCuda, HalfOfOneWideRow) {
  const Inputs in = MakeInputs({0, 1}, 64, false, false, at::kFloat);
  const at::Tensor x = at::cat({in[0], in[0]}, 1).to(at::kCUDA).narrow(1, 0, 64);
  const at::Tensor y = GroupNorm(x, {0, 1}, in[1].to(at::kCUDA), in[2].to(at::kCUDA), {8});
  EXPECT_LT(RelativeError(y, RunGroupNorm(in, {0, 1}, 8, GroupNormSilu::kNone, false).y), 1e-5);
}

TEST(GroupNormCuda, ScaleAndShiftBesideEachOther) {
  const Inputs in = MakeInputs(kOffsets, 64, true, false, at::kFloat);
  const at::Tensor both = at::cat({in[3], in[4]}, 1).to(at::kCUDA);
  GroupNormInputs inputs;
  inputs.scale = both.narrow(1, 0, 64);
  inputs.shift = both.narrow(1, 64, 64);
  const at::Tensor y =
      GroupNorm(in[0].to(at::kCUDA), kOffsets, in[1].to(at::kCUDA), in[2].to(at::kCUDA), {8, 1e-5, kSilu}, inputs);
  EXPECT_LT(RelativeError(y, RunGroupNorm(in, kOffsets, 8, kSilu, false).y), 1e-5);
}

TEST(GroupNormCuda, MeanFarFromZero) {
  const std::vector<int64_t> offsets = {0, 100000};
  Inputs in = MakeInputs(offsets, 64, false, false, at::kFloat);
  in[0] = Numbers({100000, 64}, 1).mul(std::sqrt(3.0)).add(1000.0).to(at::kFloat);
  const Results got = RunGroupNorm(in, offsets, 8, kSilu, true), wanted = RunGroupNorm(in, offsets, 8, kSilu, false);
  EXPECT_LT(RelativeError(got.y, wanted.y), 1e-3);
  for (size_t k = 0; k < 3; ++k) EXPECT_LT(RelativeError(got.gradients[k], wanted.gradients[k]), 1e-3) << kNames[k];
}

TEST(GroupNormCuda, SameBitsInEveryRun) {
  const std::vector<int64_t> offsets = {0, 20000, 50000};
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Inputs in = MakeInputs(offsets, 64, true, true, dtype);
    const Results first = RunGroupNorm(in, offsets, 8, kSilu, true);
    for (int k = 0; k < 3; ++k) {
      const Results again = RunGroupNorm(in, offsets, 8, kSilu, true);
      EXPECT_TRUE(again.y.equal(first.y));
      for (size_t i = 0; i < in.size(); ++i) EXPECT_TRUE(again.gradients[i].equal(first.gradients[i])) << kNames[i];
    }
  }
}

TEST(GroupNormCuda, NoRowsAtAll) {
  const Inputs in = MakeInputs({0, 0, 0}, 16, true, true, at::kBFloat16);
  const Results got = RunGroupNorm(in, {0, 0, 0}, 4, kSilu, true);
  EXPECT_EQ(got.y.sizes(), at::IntArrayRef({0, 16}));
  for (size_t k = 1; k < 5; ++k) EXPECT_EQ(got.gradients[k].norm().item().toDouble(), 0.0) << kNames[k];
  EXPECT_EQ(GroupNorm(in[0].to(at::kCUDA), {0}, in[1].to(at::kCUDA), in[2].to(at::kCUDA), {4}).size(0), 0);
}

TEST(GroupNormCuda, NotANumberStaysVisible) {
  at::Tensor x = at::zeros({20, 32});
  x.mutable_data_ptr<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor gamma = at::ones({32}).to(at::kCUDA), beta = at::zeros({32}).to(at::kCUDA);
  const at::Tensor y = GroupNorm(x.to(at::kCUDA), {0, 20}, gamma, beta, {4, 1e-5, kSilu});
  EXPECT_TRUE(y.narrow(1, 0, 8).isnan().all().item().toBool());
  EXPECT_FALSE(y.narrow(1, 8, 24).isnan().any().item().toBool());
}

// The launchers themselves: nothing is left unwritten in outputs, nothing is read from them or from the workspace
// before, nothing is written behind them.
TEST(GroupNormCuda, WritesAllOfItsOutputsAndNothingElse) {
  constexpr int64_t kChannels = 64, kGroups = 8, kBehind = 1024;
  const int64_t rows = kOffsets.back(), samples = static_cast<int64_t>(kOffsets.size()) - 1;
  const Inputs host = MakeInputs(kOffsets, kChannels, true, true, at::kFloat);
  Inputs in;
  for (const at::Tensor& tensor : host) in.push_back(tensor.to(at::kCUDA));
  const at::Tensor dy = Numbers({rows, kChannels}, 7).add(0.25).to(at::kCUDA, at::kFloat);
  const at::Tensor addend = Numbers({rows, kChannels}, 8).add(0.25).to(at::kCUDA, at::kFloat);
  const Results wanted = RunGroupNorm(host, kOffsets, kGroups, kSilu, false);
  const cudaStream_t stream = CurrentStream(in[0]);
  const auto poisoned = [&](int64_t size) {
    return at::full({size + kBehind}, std::numeric_limits<double>::quiet_NaN(), in[0].options());
  };
  const View<const int64_t, 1> host_offsets(kOffsets.data(), {samples + 1});
  const at::Tensor device_offsets = at::empty({samples + 1}, in[0].options().dtype(at::kLong));
  CheckCuda(CopyGroupNormOffsetsCuda(host_offsets, device_offsets.mutable_data_ptr<int64_t>(), stream), "offsets");
  const GroupNormOffsets offsets = {host_offsets, device_offsets.const_data_ptr<int64_t>()};
  const GroupNormOptions options = {kGroups, 1e-5, kSilu};
  const auto x = ViewOf<const float, 2>(in[0]);
  const GroupNormParameters parameters = {in[1].const_data_ptr<float>(),
                                          in[2].const_data_ptr<float>(),
                                          {ViewOf<const float, 2>(in[3]), ViewOf<const float, 2>(in[4])}};
  const int64_t workspace_size = static_cast<int64_t>(GroupNormWorkspaceBytes(host_offsets, kChannels, kGroups)) / 4;
  const at::Tensor workspace = poisoned(workspace_size);
  const auto data = [](const at::Tensor& tensor) { return tensor.mutable_data_ptr<float>(); };

  const at::Tensor mean = poisoned(samples * kGroups), reciprocal_std = poisoned(samples * kGroups);
  CheckCuda(
      GroupNormStatisticsCuda<float>(x, offsets, options, data(mean), data(reciprocal_std), data(workspace), stream),
      "statistics");

  const at::Tensor y = poisoned(rows * kChannels);
  CheckCuda(GroupNormApplyCuda<float>(x, offsets, parameters, options, data(mean), data(reciprocal_std),
                                      in[5].const_data_ptr<float>(), data(y), stream),
            "apply");
  workspace.fill_(std::numeric_limits<double>::quiet_NaN());
  const std::vector<int64_t> sizes = {rows * kChannels, kChannels, kChannels, samples * kChannels, samples * kChannels};
  Inputs gradients;
  for (const int64_t size : sizes) gradients.push_back(poisoned(size));
  CheckCuda(
      GroupNormBackwardCuda<float>(dy.const_data_ptr<float>(), x, offsets, parameters, options, data(mean),
                                   data(reciprocal_std), addend.const_data_ptr<float>(), data(gradients[0]),
                                   {data(gradients[1]), data(gradients[2]), data(gradients[3]), data(gradients[4])},
                                   data(workspace), stream),
      "backward");
  EXPECT_LT(RelativeError(y.narrow(0, 0, rows * kChannels).view({rows, kChannels}), wanted.y), 1e-5);
  for (size_t k = 0; k < sizes.size(); ++k) {
    EXPECT_LT(RelativeError(gradients[k].narrow(0, 0, sizes[k]).view(wanted.gradients[k].sizes()), wanted.gradients[k]),
              1e-5)
        << kNames[k];
  }
  for (const at::Tensor& tensor :
       {workspace, mean, reciprocal_std, y, gradients[0], gradients[1], gradients[2], gradients[3], gradients[4]}) {
    EXPECT_TRUE(tensor.narrow(0, tensor.size(0) - kBehind, kBehind).isnan().all().item().toBool());
  }
}

// Kernels read the offsets on the device; those on the host only say how many blocks there are, here one a sample.
TEST(GroupNormCuda, TakesDeviceOffsetsAsGiven) {
  const Inputs host = MakeInputs({0, 30, 50}, 16, false, false, at::kFloat);
  const at::Tensor x = host[0].to(at::kCUDA), gamma = host[1].to(at::kCUDA), beta = host[2].to(at::kCUDA);
  GroupNormInputs inputs;
  inputs.device_offsets = TensorOf(std::vector<int64_t>{0, 20, 50}, {3}).to(at::kCUDA);
  const at::Tensor y = GroupNorm(x, {0, 30, 50}, gamma, beta, {4}, inputs);
  EXPECT_TRUE(y.equal(GroupNorm(x, {0, 20, 50}, gamma, beta, {4})));
}

TEST(GroupNormCuda, RefusesWrongArguments) {
  const at::Tensor x = at::zeros({3, 4}).to(at::kCUDA), ones = at::ones({4}).to(at::kCUDA), zeros = at::zeros({4});
  EXPECT_THROW(GroupNorm(x, {0, 3}, ones, zeros, {2}), c10::Error);                   // two devices
  EXPECT_THROW(GroupNorm(x.to(at::kDouble), {0, 3}, ones, ones, {2}), c10::Error);    // dtypes
  EXPECT_THROW(GroupNorm(x, {0, 3}, ones, ones.to(at::kBFloat16), {2}), c10::Error);  // parameters are float32
  EXPECT_THROW(GroupNorm(x, {0, 2}, ones, ones, {2}), c10::Error);
  GroupNormInputs inputs;
  inputs.residual = x.to(at::kBFloat16);
  EXPECT_THROW(GroupNorm(x, {0, 3}, ones, ones, {2}, inputs), c10::Error);
}

}  // namespace
}  // namespace cubist

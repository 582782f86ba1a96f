#include "data_process/formats/torch_zip_strides.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

// The storage's bytes: no two elements next to each other are alike.
std::string Storage(const PickleTensor& tensor) {
  std::string bytes(static_cast<size_t>(tensor.storage_size) * SizeOf(tensor.dtype), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 + i / 251);
  return bytes;
}

// The definition: element (i0, i1, ...) is element offset + sum of i * stride of the storage.
std::string ByDefinition(const PickleTensor& tensor, const std::string& storage) {
  const size_t element = SizeOf(tensor.dtype);
  std::string dense;
  int64_t size = 1;
  for (int64_t extent : tensor.shape) size *= extent;
  for (int64_t i = 0; i < size; ++i) {
    int64_t at = tensor.offset, rest = i;
    for (size_t d = tensor.shape.size(); d-- > 0; rest /= tensor.shape[d]) {
      at += rest % tensor.shape[d] * tensor.stride[d];
    }
    dense += storage.substr(static_cast<size_t>(at) * element, element);
  }
  return dense;
}

// Checks what GatherStrided gives, and how it reads.
void ExpectGathered(const PickleTensor& tensor, const GatherOptions& options) {
  const std::string storage = Storage(tensor);
  std::string result(DenseBytes(tensor), '?');
  uint64_t position = 0, largest = 0;
  const auto read = [&](uint64_t begin, uint64_t size, char* target) {
    EXPECT_GE(begin, position) << "goes back";
    EXPECT_LE(begin + size, storage.size());
    storage.copy(target, size, begin);
    position = begin + size;
    largest = std::max(largest, size);
    return absl::OkStatus();
  };
  ASSERT_TRUE(GatherStrided(tensor, options, read, result.data()).ok());
  EXPECT_TRUE(result == ByDefinition(tensor, storage));
  EXPECT_TRUE(PlanStrides(tensor).overlaps || largest <= std::max<uint64_t>(options.window_bytes, 8)) << largest;
}

// A permuted, sliced and expanded view of a dense storage; with `wild`, strides of any size, which may overlap.
PickleTensor RandomView(std::mt19937& random, size_t rank, DType dtype, bool wild) {
  const auto draw = [&random](int64_t least, int64_t most) {
    return least + static_cast<int64_t>(random() % static_cast<uint64_t>(most - least + 1));
  };
  PickleTensor tensor;
  tensor.dtype = dtype;
  tensor.shape.assign(rank, 0);
  tensor.stride.assign(rank, 0);
  tensor.offset = draw(0, 5);
  std::vector<size_t> order(rank);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  int64_t step = 1, last = tensor.offset;
  for (const size_t d : order) {
    const int64_t slice = draw(0, 3) == 0 ? draw(2, 3) : 1;
    tensor.shape[d] = draw(1, 5);
    tensor.stride[d] = step * slice;
    step *= slice * tensor.shape[d] + (draw(0, 3) == 0 ? 2 : 0);
    if (draw(0, 4) == 0) tensor.stride[d] = 0;
    if (wild) tensor.stride[d] = draw(0, 7);
    if (tensor.shape[d] == 1 && draw(0, 1) == 0) tensor.stride[d] = INT64_MAX;
    if (tensor.shape[d] > 1) last += (tensor.shape[d] - 1) * tensor.stride[d];
  }
  tensor.storage_size = last + 1 + draw(0, 3);
  return tensor;
}

TEST(TorchZipStridesTest, GathersWhatTheDefinitionSays) {
  std::mt19937 random(7);
  int overlapping = 0;
  for (int i = 0; i < 3000; ++i) {
    const DType dtype =
        std::vector<DType>{DType::kUInt8, DType::kFloat16, DType::kFloat32, DType::kInt64}[random() % 4];
    const PickleTensor tensor = RandomView(random, random() % 6, dtype, i % 4 == 0);
    overlapping += PlanStrides(tensor).overlaps;
    for (const uint64_t window : {8, 64, 1 << 20}) {
      for (const uint64_t gap : {uint64_t{0}, uint64_t{32}, ~uint64_t{0}}) {
        ExpectGathered(tensor, {window, gap});
        if (HasFailure()) FAIL() << "view " << i << ", window " << window << ", gap " << gap;
      }
    }
  }
  EXPECT_GT(overlapping, 100);
  EXPECT_LT(overlapping, 1000);
}

PickleTensor View(std::vector<int64_t> shape, std::vector<int64_t> stride, int64_t storage_size, int64_t offset = 0) {
  PickleTensor tensor;
  tensor.shape = std::move(shape);
  tensor.stride = std::move(stride);
  tensor.storage_size = storage_size;
  tensor.offset = offset;
  return tensor;
}

TEST(TorchZipStridesTest, Plans) {
  const StridedPlan dense = PlanStrides(View({2, 3, 4}, {12, 4, 1}, 24));
  ASSERT_EQ(dense.axes.size(), 1u);
  EXPECT_EQ(dense.axes[0].extent, 24);
  EXPECT_FALSE(dense.overlaps);
  EXPECT_EQ(PlanStrides(View({4, 2, 3}, {1, 12, 4}, 24)).axes.size(), 2u);
  EXPECT_EQ(PlanStrides(View({5, 7}, {0, 0}, 1)).axes.size(), 0u);
  EXPECT_TRUE(PlanStrides(View({5, 3}, {1, 1}, 7)).overlaps);
  EXPECT_TRUE(PlanStrides(View({2, 3}, {4, 2}, 9)).overlaps);
  EXPECT_FALSE(PlanStrides(View({2, 3}, {5, 2}, 10)).overlaps);
  EXPECT_FALSE(PlanStrides(View({2, 3}, {1, 2}, 6)).overlaps);
}

// The layout of the reference's convolutions; and an empty tensor reads nothing.
TEST(TorchZipStridesTest, ConvolutionsAndNothing) {
  const int64_t o = 20, i = 18;
  ExpectGathered(View({o, i, 3, 3, 3}, {1, o, i * o, 3 * i * o, 9 * i * o}, 27 * i * o), {4096, ~uint64_t{0}});
  const auto read = [](uint64_t, uint64_t, char*) { return InternalError("read"); };
  EXPECT_TRUE(GatherStrided(View({0, 3}, {1, 1}, 5), {}, read, nullptr).ok());
  EXPECT_FALSE(GatherStrided(View({1, 3}, {1, 1}, 5), {}, read, std::string(12, 0).data()).ok());
}

// Later tensors of a storage skip what lies between their rows, and earlier ones cannot.
TEST(TorchZipStridesTest, LongGapsAreSkipped) {
  const PickleTensor column = View({10}, {1000}, 10000);
  uint64_t bytes = 0;
  const auto read = [&bytes](uint64_t, uint64_t size, char*) {
    bytes += size;
    return absl::OkStatus();
  };
  std::string result(40, '\0');
  ASSERT_TRUE(GatherStrided(column, {1 << 20, 16}, read, result.data()).ok());
  EXPECT_EQ(bytes, 40u);
  ASSERT_TRUE(GatherStrided(column, {1 << 20, 4096}, read, result.data()).ok());
  EXPECT_EQ(bytes, 40u + 4 * 9001u);
}

}  // namespace
}  // namespace cubist

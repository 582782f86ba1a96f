#include "tools/interchange/checkpoint_difference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace cubist {
namespace {

template <typename T>
ValueDifference Compare(const std::vector<T>& a, const std::vector<T>& b, std::vector<int64_t> shape) {
  return CompareValues(HostTensor::Of<T>(a, shape), HostTensor::Of<T>(b, shape));
}

TEST(CompareValuesTest, TheLargestAndWhereItIs) {
  const ValueDifference values = Compare<float>({1, 2, 3, 4, 5, 0.25}, {1, 2.5, 3, 4, 3, 0}, {2, 3});
  EXPECT_EQ(values.count, 6);
  EXPECT_EQ(values.different, 3);
  EXPECT_EQ(values.absolute, 2);
  EXPECT_EQ(values.absolute_at, (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(values.a, 5);
  EXPECT_EQ(values.b, 3);
  EXPECT_EQ(values.relative, 1);
  EXPECT_EQ(values.relative_at, (std::vector<int64_t>{1, 2}));
}

TEST(CompareValuesTest, WhatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Compare<float>({NAN, 0, inf}, {-NAN, -0.0f, inf}, {3}).different, 0);
  const ValueDifference one_nan = Compare<float>({1, NAN}, {2, 1}, {2});
  EXPECT_EQ(one_nan.different, 2);
  EXPECT_TRUE(std::isinf(one_nan.absolute));
  EXPECT_EQ(one_nan.absolute_at, (std::vector<int64_t>{1}));
  EXPECT_TRUE(std::isnan(one_nan.a));
  EXPECT_TRUE(std::isinf(Compare<float>({inf}, {-inf}, {}).relative));
  EXPECT_TRUE(std::isinf(Compare<double>({inf}, {1}, {}).absolute));
}

TEST(CompareValuesTest, IntegersAreSubtractedExactly) {
  const int64_t large = int64_t{1} << 60;
  EXPECT_EQ(Compare<int64_t>({large}, {large + 1}, {}).absolute, 1);
  EXPECT_EQ(Compare<int64_t>({-large}, {1 - large}, {}).absolute, 1);
  EXPECT_EQ(Compare<int64_t>({std::numeric_limits<int64_t>::min()}, {std::numeric_limits<int64_t>::max()}, {}).absolute,
            18446744073709551615.0);
  EXPECT_EQ(Compare<uint64_t>({~uint64_t{0}}, {~uint64_t{0} - 1}, {}).absolute, 1);
  EXPECT_EQ(Compare<int8_t>({-128}, {127}, {}).absolute, 255);
  EXPECT_EQ(Compare<uint8_t>({0}, {255}, {}).absolute, 255);
}

TEST(CompareValuesTest, HalfPrecisionAndNothing) {
  HostTensor a(DType::kBFloat16, {2}), b(DType::kBFloat16, {2});
  const uint16_t one_and_nan[] = {0x3f80, 0x7fc1}, two_and_nan[] = {0x4000, 0xffc0};
  std::memcpy(a.bytes(), one_and_nan, 4);
  std::memcpy(b.bytes(), two_and_nan, 4);
  const ValueDifference values = CompareValues(a, b);
  EXPECT_EQ(values.different, 1);
  EXPECT_EQ(values.absolute, 1);
  EXPECT_EQ(values.relative, 0.5);
  EXPECT_EQ(Compare<float>({}, {}, {0, 3}).different, 0);
}

}  // namespace
}  // namespace cubist

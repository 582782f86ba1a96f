#include "tools/interchange/tensor_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace cubist {
namespace {

// Half precision decoded by its definition: sign, exponent, fraction.
double Decode(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const double fraction = std::ldexp(bits & ((1 << fraction_bits) - 1), -fraction_bits);
  const double sign = (bits >> 15) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias));
}

// All values, then each statistic by its formula.
void ExpectStatistics(const HostTensor& tensor, const std::vector<double>& values) {
  SCOPED_TRACE(tensor.Describe());
  const TensorStatistics statistics = StatisticsOf(tensor);
  std::vector<double> finite;
  int64_t zeros = 0, nans = 0, infinities = 0;
  for (const double value : values) {
    zeros += value == 0;
    nans += std::isnan(value);
    infinities += std::isinf(value);
    if (std::isfinite(value)) finite.push_back(value);
  }
  EXPECT_EQ(statistics.count, static_cast<int64_t>(values.size()));
  EXPECT_EQ(statistics.zeros, zeros);
  EXPECT_EQ(statistics.nans, nans);
  EXPECT_EQ(statistics.infinities, infinities);
  EXPECT_EQ(statistics.finite(), static_cast<int64_t>(finite.size()));
  if (finite.empty()) {
    EXPECT_GT(statistics.min, statistics.max);
    EXPECT_EQ(statistics.standard_deviation(), 0);
    return;
  }
  long double sum = 0, squares = 0;
  double least = finite[0], greatest = finite[0];
  for (const double value : finite) {
    sum += value;
    least = std::fmin(least, value);
    greatest = std::fmax(greatest, value);
  }
  const long double mean = sum / static_cast<long double>(finite.size());
  for (const double value : finite) squares += (value - mean) * (value - mean);
  const auto deviation = static_cast<double>(std::sqrt(squares / static_cast<long double>(finite.size())));
  EXPECT_EQ(statistics.min, least);
  EXPECT_EQ(statistics.max, greatest);
  const double scale = std::fmax(std::fabs(least), std::fabs(greatest));
  EXPECT_NEAR(statistics.mean, static_cast<double>(mean), 1e-12 * scale);
  EXPECT_NEAR(statistics.standard_deviation(), deviation, 1e-12 * scale);
}

template <typename T>
void ExpectNumbers(int64_t count) {
  std::vector<T> numbers;
  std::vector<double> values;
  uint64_t state = 5;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    // A third of them 0; else the whole range of a type of integers, or what floats can hold.
    const auto number = i % 3 == 0 ? T{0} : static_cast<T>(static_cast<int64_t>(state >> 8) - (int64_t{1} << 54));
    numbers.push_back(number);
    values.push_back(static_cast<double>(number));
  }
  ExpectStatistics(HostTensor::Of<T>(numbers, {count}), values);
}

TEST(TensorStatisticsTest, NumbersOfAllTypesAndSizes) {
  for (const int64_t count : {0, 1, 2, 4095, 4096, 4097, 20000}) {
    ExpectNumbers<uint8_t>(count);
    ExpectNumbers<int8_t>(count);
    ExpectNumbers<uint16_t>(count);
    ExpectNumbers<int16_t>(count);
    ExpectNumbers<uint32_t>(count);
    ExpectNumbers<int32_t>(count);
    ExpectNumbers<uint64_t>(count);
    ExpectNumbers<int64_t>(count);
    ExpectNumbers<float>(count);
    ExpectNumbers<double>(count);
  }
}

TEST(TensorStatisticsTest, Booleans) {
  HostTensor tensor(DType::kBool, {2, 3});
  const uint8_t bytes[] = {1, 0, 0, 1, 1, 1};
  std::memcpy(tensor.bytes(), bytes, sizeof(bytes));
  ExpectStatistics(tensor, {1, 0, 0, 1, 1, 1});
}

// Every value that there is: subnormal, infinite, not a number.
TEST(TensorStatisticsTest, HalfPrecision) {
  for (const auto& [dtype, exponent_bits] : {std::pair(DType::kFloat16, 5), std::pair(DType::kBFloat16, 8)}) {
    HostTensor tensor(dtype, {256, 256});
    std::vector<double> values;
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const auto narrow = static_cast<uint16_t>(bits);
      std::memcpy(tensor.bytes() + 2 * bits, &narrow, 2);
      values.push_back(Decode(narrow, exponent_bits));
    }
    ExpectStatistics(tensor, values);
  }
}

TEST(TensorStatisticsTest, NotFinite) {
  const std::vector<double> some = {1, NAN, -2, INFINITY, -INFINITY, 0, -0.0};
  ExpectStatistics(HostTensor::Of<double>(some, {7}), some);
  ExpectStatistics(HostTensor::Of<float>({NAN, INFINITY}, {2}), {NAN, INFINITY});
}

TEST(TensorStatisticsTest, SmallDeviationsFromALargeMean) {
  std::vector<double> values;
  for (int i = 0; i < 10000; ++i) values.push_back(1e9 + (i % 2));
  const TensorStatistics statistics = StatisticsOf(HostTensor::Of<double>(values, {10000}));
  EXPECT_NEAR(statistics.standard_deviation(), 0.5, 1e-9);
}

TEST(TensorStatisticsTest, AddedUpInAnyParts) {
  const std::vector<float> all = {3, 0, NAN, -7, 2, INFINITY, 11};
  TensorStatistics sum;
  sum.Add(StatisticsOf(HostTensor::Of<float>({}, {0})));
  sum.Add(StatisticsOf(HostTensor::Of<float>({3, 0, NAN}, {3})));
  sum.Add(StatisticsOf(HostTensor::Of<float>({-7, 2, INFINITY, 11}, {4})));
  const TensorStatistics whole = StatisticsOf(HostTensor::Of<float>(all, {7}));
  EXPECT_EQ(sum.count, 7);
  EXPECT_EQ(sum.zeros, whole.zeros);
  EXPECT_EQ(sum.min, -7);
  EXPECT_EQ(sum.max, 11);
  EXPECT_NEAR(sum.mean, whole.mean, 1e-12);
  EXPECT_NEAR(sum.standard_deviation(), whole.standard_deviation(), 1e-12);
  EXPECT_FALSE(sum.all_zeros());
  EXPECT_TRUE(StatisticsOf(HostTensor::Of<float>({0, -0.0f}, {2})).all_zeros());
  EXPECT_FALSE(StatisticsOf(HostTensor::Of<float>({}, {0})).all_zeros());
}

}  // namespace
}  // namespace cubist

#include "tools/training/logging/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace cubist {
namespace {

TEST(Crc32cTest, IsThatOfTheStandard) {
  // RFC 3720, appendix B.4, with bytes in the order of the wire; the last is the usual check value.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending += static_cast<char>(i);
    descending += static_cast<char>(31 - i);
  }
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc32c(descending), 0x113fdb5cu);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Crc32cTest, TheMaskIsARotationAndAConstant) {
  EXPECT_EQ(MaskedCrc32c(""), 0xa282ead8u);
  // 0xe3069283 rotated right by 15 is 0x2507c60d.
  EXPECT_EQ(MaskedCrc32c("123456789"), static_cast<uint32_t>(0x2507c60du + 0xa282ead8u));
}

}  // namespace
}  // namespace cubist

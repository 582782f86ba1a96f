#include "tools/training/checkpoint/hashes.h"

#include <gtest/gtest.h>

namespace cubist {
namespace {

TEST(HashesTest, Sha256IsThatOfTheStandard) {
  // FIPS 180-4, examples "abc" and the empty message.
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(HashesTest, Xxh3IsThatOfItsCommandLineTool) {
  // What `xxh128sum` prints.
  EXPECT_EQ(Xxh3Hex("", 0), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(Xxh3Hex("abc", 3), "06b05ab6733a618578af5f94892f3950");
}

TEST(HashesTest, HexIsRecognised) {
  EXPECT_EQ(ToHex(std::string_view("\x00\x7f\xff", 3)), "007fff");
  EXPECT_TRUE(IsHex("007fff", 6));
  EXPECT_FALSE(IsHex("007FFF", 6));
  EXPECT_FALSE(IsHex("007ff", 6));
}

TEST(HashesTest, PiecesGiveTheHashOfTheWhole) {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += static_cast<char>(i * 37 % 251);
  for (const size_t piece : {1, 7, 240, 241, 4999, 5000}) {
    Xxh3Hasher hasher;
    for (size_t at = 0; at < bytes.size(); at += piece) hasher.Add(std::string_view(bytes).substr(at, piece));
    EXPECT_EQ(hasher.Hex(), Xxh3Hex(bytes.data(), bytes.size())) << piece;
    Sha256Hasher sha256;
    for (size_t at = 0; at < bytes.size(); at += piece) sha256.Add(std::string_view(bytes).substr(at, piece));
    EXPECT_EQ(sha256.Hex(), Sha256Hex(bytes)) << piece;
  }
  EXPECT_EQ(Xxh3Hasher().Hex(), Xxh3Hex("", 0));
  EXPECT_EQ(Sha256Hasher().Hex(), Sha256Hex(""));
}

}  // namespace
}  // namespace cubist

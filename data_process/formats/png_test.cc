#include "data_process/formats/png.h"

#include <zlib.h>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

absl::Status ParseStatus(const std::string& bytes, const ImageLimits& limits = {}) {
  return ParsePng(bytes, "clip.tar: member 'a.png'", limits).status();
}

HostTensor Parsed(const std::string& name) {
  const auto image = ParsePng(ReadFixture(name), name);
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? *image : HostTensor();
}

// Images of 5 rows and 11 columns by the rules of make_fixtures.py.
TEST(PngTest, ReadsWhatPillowWrites) {
  const HostTensor flags = Parsed("bool.png");
  ASSERT_EQ(flags.Describe(), "bool[5,11]");
  const HostTensor grey8 = Parsed("grey8.png");
  ASSERT_EQ(grey8.Describe(), "uint8[5,11]");
  const HostTensor grey16 = Parsed("grey16.png");
  ASSERT_EQ(grey16.Describe(), "uint16[5,11]");
  const HostTensor rgb = Parsed("rgb.png");
  ASSERT_EQ(rgb.Describe(), "uint8[5,11,3]");
  const HostTensor rgba = Parsed("rgba.png");
  ASSERT_EQ(rgba.Describe(), "uint8[5,11,4]");
  const HostTensor palette = Parsed("palette.png");
  ASSERT_EQ(palette.Describe(), "uint8[5,11,3]");
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 11; ++x) {
      EXPECT_EQ((flags.view<bool, 2>()(y, x)), (x + y) % 3 == 0);
      EXPECT_EQ((grey8.view<uint8_t, 2>()(y, x)), x * 20 + y);
      EXPECT_EQ((grey16.view<uint16_t, 2>()(y, x)), x * 6000 + y);
      const int colour[4] = {x * 20, y * 50, x + y, 255 - x * 20};
      const int entries[2][3] = {{10, 20, 30}, {200, 100, 50}};
      for (int c = 0; c < 4; ++c) {
        EXPECT_EQ((rgba.view<uint8_t, 3>()(y, x, c)), colour[c]);
        if (c == 3) continue;
        EXPECT_EQ((rgb.view<uint8_t, 3>()(y, x, c)), colour[c]);
        EXPECT_EQ((palette.view<uint8_t, 3>()(y, x, c)), entries[x % 2][c]);
      }
    }
  }
}

template <typename T>
HostTensor Noise(std::vector<int64_t> shape) {
  HostTensor image(DTypeOf<T>::value, std::move(shape));
  uint32_t state = 1;
  for (int64_t i = 0; i < image.size(); ++i) {
    state = state * 1664525u + 1013904223u;
    image.data<T>()[i] = static_cast<T>((state >> 13) & (sizeof(T) == 2 ? 0xffff : std::is_same_v<T, bool> ? 1 : 0xff));
  }
  return image;
}

TEST(PngTest, RoundTrip) {
  // The noise does not compress: the output's reserve must hold for large images as well.
  for (const HostTensor& image :
       {Noise<uint8_t>({7, 9}), Noise<uint8_t>({7, 9, 3}), Noise<uint16_t>({7, 9}), Noise<bool>({7, 9}),
        Noise<uint8_t>({1, 1}), Noise<bool>({3, 8}), Noise<uint8_t>({480, 832, 3}), Noise<uint8_t>({3000, 1})}) {
    const std::string bytes = FormatPng(image);
    EXPECT_EQ(bytes, FormatPng(image));
    const auto back = ParsePng(bytes, "round trip");
    ASSERT_TRUE(back.ok()) << back.status();
    ASSERT_EQ(back->Describe(), image.Describe());
    EXPECT_EQ(std::memcmp(back->bytes(), image.bytes(), image.byte_size()), 0);
  }
  EXPECT_EQ(FormatPng(Noise<bool>({3, 8}))[24], 1);  // the header's bit depth
}

TEST(PngTest, WrongImagesAreOurBug) {
  EXPECT_DEATH(FormatPng(HostTensor(DType::kFloat32, {2, 2})), "float32");
  EXPECT_DEATH(FormatPng(HostTensor(DType::kUInt8, {0, 2})), "uint8");
  EXPECT_DEATH(FormatPng(HostTensor(DType::kUInt16, {2, 2, 3})), "uint16");
}

TEST(PngTest, EveryTruncationIsAnError) {
  for (const std::string name : {"bool.png", "grey16.png", "rgba.png", "palette.png"}) {
    const std::string bytes = ReadFixture(name);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const absl::Status status = ParseStatus(bytes.substr(0, size));
      ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << name << size << status;
    }
    ExpectDataError(ParseStatus(bytes.substr(0, bytes.size() - 1)), {"clip.tar: member 'a.png'", "truncated"});
  }
}

TEST(PngTest, EveryFlippedByteIsAnError) {
  for (const std::string name : {"grey8.png", "rgb.png"}) {
    const std::string good = ReadFixture(name);
    for (size_t at = 0; at < good.size(); ++at) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
      EXPECT_EQ(ExitCodeOf(ParseStatus(bytes)), ExitCode::kData) << name << at;
    }
  }
}

// Nearly as well compressed as deflate can: a genuine image of one colour is no bomb.
TEST(PngTest, ImagesOfOneColourAreRead) {
  for (const HostTensor& image :
       {HostTensor(DType::kUInt8, {4000, 4000}), HostTensor(DType::kBool, {8000, 8000}),
        HostTensor(DType::kUInt16, {3000, 3000}), HostTensor(DType::kUInt8, {2000, 3000, 3})}) {
    const std::string bytes = FormatPng(image);
    EXPECT_GT(image.byte_size(), 500 * bytes.size()) << image.Describe();
    const auto back = ParsePng(bytes, "one colour");
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->Describe(), image.Describe());
  }
}

// A chunk with its checksum (PNG specification, 5.3).
std::string Chunk(const std::string& type, const std::string& data) {
  const auto big_endian = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  const std::string body = type + data;
  const auto checksum =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
  return big_endian(static_cast<uint32_t>(data.size())) + body + big_endian(checksum);
}

TEST(PngTest, HugeDimensionsAreRefusedBeforeAllocation) {
  const auto with_size = [](uint32_t width, uint32_t height) {
    std::string data;
    for (uint32_t value : {width, height}) {
      for (int shift = 24; shift >= 0; shift -= 8) data += static_cast<char>(value >> shift);
    }
    return std::string("\x89PNG\r\n\x1a\n") + Chunk("IHDR", data + std::string("\x10\x06\0\0\0", 5)) +
           Chunk("IDAT", "x") + Chunk("IEND", "");
  };
  for (const auto& [width, height] : std::vector<std::pair<uint32_t, uint32_t>>{
           {0x7fffffff, 0x7fffffff}, {0x7fffffff, 1}, {1, 0x7fffffff}, {0, 1}, {1, 0}, {0xffffffff, 1}, {8192, 8193}}) {
    EXPECT_EQ(ExitCodeOf(ParseStatus(with_size(width, height))), ExitCode::kData) << width << "x" << height;
    const auto refuse = [&, width = width, height = height] {
      return ExitCodeOf(ParseStatus(with_size(width, height))) == ExitCode::kData;
    };
    EXPECT_EXIT(ExitAfterLittleMemory(refuse), ::testing::ExitedWithCode(0), "");
  }
  ExpectDataError(ParseStatus(with_size(8192, 8193)), {"8192x8193", "limit of 67108864"});
  // Within the limits, but more than so few bytes can be the compressed form of.
  const auto refuse = [&] { return ExitCodeOf(ParseStatus(with_size(8192, 8192))) == ExitCode::kData; };
  ExpectDataError(ParseStatus(with_size(8192, 8192)), {"8192x8192", "cannot lie in"});
  EXPECT_EXIT(ExitAfterLittleMemory(refuse), ::testing::ExitedWithCode(0), "");
  ImageLimits limits;
  limits.max_pixels = 54;
  ExpectDataError(ParseStatus(ReadFixture("grey8.png"), limits), {"11x5", "limit of 54"});
  limits.max_pixels = 55;
  EXPECT_TRUE(ParseStatus(ReadFixture("grey8.png"), limits).ok());
  EXPECT_EQ(ExitCodeOf(ParseStatus("hello, this is no image")), ExitCode::kData);
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/jpeg.h"

#include <cstring>
#include <map>

#include "data_process/formats/format_testing.h"
#include "data_process/formats/npz.h"

namespace cubist {
namespace {

constexpr char kName[] = "clip.tar: member 'a.jpg'";

absl::Status ParseStatus(std::string_view bytes, const ImageLimits& limits = {}) {
  return ParseJpeg(bytes, kName, limits).status();
}

// What Pillow decodes (make_fixtures.py), by the names of the files.
std::map<std::string, HostTensor> PillowPixels() {
  const auto arrays = ParseNpz(ReadFixture("jpeg_pixels.npz"), "jpeg_pixels.npz");
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  return {arrays->begin(), arrays->end()};
}

// The position of a marker (ITU T.81, table B.1) outside of others' segments.
size_t FindMarker(const std::string& bytes, uint8_t marker) {
  size_t at = 2;
  while (static_cast<uint8_t>(bytes.at(at + 1)) != marker) {
    at += 2 + static_cast<size_t>(static_cast<uint8_t>(bytes.at(at + 2)) << 8 | static_cast<uint8_t>(bytes.at(at + 3)));
  }
  return at;
}

std::string WithSize(std::string bytes, uint16_t width, uint16_t height, uint8_t frame_marker = 0xc0) {
  const size_t at = FindMarker(bytes, frame_marker);
  bytes[at + 5] = static_cast<char>(height >> 8);
  bytes[at + 6] = static_cast<char>(height);
  bytes[at + 7] = static_cast<char>(width >> 8);
  bytes[at + 8] = static_cast<char>(width);
  return bytes;
}

TEST(JpegTest, DecodesWhatPillowDecodes) {
  int files = 0;
  for (const auto& [name, pixels] : PillowPixels()) {
    if (name == "original") continue;
    const auto image = ParseJpeg(ReadFixture(name + ".jpg"), name);
    ASSERT_TRUE(image.ok()) << image.status();
    ASSERT_EQ(image->Describe(), pixels.Describe()) << name;
    EXPECT_EQ(std::memcmp(image->bytes(), pixels.bytes(), pixels.byte_size()), 0) << name;
    ++files;
  }
  EXPECT_EQ(files, 12);
}

TEST(JpegTest, WritesWhatPillowWrites) {
  const HostTensor original = PillowPixels().at("original");
  EXPECT_EQ(FormatJpeg(original, 75), ReadFixture("default.jpg"));
  EXPECT_EQ(FormatJpeg(original, 100), ReadFixture("quality100.jpg"));
  EXPECT_EQ(FormatJpeg(original, 1), ReadFixture("quality1.jpg"));
}

TEST(JpegTest, HighestQualityIsClose) {
  HostTensor image(DType::kUInt8, {40, 30});
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 30; ++x) image.view<uint8_t, 2>()(y, x) = static_cast<uint8_t>(x * 8 + y);
  }
  const auto back = ParseJpeg(FormatJpeg(image, 100), "grey");
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->Describe(), image.Describe());
  for (int64_t i = 0; i < image.size(); ++i) {
    ASSERT_NEAR(back->data<uint8_t>()[i], image.data<uint8_t>()[i], 1);
  }
}

TEST(JpegTest, WrongImagesAreOurBug) {
  EXPECT_DEATH(FormatJpeg(HostTensor(DType::kUInt16, {2, 2}), 90), "uint16");
  EXPECT_DEATH(FormatJpeg(HostTensor(DType::kUInt8, {2, 2, 4}), 90), "uint8");
  EXPECT_DEATH(FormatJpeg(HostTensor(DType::kUInt8, {0, 2, 3}), 90), "uint8");
  EXPECT_DEATH(FormatJpeg(HostTensor(DType::kUInt8, {2, 2, 3}), 101), "quality 101");
}

TEST(JpegTest, EveryTruncationIsAnError) {
  int truncations = 0;
  for (const std::string name : {"default.jpg", "progressive.jpg", "restarts.jpg", "grey.jpg"}) {
    const std::string bytes = ReadFixture(name);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const absl::Status status = ParseStatus(std::string_view(bytes).substr(0, size));
      ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << name << size << status;
      ++truncations;
    }
    ExpectDataError(ParseStatus(bytes.substr(0, bytes.size() - 1)), {kName, "JPEG"});
    ExpectDataError(ParseStatus(bytes.substr(0, bytes.size() - 20)), {"remature end"});
  }
  RecordProperty("truncations", truncations);
}

TEST(JpegTest, RefusedByName) {
  ExpectDataError(ParseStatus(ReadFixture("cmyk.jpg")), {kName, "CMYK"});
  std::string bytes = ReadFixture("default.jpg");
  bytes[FindMarker(bytes, 0xc0) + 4] = 12;
  ExpectDataError(ParseStatus(bytes), {"precision 12"});
  bytes = ReadFixture("default.jpg");
  bytes[FindMarker(bytes, 0xc0) + 1] = static_cast<char>(0xc3);  // lossless
  ExpectDataError(ParseStatus(bytes), {"SOF type 0xc3"});
  ExpectDataError(ParseStatus("no image"), {"0x6e 0x6f"});
  ExpectDataError(ParseStatus(""), {"JPEG"});
}

TEST(JpegTest, HugeImagesAreRefusedBeforeAllocation) {
  for (const auto& [name, marker] : {std::pair("default.jpg", 0xc0), std::pair("progressive.jpg", 0xc2)}) {
    const std::string bytes = ReadFixture(name);
    for (const auto& [width, height] :
         {std::pair(65500, 65500), std::pair(65535, 1), std::pair(0, 5), std::pair(8193, 8192)}) {
      const std::string huge =
          WithSize(bytes, static_cast<uint16_t>(width), static_cast<uint16_t>(height), static_cast<uint8_t>(marker));
      const auto refuse = [&] { return ExitCodeOf(ParseStatus(huge)) == ExitCode::kData; };
      EXPECT_TRUE(refuse());
      EXPECT_EXIT(ExitAfterLittleMemory(refuse), ::testing::ExitedWithCode(0), "") << name << width;
    }
  }
  ExpectDataError(ParseStatus(WithSize(ReadFixture("default.jpg"), 8193, 8192)), {"8193x8192", "limit of 67108864"});
  ImageLimits limits;
  limits.max_pixels = 37 * 53 - 1;
  ExpectDataError(ParseStatus(ReadFixture("default.jpg"), limits), {"37x53"});
  limits.max_pixels = 37 * 53;
  EXPECT_TRUE(ParseStatus(ReadFixture("default.jpg"), limits).ok());
}

// A progressive image of 8x8 grey pixels, all 128, in 1 + 14 * bands scans that libjpeg takes without a warning: each
// coefficient bit by bit (ITU T.81, G.1.2). Its Huffman tables have one code, the bit 0, for "nothing (more) in this
// block".
std::string ManyScans(int bands) {
  const auto segment = [](uint8_t marker, const std::string& data) {
    return std::string("\xff") + static_cast<char>(marker) + static_cast<char>((data.size() + 2) >> 8) +
           static_cast<char>(data.size() + 2) + data;
  };
  const auto scan = [&](int coefficient, int high, int low) {
    const std::string header = {
        1, 1, 0, static_cast<char>(coefficient), static_cast<char>(coefficient), static_cast<char>(high << 4 | low)};
    return segment(0xda, header) + "\x7f";
  };
  const std::string one_code = std::string("\1") + std::string(15, '\0') + std::string(1, '\0');
  std::string bytes = "\xff\xd8" + segment(0xdb, std::string(1, '\0') + std::string(64, '\1')) +
                      segment(0xc2, {8, 0, 8, 0, 8, 1, 1, 0x11, 0}) + segment(0xc4, std::string(1, '\0') + one_code) +
                      segment(0xc4, "\x10" + one_code) + scan(0, 0, 0);
  for (int band = 1; band <= bands; ++band) {
    bytes += scan(band, 0, 13);
    for (int low = 12; low >= 0; --low) bytes += scan(band, low + 1, low);
  }
  return bytes + "\xff\xd9";
}

TEST(JpegTest, ScansWithoutEndAreRefused) {
  const auto grey = ParseJpeg(ManyScans(7), kName);
  ASSERT_TRUE(grey.ok()) << grey.status();
  EXPECT_EQ(Values<uint8_t>(*grey), std::vector<uint8_t>(64, 128));
  ExpectDataError(ParseStatus(ManyScans(8)), {kName, "more than 100 scans"});
}

}  // namespace
}  // namespace cubist

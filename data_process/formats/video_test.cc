#include "data_process/formats/video.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "data_process/formats/format_testing.h"
#include "data_process/formats/npz.h"

namespace cubist {
namespace {

HostTensor Picture(int height, int width, int time) {
  HostTensor image(DType::kUInt8, {height, width, 3});
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int from_center = x - (7 * time) % width;
      const bool inside = from_center * from_center + (y - 10) * (y - 10) < 40;
      image.view<uint8_t, 3>()(y, x, 0) = static_cast<uint8_t>(inside ? 220 : 2 * x + time);
      image.view<uint8_t, 3>()(y, x, 1) = static_cast<uint8_t>(inside ? 30 : 90 + y);
      image.view<uint8_t, 3>()(y, x, 2) = static_cast<uint8_t>(inside ? 60 : 200 - x - y);
    }
  }
  return image;
}

VideoWriterOptions Options(int width, int height, const std::string& preset = "superfast") {
  VideoWriterOptions options;
  options.width = width;
  options.height = height;
  options.preset = preset;
  return options;
}

// A file of `frames` pictures of 48x32 pixels.
std::string WrittenVideo(const std::string& name, int frames, const std::string& preset = "superfast") {
  const std::string path = WriteTemporary(name, "an older file");
  auto writer = VideoWriter::Create(SystemFileOps(), path, Options(48, 32, preset));
  EXPECT_TRUE(writer.ok()) << writer.status();
  for (int time = 0; time < frames; ++time) {
    const absl::Status status = (*writer)->Append(Picture(32, 48, time));
    EXPECT_TRUE(status.ok()) << status;
  }
  const absl::Status status = (*writer)->Finish();
  EXPECT_TRUE(status.ok()) << status;
  return path;
}

std::string Bytes(const std::string& path) {
  const auto bytes = ReadWholeFile(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *bytes : "";
}

double MeanDifference(const HostTensor& a, const HostTensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += std::abs(a.data<uint8_t>()[i] - b.data<uint8_t>()[i]);
  return sum / static_cast<double>(a.size());
}

absl::Status ReadStatus(const std::string& path, const VideoLimits& limits = {}) {
  const auto reader = VideoReader::Open(path, limits);
  if (!reader.ok()) return reader.status();
  while (true) {
    const auto frame = (*reader)->Next();
    if (!frame.ok() || !frame->has_value()) return frame.status();
  }
}

std::string x264Options(const std::string& bytes) {
  const size_t at = bytes.find("options: cabac");
  EXPECT_NE(at, std::string::npos);
  return bytes.substr(at, bytes.find('\0', at) - at);
}

// Against planes that the ffmpeg program decodes, converted by the formula (make_fixtures.py): other containers and
// codecs, colour tags, fragments. swscale rounds each product.
TEST(VideoTest, ReadsWhatFfmpegReads) {
  const auto arrays = ParseNpz(ReadFixture("video_pixels.npz"), "video_pixels.npz");
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  EXPECT_EQ(arrays->size(), 5u);
  for (const auto& [name, expected] : *arrays) {
    const auto reader = VideoReader::Open(FixturePath(name));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->width(), 48);
    EXPECT_EQ((*reader)->height(), 32);
    EXPECT_NEAR((*reader)->frames_per_second(), 10, 1e-9) << name;
    const int64_t frame_bytes = 32 * 48 * 3;
    for (int64_t at = 0; at < expected.shape()[0]; ++at) {
      const auto frame = (*reader)->Next();
      ASSERT_TRUE(frame.ok() && frame->has_value()) << name << at << frame.status();
      ASSERT_EQ((*frame)->Describe(), "uint8[32,48,3]");
      int worst = 0;
      for (int64_t i = 0; i < frame_bytes; ++i) {
        worst =
            std::max(worst, std::abs((*frame)->data<uint8_t>()[i] - expected.data<uint8_t>()[at * frame_bytes + i]));
      }
      EXPECT_LE(worst, 3) << name << " frame " << at;
    }
    const auto end = (*reader)->Next();
    ASSERT_TRUE(end.ok()) << end.status();
    EXPECT_FALSE(end->has_value());
    const auto count = CountFrames(FixturePath(name));
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, expected.shape()[0]) << name;
  }
}

// x264 writes its effective settings into the stream: ours are those of the reference's call of the ffmpeg program.
TEST(VideoTest, WritesAsTheReferenceDoes) {
  const std::string ours = Bytes(WrittenVideo("reference.mp4", 16, "veryslow"));
  const std::string theirs = ReadFixture("video.mp4");
  EXPECT_EQ(x264Options(ours), x264Options(theirs));
  // The index precedes the frames; time base 1/10240; profile High; no colour tags.
  for (const std::string& bytes : {ours, theirs}) {
    EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));
    const size_t media_header = bytes.find("mdhd");
    ASSERT_NE(media_header, std::string::npos);
    EXPECT_EQ(bytes.substr(media_header + 16, 4), std::string("\0\0\x28\0", 4));
    EXPECT_EQ(bytes.find("colr"), std::string::npos);
    const size_t configuration = bytes.find("avcC");
    ASSERT_NE(configuration, std::string::npos);
    EXPECT_EQ(bytes[configuration + 5], 100);
  }
}

TEST(VideoTest, RoundTripIsFrameExact) {
  for (const int frames : {1, 2, 16, 61}) {
    const std::string path = WrittenVideo("round_trip.mp4", frames);
    const auto count = CountFrames(path);
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, frames);
    const auto read = ReadFrames(path, 0, frames);
    ASSERT_TRUE(read.ok()) << read.status();
    for (int time = 0; time < frames; ++time) {
      // Nearest to its own picture, and near.
      const double own = MeanDifference(read->Select(time), Picture(32, 48, time));
      EXPECT_LT(own, 8) << time;
      for (const int other : {time - 1, time + 1}) {
        EXPECT_LT(own, MeanDifference(read->Select(time), Picture(32, 48, other))) << time;
      }
    }
  }
}

TEST(VideoTest, AnyEvenSize) {
  for (const auto& [width, height] : {std::pair(2, 2), std::pair(50, 34), std::pair(16, 2), std::pair(2, 130)}) {
    const std::string path = ::testing::TempDir() + "/size.mp4";
    auto writer = VideoWriter::Create(SystemFileOps(), path, Options(width, height));
    ASSERT_TRUE(writer.ok()) << writer.status();
    HostTensor image(DType::kUInt8, {height, width, 3});
    for (int64_t i = 0; i < image.size(); ++i) image.data<uint8_t>()[i] = static_cast<uint8_t>(40 + 80 * (i % 3));
    ASSERT_TRUE((*writer)->Append(image).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
    const auto frames = ReadFrames(path, 0, 1);
    ASSERT_TRUE(frames.ok()) << frames.status();
    ASSERT_EQ(frames->Select(0).Describe(), image.Describe());
    for (int64_t i = 0; i < image.size(); ++i) {
      ASSERT_NEAR(frames->Select(0).data<uint8_t>()[i], image.data<uint8_t>()[i], 4)
          << width << "x" << height << " at " << i;
    }
  }
}

TEST(VideoTest, EqualFramesGiveEqualBytes) {
  for (const std::string preset : {"superfast", "veryslow"}) {
    EXPECT_EQ(Bytes(WrittenVideo("a.mp4", 20, preset)), Bytes(WrittenVideo("b.mp4", 20, preset)));
  }
}

TEST(VideoTest, PartsOfAVideo) {
  const std::string path = WrittenVideo("parts.mp4", 12);
  const auto all = ReadFrames(path, 0, 12);
  const auto part = ReadFrames(path, 5, 3);
  ASSERT_TRUE(all.ok() && part.ok()) << part.status();
  ASSERT_EQ(part->Describe(), "uint8[3,32,48,3]");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Values<uint8_t>(part->Select(i)), Values<uint8_t>(all->Select(5 + i)));
  ExpectDataError(ReadFrames(path, 10, 3).status(), {path, "12 frames", "10 to 12"});
}

// Frames shown out of their coded order, whose first ones an edit list moves to time 0.
TEST(VideoTest, OrderOfPresentation) {
  const std::string path = WrittenVideo("order.mp4", 30, "medium");
  const auto frames = ReadFrames(path, 0, 30);
  ASSERT_TRUE(frames.ok()) << frames.status();
  for (int time = 1; time < 30; ++time) {
    const HostTensor& frame = frames->Select(time);
    EXPECT_LT(MeanDifference(frame, Picture(32, 48, time)), MeanDifference(frame, Picture(32, 48, time - 1))) << time;
  }
}

TEST(VideoTest, WrongOptions) {
  const std::string path = ::testing::TempDir() + "/never.mp4";
  for (const auto& [width, height] : {std::pair(47, 32), std::pair(48, 31), std::pair(0, 2), std::pair(2, -2)}) {
    const auto writer = VideoWriter::Create(SystemFileOps(), path, Options(width, height));
    EXPECT_EQ(ExitCodeOf(writer.status()), ExitCode::kConfig);
    EXPECT_THAT(std::string(writer.status().message()), ::testing::HasSubstr(absl::StrCat(width, "x", height)));
  }
  const auto preset = VideoWriter::Create(SystemFileOps(), path, Options(48, 32, "hasty"));
  EXPECT_EQ(ExitCodeOf(preset.status()), ExitCode::kConfig);
  EXPECT_THAT(std::string(preset.status().message()), ::testing::HasSubstr("'hasty'"));
  auto writer = VideoWriter::Create(SystemFileOps(), path, Options(48, 32));
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(ExitCodeOf((*writer)->Append(Picture(48, 32, 0))), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf((*writer)->Finish()), ExitCode::kInternal);
}

TEST(VideoTest, NothingHalfWrittenStays) {
  const std::string path = WriteTemporary("kept.mp4", "an older file");
  {
    auto writer = VideoWriter::Create(SystemFileOps(), path, Options(48, 32));
    ASSERT_TRUE(writer.ok() && (*writer)->Append(Picture(32, 48, 0)).ok());
  }
  EXPECT_EQ(Bytes(path), "an older file");
  VideoWriterOptions options = Options(48, 32);
  options.max_bytes = 700;
  auto writer = VideoWriter::Create(SystemFileOps(), path, options);
  ASSERT_TRUE(writer.ok());
  absl::Status status = (*writer)->Append(Picture(32, 48, 0));
  if (status.ok()) status = (*writer)->Finish();
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kStorage) << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("limit of 700"));
  EXPECT_EQ(Bytes(path), "an older file");
  auto missing = VideoWriter::Create(SystemFileOps(), ::testing::TempDir() + "/no/folder.mp4", Options(48, 32));
  ASSERT_TRUE(missing.ok() && (*missing)->Append(Picture(32, 48, 0)).ok());
  EXPECT_EQ(ExitCodeOf((*missing)->Finish()), ExitCode::kStorage);
}

TEST(VideoTest, WhatIsNoVideoIsRefused) {
  ExpectDataError(ReadStatus("nowhere.mp4"), {"nowhere.mp4", "No such file"});
  ExpectDataError(ReadStatus(::testing::TempDir()), {"regular file"});
  ExpectDataError(ReadStatus("/dev/zero"), {"/dev/zero", "regular file"});
  const std::string pipe = ::testing::TempDir() + "/pipe.mp4";
  std::remove(pipe.c_str());
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  ExpectDataError(ReadStatus(pipe), {"regular file"});
  ExpectDataError(ReadStatus("http://localhost/a.mp4"), {"No such file"});
  ExpectDataError(ReadStatus(WriteTemporary("empty.mp4", "")), {"empty.mp4"});
  // Formats that name other files.
  ExpectDataError(ReadStatus(WriteTemporary("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n")),
                  {"list.m3u8"});
  ExpectDataError(ReadStatus(WriteTemporary("list.mp4", "ffconcat version 1.0\nfile 'video.mp4'\n")), {"list.mp4"});
  ExpectDataError(ReadStatus(FixturePath("rgb.png")), {"rgb.png"});
}

TEST(VideoTest, Limits) {
  const std::string path = WrittenVideo("limits.mp4", 8);
  VideoLimits limits;
  limits.max_pixels = 48 * 32 - 1;
  ExpectDataError(VideoReader::Open(path, limits).status(), {path, "0.000 s", "48x32", "limit of 1535"});
  limits.max_pixels = 48 * 32;
  limits.max_frames = 8;
  EXPECT_TRUE(ReadStatus(path, limits).ok());
  limits.max_frames = 7;
  ExpectDataError(ReadStatus(path, limits), {path, "after 7 frames, at 0.700 s", "more frames than the limit of 7"});
  limits.max_frames = 8;
  limits.max_seconds = 0;
  ExpectDataError(ReadStatus(path, limits), {path, "limit of 0 seconds"});
}

// 300 edits that show the same 16 frames again: in 5 KB there is room for days.
TEST(VideoTest, LoopingEditsEnd) {
  const std::string path = "data_process/formats/fuzz/corpus/mp4/bad_edits_that_repeat.mp4";
  VideoLimits limits;
  limits.max_frames = 40;
  ExpectDataError(ReadStatus(path, limits), {path, "after 40 frames, at ", "more frames than the limit of 40"});
  limits.max_frames = 1 << 30;
  limits.max_seconds = 1e-3;
  ExpectDataError(ReadStatus(path, limits), {path, " s: ", "takes more than the limit of 0.001 seconds"});
}

// Offsets at which boxes of type mdat end: the ends of fragments.
std::vector<size_t> EndsOfFragments(const std::string& bytes) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < bytes.size();) {
    size_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<uint8_t>(bytes[at + i]);
    at += size;
    if (bytes.substr(at - size + 4, 4) == "mdat") ends.push_back(at);
  }
  return ends;
}

// No truncation is taken for a shorter video. Only a file of several fragments that ends with one is whole, if shorter.
TEST(VideoTest, EveryTruncationIsAnError) {
  int truncations = 0, shorter = 0, complete = 0;
  for (const auto& [name, frames] :
       {std::pair("video.mp4", 16), std::pair("fragmented.mp4", 8), std::pair("vp8.mkv", 5)}) {
    const std::string bytes = ReadFixture(name);
    const std::vector<size_t> ends =
        name == std::string("fragmented.mp4") ? EndsOfFragments(bytes) : std::vector<size_t>();
    for (size_t size = 0; size < bytes.size(); ++size) {
      const auto count = CountFrames(WriteTemporary("truncated", std::string_view(bytes).substr(0, size)));
      ++truncations;
      if (count.ok()) {
        const bool whole = std::find(ends.begin(), ends.end(), size) != ends.end();
        EXPECT_TRUE(whole || *count == frames) << name << " " << size << " of " << bytes.size() << ": " << *count;
        ++(*count == frames ? complete : shorter);
      } else {
        EXPECT_EQ(ExitCodeOf(count.status()), ExitCode::kData) << name << " " << size << " " << count.status();
      }
    }
  }
  EXPECT_LE(shorter, 2);   // after one and after two of three fragments
  EXPECT_LE(complete, 2);  // without the index of fragments, or that of clusters
  RecordProperty("truncations", truncations);
}

// A flipped bit is met as an error or changes pixels, names and times: it never takes frames away unless it lies in the
// description of the frames' number and order.
TEST(VideoTest, FlippedBitsLoseNoFrames) {
  const std::string good = ReadFixture("video.mp4");
  const size_t frames = good.find("mdat") + 4;
  int refused = 0;
  for (size_t at = frames; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << at % 8));
    const auto count = CountFrames(WriteTemporary("flipped", bytes));
    if (count.ok()) {
      EXPECT_EQ(*count, 16) << at;
    } else {
      ++refused;
      ExpectDataError(count.status(), {"flipped: video after ", " s: "});
    }
  }
  EXPECT_GT(refused, 200);
  RecordProperty("flipped", static_cast<int>(good.size() - frames));
  RecordProperty("refused", refused);
}

// 416x240 pixels of waves and grain that move: every block of every frame holds data.
HostTensor TexturedPicture(int time) {
  HostTensor image(DType::kUInt8, {240, 416, 3});
  for (int y = 0; y < 240; ++y) {
    for (int x = 0; x < 416; ++x) {
      const auto cell = static_cast<uint32_t>((x + 3 * time) / 5 * 7919 + (y + time) / 3 * 104729);
      const uint32_t grain = cell * 2654435761u >> 26;
      const double wave = 60 * std::sin(0.05 * (x + 2 * time)) * std::cos(0.07 * (y - time));
      for (int channel = 0; channel < 3; ++channel) {
        image.view<uint8_t, 3>()(y, x, channel) = static_cast<uint8_t>(90 + 8 * channel + wave + grain);
      }
    }
  }
  return image;
}

std::string TexturedVideo(const std::string& preset) {
  const std::string path = ::testing::TempDir() + "/textured.mp4";
  auto writer = VideoWriter::Create(SystemFileOps(), path, Options(416, 240, preset));
  EXPECT_TRUE(writer.ok()) << writer.status();
  for (int time = 0; time < 24; ++time) EXPECT_TRUE((*writer)->Append(TexturedPicture(time)).ok());
  EXPECT_TRUE((*writer)->Finish().ok());
  return path;
}

TEST(VideoTest, WholeVideosOfAllPresetsAreRead) {
  for (const char* preset : {"ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "veryslow"}) {
    const auto count = CountFrames(TexturedVideo(preset));
    ASSERT_TRUE(count.ok()) << preset << count.status();
    EXPECT_EQ(*count, 24) << preset;
  }
}

// Stretches of frames that are inverted, zero or random. H.264 has no checksums: some of it is a good stream of other
// pictures, but never of fewer.
TEST(VideoTest, MostDamageIsMet) {
  constexpr int kFrames = 24, kOfEachKind = 40;
  for (const auto& [preset, least] : {std::pair("superfast", 70), std::pair("veryslow", 108)}) {
    const std::string good = Bytes(TexturedVideo(preset));
    const size_t frames = good.find("mdat") + 4;
    ASSERT_GT(good.size(), frames + 50000);
    std::mt19937 random(7);
    int refused = 0;
    for (int i = 0; i < 3 * kOfEachKind; ++i) {
      const int kind = i / kOfEachKind;
      const size_t length = kind == 0 ? 400 : kind == 1 ? 2000 : 1000;
      const size_t begin = frames + random() % (good.size() - length - frames);
      std::string bytes = good;
      for (size_t at = begin; at < begin + length; ++at) {
        bytes[at] = static_cast<char>(kind == 0 ? ~bytes[at] : kind == 1 ? 0 : random());
      }
      const auto count = CountFrames(WriteTemporary("damaged.mp4", bytes));
      if (count.ok()) {
        EXPECT_EQ(*count, kFrames) << preset << " " << i;
      } else {
        ++refused;
        ExpectDataError(count.status(), {"damaged.mp4: video after ", " s: "});
      }
    }
    EXPECT_GE(refused, least) << preset;
    RecordProperty(preset, refused);
  }
}

}  // namespace
}  // namespace cubist

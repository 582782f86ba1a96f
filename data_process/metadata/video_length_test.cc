#include "data_process/metadata/video_length.h"

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file_ops.h"
#include "base/status.h"
#include "data_process/formats/video.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

std::string WrittenVideo(int frames) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", frames, ".mp4");
  VideoWriterOptions options;
  options.width = 32;
  options.height = 32;
  auto writer = VideoWriter::Create(SystemFileOps(), path, options);
  EXPECT_TRUE(writer.ok()) << writer.status();
  HostTensor image(DType::kUInt8, {32, 32, 3});
  for (int frame = 0; frame < frames; ++frame) {
    for (int64_t i = 0; i < image.size(); ++i) image.data<uint8_t>()[i] = static_cast<uint8_t>(7 * i + 5 * frame);
    EXPECT_TRUE((*writer)->Append(image).ok());
  }
  EXPECT_TRUE((*writer)->Finish().ok());
  return path;
}

std::string Bytes(const std::string& path) { return ReadWholeFile(path).value(); }

void ExpectLength(const std::string& path, int64_t frames) {
  const absl::StatusOr<int64_t> length = VideoLength(path);
  ASSERT_TRUE(length.ok()) << length.status();
  EXPECT_EQ(*length, frames) << path;
}

TEST(VideoLengthTest, IsWhatWasWritten) {
  for (const int frames : {1, 2, 13}) ExpectLength(WrittenVideo(frames), frames);
}

// Written by FFmpeg's program and OpenCV: an index, fragments, containers whose index names key frames only.
TEST(VideoLengthTest, IsWhatDecodingCountsInEveryContainer) {
  const std::string folder =
      absl::StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"), "/data_process/formats/testdata/");
  for (const char* name : {"video.mp4", "fragmented.mp4", "bt709_full_range.mp4", "mpeg4.avi", "vp8.mkv"}) {
    const absl::StatusOr<int64_t> decoded = CountFrames(folder + name);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_GT(*decoded, 1);
    ExpectLength(folder + name, *decoded);
  }
}

TEST(VideoLengthTest, LeavesOutWhatAnEditListHides) {
  const std::string path = WrittenVideo(13);
  std::string bytes = Bytes(path);
  // Box: size, "elst", version and flags, count, then of each edit its duration and where in the media it starts.
  const size_t box = bytes.find("elst");
  ASSERT_NE(box, std::string::npos);
  ASSERT_EQ(bytes[box + 4], 0) << "of 32 bits";
  const auto start = reinterpret_cast<unsigned char*>(&bytes[box + 16]);
  const int later = start[2] * 256 + start[3] + 3 * 1024;  // ticks of a frame: 1/10240 s
  start[2] = static_cast<unsigned char>(later / 256);
  start[3] = static_cast<unsigned char>(later % 256);
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, bytes).ok());
  const absl::StatusOr<int64_t> decoded = CountFrames(path);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, 10);
  ExpectLength(path, *decoded);
}

TEST(VideoLengthTest, SeesAFrameOfTheIndexThatIsDamagedWithoutDecodingIt) {
  const std::string path = WrittenVideo(13);
  std::string bytes = Bytes(path);
  // The box ends with the size of the last frame, which is the end of the file and starts with its length.
  const size_t box = bytes.find("stsz") - 4;
  const auto last = [&bytes, box](int from_end) {
    const size_t box_size =
        static_cast<unsigned char>(bytes[box + 2]) * 256 + static_cast<unsigned char>(bytes[box + 3]);
    return static_cast<unsigned char>(bytes[box + box_size - from_end]);
  };
  bytes[bytes.size() - last(2) * 256 - last(1)] = '\x7f';
  ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, bytes).ok());
  EXPECT_FALSE(CountFrames(path).ok());
  ExpectLength(path, 13);
}

TEST(VideoLengthTest, RefusesWhatIsNoVideo) {
  const std::string path = WrittenVideo(13);
  const std::string bytes = Bytes(path);
  for (const std::string& bad : {std::string(), std::string("text"), bytes.substr(0, bytes.size() - 1)}) {
    ASSERT_TRUE(WriteFileAtomically(SystemFileOps(), path, bad).ok());
    const absl::StatusOr<int64_t> length = VideoLength(path);
    EXPECT_EQ(ExitCodeOf(length.status()), ExitCode::kData);
    EXPECT_NE(length.status().message().find(path), std::string::npos);
  }
  EXPECT_EQ(ExitCodeOf(VideoLength(path + ".gone").status()), ExitCode::kData);
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/torch_zip_writer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "data_process/formats/format_testing.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {
namespace {

HostTensor RandomTensor(std::mt19937& random, DType dtype, std::vector<int64_t> shape) {
  HostTensor tensor(dtype, std::move(shape));
  for (size_t i = 0; i < tensor.byte_size(); ++i) {
    tensor.bytes()[i] = static_cast<std::byte>(dtype == DType::kBool ? random() % 2 : random());
  }
  return tensor;
}

// A training checkpoint in small: all dtypes, ranks from 0 on.
struct Checkpoint {
  PythonValue root = PythonValue::Dict();
  std::vector<HostTensor> tensors;
};

Checkpoint SmallCheckpoint(int ranks) {
  std::mt19937 random(3);
  Checkpoint checkpoint;
  PythonValue state = PythonValue::OrderedDict();
  std::vector<int64_t> shape;
  for (int rank = 0; rank < ranks; ++rank) {
    for (const DType dtype : {DType::kBool, DType::kUInt8, DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64,
                              DType::kFloat16, DType::kBFloat16, DType::kFloat32, DType::kFloat64}) {
      checkpoint.tensors.push_back(RandomTensor(random, dtype, shape));
      state.Set(std::string(Name(dtype)) + "." + std::to_string(rank), PythonValue::Tensor(dtype, shape));
    }
    shape.insert(shape.begin(), rank == 3 ? 1 : rank + 1);
  }
  checkpoint.tensors.push_back(HostTensor(DType::kFloat32, {0, 3}));
  state.Set("empty", PythonValue::Tensor(DType::kFloat32, {0, 3}));
  checkpoint.root.Set("epoch", PythonValue::Int(3));
  checkpoint.root.Set("state_dict", state);
  return checkpoint;
}

std::string WriteCheckpoint(const std::string& name, const Checkpoint& checkpoint,
                            const std::string& folder = "archive") {
  const std::string path = ::testing::TempDir() + "/" + name;
  const auto writer = TorchZipWriter::Create(SystemFileOps(), path, checkpoint.root, folder);
  EXPECT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ((*writer)->tensors().size(), checkpoint.tensors.size());
  for (const HostTensor& tensor : checkpoint.tensors) EXPECT_TRUE((*writer)->Append(tensor).ok());
  EXPECT_TRUE((*writer)->Finish().ok());
  return path;
}

// OK if it reads as what was written.
absl::Status ReadCheckpoint(const std::string& bytes, const Checkpoint& checkpoint) {
  const auto file = OpenTorchZip(bytes, "small.ckpt");
  if (!file.ok()) return file.status();
  const auto state = file->root().Find("state_dict");
  if (!state.has_value() || state->pair_count() != checkpoint.tensors.size()) return InternalError("other values");
  for (size_t i = 0; i < checkpoint.tensors.size(); ++i) {
    if (state->value(i).kind() != PickleKind::kTensor) return InternalError("other values");
    const auto tensor = file->Materialize(state->value(i).tensor());
    if (!tensor.ok()) return tensor.status();
    const HostTensor& wanted = checkpoint.tensors[i];
    if (tensor->Describe() != wanted.Describe() ||
        std::memcmp(tensor->bytes(), wanted.bytes(), wanted.byte_size()) != 0) {
      return InternalError("other values");
    }
  }
  return absl::OkStatus();
}

TEST(TorchZipWriterTest, RoundTrip) {
  const Checkpoint checkpoint = SmallCheckpoint(6);
  const std::string path = WriteCheckpoint("small.ckpt", checkpoint);
  const std::string bytes = *ReadWholeFile(path);
  EXPECT_TRUE(ReadCheckpoint(bytes, checkpoint).ok()) << ReadCheckpoint(bytes, checkpoint);
  EXPECT_TRUE(bytes == *ReadWholeFile(WriteCheckpoint("again.ckpt", checkpoint))) << "not deterministic";
  EXPECT_EQ(OpenTorchZipFile(WriteCheckpoint("stem.ckpt", checkpoint, "stem"))->root_folder(), "stem");
  EXPECT_TRUE(RunPython(R"(
import struct, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
names = archive.namelist()
assert names == ["archive/data.pkl", "archive/byteorder", *[f"archive/data/{i}" for i in range(61)],
                 "archive/version"], names
assert archive.read("archive/byteorder") == b"little" and archive.read("archive/version") == b"3\n"
bytes_ = open(sys.argv[1], "rb").read()
for info in archive.infolist():
    name, extra = struct.unpack_from("<HH", bytes_, info.header_offset + 26)
    assert (info.header_offset + 30 + name + extra) % 64 == 0, info
    assert info.compress_type == zipfile.ZIP_STORED and info.date_time == (1980, 1, 1, 0, 0, 0)
)",
                        {path}));
}

TEST(TorchZipWriterTest, EveryTruncationAndEveryFlippedByteIsAnErrorOrHarmless) {
  const Checkpoint checkpoint = SmallCheckpoint(1);
  const std::string good = *ReadWholeFile(WriteCheckpoint("good.ckpt", checkpoint));
  for (size_t size = 0; size < good.size(); ++size) {
    ASSERT_EQ(ExitCodeOf(ReadCheckpoint(good.substr(0, size), checkpoint)), ExitCode::kData) << size;
  }
  size_t refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    const absl::Status status = ReadCheckpoint(bytes, checkpoint);
    ASSERT_TRUE(status.ok() || ExitCodeOf(status) == ExitCode::kData) << at << status;
    refused += !status.ok();
  }
  // Padding, dates and versions are harmless; names, sizes, the pickle and the elements are not.
  size_t content = FormatPickle(checkpoint.root)->bytes.size();
  for (const HostTensor& tensor : checkpoint.tensors) content += tensor.byte_size();
  EXPECT_GT(refused, content);
}

TEST(TorchZipWriterTest, OnlyWhatWasAnnouncedIsTaken) {
  std::string bytes;
  const auto start = [&bytes] {
    bytes.clear();
    PythonValue root = PythonValue::Dict();
    root.Set("w", PythonValue::Tensor(DType::kFloat32, {2, 3}));
    return *TorchZipWriter::CreateFor(AppendTo(bytes), root);
  };
  const HostTensor good(DType::kFloat32, {2, 3});
  for (const HostTensor& other : {HostTensor(DType::kInt32, {2, 3}), HostTensor(DType::kFloat32, {3, 2}),
                                  HostTensor(DType::kFloat32, {6}), HostTensor(DType::kFloat32, {2, 3, 1})}) {
    const absl::Status status = start()->Append(other);
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kInternal) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("['w']"));
  }
  EXPECT_EQ(ExitCodeOf(start()->Append(DType::kFloat32, {2, 3}, "short")), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf(start()->Finish()), ExitCode::kInternal);
  const auto writer = start();
  EXPECT_TRUE(writer->Append(good).ok());
  EXPECT_EQ(ExitCodeOf(writer->Append(good)), ExitCode::kInternal);
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_TRUE(OpenTorchZip(bytes, "w.ckpt").ok());
  for (const std::string folder : {"", "a/b", "\xff"}) {
    ExpectDataError(TorchZipWriter::CreateFor(AppendTo(bytes), PythonValue::Dict(), folder).status(), {"root folder"});
  }
  ExpectDataError(TorchZipWriter::CreateFor(AppendTo(bytes), PythonValue::Tensor(DType::kUInt64, {1})).status(),
                  {"uint64"});
  EXPECT_EQ(ExitCodeOf(TorchZipWriter::Create(SystemFileOps(), ::testing::TempDir() + "/no/such.ckpt", {}).status()),
            ExitCode::kStorage);
}

// A member of more than 4 GiB and one behind it: mostly zeros that are neither in memory nor on the disk.
TEST(TorchZipWriterTest, MoreThanFourGiB) {
  constexpr size_t kBytes = (size_t{1} << 32) + 64;
  constexpr size_t kStep = size_t{1} << 30;
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const elements = static_cast<char*>(memory);
  elements[0] = 1;
  elements[4 * kStep] = 5;
  elements[kBytes - 1] = 9;
  const std::string path = ::testing::TempDir() + "/large.ckpt";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ASSERT_GE(file, 0);
  const ByteSink sparse = [file](std::string_view bytes) -> absl::Status {
    constexpr size_t kEdge = 4096;
    if (bytes.size() > kStep) {
      const ssize_t written = write(file, bytes.data(), kEdge);
      const off_t at = lseek(file, static_cast<off_t>(bytes.size() - 2 * kEdge), SEEK_CUR);
      if (written != kEdge || at < 0) return StorageError("cannot write");
      bytes.remove_prefix(bytes.size() - kEdge);
    }
    const bool good = write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    return good ? absl::OkStatus() : StorageError("cannot write");
  };
  PythonValue root = PythonValue::Dict();
  root.Set("large", PythonValue::Tensor(DType::kUInt8, {kBytes}));
  root.Set("after", PythonValue::Tensor(DType::kInt16, {2}));
  {
    const auto writer = TorchZipWriter::CreateFor(sparse, root);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Append(DType::kUInt8, {kBytes}, std::string_view(elements, kBytes)).ok());
    ASSERT_TRUE((*writer)->Append(HostTensor::Of<int16_t>({-7, 700}, {2})).ok());
    ASSERT_TRUE((*writer)->Finish().ok());
  }
  close(file);
  munmap(memory, kBytes);

  const auto opened = OpenTorchZipFile(path);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(Values<int16_t>(*opened->Materialize(opened->root().Find("after")->tensor())),
            (std::vector<int16_t>{-7, 700}));
  EXPECT_EXIT(ExitAfterLittleMemory([&path] {
                const auto again = OpenTorchZipFile(path);
                PickleTensor each = again->root().Find("large")->tensor();
                if (DenseBytes(each) != kBytes) return false;
                each.shape = {5};
                each.stride = {kStep};
                const auto tensor = again->Materialize(each);
                if (!tensor.ok() || Values<uint8_t>(*tensor) != std::vector<uint8_t>{1, 0, 0, 0, 5}) return false;
                // Now that the checksum is known to be right: without reading what lies before.
                each.offset = kBytes - 1;
                each.shape = {1};
                const auto last = again->Materialize(each);
                return last.ok() && Values<uint8_t>(*last) == std::vector<uint8_t>{9};
              }),
              ::testing::ExitedWithCode(0), "");
  EXPECT_TRUE(RunPython(R"(
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.getinfo("archive/data/0").file_size == 2**32 + 64
assert archive.getinfo("archive/data/1").header_offset > 2**32
assert archive.read("archive/data/1") == b"\xf9\xff\xbc\x02" and archive.read("archive/version") == b"3\n"
)",
                        {path}));
  std::remove(path.c_str());
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/safetensors.h"

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

absl::Status OpenBytes(const std::string& bytes, const SafetensorsLimits& limits = {}) {
  return SafetensorsFile::Open(WriteTemporary("crafted.safetensors", bytes), limits).status();
}

std::string File(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + header + data;
}

// Keeps what is written and can fail.
class RecordingOps : public FileOps {
 public:
  class File : public WritableFile {
   public:
    explicit File(RecordingOps& ops) : ops_(ops) {}
    absl::Status Append(const void* bytes, size_t size) override {
      ops_.log.push_back("append " + std::to_string(size));
      if (ops_.bytes.size() + size > ops_.capacity) return StorageError("no space left on device");
      ops_.bytes.append(static_cast<const char*>(bytes), size);
      return absl::OkStatus();
    }
    absl::Status Sync() override {
      ops_.log.push_back("sync");
      return absl::OkStatus();
    }
    absl::Status Close() override {
      ops_.log.push_back("close");
      return absl::OkStatus();
    }

   private:
    RecordingOps& ops_;
  };
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string&) override {
    log.push_back("create");
    return std::make_unique<File>(*this);
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string&) override { return Unexpected(); }
  absl::Status MakeDirectory(const std::string&) override { return Unexpected(); }
  absl::Status Rename(const std::string&, const std::string&) override { return Unexpected(); }
  absl::Status RemoveFile(const std::string&) override { return Unexpected(); }
  absl::Status RemoveDirectory(const std::string&) override { return Unexpected(); }
  absl::Status Truncate(const std::string&, size_t) override { return Unexpected(); }
  absl::Status SyncDirectory(const std::string&) override { return Unexpected(); }

  std::vector<std::string> log;
  std::string bytes;
  size_t capacity = 1 << 20;

 private:
  static absl::Status Unexpected() { return InternalError("not expected here"); }
};

TEST(SafetensorsTest, ReadsWhatTheReferenceWrites) {
  const auto file = SafetensorsFile::Open(FixturePath("reference.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->names().size(), 4u);
  EXPECT_EQ((*file)->metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"note", "quoted \"text\""}}));
  const TensorInfo* info = (*file)->Info("weight");
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->dtype, DType::kFloat32);
  EXPECT_EQ(info->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(info->size, 24u);
  EXPECT_EQ(Values<float>(*(*file)->Read("weight")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(Values<int64_t>(*(*file)->Read("count")), std::vector<int64_t>{5});
  EXPECT_EQ(Values<bool>(*(*file)->Read("flags")), (std::vector<bool>{true, false, true}));
  EXPECT_EQ((*file)->Read("empty")->shape(), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ((*file)->Info("absent"), nullptr);
  ExpectDataError((*file)->Read("absent").status(), {"reference.safetensors", "'absent'"});
}

TEST(SafetensorsTest, WritesInTheOrderGiven) {
  const float weights[6] = {1, 2, 3, 4, 5, 6};
  const bool flags[3] = {true, false, true};
  const double scalar = 2.5;
  const std::vector<NamedTensorView> tensors = {{"z.flags", DType::kBool, {3}, flags},
                                                {"a \"quoted\"\n\xc3\xa9", DType::kFloat32, {2, 3}, weights},
                                                {"empty", DType::kBFloat16, {0, 7}, nullptr},
                                                {"scalar", DType::kFloat64, {}, &scalar}};
  RecordingOps ops;
  ASSERT_TRUE(WriteSafetensors(ops, "out", tensors, {{"step", "7"}}).ok());
  EXPECT_EQ(ops.log.front(), "create");
  EXPECT_THAT(ops.log, ::testing::Contains("append 24"));  // a tensor goes straight to the file
  EXPECT_EQ(ops.log[ops.log.size() - 2], "sync");
  EXPECT_EQ(ops.log.back(), "close");
  uint64_t header_size = 0;
  std::memcpy(&header_size, ops.bytes.data(), 8);
  EXPECT_EQ(header_size % 8, 0u);
  EXPECT_EQ(ops.bytes.substr(8, 45), R"({"__metadata__":{"step":"7"},"z.flags":{"dtyp)");
  EXPECT_EQ(ops.bytes.size(), 8 + header_size + 3 + 24 + 0 + 8);

  const auto file = SafetensorsFile::Open(WriteTemporary("ours.safetensors", ops.bytes));
  ASSERT_TRUE(file.ok()) << file.status();
  std::vector<std::string> names;
  for (const NamedTensorView& tensor : tensors) names.push_back(tensor.name);
  EXPECT_EQ((*file)->names(), names);
  EXPECT_EQ((*file)->metadata().at("step"), "7");
  EXPECT_EQ(Values<bool>(*(*file)->Read("z.flags")), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(Values<float>(*(*file)->Read(names[1])), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ((*file)->Read("empty")->Describe(), "bfloat16[0,7]");
  EXPECT_EQ(Values<double>(*(*file)->Read("scalar")), std::vector<double>{2.5});

  RecordingOps again;
  ASSERT_TRUE(WriteSafetensors(again, "out", tensors, {{"step", "7"}}).ok());
  EXPECT_EQ(again.bytes, ops.bytes);
}

TEST(SafetensorsTest, NoTensorsAtAll) {
  RecordingOps ops;
  ASSERT_TRUE(WriteSafetensors(ops, "out", {}).ok());
  const auto file = SafetensorsFile::Open(WriteTemporary("none.safetensors", ops.bytes));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->names().empty());
}

TEST(SafetensorsTest, WriterErrors) {
  const float value = 1;
  const NamedTensorView tensor{"a", DType::kFloat32, {}, &value};
  RecordingOps ops;
  EXPECT_EQ(ExitCodeOf(WriteSafetensors(ops, "out", {tensor, tensor})), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(WriteSafetensors(ops, "out", {{"__metadata__", DType::kFloat32, {}, &value}})), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(WriteSafetensors(ops, "out", {{"\xff", DType::kFloat32, {}, &value}})), ExitCode::kData);
  EXPECT_EQ(ExitCodeOf(WriteSafetensors(ops, "out", {{"n", DType::kFloat32, {-1}, &value}})), ExitCode::kData);
  EXPECT_TRUE(ops.log.empty());  // refused before anything is created
  for (size_t capacity = 0; capacity < 60; capacity += 10) {
    RecordingOps full;
    full.capacity = capacity;
    EXPECT_EQ(ExitCodeOf(WriteSafetensors(full, "out", {tensor})), ExitCode::kStorage);
  }
  RecordingOps streamed;
  auto writer = SafetensorsWriter::Create(streamed, "out", {{"a", DType::kFloat32, {2}, 0, 0}}, {});
  ASSERT_TRUE(writer.ok());
  EXPECT_TRUE((*writer)->Append(&value, 4).ok());
  EXPECT_EQ(ExitCodeOf((*writer)->Finish()), ExitCode::kInternal);
  EXPECT_EQ(ExitCodeOf((*writer)->Append(&value, 5)), ExitCode::kInternal);
  EXPECT_TRUE((*writer)->Append(&value, 4).ok());
  EXPECT_TRUE((*writer)->Finish().ok());
}

TEST(SafetensorsTest, EveryTruncationIsAnError) {
  const std::string bytes = ReadFixture("reference.safetensors");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = OpenBytes(bytes.substr(0, size));
    ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << size << status;
  }
  ExpectDataError(OpenBytes(bytes.substr(0, bytes.size() - 1)), {"crafted.safetensors", "tensor '", "truncated"});
  ExpectDataError(OpenBytes(bytes + "x"), {"1 bytes after the last tensor"});
}

TEST(SafetensorsTest, HostileHeaders) {
  const std::string data(16, 'd');
  const auto one = [](const std::string& entry) { return "{\"a\":" + entry + "}"; };
  ASSERT_TRUE(OpenBytes(File(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"), data)).ok());
  const std::vector<std::string> bad = {
      "",
      "[]",
      " {}",
      "{",
      "null",
      one("5"),
      one("{}"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1})"),
      one(R"({"dtype":"F8_E5M2","shape":[16],"data_offsets":[0,16]})"),
      one(R"({"dtype":5,"shape":[4],"data_offsets":[0,16]})"),
      one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,16]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[16,0]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[0]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16,32]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[0.0,16]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[-16,0]})"),
      one(R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})"),
      one(R"({"dtype":"F32","shape":4,"data_offsets":[0,16]})"),
      one(R"({"dtype":"F32","shape":["4"],"data_offsets":[0,16]})"),
      one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[9223372036854775791,9223372036854775807]})"),
      one(R"({"dtype":"F32","shape":[4],"data_offsets":[18446744073709551600,18446744073709551616]})"),
      one(R"({"dtype":"F32","shape":[[4]],"data_offsets":[0,16]})"),
      R"({"__metadata__":{"a":1}})",
      R"({"__metadata__":5})",
  };
  for (const std::string& header : bad) {
    EXPECT_EQ(ExitCodeOf(OpenBytes(File(header, data))), ExitCode::kData) << header;
  }
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[8],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[8],"data_offsets":)" + second + "}}";
  };
  EXPECT_TRUE(OpenBytes(File(two("[8,16]", "[0,8]"), data)).ok());
  ExpectDataError(OpenBytes(File(two("[0,8]", "[4,12]"), data)), {"'b'", "within the tensor before it"});
  ExpectDataError(OpenBytes(File(two("[0,8]", "[0,8]"), data)), {"'b'", "within the tensor before it"});
  ExpectDataError(OpenBytes(File(two("[0,8]", "[9,17]"), data)), {"'b'", "hole"});
  ExpectDataError(OpenBytes(File(two("[0,8]", "[8,16]"), "short")), {"'a'", "beyond the end"});
  const std::string entry = R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})";
  ExpectDataError(OpenBytes(File("{\"a\":" + entry + ",\"a\":" + entry + "}", data)), {"'a'", "twice"});
  // A header length beyond file and limit.
  ExpectDataError(OpenBytes(std::string(8, '\xff') + "{}"), {"header of 18446744073709551615"});
  SafetensorsLimits limits;
  limits.max_header_bytes = 10;
  EXPECT_EQ(ExitCodeOf(OpenBytes(File(one(entry), data), limits)), ExitCode::kData);
  limits = {};
  limits.max_tensor_bytes = 15;
  ExpectDataError(OpenBytes(File(one(entry), data), limits), {"'a'", "limit of 15"});
  ExpectDataError(SafetensorsFile::Open(::testing::TempDir()).status(), {"not a regular file"});
  ExpectDataError(SafetensorsFile::Open(::testing::TempDir() + "/absent").status(), {"absent", "No such file"});
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/torch_zip.h"

#include <thread>

#include "data_process/formats/format_testing.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/zip_writer.h"

namespace cubist {
namespace {

absl::Status OpenStatus(const std::string& bytes, const TorchLimits& limits = {}) {
  return ReadTorchTensors(bytes, "clip.tar: member 'pcd.vs01.pth'", limits).status();
}

// Values as make_fixtures.py states them.
void ExpectCloud(const std::map<std::string, HostTensor>& cloud) {
  ASSERT_EQ(cloud.size(), 3u);
  const HostTensor& points = cloud.at("points");
  EXPECT_EQ(points.shape(), (std::vector<int64_t>{5, 3}));
  for (int i = 0; i < 15; ++i) EXPECT_EQ(points.data<float>()[i], 0.5f * static_cast<float>(i) - 1.0f);
  EXPECT_EQ(Values<int64_t>(cloud.at("semantics")), (std::vector<int64_t>{0, 1, 18, 19, 22}));
  const HostTensor& pose = cloud.at("pc_to_world");
  for (int i = 0; i < 16; ++i) EXPECT_EQ(pose.data<float>()[i], i % 5 == 0 ? 2.0f : 0.0f);
}

TEST(TorchZipTest, ReadsAPointCloud) {
  const auto cloud = ReadTorchTensors(ReadFixture("pcd.vs01.pth"), "pcd.vs01.pth");
  ASSERT_TRUE(cloud.ok()) << cloud.status();
  ExpectCloud(*cloud);
  const auto file = OpenTorchZipFile(FixturePath("pcd.vs01.pth"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->root_folder(), "pcd.vs01");
}

TEST(TorchZipTest, StridesAndDtypes) {
  const auto tensors = ReadTorchTensors(ReadFixture("strided.pth"), "strided.pth");
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  const HostTensor& permuted = tensors->at("permuted");
  ASSERT_EQ(permuted.shape(), (std::vector<int64_t>{4, 2, 3}));
  for (int k = 0; k < 4; ++k) {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 3; ++j) EXPECT_EQ((permuted.view<double, 3>()(k, i, j)), i * 12 + j * 4 + k);
    }
  }
  EXPECT_EQ(Values<double>(tensors->at("slice")), (std::vector<double>{16, 18, 20, 22}));
  EXPECT_EQ(Values<float>(tensors->at("expanded")), (std::vector<float>{7, 7, 7, 8, 8, 8}));
  EXPECT_EQ(Values<float>(tensors->at("scalar")), std::vector<float>{3.5});
  EXPECT_TRUE(tensors->at("scalar").shape().empty());
  EXPECT_EQ(tensors->at("empty").shape(), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(tensors->at("half").dtype(), DType::kFloat16);
  EXPECT_EQ(reinterpret_cast<const uint16_t*>(tensors->at("half").bytes())[1], 0xc000);
  EXPECT_EQ(tensors->at("bfloat16").dtype(), DType::kBFloat16);
  EXPECT_EQ(reinterpret_cast<const uint16_t*>(tensors->at("bfloat16").bytes())[0], 0x3fc0);
  EXPECT_EQ(Values<int32_t>(tensors->at("int32")), std::vector<int32_t>{-3});
  EXPECT_EQ(Values<int16_t>(tensors->at("int16")), std::vector<int16_t>{-300});
  EXPECT_EQ(Values<int8_t>(tensors->at("int8")), std::vector<int8_t>{-5});
  EXPECT_EQ(Values<uint8_t>(tensors->at("uint8")), std::vector<uint8_t>{250});
  EXPECT_EQ(Values<bool>(tensors->at("bool")), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(Values<float>(tensors->at("parameter")), (std::vector<float>{0.25, 0.5}));
}

TEST(TorchZipTest, ReadsALightningCheckpoint) {
  const auto file = OpenTorchZipFile(FixturePath("lightning.ckpt"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->root_folder(), "archive");
  const PickleValue root = file->root();
  EXPECT_EQ(root.Find("epoch")->int_value(), 3);
  EXPECT_EQ(root.Find("global_step")->int_value(), 1234567890123);
  EXPECT_EQ(root.Find("negative")->int_value(), -70000);
  EXPECT_EQ(root.Find("raw")->bytes(), std::string("\x00\x80\xff", 3));
  EXPECT_EQ(root.Find("seed")->kind(), PickleKind::kBigInt);
  EXPECT_EQ(root.Find("classes")->size(), 1u);
  const PickleValue state = *root.Find("state_dict");
  EXPECT_EQ(state.class_name(), "collections.OrderedDict");
  ASSERT_EQ(state.pair_count(), 7u);
  EXPECT_EQ(state.key(0).string(), "0.weight");
  ASSERT_TRUE(state.state().has_value());
  EXPECT_TRUE(state.state()->Find("_metadata").has_value());
  const auto weight = file->Materialize(state.Find("0.weight")->tensor());
  ASSERT_TRUE(weight.ok()) << weight.status();
  EXPECT_EQ(weight->shape(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(Values<float>(*weight), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(state.Find("1.num_batches_tracked")->tensor().dtype, DType::kInt64);
  const PickleValue group = root.Find("optimizer_states")->item(0).Find("param_groups")->item(0);
  EXPECT_EQ(group.Find("betas")->item(1).float_value(), 0.999);
  EXPECT_TRUE(group.Find("amsgrad")->bool_value());

  // The hyper-parameters: OmegaConf objects with cycles.
  const PickleValue config = *root.Find("hyper_parameters");
  ASSERT_EQ(config.class_name(), "omegaconf.dictconfig.DictConfig");
  const PickleValue unet = *config.state()->Find("_content")->Find("unet");
  EXPECT_EQ(unet.state()->Find("_parent")->id(), config.id());
  EXPECT_EQ(unet.state()->Find("_content")->Find("kernel")->state()->Find("_val")->string(), "${name}");
  EXPECT_EQ(root.Find("hparams_type")->kind(), PickleKind::kGlobal);
  ExpectDataError(OpenStatus(ReadFixture("lightning.ckpt")), {"'epoch'", "a int"});
}

std::vector<float> Sequence(int count, const std::function<int(int)>& value) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(value(i)));
  return values;
}

// Everything that such a file holds; make_checkpoint_fixtures.py states the values.
TEST(TorchZipTest, ReadsAllThatLightningWrites) {
  const auto file = OpenTorchZipFile(FixturePath("checkpoint.ckpt"));
  ASSERT_TRUE(file.ok()) << file.status();
  const PickleValue root = file->root();
  const PickleValue state = *root.Find("state_dict");
  ASSERT_EQ(state.pair_count(), 10u);
  EXPECT_EQ(state.state()->Find("_metadata")->Find("unet")->Find("version")->int_value(), 2);
  const auto read = [&](const std::string& name) { return *file->Materialize(state.Find(name)->tensor()); };
  const PickleTensor convolution = state.Find("unet.conv.weight")->tensor();
  EXPECT_EQ(convolution.stride, (std::vector<int64_t>{1, 4, 8, 24, 72}));
  EXPECT_EQ(DenseBytes(convolution), 4u * 216);
  EXPECT_EQ(read("unet.conv.weight").shape(), (std::vector<int64_t>{4, 2, 3, 3, 3}));
  EXPECT_EQ(Values<float>(read("unet.conv.weight")),
            Sequence(216, [](int i) { return i / 54 + i / 27 % 2 * 4 + i / 9 % 3 * 8 + i / 3 % 3 * 24 + i % 3 * 72; }));
  EXPECT_EQ(Values<float>(read("unet.norm.weight")), (std::vector<float>{1, 2}));
  EXPECT_TRUE(state.Find("unet.norm.weight")->tensor().requires_grad == false);
  EXPECT_EQ(Values<int64_t>(read("unet.norm.num_batches_tracked")), std::vector<int64_t>{7});
  EXPECT_EQ(Values<int32_t>(read("unet_ema.num_updates")), std::vector<int32_t>{9});
  EXPECT_EQ(state.Find("unet.tied.weight")->tensor().storage_key, state.Find("unet.tied.bias")->tensor().storage_key);
  EXPECT_EQ(Values<float>(read("unet.tied.bias")), (std::vector<float>{0.5, 1.5}));
  EXPECT_EQ(Values<int16_t>(read("unet.slice")), (std::vector<int16_t>{2, 5, 8}));
  EXPECT_EQ(read("unet.expanded").Describe(), "float16[2,3]");
  EXPECT_EQ(reinterpret_cast<const uint16_t*>(read("unet.expanded").bytes())[5], 0x4000);
  EXPECT_EQ(reinterpret_cast<const uint16_t*>(read("unet.half").bytes())[1], 0xc000);
  EXPECT_EQ(Values<double>(read("scale_factor")), std::vector<double>{0.25});

  // What is plain, tensors included, is taken over as it is.
  for (const std::string key : {"loops", "callbacks", "optimizer_states", "lr_schedulers", "numpy", "shape"}) {
    std::vector<PickleTensor> tensors;
    const auto value = PythonValueOf(*root.Find(key), "checkpoint.ckpt", &tensors);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(tensors.size(), key == "callbacks" ? 3u : key == "optimizer_states" ? 4u : 0u);
  }
  const PickleValue moments = *root.Find("optimizer_states")->item(0).Find("state");
  EXPECT_EQ(moments.key(0).int_value(), 0);
  EXPECT_EQ(Values<float>(*file->Materialize(moments.value(0).Find("max_exp_avg_sq")->tensor())),
            std::vector<float>(216, 0.125));
  const PickleValue numbers = *root.Find("numpy");
  EXPECT_EQ(numbers.item(0).float_value(), 1.5);
  EXPECT_EQ(numbers.item(1).float_value(), -0.5);
  EXPECT_EQ(numbers.item(2).int_value(), -3);
  EXPECT_EQ(numbers.item(3).int_value(), 200);
  EXPECT_TRUE(numbers.item(4).bool_value());
  EXPECT_EQ(numbers.item(5).int_value(), -300);
  EXPECT_EQ(root.Find("shape")->kind(), PickleKind::kTuple);
  EXPECT_EQ(root.Find("shape")->item(1).int_value(), 2);
  EXPECT_EQ(root.Find("dtype")->class_name(), "torch.float32");
  EXPECT_EQ(root.Find("device")->class_name(), "torch.device");
  EXPECT_EQ(root.Find("long")->class_name(), "__builtin__.long");
  EXPECT_EQ(root.Find("defaults")->class_name(), "collections.defaultdict");
  EXPECT_EQ(root.Find("defaults")->Find("a")->Find("b")->int_value(), 1);

  // OmegaConf's tree: containers point at their parents, whole interpolations and nulls have no content of their own.
  const PickleValue config = *root.Find("hyper_parameters");
  const auto content = [](const PickleValue& node) { return *node.state()->Find("_content"); };
  const auto leaf = [](const PickleValue& node) { return *node.state()->Find("_val"); };
  EXPECT_EQ(leaf(*content(config).Find("batch_size")).int_value(), 2);
  const PickleValue inner = *content(config).Find("train_kwargs");
  EXPECT_EQ(inner.state()->Find("_parent")->id(), config.id());
  EXPECT_EQ(leaf(*content(inner).Find("root")).string(), "${root}");
  EXPECT_TRUE(leaf(*content(inner).Find("ids")).is_none());
  const PickleValue frames = *content(inner).Find("frames");
  EXPECT_EQ(frames.class_name(), "omegaconf.listconfig.ListConfig");
  EXPECT_EQ(leaf(content(frames).item(1)).int_value(), 155);
  EXPECT_EQ(leaf(*content(config).Find("network")).string(), "${learning_rate}");
  EXPECT_TRUE(content(*content(config).Find("nothing")).is_none());
  ExpectDataError(PythonValueOf(config, "checkpoint.ckpt").status(), {"checkpoint.ckpt", "DictConfig"});
}

TEST(TorchZipTest, RoundTrip) {
  HostTensor half(DType::kFloat16, {1});
  reinterpret_cast<uint16_t*>(half.bytes())[0] = 0x3e00;
  HostTensor brain(DType::kBFloat16, {1});
  reinterpret_cast<uint16_t*>(brain.bytes())[0] = 0x3fc0;
  const std::vector<std::pair<std::string, HostTensor>> tensors = {
      {"points", HostTensor::Of<float>({1, 2, 3, 4, 5, 6}, {2, 3})},
      {"semantics", HostTensor::Of<int64_t>({18, -1}, {2})},
      {"flags", HostTensor::Of<bool>({true, false}, {2})},
      {"none", HostTensor::Of<double>({}, {0, 3})},
      {"scalar", HostTensor::Of<uint8_t>({9}, {})},
      {"int8", HostTensor::Of<int8_t>({-9}, {1})},
      {"int16", HostTensor::Of<int16_t>({-900}, {1})},
      {"int32", HostTensor::Of<int32_t>({-90000}, {1, 1})},
      {"half", half},
      {"brain", brain},
  };
  const auto bytes = FormatTorchZip(tensors);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, *FormatTorchZip(tensors));
  const auto back = ReadTorchTensors(*bytes, "round trip");
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const HostTensor& read = back->at(name);
    EXPECT_EQ(read.Describe(), tensor.Describe());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(read.bytes()), read.byte_size()),
              std::string(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()))
        << name;
  }
  // Storages are aligned for memory mapping.
  const std::string needle(reinterpret_cast<const char*>(tensors[0].second.bytes()), 24);
  EXPECT_EQ(bytes->find(needle) % 64, 0u);
  EXPECT_EQ(ExitCodeOf(FormatTorchZip({tensors[0], tensors[0]}).status()), ExitCode::kData);
  ExpectDataError(FormatTorchZip({{"u", HostTensor::Of<uint16_t>({1}, {1})}}).status(), {"'u'", "uint16"});
}

// PyTorch itself read this file with torch.load(weights_only=True) when the writer was made; the bytes must stay so.
TEST(TorchZipTest, WritesWhatPytorchWasSeenToRead) {
  const auto bytes = FormatTorchZip({{"points", HostTensor::Of<float>({1, 2, 3, 4, 5, 6}, {2, 3})},
                                     {"semantics", HostTensor::Of<int64_t>({18, -1}, {2})},
                                     {"none", HostTensor::Of<double>({}, {0, 3})}});
  ASSERT_TRUE(bytes.ok());
  EXPECT_TRUE(*bytes == ReadFixture("written_by_us.pth"));
}

TEST(TorchZipTest, EveryTruncationIsAnError) {
  const std::string bytes = ReadFixture("pcd.vs01.pth");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::Status status = OpenStatus(bytes.substr(0, size));
    ASSERT_EQ(ExitCodeOf(status), ExitCode::kData) << size << status;
  }
}

TEST(TorchZipTest, EveryFlippedByteIsAnErrorOrHarmless) {
  const std::string good = ReadFixture("pcd.vs01.pth");
  int refused = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x04);
    const auto cloud = ReadTorchTensors(bytes, "flipped");
    if (cloud.ok()) {
      ExpectCloud(*cloud);
    } else {
      ASSERT_EQ(ExitCodeOf(cloud.status()), ExitCode::kData) << at << cloud.status();
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

// An archive of our own making around a pickle: members may be left out or changed.
std::string Archive(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string archive;
  ZipWriter zip(64, AppendTo(archive));
  for (const auto& [name, bytes] : members) EXPECT_TRUE(zip.Add(name, bytes).ok());
  EXPECT_TRUE(zip.Finish().ok());
  return archive;
}

TEST(TorchZipTest, HostileArchives) {
  const std::string good = *FormatTorchZip({{"a", HostTensor::Of<float>({1, 2}, {2})}});
  const size_t begin = good.find("\x80\x02}(");
  const std::string pickle = good.substr(begin, good.find("tRu.") + 4 - begin);
  ASSERT_TRUE(OpenStatus(Archive({{"r/data.pkl", pickle}, {"r/data/0", std::string(8, 'x')}})).ok());
  ExpectDataError(OpenStatus(Archive({{"r/data.pkl", pickle}})), {"'r/data/0'", "not there"});
  for (const size_t size : {0, 7, 9, 4000}) {
    ExpectDataError(OpenStatus(Archive({{"r/data.pkl", pickle}, {"r/data/0", std::string(size, 'x')}})),
                    {"clip.tar: member 'pcd.vs01.pth'", "'r/data/0'", "2 elements of float32"});
  }
  ExpectDataError(OpenStatus(Archive({{"r/data/0", "x"}})), {"r/data.pkl"});
  ExpectDataError(OpenStatus(Archive({{"data.pkl", pickle}})), {"in no folder"});
  ExpectDataError(OpenStatus(Archive({})), {"empty"});
  ExpectDataError(OpenStatus(Archive({{"r/data.pkl", pickle}, {"r/byteorder", "big"}})), {"byte order 'big'"});
  ExpectDataError(OpenStatus(Archive({{"r/data.pkl", "\x80\x02]."}})), {"list"});
  ExpectDataError(OpenStatus(Archive({{"r/data.pkl", "\x80\x02}K\x01K\x02s."}})), {"entry 0"});
  ExpectDataError(OpenStatus(Archive({{"r/data.pkl", "cos\nsystem\n."}})), {"'r/data.pkl'", "offset 0"});
  ExpectDataError(OpenStatus("\x80\x02\x8a\x0al\xfc\x9c"
                             "F\xf9 j\xa8P\x19."),
                  {"old format"});
  TorchLimits limits;
  limits.max_storage_bytes = 7;
  ExpectDataError(OpenStatus(good, limits), {"limit of 7"});
  limits = {};
  limits.max_tensor_bytes = 7;
  ExpectDataError(OpenStatus(good, limits), {"limit of 7"});
  // All tensors of a file together.
  const std::string two =
      *FormatTorchZip({{"a", HostTensor::Of<float>({1, 2}, {2})}, {"b", HostTensor::Of<float>({1}, {1})}});
  limits.max_tensor_bytes = 11;
  ExpectDataError(OpenStatus(two, limits), {"limit of 11"});
  limits.max_tensor_bytes = 12;
  EXPECT_TRUE(OpenStatus(two, limits).ok());
  limits = {};
  limits.pickle.max_bytes = 7;
  ExpectDataError(OpenStatus(good, limits), {"limit of 7"});
  limits = {};
  limits.max_members = 1;
  ExpectDataError(OpenStatus(good, limits), {"limit of 1"});
}

// A file on disk of one contiguous int32 tensor "w" of 32 Mi elements: 0, 1, 2, ...
constexpr int64_t kManyElements = int64_t{32} << 20;
std::string LargeFile() {
  HostTensor elements(DType::kInt32, {kManyElements});
  for (int64_t i = 0; i < kManyElements; ++i) elements.data<int32_t>()[i] = static_cast<int32_t>(i);
  return WriteTemporary("large.ckpt", *FormatTorchZip({{"w", elements}}));
}

// A convolution's weights as fVDB permutes them, and other views, take no more memory than the result and a little.
TEST(TorchZipTest, ViewsOfLargeStoragesTakeLittleMemory) {
  const std::string path = LargeFile();
  const int64_t o = 256, i = kManyElements / 16 / o;
  const auto permuted = [&](const TorchFile& file) {
    PickleTensor tensor = file.root().Find("w")->tensor();
    tensor.shape = {o, i, 4, 2, 2};
    tensor.stride = {1, o, i * o, 4 * i * o, 8 * i * o};
    const auto result = file.Materialize(tensor);
    if (!result.ok()) return false;
    const int32_t* next = result->data<int32_t>();
    for (int64_t a = 0; a < o; ++a) {
      for (int64_t b = 0; b < i; ++b) {
        for (int64_t k = 0; k < 16; ++k) {
          if (*next++ != a + b * o + (k / 4 + k / 2 % 2 * 4 + k % 2 * 8) * i * o) return false;
        }
      }
    }
    return true;
  };
  const auto sliced = [&](const TorchFile& file) {
    PickleTensor tensor = file.root().Find("w")->tensor();
    tensor.shape = {2, kManyElements / 4};
    tensor.stride = {0, 4};
    tensor.offset = 3;
    const auto result = file.Materialize(tensor);
    return result.ok() && result->data<int32_t>()[tensor.shape[1]] == 3 &&
           result->data<int32_t>()[2 * tensor.shape[1] - 1] == kManyElements - 1;
  };
  EXPECT_EXIT(std::_Exit(LimitMemory((128 << 20) + (12 << 20)) && permuted(*OpenTorchZipFile(path)) ? 0 : 2),
              ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(std::_Exit(LimitMemory((64 << 20) + (12 << 20)) && sliced(*OpenTorchZipFile(path)) ? 0 : 2),
              ::testing::ExitedWithCode(0), "");
  std::remove(path.c_str());
}

// A hostile file names one storage as often as it likes: only the first tensor reads all of it.
TEST(TorchZipTest, AStorageIsReadOnceForManyTensors) {
  const std::string path = LargeFile();
  const auto file = OpenTorchZipFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto bytes_read = [] {
    std::ifstream counters("/proc/self/io");
    std::string name;
    uint64_t bytes = 0;
    counters >> name >> bytes;
    return bytes;
  };
  PickleTensor tensor = file->root().Find("w")->tensor();
  tensor.shape = {2, 2};
  tensor.stride = {kManyElements / 2, 3};
  const uint64_t before = bytes_read();
  ASSERT_TRUE(file->Materialize(tensor).ok());
  const uint64_t once = bytes_read();
  EXPECT_GE(once - before, 4u * kManyElements - 65536);  // opening has read a little ahead
  constexpr auto kHalf = static_cast<int32_t>(kManyElements / 2);
  for (int32_t i = 0; i < 10000; ++i) {
    tensor.offset = i;
    const auto result = file->Materialize(tensor);
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(Values<int32_t>(*result), (std::vector<int32_t>{i, i + 3, i + kHalf, i + 3 + kHalf}));
  }
  EXPECT_LT(bytes_read() - once, uint64_t{10000} << 15);
  std::remove(path.c_str());
}

// Where seeking does not help, what is read for nothing is counted.
TEST(TorchZipTest, ViewsThatNeedTheirWholeStorageAreLimited) {
  TorchLimits limits;
  limits.max_wasted_bytes = 100;
  const auto views_read = [&limits](const std::string& bytes, std::vector<int64_t> stride) {
    const auto file = OpenTorchZip(bytes, "views.ckpt", limits);
    EXPECT_TRUE(file.ok()) << file.status();
    PickleTensor tensor = file->root().pair_count() > 0 ? file->root().value(0).tensor() : PickleTensor();
    tensor.shape = {2, 2};
    tensor.stride = std::move(stride);
    int count = 0;
    absl::Status status;
    for (; status.ok() && count < 1000; ++count) status = file->Materialize(tensor).status();
    if (!status.ok()) ExpectDataError(status, {"views.ckpt", "too many tensors"});
    return count;
  };
  const std::string stored = *FormatTorchZip({{"w", HostTensor::Of<uint8_t>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {9})}});
  EXPECT_EQ(views_read(stored, {3, 1}), 1000);
  EXPECT_EQ(views_read(stored, {4, 4}), 22);  // 9 bytes for 4; the first reads the storage anyway
  EXPECT_TRUE(RunPython(R"(
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as old, zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED) as new:
    for name in old.namelist():
        new.writestr(name, old.read(name))
)",
                        {WriteTemporary("stored.ckpt", stored), ::testing::TempDir() + "/deflated.ckpt"}));
  const std::string deflated = *ReadWholeFile(::testing::TempDir() + "/deflated.ckpt");
  EXPECT_EQ(views_read(deflated, {3, 1}), 22);
}

// A damaged byte that no element of the first tensor lies on is found all the same.
TEST(TorchZipTest, TheWholeStorageIsVerified) {
  std::string bytes = *FormatTorchZip({{"w", HostTensor::Of<uint8_t>({1, 2, 3, 200, 201, 202}, {6})}});
  bytes[bytes.find("\xc8\xc9\xca") + 2] ^= 1;
  const auto file = OpenTorchZip(bytes, "damaged.ckpt");
  ASSERT_TRUE(file.ok()) << file.status();
  PickleTensor tensor = file->root().Find("w")->tensor();
  tensor.shape = {3};
  for (int i = 0; i < 3; ++i) {
    ExpectDataError(file->Materialize(tensor).status(), {"damaged.ckpt", "'archive/data/0'", "checksum"});
    tensor.shape = {i};  // an empty one, too
  }
}

TEST(TorchZipTest, ManyThreadsReadOneFile) {
  const auto file = OpenTorchZipFile(FixturePath("strided.pth"));
  ASSERT_TRUE(file.ok());
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto tensor = file->Materialize(file->root().Find("expanded")->tensor());
        if (tensor.ok() && Values<float>(*tensor) == std::vector<float>{7, 7, 7, 8, 8, 8}) ++good[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(4, 50));
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/npy.h"

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

// A version 1.0 file around a header of our choice.
std::string File(const std::string& header, const std::string& data = "") {
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

absl::Status ParseStatus(const std::string& bytes) { return ParseNpy(bytes, "clip.tar: member 'a.npy'").status(); }

template <typename T>
void ExpectArange(const std::string& name, int first) {
  const std::string bytes = ReadFixture(name);
  const auto tensor = ParseNpy(bytes, name);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape(), (std::vector<int64_t>{2, 3}));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(tensor->data<T>()[i], static_cast<T>(first + i)) << name;
  // NumPy's own bytes are what we write.
  EXPECT_EQ(FormatNpy(*tensor), bytes) << name;
}

TEST(NpyTest, ReadsAndWritesWhatNumpyWrites) {
  ExpectArange<double>("c_f8.npy", -2);
  ExpectArange<float>("c_f4.npy", -2);
  ExpectArange<uint8_t>("c_u1.npy", 0);
  ExpectArange<int8_t>("c_i1.npy", -2);
  ExpectArange<int16_t>("c_i2.npy", -2);
  ExpectArange<int32_t>("c_i4.npy", -2);
  ExpectArange<int64_t>("c_i8.npy", -2);
  ExpectArange<uint16_t>("c_u2.npy", 0);
  ExpectArange<uint32_t>("c_u4.npy", 0);
  ExpectArange<uint64_t>("c_u8.npy", 0);
}

TEST(NpyTest, BooleansAndHalves) {
  const auto flags = ParseNpy(ReadFixture("c_b1.npy"), "flags");
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(Values<bool>(*flags), (std::vector<bool>{false, true, true, true, true, true}));
  EXPECT_EQ(FormatNpy(*flags), ReadFixture("c_b1.npy"));
  std::string odd = ReadFixture("c_b1.npy");
  odd.back() = '\x7f';
  const auto normalized = ParseNpy(odd, "flags");
  ASSERT_TRUE(normalized.ok());
  EXPECT_EQ(static_cast<int>(normalized->bytes()[5]), 1);

  const auto halves = ParseNpy(ReadFixture("c_f2.npy"), "halves");
  ASSERT_TRUE(halves.ok()) << halves.status();
  EXPECT_EQ(halves->dtype(), DType::kFloat16);
  EXPECT_EQ(reinterpret_cast<const uint16_t*>(halves->bytes())[0], 0xc000);  // -2
  EXPECT_EQ(FormatNpy(*halves), ReadFixture("c_f2.npy"));
}

TEST(NpyTest, FortranOrderComesOutRowMajor) {
  const auto tensor = ParseNpy(ReadFixture("fortran.npy"), "fortran");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape(), (std::vector<int64_t>{2, 3, 4}));
  for (int i = 0; i < 24; ++i) EXPECT_EQ(tensor->data<float>()[i], static_cast<float>(i));
}

TEST(NpyTest, ScalarAndEmpty) {
  const auto scalar = ParseNpy(ReadFixture("scalar.npy"), "scalar");
  ASSERT_TRUE(scalar.ok()) << scalar.status();
  EXPECT_TRUE(scalar->shape().empty());
  EXPECT_EQ(scalar->data<double>()[0], 2.5);
  EXPECT_EQ(FormatNpy(*scalar), ReadFixture("scalar.npy"));
  const auto empty = ParseNpy(ReadFixture("empty.npy"), "empty");
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->shape(), std::vector<int64_t>{0});
  EXPECT_EQ(FormatNpy(*empty), ReadFixture("empty.npy"));
}

TEST(NpyTest, LaterVersions) {
  for (const std::string name : {"version2.npy", "version3.npy"}) {
    const auto tensor = ParseNpy(ReadFixture(name), name);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(Values<int32_t>(*tensor), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
  }
}

TEST(NpyTest, Bfloat16IsWrittenAsFloat32) {
  HostTensor tensor(DType::kBFloat16, {2});
  reinterpret_cast<uint16_t*>(tensor.bytes())[0] = 0x3fc0;  // 1.5
  reinterpret_cast<uint16_t*>(tensor.bytes())[1] = 0xc000;  // -2
  const auto back = ParseNpy(FormatNpy(tensor), "bfloat16");
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(Values<float>(*back), (std::vector<float>{1.5f, -2.0f}));
}

TEST(NpyTest, RefusesByName) {
  ExpectDataError(ParseStatus(ReadFixture("big_endian.npy")), {"clip.tar: member 'a.npy'", "'>f8'", "big-endian"});
  ExpectDataError(ParseStatus(ReadFixture("structured.npy")), {"structured"});
  ExpectDataError(ParseStatus(ReadFixture("object.npy")), {"'|O'"});
}

TEST(NpyTest, EveryTruncationIsAnError) {
  for (const std::string name : {"c_f8.npy", "fortran.npy", "version2.npy", "scalar.npy"}) {
    const std::string bytes = ReadFixture(name);
    for (size_t size = 0; size < bytes.size(); ++size) {
      ASSERT_EQ(ExitCodeOf(ParseStatus(bytes.substr(0, size))), ExitCode::kData) << name << size;
    }
    ASSERT_EQ(ExitCodeOf(ParseStatus(bytes + "x")), ExitCode::kData);
  }
}

// No checksum holds an npy file: what a flipped bit leaves readable still has as many bytes as the file.
TEST(NpyTest, EveryFlippedBitIsAnErrorOrAnArrayOfTheSameSize) {
  for (const std::string name : {"c_f8.npy", "c_b1.npy", "fortran.npy", "version2.npy", "empty.npy"}) {
    const std::string good = ReadFixture(name);
    const size_t size = ParseNpy(good, name)->byte_size();
    int refused = 0;
    for (size_t at = 0; at < 8 * (good.size() - size); ++at) {
      std::string bytes = good;
      bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << at % 8));
      const auto tensor = ParseNpy(bytes, name);
      if (tensor.ok()) {
        EXPECT_EQ(tensor->byte_size(), size) << name << " bit " << at;
      } else {
        EXPECT_EQ(ExitCodeOf(tensor.status()), ExitCode::kData) << tensor.status();
        ++refused;
      }
    }
    EXPECT_GT(refused, 100) << name;
  }
}

TEST(NpyTest, HostileHeaders) {
  const std::string good = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
  ASSERT_TRUE(ParseStatus(File(good, std::string(8, '\0'))).ok());
  const auto with_shape = [](const std::string& shape) {
    return File("{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + "}");
  };
  for (const std::string shape :
       {"(9223372036854775807,)", "(4294967296, 4294967296, 4294967296)", "(99999999999999999999,)", "(-1,)", "(1", "1",
        "(1,,)", "(1.5,)", "(True,)", "()", "(1 2)", "(0x10,)", "((1,),)", "(2305843009213693952, 0, 8)x"}) {
    EXPECT_EQ(ExitCodeOf(ParseStatus(with_shape(shape))), ExitCode::kData) << shape;
  }
  for (const std::string header :
       {"", "{", "{}", "[]", "{'descr': '<f8'}", "{'descr': 5, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f16', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f\\x38', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1,)}"}) {
    EXPECT_EQ(ExitCodeOf(ParseStatus(File(header, std::string(8, '\0')))), ExitCode::kData) << header;
  }
  const auto refuse = [&] {
    for (const std::string shape : {"(134217728,)", "(536870912,)", "(16384, 16384)", "(1, 1, 1, 33554432)"}) {
      if (ExitCodeOf(ParseStatus(with_shape(shape))) != ExitCode::kData) return false;
    }
    return true;
  };
  EXPECT_EXIT(ExitAfterLittleMemory(refuse), ::testing::ExitedWithCode(0), "");
  std::string many = "(";
  for (int i = 0; i < 70; ++i) many += "1,";
  ExpectDataError(ParseStatus(with_shape(many + ")")), {"64 dimensions"});
  NpyLimits limits;
  limits.max_array_bytes = 7;
  ExpectDataError(ParseNpy(File(good, std::string(8, '\0')), "a.npy", limits).status(), {"limit of 7"});
}

}  // namespace
}  // namespace cubist

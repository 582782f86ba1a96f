#include "data_process/formats/pickle_writer.h"

#include <cmath>
#include <limits>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

using Kind = PythonValue::Kind;

PythonValue EveryKind() {
  PythonValue root = PythonValue::OrderedDict();
  root.Set("none", PythonValue::None());
  root.Set("flags", PythonValue::List({PythonValue::Bool(true), PythonValue::Bool(false)}));
  PythonValue ints = PythonValue::Tuple();
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{INT32_MAX}, int64_t{INT32_MIN}, int64_t{INT32_MAX} + 1,
                              int64_t{INT32_MIN} - 1, INT64_MAX, INT64_MIN}) {
    ints.Append(PythonValue::Int(value));
  }
  root.Set("ints", ints);
  root.Set("floats", PythonValue::List({PythonValue::Float(1.5), PythonValue::Float(-0.0), PythonValue::Float(1e-300),
                                        PythonValue::Float(std::numeric_limits<double>::infinity())}));
  root.Set("caf\xc3\xa9", PythonValue::String("line\nquote'\"\\"));
  PythonValue keys = PythonValue::Dict();
  keys.Set(PythonValue::Int(7), PythonValue::String("seven"));
  keys.Set(PythonValue::Float(0.5), PythonValue::Tuple());
  keys.Set(PythonValue::None(), PythonValue::List());
  keys.Set(PythonValue::Bool(true), PythonValue::Dict());
  keys.Set(PythonValue::Tuple({PythonValue::Int(1), PythonValue::String("a")}), PythonValue::OrderedDict());
  root.Set("keys", keys);
  return root;
}

// CPython's pickle is the oracle.
TEST(PickleWriterTest, PythonReadsIt) {
  const auto pickle = FormatPickle(EveryKind());
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_TRUE(pickle->tensors.empty());
  EXPECT_TRUE(RunPython(R"(
import collections, pickle, pickletools, sys
bytes_ = open(sys.argv[1], "rb").read()
pickletools.dis(bytes_, out=open("/dev/null", "w"))
assert pickletools.optimize(bytes_)[:2] == b"\x80\x02"
root = pickle.loads(bytes_)
O = collections.OrderedDict
want = O([("none", None), ("flags", [True, False]),
          ("ints", (0, -1, 2**31 - 1, -2**31, 2**31, -2**31 - 1, 2**63 - 1, -2**63)),
          ("floats", [1.5, -0.0, 1e-300, float("inf")]), ("caf\u00e9", "line\nquote'\"\\"),
          ("keys", {7: "seven", 0.5: (), None: [], True: {}, (1, "a"): O()})])
assert repr(root) == repr(want), repr(root)
)",
                        {WriteTemporary("values.pkl", pickle->bytes)}));
}

TEST(PickleWriterTest, OurReaderAndPythonValueOfAreItsInverse) {
  const auto pickle = FormatPickle(EveryKind());
  ASSERT_TRUE(pickle.ok());
  const auto read = ParsePickle(pickle->bytes, "values.pkl");
  ASSERT_TRUE(read.ok()) << read.status();
  const auto copy = PythonValueOf(*read, "values.pkl");
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(copy->kind, Kind::kOrderedDict);
  EXPECT_EQ(FormatPickle(*copy)->bytes, pickle->bytes);
}

TEST(PickleWriterTest, TensorsAreNumberedDepthFirst) {
  PythonValue root = PythonValue::Dict();
  PythonValue state = PythonValue::OrderedDict();
  state.Set("w", PythonValue::Tensor(DType::kBFloat16, {2, 3}));
  state.Set("steps", PythonValue::Tensor(DType::kInt64, {}));
  root.Set("state_dict", state);
  root.Set("list", PythonValue::List({PythonValue::Int(1), PythonValue::Tensor(DType::kBool, {0, 4})}));
  const auto pickle = FormatPickle(root);
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  ASSERT_EQ(pickle->tensors.size(), 3u);
  EXPECT_EQ(pickle->tensors[0].path, "['state_dict']['w']");
  EXPECT_EQ(pickle->tensors[1].dtype, DType::kInt64);
  EXPECT_EQ(pickle->tensors[2].path, "['list'][1]");
  EXPECT_EQ(pickle->tensors[2].shape, (std::vector<int64_t>{0, 4}));
  const auto read = ParsePickle(pickle->bytes, "tensors.pkl");
  ASSERT_TRUE(read.ok()) << read.status();
  const PickleTensor weight = read->Find("state_dict")->Find("w")->tensor();
  EXPECT_EQ(weight.storage_key, "0");
  EXPECT_EQ(weight.dtype, DType::kBFloat16);
  EXPECT_EQ(weight.stride, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(weight.storage_size, 6);
  EXPECT_EQ(read->Find("list")->item(1).tensor().storage_key, "2");

  std::vector<PickleTensor> tensors;
  const auto copy = PythonValueOf(*read, "tensors.pkl", &tensors);
  ASSERT_TRUE(copy.ok()) << copy.status();
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[1].storage_key, "1");
  EXPECT_EQ(FormatPickle(*copy)->bytes, pickle->bytes);
  ExpectDataError(PythonValueOf(*read, "tensors.pkl").status(), {"tensors.pkl", "['state_dict']['w']", "a tensor"});
}

TEST(PickleWriterTest, WhatCannotBeWritten) {
  const auto status = [](const PythonValue& key) {
    PythonValue dict = PythonValue::Dict();
    dict.Set(PythonValue::Int(1), PythonValue::None());
    dict.Set(key, PythonValue::None());
    return FormatPickle(dict).status();
  };
  EXPECT_TRUE(status(PythonValue::Int(2)).ok());
  EXPECT_TRUE(status(PythonValue::Float(std::nan(""))).ok());
  for (const PythonValue& same : {PythonValue::Int(1), PythonValue::Bool(true), PythonValue::Float(1.0)}) {
    ExpectDataError(status(same), {"given twice"});
  }
  for (const PythonValue& key : {PythonValue::List(), PythonValue::Dict(), PythonValue::Tensor(DType::kBool, {}),
                                 PythonValue::Tuple({PythonValue::List()})}) {
    ExpectDataError(status(key), {"cannot hash"});
  }
  PythonValue root = PythonValue::Dict();
  root.Set("deep", PythonValue::List({PythonValue::Tensor(DType::kUInt32, {1})}));
  ExpectDataError(FormatPickle(root).status(), {"['deep'][0]", "uint32"});
  ExpectDataError(FormatPickle(PythonValue::Tensor(DType::kInt8, {-1})).status(), {"the root", "impossible shape"});
  ExpectDataError(FormatPickle(PythonValue::String("\xff")).status(), {"UTF-8"});
  PythonValue nested = PythonValue::List();
  for (int i = 0; i < kMaxPythonDepth; ++i) nested = PythonValue::List({nested});
  EXPECT_TRUE(FormatPickle(nested).ok());
  ExpectDataError(FormatPickle(PythonValue::List({nested})).status(), {"too deep"});
}

std::string Text(const std::string& text) {
  const auto size = static_cast<uint32_t>(text.size());
  return "X" + std::string(reinterpret_cast<const char*>(&size), 4) + text;
}

TEST(PickleWriterTest, OnlyPlainDataIsCopied) {
  const auto status = [](const std::string& opcodes) {
    const auto value = ParsePickle("\x80\x02" + opcodes + ".", "run.ckpt");
    EXPECT_TRUE(value.ok()) << value.status();
    return PythonValueOf(*value, "run.ckpt").status();
  };
  EXPECT_TRUE(status("](NK\x01" + Text("x") + "e").ok());
  ExpectDataError(status("}" + Text("hook") + "cos\nsystem\n)Rs"), {"run.ckpt", "['hook']", "object", "'os.system'"});
  ExpectDataError(status("}" + Text("type") + "comegaconf\nDictConfig\ns"), {"['type']", "'omegaconf.DictConfig'"});
  ExpectDataError(status("](K\x01"
                         "ccollections\ndefaultdict\n)Re"),
                  {"[1]", "'collections.defaultdict'"});
  ExpectDataError(status("}K\x07"
                         "c_codecs\nencode\n" +
                         Text("x") + Text("latin1") + "\x86Rs"),
                  {"[7]", "a bytes"});
  ExpectDataError(status("\x8a\x09" + std::string(8, '\0') + "\x01"), {"the root", "64 bits"});
  ExpectDataError(status("c__builtin__\nset\n](K\x01"
                         "e\x85R"),
                  {"a set"});
  ExpectDataError(status("]q\x01(h\x01"
                         "e"),
                  {"[0]", "contains itself"});
  ExpectDataError(status("]q\x01}" + Text("a") +
                         "h\x01"
                         "s"
                         "a"),
                  {"[0]['a']", "contains itself"});
  ExpectDataError(status(std::string(200, ']') + std::string(199, 'a')), {"too deep"});
  // Lists of one list each twice as long: small to write, and 2^90 values.
  std::string doubled = "]q\x01";
  for (char i = 1; i < 90; ++i) doubled += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
  std::string listed = "](" + doubled + "e";
  ExpectDataError(status(listed), {"more than 1000000 values"});
}

}  // namespace
}  // namespace cubist

#include "data_process/formats/pickle.h"

#include <cstdint>
#include <cstring>

#include "data_process/formats/format_testing.h"

namespace cubist {
namespace {

constexpr char kWhat[] = "run.ckpt: member 'archive/data.pkl'";

// PROTO 2, the opcodes, STOP.
std::string Pickle(const std::string& opcodes, char protocol = 2) {
  return std::string("\x80") + protocol + opcodes + ".";
}

absl::StatusOr<PickleValue> Parse(const std::string& bytes, const PickleLimits& limits = {}) {
  return ParsePickle(bytes, kWhat, limits);
}

template <typename T>
std::string LittleEndian(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

std::string Text(const std::string& text) { return "X" + LittleEndian(static_cast<uint32_t>(text.size())) + text; }
std::string Int(int32_t value) { return "J" + LittleEndian(value); }
std::string Long(int64_t value) { return "\x8a\x08" + LittleEndian(value); }

// The opcodes that Python's pickle.dumps(..., protocol=2) uses for
// {'a': [1, 300, -70000, 2**40, True, None, 1.5], 'b': ('x', b'\x80'), u'\u00e9': {}}, byte by byte.
TEST(PickleTest, PlainData) {
  const std::string bytes = Pickle(
      "}q\x05(" + Text("a") + std::string("]q\x01(K\x01M\x2c\x01") + Int(-70000) +
      std::string("\x8a\x06\x00\x00\x00\x00\x00\x01\x88NG\x3f\xf8\x00\x00\x00\x00\x00\x00", 19) + "e" + Text("b") +
      Text("x") + "c_codecs\nencode\n" + Text("\xc2\x80") + Text("latin1") + "\x86R\x86" + Text("\xc3\xa9") + "}u");
  const auto root = Parse(bytes);
  ASSERT_TRUE(root.ok()) << root.status();
  ASSERT_EQ(root->kind(), PickleKind::kDict);
  ASSERT_EQ(root->pair_count(), 3u);
  EXPECT_EQ(root->class_name(), "");
  const PickleValue list = *root->Find("a");
  ASSERT_EQ(list.size(), 7u);
  EXPECT_EQ(list.item(0).int_value(), 1);
  EXPECT_EQ(list.item(1).int_value(), 300);
  EXPECT_EQ(list.item(2).int_value(), -70000);
  EXPECT_EQ(list.item(3).int_value(), int64_t{1} << 40);
  EXPECT_TRUE(list.item(4).bool_value());
  EXPECT_TRUE(list.item(5).is_none());
  EXPECT_EQ(list.item(6).float_value(), 1.5);
  const PickleValue tuple = *root->Find("b");
  EXPECT_EQ(tuple.kind(), PickleKind::kTuple);
  EXPECT_EQ(tuple.item(0).string(), "x");
  EXPECT_EQ(tuple.item(1).bytes(), "\x80");
  EXPECT_EQ(root->Find("\xc3\xa9")->pair_count(), 0u);
  EXPECT_FALSE(root->Find("c").has_value());
}

TEST(PickleTest, Integers) {
  const auto value = [](const std::string& opcodes) { return Parse(Pickle(opcodes))->int_value(); };
  EXPECT_EQ(value(std::string("\x8a\x00", 2)), 0);
  EXPECT_EQ(value("\x8a\x01\xff"), -1);
  EXPECT_EQ(value("\x8a\x02\xff\x7f"), 32767);
  EXPECT_EQ(value(Long(INT64_MIN)), INT64_MIN);
  EXPECT_EQ(value(Long(INT64_MAX)), INT64_MAX);
  const auto big = Parse(Pickle("\x8a\x09" + LittleEndian(uint64_t{1} << 63) + std::string(1, '\0')));
  ASSERT_TRUE(big.ok());
  EXPECT_EQ(big->kind(), PickleKind::kBigInt);
  EXPECT_EQ(big->bytes().size(), 9u);
  EXPECT_EQ(ExitCodeOf(Parse(Pickle("\x8b" + LittleEndian(uint32_t{2000}) + std::string(2000, 'x'))).status()),
            ExitCode::kData);
}

TEST(PickleTest, Protocol4) {
  const std::string body = std::string("}\x94(\x8c\x04nameh\x01", 10);  // memo 1 does not exist yet
  EXPECT_EQ(ExitCodeOf(Parse(Pickle(body + "u", 4)).status()), ExitCode::kData);
  const std::string good =
      "}\x94(\x8c\x04name\x94h\x01\x8c\x03set\x8f(K\x01K\x02\x90\x8c\x04"
      "type\x8c\x08"
      "builtins\x8c\x03int\x93u.";
  std::string bytes = "\x80\x04\x95" + LittleEndian(static_cast<uint64_t>(good.size())) + good;
  const auto root = Parse(bytes);
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_EQ(root->Find("name")->string(), "name");
  EXPECT_EQ(root->Find("name")->id(), root->key(0).id());
  EXPECT_EQ(root->Find("set")->size(), 2u);
  EXPECT_EQ(root->Find("type")->class_name(), "builtins.int");
  bytes[3] = '\x7f';  // a frame longer than the file
  ExpectDataError(Parse(bytes).status(), {"frame", "offset 2"});
}

// Nodes that point at their parents, as OmegaConf's do: the memo holds an object before BUILD has given it its state.
TEST(PickleTest, CyclesAndObjects) {
  const auto root = Parse(Pickle("cpkg\nNode\n)\x81q\x01}(" + Text("_parent") + "h\x01" + Text("_val") + "K\x07ub"));
  ASSERT_TRUE(root.ok()) << root.status();
  ASSERT_EQ(root->kind(), PickleKind::kObject);
  EXPECT_EQ(root->class_name(), "pkg.Node");
  EXPECT_EQ(root->args().size(), 0u);
  ASSERT_TRUE(root->state().has_value());
  EXPECT_EQ(root->state()->Find("_parent")->id(), root->id());
  EXPECT_EQ(root->state()->Find("_val")->int_value(), 7);
  const auto list =
      Parse(Pickle("]q\x01h\x01"
                   "a"));
  ASSERT_TRUE(list.ok());
  EXPECT_EQ(list->item(0).id(), list->id());
}

TEST(PickleTest, OrderedDictKeepsItsAttributes) {
  const auto root = Parse(Pickle("ccollections\nOrderedDict\n)R" + Text("w") + "K\x01s}" + Text("_metadata") + "}sb"));
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_EQ(root->kind(), PickleKind::kDict);
  EXPECT_EQ(root->class_name(), "collections.OrderedDict");
  EXPECT_EQ(root->Find("w")->int_value(), 1);
  EXPECT_TRUE(root->state()->Find("_metadata").has_value());
  const auto defaults = Parse(Pickle("ccollections\ndefaultdict\nc__builtin__\ndict\n\x85RK\x01K\x02s"));
  ASSERT_TRUE(defaults.ok()) << defaults.status();
  EXPECT_EQ(defaults->key(0).int_value(), 1);
}

TEST(PickleTest, NumpyScalarsAndShapesArePlain) {
  const auto scalar = [](const std::string& type, const std::string& bytes, const std::string& order = "<") {
    const std::string dtype = "cnumpy\ndtype\n" + Text(type) + "\x89\x88\x87R(K\x03" + Text(order) + "NNNJ" +
                              LittleEndian(-1) + "J" + LittleEndian(-1) + std::string("K\0tb", 4);
    return Parse(
        Pickle("cnumpy.core.multiarray\nscalar\n" + dtype + "C" + static_cast<char>(bytes.size()) + bytes + "\x86R"));
  };
  EXPECT_EQ(scalar("f8", LittleEndian(-2.25))->float_value(), -2.25);
  EXPECT_EQ(scalar("f4", LittleEndian(0.5f))->float_value(), 0.5);
  EXPECT_EQ(scalar("i8", LittleEndian(INT64_MIN))->int_value(), INT64_MIN);
  EXPECT_EQ(scalar("i1", "\xff", "|")->int_value(), -1);
  EXPECT_EQ(scalar("u1", "\xff", "|")->int_value(), 255);
  EXPECT_EQ(scalar("u4", "\xff\xff\xff\xff")->int_value(), 4294967295);
  EXPECT_TRUE(scalar("b1", "\x02", "|")->bool_value());
  // All others stay records.
  for (const auto& record :
       {scalar("f8", LittleEndian(1.0), ">"), scalar("f8", "four"), scalar("f2", "\1\2"),
        scalar("u8", std::string(8, '\xff')), scalar("S2", "ab"), scalar("c8", "12345678"), scalar("i", ""),
        scalar("i9", "123456789"), Parse(Pickle("cnumpy.core.multiarray\nscalar\n)R"))}) {
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_EQ(record->kind(), PickleKind::kObject);
    EXPECT_EQ(record->class_name(), "numpy.core.multiarray.scalar");
  }
  const auto shape = Parse(Pickle("ctorch\nSize\nK\x04K\x02\x86\x85R"));
  ASSERT_EQ(shape->kind(), PickleKind::kTuple);
  EXPECT_EQ(shape->item(0).int_value(), 4);
}

// Classic payloads. What would call in Python becomes a record; nothing runs, so no marker file appears.
TEST(PickleTest, NothingIsEverCalled) {
  const std::string marker = ::testing::TempDir() + "/pickle_marker";
  const std::string command = "touch " + marker;
  for (const std::string callable : {"cos\nsystem\n", "cposix\nsystem\n", "c__builtin__\neval\n", "cbuiltins\nexec\n",
                                     "csubprocess\nPopen\n", "ctorch.hub\nload\n", "ctorch._utils\n_rebuild\n"}) {
    const auto root = Parse(Pickle(callable + Text(command) + "\x85R"));
    ASSERT_TRUE(root.ok()) << root.status();
    EXPECT_EQ(root->kind(), PickleKind::kObject);
    EXPECT_EQ(root->args().item(0).string(), command);
    const auto built = Parse(Pickle(callable + ")\x81}" + Text("__setstate__") + callable + "sb"));
    ASSERT_TRUE(built.ok());
    EXPECT_EQ(built->kind(), PickleKind::kObject);
  }
  // What a call returned is called again; attributes are reached through getattr.
  ExpectDataError(Parse(Pickle("cbuiltins\ngetattr\ncos\nsystem\n\x85R" + Text(command) + "\x85R")).status(),
                  {"refused", "calls a object"});
  ExpectDataError(Parse(Pickle(Text("os.system") + Text(command) + "\x85R")).status(), {"refused", "calls a str"});
  ExpectDataError(Parse(Pickle("cos\nsystem\n" + Text(command) + "R")).status(), {"refused", "with a str"});
  ExpectDataError(Parse(Pickle("c_codecs\nencode\n" + Text("x") + Text("rot13") + "\x86R")).status(), {"refused"});
  EXPECT_EQ(ExitCodeOf(ReadWholeFile(marker).status()), ExitCode::kData);  // it does not exist
}

TEST(PickleTest, RefusedOpcodesAreNamedWithTheirOffset) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"(ios\nsystem\n", "INST"},
      {"(cos\nsystem\no", "OBJ"},
      {"Pid\n", "PERSID"},
      {"p0\n", "PUT"},
      {"g0\n", "GET"},
      {"I01\n", "INT"},
      {"L5L\n", "LONG"},
      {"F1.5\n", "FLOAT"},
      {"S'x'\n", "STRING"},
      {"Vx\n", "UNICODE"},
      {"\x82\x01", "EXT1"},
      {"\x83\x01\x01", "EXT2"},
      {"\x84\x01\x01\x01\x01", "EXT4"},
      {"\x92", "NEWOBJ_EX"},
      {"\x96", "BYTEARRAY8"},
      {"\x97", "NEXT_BUFFER"},
      {"\x98", "READONLY_BUFFER"},
      {"\xff", "0xff"},
  };
  for (const auto& [opcodes, name] : cases) {
    const absl::Status status = Parse(Pickle("N" + opcodes)).status();
    ExpectDataError(status, {kWhat, "refused opcode", name, "offset "});
  }
  ExpectDataError(Parse(Pickle("N\xff")).status(), {"offset 3"});
}

TEST(PickleTest, Malformed) {
  const std::vector<std::string> cases = {
      "",                                         // nothing on the stack
      "NN",                                       // two values
      "(N",                                       // an open mark
      "0",                                        // POP of nothing
      "1",                                        // POP_MARK without a mark
      "t",                                        // TUPLE without a mark
      "\x86",                                     // TUPLE2 of nothing
      "N\x86",                                    //
      "(N\x86t",                                  // reaches below the mark
      "a",                                        // APPEND
      "]a",                                       //
      "NNa",                                      // append to None
      ")Na",                                      // append to a tuple
      "(Ne",                                      // APPENDS to nothing
      "}Ns",                                      // SETITEM without a key
      "](NNu",                                    // items of a list
      "}(Nu",                                     // a key without a value
      "(Nd",                                      //
      "}" + Text("k") + "Ns" + Text("k") + "Ns",  // a key twice
      "}K\x01NsK\x01Ns",                          //
      "Nb",                                       // BUILD of nothing
      "NNb",                                      // BUILD of None
      "cpkg\nA\n)\x81NbNb",                       // BUILD twice
      "Q",                                        // persistent id of nothing
      "2",                                        // DUP of nothing
      "q\x01",                                    // memo of nothing
      "h\x05",                                    // memo never written
      "j\x05\x01\x01\x01",                        //
      "c\nA\n",                                   // no module
      "cpkg\n\n",                                 // no name
      "cpkg\nA B\n",                              // a space
      "cpkg\nA",                                  // the line does not end
      "NN\x93",                                   // STACK_GLOBAL of None
      "R",                                        //
      "\x85R",                                    //
      "X\xff\xff\xff\xff",                        // a string of 4 GiB
      "X\x02\x01\x01\x01",                        //
      "\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
      "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
      "\x8c\x02\xc3\x28",      // not UTF-8
      "\x8c\x03\xed\xa0\x80",  // a surrogate
      "\x8c\x02\xc0\x80",      // overlong
      "\x8c\x04\xf5\x80\x80\x80",
      "\x8c\x01\x80",
      "\x8c\x01\xe2",
      "c_codecs\nencode\n" + Text("\xe2\x82\xac") + Text("latin1") + "\x86R",
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const absl::Status status = Parse(Pickle(cases[i])).status();
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kData) << "case " << i << status;
  }
  for (const std::string bytes : {"", "\x80", "\x80\x02", "N.", "\x80\x01N.", "\x80\x05N.", "\x80\x02N", "hello"}) {
    EXPECT_EQ(ExitCodeOf(Parse(bytes).status()), ExitCode::kData) << bytes;
  }
  ExpectDataError(Parse(Pickle("N") + "x").status(), {"1 bytes after the end"});
  EXPECT_TRUE(Parse(Pickle("N")).ok());
}

TEST(PickleTest, Limits) {
  PickleLimits limits;
  limits.max_bytes = 3;
  ExpectDataError(Parse(Pickle("N"), limits).status(), {"limit of 3"});
  limits = {};
  limits.max_marks = 10;
  ExpectDataError(Parse(Pickle(std::string(11, '(')), limits).status(), {"limit of 10 open marks"});
  limits = {};
  limits.max_stack = 10;
  ExpectDataError(Parse(Pickle(std::string(11, 'N')), limits).status(), {"limit of 10 values on the stack"});
  limits = {};
  limits.max_memo = 2;
  ExpectDataError(Parse(Pickle("Nq\x01q\x02q\x03"), limits).status(), {"limit of 2 memo"});
  limits = {};
  limits.max_memory_bytes = 1 << 20;
  ExpectDataError(Parse(Pickle("(" + std::string(100000, '}')), limits).status(), {"limit of 1048576 bytes"});
  // A big string costs nothing to name again, and must not be copied for free.
  std::string copies = Text(std::string(10000, 'k')) +
                       "q\x01"
                       "0";
  for (int i = 0; i < 200; ++i) copies += "}h\x01Ns0";
  ExpectDataError(Parse(Pickle(copies + "N"), limits).status(), {"limit of 1048576 bytes"});
  std::string sets = "](" + std::string(1000, 'N') +
                     "eq\x01"
                     "0";
  for (int i = 0; i < 200; ++i) sets += "c__builtin__\nset\nh\x01\x85R0";
  ExpectDataError(Parse(Pickle(sets + "N"), limits).status(), {"limit of 1048576 bytes"});
}

// A million nested lists: reading and freeing them needs no recursion.
TEST(PickleTest, DeepNesting) {
  const size_t depth = 500000;
  const auto root = Parse(Pickle(std::string(depth, ']') + std::string(depth - 1, 'a')));
  ASSERT_TRUE(root.ok()) << root.status();
  EXPECT_EQ(root->item(0).item(0).size(), 1u);
}

std::string StorageId(const std::string& storage_class, const std::string& elements) {
  return "(" + Text("storage") + "ctorch\n" + storage_class + "\n" + Text("0") + Text("cuda:0") + elements + "tQ";
}
std::string Tensor(const std::string& storage, const std::string& offset, const std::string& size,
                   const std::string& stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + "(" + size + "t(" + stride + "t\x89" +
         "ccollections\nOrderedDict\n)RtR";
}

TEST(PickleTest, TensorsAreRecognised) {
  const auto root = Parse(Pickle(Tensor(StorageId("FloatStorage", "K\x0a"), "K\x01", "K\x02K\x03", "K\x03K\x01")));
  ASSERT_TRUE(root.ok()) << root.status();
  ASSERT_EQ(root->kind(), PickleKind::kTensor);
  const PickleTensor& tensor = root->tensor();
  EXPECT_EQ(tensor.storage_key, "0");
  EXPECT_EQ(tensor.location, "cuda:0");
  EXPECT_EQ(tensor.dtype, DType::kFloat32);
  EXPECT_EQ(tensor.storage_size, 10);
  EXPECT_EQ(tensor.offset, 1);
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensor.stride, (std::vector<int64_t>{3, 1}));
}

TEST(PickleTest, TensorsOutsideTheirStorageAreRefused) {
  const std::string storage = StorageId("FloatStorage", "K\x0a");
  const std::string zero = std::string("K\0", 2);
  const auto status = [&](const std::string& offset, const std::string& size, const std::string& stride) {
    return Parse(Pickle(Tensor(storage, offset, size, stride))).status();
  };
  EXPECT_TRUE(status(zero, "K\x0a", "K\x01").ok());
  EXPECT_TRUE(status("K\x09", Int(1 << 30), zero).ok());  // stride 0 repeats one element
  EXPECT_TRUE(status("K\x0a", zero, "K\x01").ok());       // empty at the very end
  EXPECT_TRUE(status(zero, "", "").ok());                 // a scalar
  const std::vector<std::vector<std::string>> bad = {
      {zero, "K\x0b", "K\x01"},
      {"K\x01", "K\x0a", "K\x01"},
      {zero, "K\x02", "K\x0a"},
      {"K\x0a", "", ""},
      {"K\x0b", zero, "K\x01"},
      {Int(-1), "K\x01", "K\x01"},
      {zero, Int(-1), "K\x01"},
      {zero, "K\x02", Int(-1)},
      {Long(INT64_MAX), "K\x02", "K\x01"},
      {zero, "K\x03", Long(INT64_MAX)},
      {zero, "K\x02K\x02", Long(INT64_MAX) + Long(INT64_MAX)},
      {zero, Long(INT64_MAX), Long(INT64_MAX)},
      {zero, Long(INT64_MAX) + Long(INT64_MAX), zero + zero},
      {zero, "K\x01", ""},
      {zero, "N", "K\x01"},
  };
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(ExitCodeOf(status(bad[i][0], bad[i][1], bad[i][2])), ExitCode::kData) << i;
  }
  ExpectDataError(status(zero, "K\x0b", "K\x01"), {"[11]", "outside of its storage '0' of 10 elements"});
  for (const std::string& odd : std::vector<std::string>{
           StorageId("ComplexFloatStorage", "K\x0a"), StorageId("FloatStorage", Int(-1)),
           StorageId("FloatStorage", "N"), std::string("NQ"), std::string("N"), std::string(")Q")}) {
    EXPECT_EQ(ExitCodeOf(Parse(Pickle(Tensor(odd, zero, "K\x01", "K\x01"))).status()), ExitCode::kData);
  }
  EXPECT_EQ(ExitCodeOf(Parse(Pickle("ctorch._utils\n_rebuild_tensor_v2\n)R")).status()), ExitCode::kData);
}

}  // namespace
}  // namespace cubist

#include "tools/interchange/hyper_parameters.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "configs/loader.h"
#include "data_process/formats/pickle_writer.h"
#include "data_process/formats/torch_zip.h"

namespace cubist {
namespace {

std::string Runfile(const std::string& path) {
  return std::string(std::getenv("TEST_SRCDIR")) + "/" + std::getenv("TEST_WORKSPACE") + "/" + path;
}

PickleValue Pickled(const PythonValue& value) {
  const auto formatted = FormatPickle(value);
  EXPECT_TRUE(formatted.ok()) << formatted.status();
  return *ParsePickle(formatted->bytes, "test");
}

// A DictConfig that OmegaConf itself pickled: make_checkpoint_fixtures.py says what of.
TEST(HyperParameters, OfOmegaConf) {
  const auto file = OpenTorchZipFile(Runfile("data_process/formats/testdata/checkpoint.ckpt"));
  ASSERT_TRUE(file.ok()) << file.status();
  const auto values = ReadHyperParameters(*file->root().Find("hyper_parameters"), "x.ckpt");
  ASSERT_TRUE(values.ok()) << values.status();
  EXPECT_EQ(HyperParametersJson(*values),
            R"({"batch_size":2,"learning_rate":{"init":0.0001,"clip":1e-06},"root":"data/",)"
            R"("train_kwargs":{"root":"data/","frames":[15,155],"ids":null},"network":{"init":0.0001,"clip":1e-06},)"
            R"("use":true,"exec":null,"nothing":null})");
}

TEST(HyperParameters, WhatIsNoConfigIsNamed) {
  const auto message = [](const PythonValue& value) {
    const auto values = ReadHyperParameters(Pickled(value), "x.ckpt");
    EXPECT_EQ(ExitCodeOf(values.status()), ExitCode::kData);
    return std::string(values.status().message());
  };
  EXPECT_TRUE(absl::StrContains(message(PythonValue::Int(3)), "are no dict"));
  PythonValue inner = PythonValue::Dict();
  inner.Set("t", PythonValue::String("${nowhere}"));
  PythonValue outer = PythonValue::Dict();
  outer.Set("a", inner);
  EXPECT_TRUE(absl::StrContains(message(outer), "nowhere"));
  // os.system as an object: its name is all that is read of it.
  std::string hostile("\x80\x02}X\x01\x00\x00\x00", 8);
  hostile += "acos\nsystem\nX";
  hostile += std::string("\x04\x00\x00\x00", 4) + "true\x85Rs.";
  const auto parsed = ParsePickle(hostile, "test");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto refused = ReadHyperParameters(*parsed, "x.ckpt");
  EXPECT_TRUE(absl::StrContains(std::string(refused.status().message()), "\"a\" is an object of os.system"))
      << refused.status();
  // A list that holds itself: ]q\0 h\0 a.
  PickleValue endless =
      *ParsePickle(std::string("\x80\x02}X\x01\x00\x00\x00", 8) + "a]q" + std::string("\x00h\x00", 3) + "as.", "test");
  EXPECT_TRUE(
      absl::StrContains(std::string(ReadHyperParameters(endless, "x.ckpt").status().message()), "nested too deep"));
}

// Configs that come of them: tests/pytorch, where OmegaConf is.
TEST(HyperParameters, ThatMakeNoConfigSaySo) {
  PythonValue small = PythonValue::Dict();
  small.Set("model", PythonValue::String("nothing"));
  const auto values = ReadHyperParameters(Pickled(small), "x.ckpt");
  ASSERT_TRUE(values.ok());
  const ImportedConfig config = ImportHyperParameters(*values, "x");
  EXPECT_TRUE(config.text.empty());
  ASSERT_EQ(config.remarks.size(), 1u);
  EXPECT_TRUE(absl::StrContains(config.remarks[0], "make no config")) << config.remarks[0];
}

}  // namespace
}  // namespace cubist

#include "configs/flat_fields.h"

#include <gtest/gtest.h>

#include "configs/proto/experiment.pb.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/text_format.h"

namespace cubist {
namespace {

using nlohmann::json;

TEST(FlatFieldsTest, GoByTheirPaths) {
  Experiment experiment;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
      name: "a \"name\""
      data {
        train_clips: ["a", "b"]
        crop_min: [-1.5, 0, 2]
      }
      optimizer { beta1: 0.9 amsgrad: true }
      training { max_steps: 9007199254740993 precision: BF16 }
      learning_rate { minimum: inf })",
                                                            &experiment));
  const std::map<std::string, json> expected = {
      {"name", "a \"name\""},         {"data/train_clips", {"a", "b"}}, {"data/crop_min", {-1.5, 0.0, 2.0}},
      {"optimizer/beta1", 0.9},       {"optimizer/amsgrad", true},      {"training/max_steps", 9007199254740993},
      {"training/precision", "BF16"}, {"learning_rate/minimum", "inf"}};
  EXPECT_EQ(FlatFields(experiment), expected);
}

TEST(FlatFieldsTest, MessagesOfAListAreNumbered) {
  google::protobuf::DescriptorProto message;
  message.add_field()->set_name("a");
  message.add_field()->set_number(7);
  const std::map<std::string, json> expected = {{"field/0/name", "a"}, {"field/1/number", 7}};
  EXPECT_EQ(FlatFields(message), expected);
}

TEST(FlatFieldsTest, NothingSetIsNothing) { EXPECT_TRUE(FlatFields(Experiment()).empty()); }

}  // namespace
}  // namespace cubist

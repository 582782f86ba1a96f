// What every field of the schema must have, and the small tools that look into it.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "configs/field_path.h"
#include "configs/proto/experiment.pb.h"
#include "configs/proto/field_options.pb.h"
#include "gtest/gtest.h"

namespace cubist {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

void ForEachField(const Descriptor* message, const std::function<void(const FieldDescriptor*)>& visit) {
  for (int i = 0; i < message->field_count(); ++i) {
    visit(message->field(i));
    if (message->field(i)->message_type() != nullptr) ForEachField(message->field(i)->message_type(), visit);
  }
}

TEST(SchemaTest, EveryFieldSaysWhatItIsFor) {
  int fields = 0;
  ForEachField(Experiment::descriptor(), [&](const FieldDescriptor* field) {
    ++fields;
    const std::string text = field->options().GetExtension(doc);
    ASSERT_FALSE(text.empty()) << field->full_name();
    EXPECT_EQ(text.back(), '.') << field->full_name();
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(text[0]))) << field->full_name();
  });
  EXPECT_GT(fields, 80);
}

TEST(SchemaTest, OptionsFitTheirFields) {
  ForEachField(Experiment::descriptor(), [](const FieldDescriptor* field) {
    const auto& options = field->options();
    const bool number = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                        field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
                        field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    const bool ranged =
        options.HasExtension(cubist::min) || options.HasExtension(cubist::max) || options.HasExtension(cubist::above);
    EXPECT_TRUE(number || !ranged) << field->full_name();
    EXPECT_TRUE(field->is_repeated() || !options.HasExtension(length)) << field->full_name();
    EXPECT_TRUE(field->message_type() != nullptr || !options.HasExtension(off_unless_set)) << field->full_name();
    EXPECT_FALSE(options.HasExtension(cubist::min) && options.HasExtension(cubist::above)) << field->full_name();
    // Whole numbers without a lower bound are almost always a mistake in the schema.
    if (number && field->cpp_type() != FieldDescriptor::CPPTYPE_DOUBLE) {
      EXPECT_TRUE(options.HasExtension(cubist::min)) << field->full_name();
    }
  });
}

TEST(SchemaTest, DefaultsAreAllowedValues) {
  ForEachField(Experiment::descriptor(), [](const FieldDescriptor* field) {
    if (!field->has_default_value()) return;
    double value;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        value = field->default_value_int32();
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        value = static_cast<double>(field->default_value_int64());
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        value = field->default_value_double();
        break;
      default:
        return;
    }
    const auto& options = field->options();
    EXPECT_TRUE(std::isfinite(value)) << field->full_name();
    const double infinity = std::numeric_limits<double>::infinity();
    const auto bound = [&](const auto& extension, double none) {
      return options.HasExtension(extension) ? options.GetExtension(extension) : none;
    };
    EXPECT_GE(value, bound(cubist::min, -infinity)) << field->full_name();
    EXPECT_LE(value, bound(cubist::max, infinity)) << field->full_name();
    EXPECT_GT(value, bound(cubist::above, -infinity)) << field->full_name();
  });
}

TEST(FieldPathTest, Resolves) {
  const auto resolved = ResolvePath(Experiment::descriptor(), "data.synthesize.clips");
  ASSERT_TRUE(resolved.ok()) << resolved.error;
  ASSERT_EQ(resolved.fields.size(), 3u);
  EXPECT_EQ(resolved.fields[2]->full_name(), "cubist.Synthesize.clips");
  EXPECT_TRUE(ResolvePath(Experiment::descriptor(), "").ok());
  for (const char* wrong : {".", "data.", ".data", "data..crop_min", "crop_min", "data.crop_min.x", "data data"}) {
    EXPECT_FALSE(ResolvePath(Experiment::descriptor(), wrong).ok()) << wrong;
  }
}

TEST(FieldPathTest, EditDistanceAgreesWithItsDefinition) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("seed", "sede"), 1);  // neighbours swapped
  EXPECT_EQ(EditDistance("ca", "abc"), 3);     // a swapped pair is not edited again
  // By recursion over the last characters.
  const std::function<int(const std::string&, const std::string&)> slow = [&](const std::string& a,
                                                                              const std::string& b) -> int {
    if (a.empty() || b.empty()) return static_cast<int>(a.size() + b.size());
    const std::string a1 = a.substr(0, a.size() - 1), b1 = b.substr(0, b.size() - 1);
    int best = std::min({slow(a1, b) + 1, slow(a, b1) + 1, slow(a1, b1) + (a.back() == b.back() ? 0 : 1)});
    if (a.size() > 1 && b.size() > 1 && a.back() == b[b.size() - 2] && b.back() == a[a.size() - 2]) {
      best = std::min(best, slow(a.substr(0, a.size() - 2), b.substr(0, b.size() - 2)) + 1);
    }
    return best;
  };
  std::vector<std::string> words = {""};
  for (size_t i = 0; words[i].size() < 4; ++i) {
    for (const char c : {'a', 'b', 'c'}) words.push_back(words[i] + c);
  }
  for (size_t i = 0; i < words.size(); i += 3) {
    for (size_t j = 0; j < words.size(); j += 5) EXPECT_EQ(EditDistance(words[i], words[j]), slow(words[i], words[j]));
  }
}

TEST(FieldPathTest, NearestWordIsNearOrNone) {
  const std::vector<std::string> words = {"seed", "max_steps", "precision", "deterministic"};
  EXPECT_EQ(NearestWord("sede", words), "seed");
  EXPECT_EQ(NearestWord("maxsteps", words), "max_steps");
  EXPECT_EQ(NearestWord("PRECISION", words), "precision");
  EXPECT_EQ(NearestWord("max", words), "max_steps");
  EXPECT_EQ(NearestWord("warmup", words), "");
  EXPECT_EQ(NearestWord("", words), "");
}

TEST(FieldPathTest, ResumeRuleOfTheNearestThatStatesOne) {
  const auto rule = [](const std::string& path) {
    return ResumeRule(ResolvePath(Experiment::descriptor(), path).fields);
  };
  EXPECT_EQ(rule("training.seed"), FATAL);
  EXPECT_EQ(rule("training.max_steps"), FREE);
  EXPECT_EQ(rule("validation.max_samples"), WARN);
  EXPECT_EQ(rule("data.synthesize.clips"), FREE);
}

}  // namespace
}  // namespace cubist

#include "configs/resume_comparison.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "configs/canonical_text.h"
#include "configs/field_path.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Compare(const Message& stored, const Message& now, const std::string& path,
             std::vector<const FieldDescriptor*>* above, std::vector<FieldDifference>* differences) {
  const google::protobuf::Descriptor* descriptor = stored.GetDescriptor();
  // Numbers, not the order of declaration: members of a oneof are declared where the oneof is.
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < descriptor->field_count(); ++i) fields.push_back(descriptor->field(i));
  std::sort(fields.begin(), fields.end(),
            [](const FieldDescriptor* a, const FieldDescriptor* b) { return a->number() < b->number(); });
  for (const FieldDescriptor* field : fields) {
    const std::string field_path = JoinPath(path, field->name());
    above->push_back(field);
    const bool block = field->message_type() != nullptr && !field->is_repeated();
    const bool stored_has = block && stored.GetReflection()->HasField(stored, field);
    const bool now_has = block && now.GetReflection()->HasField(now, field);
    // Whether a block is there at all says something only of one that defaults do not create.
    const bool presence_counts = field->containing_oneof() != nullptr || field->options().GetExtension(off_unless_set);
    if (block && (stored_has == now_has || !presence_counts)) {
      if (stored_has || now_has) {
        Compare(stored.GetReflection()->GetMessage(stored, field), now.GetReflection()->GetMessage(now, field),
                field_path, above, differences);
      }
    } else {
      const std::string old_value = CanonicalFieldText(stored, field);
      const std::string new_value = CanonicalFieldText(now, field);
      if (old_value != new_value) differences->push_back({field_path, old_value, new_value, ResumeRule(*above)});
    }
    above->pop_back();
  }
}

}  // namespace

std::vector<FieldDifference> CompareForResume(const Experiment& stored, const Experiment& now) {
  std::vector<FieldDifference> differences;
  std::vector<const FieldDescriptor*> above;
  Compare(stored, now, "", &above, &differences);
  return differences;
}

std::string DescribeDifferences(const std::vector<FieldDifference>& differences, OnResume rule) {
  std::string result;
  for (const FieldDifference& difference : differences) {
    if (difference.rule != rule) continue;
    absl::StrAppend(&result, difference.path, ": ", difference.old_value, " when the run started, ",
                    difference.new_value, " now\n");
  }
  return result;
}

}  // namespace cubist

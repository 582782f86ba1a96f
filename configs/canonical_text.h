// Messages as text that is the same for equal messages, on every machine.
#ifndef CUBIST_CONFIGS_CANONICAL_TEXT_H_
#define CUBIST_CONFIGS_CANONICAL_TEXT_H_

#include <string>

#include "google/protobuf/message.h"

namespace cubist {

// Fields that are set, in the order of their numbers, two spaces a level, lists of scalars in one line,
// numbers in the shortest form that reads back as the same value. TextFormat reads it.
std::string CanonicalMessageText(const google::protobuf::Message& message);

// The value of one field as in CanonicalMessageText: "64", "[1, 2]", "{ clips: 8 frames: 100 }" (blocks in
// one line). "(not set)" for an empty list and for a field without presence; a scalar that is not set but
// has a default gives that.
std::string CanonicalFieldText(const google::protobuf::Message& message,
                               const google::protobuf::FieldDescriptor* field);

// Shortest decimal form that reads back as `value`; "inf", "-inf", "nan".
std::string ShortestNumber(double value);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_CANONICAL_TEXT_H_

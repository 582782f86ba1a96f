// The fields of a message under flat names, as trackers of experiments list hyper-parameters.
#ifndef CUBIST_CONFIGS_FLAT_FIELDS_H_
#define CUBIST_CONFIGS_FLAT_FIELDS_H_

#include <map>
#include <string>

#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace cubist {

// What is set, by its path: "optimizer/beta1" -> 0.9, "data/train_clips" -> ["a", "b"], "training/precision" -> "BF16".
// Messages of a list go by their number: "merge/0/name". Numbers that JSON does not have ("inf", "nan") are texts.
std::map<std::string, nlohmann::json> FlatFields(const google::protobuf::Message& message);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_FLAT_FIELDS_H_

// What the keys of the reference's resolved configs are here: fields that say so themselves (reference_key in
// configs/proto/field_options.proto), or one of the keys that no field carries, and why.
#ifndef CUBIST_CONFIGS_REFERENCE_KEYS_H_
#define CUBIST_CONFIGS_REFERENCE_KEYS_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "configs/proto/experiment.pb.h"
#include "google/protobuf/descriptor.h"

namespace cubist {

// A field and the reference's keys of its value, the one that the reference's training reads first.
struct ReferenceField {
  std::string path;  // "voxel_diffusion.unet.model_channels"
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::vector<std::string> keys;
};

// All fields of an Experiment with reference keys, in the order of the schema; of the models only `task`.
std::vector<ReferenceField> ReferenceFields(Experiment::TaskCase task);

// What the reference calls an enum's value: (reference_value), else its name in lower case.
std::string ReferenceValue(const google::protobuf::EnumValueDescriptor& value);

enum class LeftOutKind {
  kNotRead,  // the reference's training does not read it, or it is about the reference's own tools
  kFixed,    // part of the model: Cubist always does what `value` stands for
  kDerived,  // follows from other fields
};

struct LeftOutKey {
  const char* key;   // "a.b", or "a.*" for all below
  const char* when;  // "": always; else one of the names of ActiveParts
  LeftOutKind kind;
  // Of kFixed, as JSON: the value; or "every X": a list of nothing else; or "first X, then Y": the same with another
  // first element.
  const char* value;
  const char* reason;
};

// What a config is about, by the names of the fields that are set: its model ("voxel_vae", "voxel_diffusion",
// "gaussian_reconstruction") and, for the last, its sky ("sky_panorama", "sky_mlp_modulator").
std::set<std::string> ActiveParts(const Experiment& experiment);

// What the reference takes for a key that its config lacks or that is null there.
struct ReferenceDefault {
  const char* key;
  const char* when;    // as in LeftOutKey
  const char* absent;  // as JSON; "": the reference does not run without the key
  const char* null;    // another value of the key, as JSON, that null is as good as; "": there is none
};

// Of keys of fields all that have one; of LeftOutKeys those where it is not what Cubist always does. For a key "a.b"
// `absent` holds where there is an "a".
const std::vector<ReferenceDefault>& ReferenceDefaults();
// The entry for `key` of a config about `parts`; null if there is none.
const ReferenceDefault* FindReferenceDefault(std::string_view key, const std::set<std::string>& parts);

const std::vector<LeftOutKey>& LeftOutKeys();
// The entry for `key` of a config about `parts`; null if there is none.
const LeftOutKey* FindLeftOutKey(std::string_view key, const std::set<std::string>& parts);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_REFERENCE_KEYS_H_

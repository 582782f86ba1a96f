// From text to a ValidatedExperiment: the only way in, and the only type that the rest accepts.
//
// How the value of a field is found (later wins):
//   1. the default in configs/proto/experiment.proto;
//   2. what `compat: REFERENCE` stands for (configs/experiment_rules.h);
//   3. the files of `include`, in order, each relative to the folder of the file that names it, each
//      with its own includes below it;
//   4. the file itself: first its `reset` paths are cleared, then its own values apply;
//   5. flags with a name of their own (`--data_root`), then `--set path.to.field=value`, in order.
// Messages merge field by field, a list replaces the whole list below it (`[]` empties it), and a
// member of a oneof replaces another one. A file that includes itself is an error.
//
// Every mistake is reported in one go: see configs/diagnostics.h for what a report looks like.
#ifndef CUBIST_CONFIGS_LOADER_H_
#define CUBIST_CONFIGS_LOADER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "configs/proto/experiment.pb.h"

namespace cubist {

// A flag that stands for one field, like `--data_root DIR` for data.data_root.
struct FieldFlag {
  std::string flag;   // as typed, "--data_root": named in errors and as the origin of the value
  std::string path;   // "data.data_root"
  std::string value;  // as in --set, but text fields take it as it is, quotes and commas included
};

class ValidatedExperiment {
 public:
  // Complete and in accordance with every rule: `include` and `reset` are resolved and empty, every
  // scalar with a default carries its value explicitly (has_x() is true), as do the messages that hold
  // them. Not set: fields without a default that nobody set, members of a oneof that was decided for
  // another one, and messages whose absence means "off" (data.synthesize).
  const Experiment& proto() const { return proto_; }

  // The whole config as a textproto: fields in the order of their numbers, one a line, lists in one
  // line, shortest numbers that read back as the same value. Loading this text gives the same config
  // and the same text again.
  std::string CanonicalText() const;

  // SHA-256 of CanonicalText() in lower-case hex (so `train --print_config` piped into sha256sum says
  // the same). Fields that are FREE on resume count too: it names a config, not a result.
  std::string Hash() const;

  // Where the value of the field at `path` comes from: "recipe.textproto:12", the flag as typed,
  // "compat: REFERENCE", "default", or "not set". For a message: the distinct origins of what it
  // holds, in the order of fields, joined by ", ". Unknown path: "".
  std::string OriginOf(std::string_view path) const;

 private:
  friend class ExperimentLoader;
  ValidatedExperiment() = default;
  void CollectOrigins(const google::protobuf::Message& message, const std::string& path,
                      std::vector<std::string>* distinct) const;

  Experiment proto_;
  std::map<std::string, std::string> origins_;  // of every leaf that a file, a flag or compat set
};

// Reads the file at `path` with everything that it includes and applies the flags.
// `set_flags`: what followed each --set, "path.to.field=value". Values: numbers, true/false, enum names,
// text with or without quotes, lists as `[a, b]` or `a,b`, messages as `{ field: value ... }`.
// Errors: a ConfigError (exit code 2) that lists every unknown field, wrong type and violated rule of
// all files and flags; or, if a file cannot be read, what was asked for and by whom.
absl::StatusOr<ValidatedExperiment> LoadExperiment(const std::string& path,
                                                   const std::vector<std::string>& set_flags = {},
                                                   const std::vector<FieldFlag>& field_flags = {});

// The same for text at hand. `name` stands for the file in messages; includes are relative to its folder.
absl::StatusOr<ValidatedExperiment> LoadExperimentText(std::string_view text, const std::string& name,
                                                       const std::vector<std::string>& set_flags = {},
                                                       const std::vector<FieldFlag>& field_flags = {});

}  // namespace cubist

#endif  // CUBIST_CONFIGS_LOADER_H_

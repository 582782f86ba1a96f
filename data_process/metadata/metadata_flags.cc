#include "data_process/metadata/metadata_flags.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/status.h"
#include "configs/field_path.h"
#include "configs/message_loader.h"
#include "configs/proto/field_options.pb.h"

namespace cubist {
namespace {

using google::protobuf::FieldDescriptor;

constexpr char kDescription[] =
    "Writes metadata.csv, the table that the video model trains by: each video with its prompt and guidance buffers.";

constexpr char kFooter[] = R"(Examples:
  generate_metadata_csv --data_root data/ --input_attribute video_480p_front --output_attribute metadata.csv
  # without the clips that models are validated on, and the rest although some files are damaged
  generate_metadata_csv --assets_root infinicube/assets --leave_out_bad --report left_out.json \
      --holdout infinicube/assets/waymo_split/official_val_w_dynamic_w_ego_motion_gt_30m_good_voxel.json

Exit codes: 0 the CSV is written, or with --dry_run could be; 2 bad flag or config; 3 a list, folder or file is missing or
damaged, or nothing matched; 6 the CSV cannot be written; 70 a bug in Cubist; 75 stopped, nothing was written.)";

// Lines of whole words, as long as a terminal has room for beside the flags.
std::string Wrapped(const std::string& text) {
  constexpr size_t kLine = 80;
  std::string wrapped;
  size_t length = 0;
  for (const auto word : absl::StrSplit(text, ' ')) {
    const bool fits = length + 1 + word.size() <= kLine;
    absl::StrAppend(&wrapped, wrapped.empty() ? "" : fits ? " " : "\n", word);
    length = fits ? length + 1 + word.size() : word.size();
  }
  return wrapped;
}

// What the schema says of a field, with its default.
std::string Help(const FieldDescriptor* field) {
  std::string help = field->options().GetExtension(doc);
  if (field->type() == FieldDescriptor::TYPE_STRING && field->has_default_value()) {
    absl::StrAppend(&help, " Default: ", field->default_value_string());
  }
  return Wrapped(help);
}

// A flag sets the field of its meaning.
struct Flag {
  const char *names, *field;
  const char* type;  // of its value, for people; empty: it has none
};

constexpr Flag kFlags[] = {
    {"--data_root", "data_root", "DIR"},
    {"--input_attribute,--video_subdir", "input_attribute", "NAME"},
    {"--output_attribute", "output_attribute", "NAME"},
    {"--caption_subdir", "caption_attribute", "NAME"},
    {"--allowed_clips_json", "allowed_clips_json", "FILE"},
    {"--assets_root", "assets_root", "DIR"},
    {"--all_clips", "all_clips", ""},
    {"--holdout", "holdout", "FILE"},
    {"--limit", "limit", "N"},
    {"--strict,!--no_strict", "strict", ""},
    {"--leave_out_bad", "leave_out_bad", ""},
    {"--instance_buffer", "instance_buffer", ""},
    {"--report", "report", "FILE"},
    {"--dry_run", "dry_run", ""},
    {"--threads", "threads", "N"},
};

constexpr char kOneValue[] =
    "A flag takes one value; for several lists write the flag several times: --holdout A --holdout B";

const FieldDescriptor* FieldOf(const Flag& flag) { return Metadata::descriptor()->FindFieldByName(flag.field); }

// The options of the flags, in the same order. What was typed for one is its results().
std::vector<const CLI::Option*> DefineFlags(CLI::App* app, std::string* config) {
  app->add_option("config", *config, "Textproto of options (configs/proto/metadata.proto); flags overrule it")
      ->type_name("CONFIG");
  std::vector<const CLI::Option*> options;
  for (const Flag& flag : kFlags) {
    CLI::Option* option = nullptr;
    if (FieldOf(flag)->type() == FieldDescriptor::TYPE_BOOL) {
      option = app->add_flag(flag.names);
    } else {
      option = app->add_option(flag.names)->type_name(flag.type)->expected(1)->allow_extra_args(false);
    }
    options.push_back(option->description(Help(FieldOf(flag)))->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
  }
  return options;
}

// "--input_attribute, --video_subdir".
std::string NamesOf(const CLI::Option& option) { return "--" + absl::StrJoin(option.get_lnames(), ", --"); }

// Refuses what belongs to no flag.
absl::Status CheckRemaining(const CLI::App& app, const std::string& config) {
  std::vector<std::string> known, surplus;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const std::string& word : app.remaining()) {
    if (word == "--") continue;
    if (!absl::StartsWith(word, "-")) {
      surplus.push_back(word);
      continue;
    }
    const std::string nearest = NearestWord(word.substr(0, word.find('=')), known);
    return ConfigError(
        absl::StrCat("there is no flag ", word, nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
  }
  if (surplus.empty()) return absl::OkStatus();
  return ConfigError(absl::StrCat("'", absl::StrJoin(surplus, "', '"), "' belongs to no flag, and '", config,
                                  "' is the CONFIG already. ", kOneValue));
}

// Sets a field to what was typed for it.
absl::Status SetField(const CLI::App& app, const CLI::Option& option, const FieldDescriptor* field, Metadata* given) {
  const google::protobuf::Reflection& reflection = *given->GetReflection();
  const std::string names = NamesOf(option);
  const auto refuse = [&names](const auto&... text) { return ConfigError(absl::StrCat(names, ": ", text...)); };
  const std::vector<std::string> values = option.results();
  for (const std::string& value : values) {
    // An empty value is an unset variable of a script, not a wish for the default.
    if (value.empty()) return refuse("the value is empty");
    if (absl::StartsWith(value, "-") && app.get_option_no_throw(value) != nullptr)
      return refuse("its value is missing; ", value, " follows");
    if (!field->is_repeated() && value != values[0]) {
      const bool is_flag = field->type() == FieldDescriptor::TYPE_BOOL;
      return refuse(is_flag ? "yes and no are" : absl::StrCat("'", values[0], "' and '", value, "' are"),
                    " both asked for; give one of them");
    }
    bool yes = false;
    int32_t number = 0;
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        if (!absl::SimpleAtob(value, &yes)) return refuse("'", value, "' is neither true nor false");
        reflection.SetBool(given, field, yes);
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        if (!absl::SimpleAtoi(value, &number) || number < field->options().GetExtension(min) ||
            (field->options().HasExtension(max) && number > field->options().GetExtension(max))) {
          return refuse("'", value, "' is not ", AllowedElement(field));
        }
        reflection.SetInt32(given, field, number);
        break;
      default:
        if (field->is_repeated()) {
          reflection.AddString(given, field, value);
        } else {
          reflection.SetString(given, field, value);
        }
    }
  }
  return absl::OkStatus();
}

// The command line into `config` and `given`, which then holds what was typed and nothing else.
absl::Status ParseCommandLine(int argc, const char* const* argv, CLI::App* app, std::string* config, Metadata* given) {
  const std::vector<const CLI::Option*> options = DefineFlags(app, config);
  app->allow_extras();
  try {
    app->parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& error) {
    // The only one that these flags leave: "--data_root: 1 required DIR missing".
    const std::string text = error.what();
    return ConfigError(text.substr(0, text.find(':')) + ": its value is missing");
  }
  RETURN_IF_ERROR(CheckRemaining(*app, *config));
  for (size_t i = 0; i < options.size(); ++i) {
    RETURN_IF_ERROR(SetField(*app, *options[i], FieldOf(kFlags[i]), given));
  }
  if (config->empty() && app->count("config") > 0) return ConfigError("CONFIG: the name is empty");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MetadataFlags> ParseMetadataFlags(int argc, const char* const* argv) {
  CLI::App app(kDescription, "generate_metadata_csv");
  app.set_help_flag("--help,-h", "Print this and exit");
  app.footer(kFooter);
  app.get_formatter()->column_width(38);
  std::string config;
  Metadata given;
  MetadataFlags flags;
  absl::Status parsed;
  try {
    parsed = ParseCommandLine(argc, argv, &app, &config, &given);
  } catch (const CLI::CallForHelp&) {
    flags.help = app.help();
    return flags;
  } catch (const CLI::Error& error) {
    parsed = ConfigError(error.what());
  }
  if (!parsed.ok()) {
    return ConfigError(absl::StrCat(parsed.message(), "\nRun generate_metadata_csv --help for all flags."));
  }
  if (const absl::Status loaded = LoadMessage(ResolvePath(config), &flags.options); !loaded.ok()) {
    // Most likely the second of several values.
    if (absl::EndsWith(config, ".textproto")) return loaded;
    return ConfigError(absl::StrCat(loaded.message(), "\n'", config, "' was taken for CONFIG. ", kOneValue));
  }
  if (given.holdout_size() > 0) flags.options.clear_holdout();
  flags.options.MergeFrom(given);
  Metadata& options = flags.options;
  options.set_data_root(ResolvePath(options.data_root()));
  options.set_assets_root(ResolvePath(options.assets_root()));
  options.set_allowed_clips_json(ResolvePath(options.allowed_clips_json()));
  options.set_report(ResolvePath(options.report()));
  for (std::string& path : *options.mutable_holdout()) path = ResolvePath(path);
  return flags;
}

}  // namespace cubist

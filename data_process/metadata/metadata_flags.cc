#include "data_process/metadata/metadata_flags.h"

#include <CLI/CLI.hpp>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/command_line.h"
#include "base/status.h"
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

// Each flag sets the field of its meaning in `given`, which then holds what was typed and nothing else.
void DefineFlags(CLI::App* app, std::string* config, Metadata* given) {
  const auto field = [](const char* name) { return Metadata::descriptor()->FindFieldByName(name); };
  const auto set = [given](const FieldDescriptor* f, const std::string& value) {
    if (f->is_repeated()) return given->GetReflection()->AddString(given, f, value);
    given->GetReflection()->SetString(given, f, value);
  };
  // An empty value is an unset variable of a script, not a wish for the default.
  const CLI::Validator not_empty(
      [](std::string& text) { return std::string(text.empty() ? "the value is empty" : ""); }, "");
  const auto text = [=](const char* flags, const char* name, const char* type) {
    const FieldDescriptor* f = field(name);
    const auto take = [=](const std::vector<std::string>& values) {
      for (const std::string& value : values) set(f, value);
    };
    app->add_option_function<std::vector<std::string>>(flags, take, Help(f))
        ->type_name(type)
        ->check(not_empty)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(f->is_repeated() ? CLI::MultiOptionPolicy::TakeAll : CLI::MultiOptionPolicy::Throw);
  };
  const auto yes_or_no = [=](const char* flags, const char* name) {
    const FieldDescriptor* f = field(name);
    app->add_flag_function(
        flags, [=](int64_t count) { given->GetReflection()->SetBool(given, f, count > 0); }, Help(f));
  };
  const auto number = [=](const char* flags, const char* name) {
    const FieldDescriptor* f = field(name);
    app->add_option_function<int>(
           flags, [=](int value) { given->GetReflection()->SetInt32(given, f, value); }, Help(f))
        ->type_name("N")
        ->check(CLI::Range(0, f->options().HasExtension(max) ? static_cast<int>(f->options().GetExtension(max))
                                                             : std::numeric_limits<int>::max())
                    .description(""));
  };
  app->add_option("config", *config, "Textproto of options (configs/proto/metadata.proto); flags overrule it")
      ->type_name("CONFIG")
      ->check(not_empty);
  text("--data_root", "data_root", "DIR");
  text("--input_attribute,--video_subdir", "input_attribute", "NAME");
  text("--output_attribute", "output_attribute", "NAME");
  text("--caption_subdir", "caption_attribute", "NAME");
  text("--allowed_clips_json", "allowed_clips_json", "FILE");
  text("--assets_root", "assets_root", "DIR");
  yes_or_no("--all_clips", "all_clips");
  text("--holdout", "holdout", "FILE");
  number("--limit", "limit");
  yes_or_no("--strict,!--no_strict", "strict");
  yes_or_no("--leave_out_bad", "leave_out_bad");
  yes_or_no("--instance_buffer", "instance_buffer");
  text("--report", "report", "FILE");
  yes_or_no("--dry_run", "dry_run");
  number("--threads", "threads");
}

}  // namespace

absl::StatusOr<MetadataFlags> ParseMetadataFlags(int argc, const char* const* argv) {
  std::string config;
  Metadata given;
  CLI::App app(kDescription, "generate_metadata_csv");
  app.set_help_flag("--help,-h", "Print this and exit");
  app.footer(kFooter);
  app.get_formatter()->column_width(38);
  MetadataFlags flags;
  try {
    DefineFlags(&app, &config, &given);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    flags.help = app.help();
    return flags;
  } catch (const CLI::Error& error) {
    return ConfigError(absl::StrCat(error.what(), "\nRun generate_metadata_csv --help for all flags."));
  }
  RETURN_IF_ERROR(LoadMessage(ResolvePath(config), &flags.options));
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

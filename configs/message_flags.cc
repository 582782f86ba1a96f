#include "configs/message_flags.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>

#include "absl/strings/ascii.h"
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

constexpr char kOneValue[] = "A flag takes one value; for several write the flag several times: --flag A --flag B";

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
  if (field->type() == FieldDescriptor::TYPE_INT32 && field->default_value_int32() != 0) {
    absl::StrAppend(&help, " Default: ", field->default_value_int32());
  }
  if (field->type() == FieldDescriptor::TYPE_BOOL && field->default_value_bool())
    absl::StrAppend(&help, " Default: true");
  if (field->type() == FieldDescriptor::TYPE_ENUM && field->has_default_value()) {
    absl::StrAppend(&help, " Default: ", absl::AsciiStrToLower(field->default_value_enum()->name()));
  }
  return Wrapped(help);
}

// "--input_attribute, --video_subdir".
std::string NamesOf(const CLI::Option& option) { return "--" + absl::StrJoin(option.get_lnames(), ", --"); }

class Parser {
 public:
  Parser(const MessageProgram& program, google::protobuf::Message* message)
      : program_(program),
        message_(*message),
        reflection_(*message->GetReflection()),
        given_(message->New()),
        app_(program.description, program.name) {
    app_.set_help_flag("--help,-h", "Print this and exit");
    app_.footer(program.footer);
    app_.get_formatter()->column_width(program.column_width);
    DefineFlags();
  }

  absl::StatusOr<std::string> Parse(int argc, const char* const* argv) {
    absl::Status parsed;
    try {
      parsed = ParseCommandLine(argc, argv);
    } catch (const CLI::CallForHelp&) {
      return app_.help();
    } catch (const CLI::Error& error) {
      parsed = ConfigError(error.what());
    }
    if (!parsed.ok()) {
      return ConfigError(absl::StrCat(parsed.message(), "\nRun ", program_.name, " --help for all flags."));
    }
    if (const absl::Status loaded = LoadMessage(ResolvePath(config_), &message_); !loaded.ok()) {
      // Most likely the second of several values.
      if (absl::EndsWith(config_, ".textproto")) return loaded;
      return ConfigError(absl::StrCat(loaded.message(), "\n'", config_, "' was taken for CONFIG. ", kOneValue));
    }
    for (const MessageFlag& flag : program_.flags) {
      const FieldDescriptor* field = FieldOf(flag);
      if (field->is_repeated() && reflection_.FieldSize(*given_, field) > 0) reflection_.ClearField(&message_, field);
    }
    message_.MergeFrom(*given_);
    for (const MessageFlag& flag : program_.flags) {
      if (flag.is_path) MakeAbsolute(FieldOf(flag));
    }
    return std::string();
  }

 private:
  const FieldDescriptor* FieldOf(const MessageFlag& flag) const {
    return message_.GetDescriptor()->FindFieldByName(flag.field);
  }

  // What was typed for an option is its results().
  void DefineFlags() {
    app_.add_option("config", config_, absl::StrCat("Textproto of options (", program_.schema, "); flags overrule it"))
        ->type_name("CONFIG");
    for (const MessageFlag& flag : program_.flags) {
      CLI::Option* option = nullptr;
      if (FieldOf(flag)->type() == FieldDescriptor::TYPE_BOOL) {
        option = app_.add_flag(flag.names);
      } else {
        option = app_.add_option(flag.names)->type_name(flag.type)->expected(1)->allow_extra_args(false);
      }
      options_.push_back(
          option->description(Help(FieldOf(flag)))->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
    }
  }

  // The command line into config_ and given_, which then holds what was typed and nothing else.
  absl::Status ParseCommandLine(int argc, const char* const* argv) {
    app_.allow_extras();
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ArgumentMismatch& error) {
      // The only one that these flags leave: "--data_root: 1 required DIR missing".
      const std::string text = error.what();
      return ConfigError(text.substr(0, text.find(':')) + ": its value is missing");
    }
    RETURN_IF_ERROR(CheckRemaining());
    for (size_t i = 0; i < options_.size(); ++i) {
      RETURN_IF_ERROR(SetField(*options_[i], FieldOf(program_.flags[i])));
    }
    if (config_.empty() && app_.count("config") > 0) return ConfigError("CONFIG: the name is empty");
    return absl::OkStatus();
  }

  // Refuses what belongs to no flag.
  absl::Status CheckRemaining() const {
    std::vector<std::string> known, surplus;
    for (const CLI::Option* option : app_.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    for (const std::string& word : app_.remaining()) {
      if (word == "--") continue;
      if (!absl::StartsWith(word, "-")) {
        surplus.push_back(word);
        continue;
      }
      const std::string nearest = NearestWord(word.substr(0, word.find('=')), known);
      return ConfigError(absl::StrCat("there is no flag ", word,
                                      nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?")));
    }
    if (surplus.empty()) return absl::OkStatus();
    return ConfigError(absl::StrCat("'", absl::StrJoin(surplus, "', '"), "' belongs to no flag, and '", config_,
                                    "' is the CONFIG already. ", kOneValue));
  }

  // Sets a field to what was typed for it.
  absl::Status SetField(const CLI::Option& option, const FieldDescriptor* field) {
    const std::string names = NamesOf(option);
    const auto refuse = [&names](const auto&... text) { return ConfigError(absl::StrCat(names, ": ", text...)); };
    const std::vector<std::string> values = option.results();
    for (const std::string& value : values) {
      // An empty value is an unset variable of a script, not a wish for the default.
      if (value.empty()) return refuse("the value is empty");
      if (absl::StartsWith(value, "-") && app_.get_option_no_throw(value) != nullptr) {
        return refuse("its value is missing; ", value, " follows");
      }
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
          reflection_.SetBool(given_.get(), field, yes);
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          if (!absl::SimpleAtoi(value, &number) || number < field->options().GetExtension(min) ||
              (field->options().HasExtension(max) && number > field->options().GetExtension(max))) {
            return refuse("'", value, "' is not ", AllowedElement(field));
          }
          reflection_.SetInt32(given_.get(), field, number);
          break;
        case FieldDescriptor::CPPTYPE_ENUM: {
          const auto* chosen = field->enum_type()->FindValueByName(absl::AsciiStrToUpper(value));
          if (chosen == nullptr) {
            return refuse("'", value, "' is not ", absl::AsciiStrToLower(AllowedElement(field)));
          }
          reflection_.SetEnum(given_.get(), field, chosen);
          break;
        }
        default:
          if (field->is_repeated()) {
            reflection_.AddString(given_.get(), field, value);
          } else {
            reflection_.SetString(given_.get(), field, value);
          }
      }
    }
    return absl::OkStatus();
  }

  void MakeAbsolute(const FieldDescriptor* field) {
    if (field->is_repeated()) {
      for (int i = 0; i < reflection_.FieldSize(message_, field); ++i) {
        reflection_.SetRepeatedString(&message_, field, i,
                                      ResolvePath(reflection_.GetRepeatedString(message_, field, i)));
      }
    } else if (reflection_.HasField(message_, field)) {
      reflection_.SetString(&message_, field, ResolvePath(reflection_.GetString(message_, field)));
    }
  }

  const MessageProgram& program_;
  google::protobuf::Message& message_;
  const google::protobuf::Reflection& reflection_;
  const std::unique_ptr<google::protobuf::Message> given_;
  CLI::App app_;
  std::string config_;
  std::vector<const CLI::Option*> options_;  // of program_.flags, in order
};

}  // namespace

absl::StatusOr<std::string> ParseMessageFlags(int argc, const char* const* argv, const MessageProgram& program,
                                              google::protobuf::Message* message) {
  return Parser(program, message).Parse(argc, argv);
}

}  // namespace cubist

#include "tools/wandb/credentials.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/file_ops.h"
#include "base/status.h"

namespace cubist {
namespace {

constexpr char kDefaultBaseUrl[] = "https://api.wandb.ai";

std::string ValueOf(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : std::string(absl::StripAsciiWhitespace(found->second));
}

absl::StatusOr<WandbMode> ModeOf(const std::string& text) {
  // "run" and "dryrun" are what old versions called the first two.
  if (text.empty() || text == "online" || text == "run") return WandbMode::kOnline;
  if (text == "offline" || text == "dryrun") return WandbMode::kOffline;
  if (text == "disabled") return WandbMode::kDisabled;
  return ConfigError(absl::StrCat("WANDB_MODE is \"", text, "\": it can be online, offline or disabled"));
}

absl::StatusOr<std::string> BaseUrlOf(const std::string& text) {
  if (text.empty()) return std::string(kDefaultBaseUrl);
  std::string url = text;
  while (absl::EndsWith(url, "/")) url.pop_back();
  const size_t scheme = absl::StartsWith(url, "https://") ? 8 : absl::StartsWith(url, "http://") ? 7 : 0;
  if (scheme == 0 || url.size() == scheme || url.find_first_of(" \t\r\n\"\\") != std::string::npos) {
    return ConfigError(
        absl::StrCat("WANDB_BASE_URL is \"", text, "\", which is no address as ", kDefaultBaseUrl, " is"));
  }
  if (url.substr(scheme) == "wandb.ai" || url == "http://api.wandb.ai") {
    return ConfigError(absl::StrCat("WANDB_BASE_URL is \"", text, "\": did you mean ", kDefaultBaseUrl, "?"));
  }
  return url;
}

// The pages of https://api.wandb.ai are at https://wandb.ai, those of https://api.some.where at https://app.some.where,
// and a server with one name has both there.
std::string AppUrlOf(const std::string& base_url) {
  if (absl::StrContains(base_url, "://api.wandb.")) {
    return absl::StrReplaceAll(base_url, {{"://api.wandb.", "://wandb."}});
  }
  return absl::StrReplaceAll(base_url, {{"://api.", "://app."}});
}

std::string HostOf(const std::string& base_url) {
  const size_t begin = base_url.find("://") + 3;
  std::string host = base_url.substr(begin, base_url.find('/', begin) - begin);
  if (const size_t at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
  return host.substr(0, host.find(':'));
}

std::string KeyOf(const Environment& environment, const FileReader& read, const std::string& host) {
  std::string key = ValueOf(environment, "WANDB_API_KEY");
  if (!key.empty()) return key;
  std::vector<std::string> places = {ValueOf(environment, "NETRC")};
  const std::string home = ValueOf(environment, "HOME");
  if (places[0].empty()) places = {home + "/.netrc", home + "/_netrc"};
  for (const std::string& place : places) {
    const std::optional<std::string> text = read(place);
    if (!text.has_value()) continue;
    return NetrcPassword(*text, host).value_or("");
  }
  return "";
}

// Words of a netrc file: separated by white space, or in double quotes, with a backslash before a character that
// stands for itself.
class NetrcWords {
 public:
  explicit NetrcWords(std::string_view text) : text_(text) {}

  std::optional<std::string> Next() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
    if (at_ == text_.size()) return std::nullopt;
    const bool quoted = text_[at_] == '"';
    if (quoted) ++at_;
    std::string word;
    for (; at_ < text_.size(); ++at_) {
      if (quoted ? text_[at_] == '"' : absl::ascii_isspace(text_[at_])) break;
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      word += text_[at_];
    }
    if (quoted && at_ < text_.size()) ++at_;
    return word;
  }
  void SkipLine() { at_ = std::min(text_.find('\n', at_), text_.size()); }
  // A macro ends with an empty line.
  void SkipMacro() { at_ = std::min(text_.find("\n\n", at_), text_.size()); }

 private:
  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::string> ReadFileIfThere(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWholeFile(path, size_t{1} << 20);
  if (!text.ok()) return std::nullopt;
  return *std::move(text);
}

std::optional<std::string> NetrcPassword(std::string_view text, std::string_view host) {
  NetrcWords words(text);
  std::optional<std::string> of_host, of_default;
  std::optional<std::string>* entry = nullptr;  // where a password of the current entry goes
  while (const std::optional<std::string> word = words.Next()) {
    if (*word == "machine") {
      entry = words.Next().value_or("") == host && !of_host.has_value() ? &of_host : nullptr;
    } else if (*word == "default") {
      entry = &of_default;
    } else if (*word == "password") {
      std::string password = words.Next().value_or("");
      if (entry != nullptr) *entry = std::move(password);
    } else if (*word == "login" || *word == "user" || *word == "account") {
      words.Next();
    } else if (*word == "macdef") {
      words.SkipMacro();
    } else if (absl::StartsWith(*word, "#")) {
      words.SkipLine();
    }
  }
  return of_host.has_value() ? of_host : of_default;
}

absl::StatusOr<WandbCredentials> ReadWandbCredentials(const Environment& environment, const FileReader& read) {
  WandbCredentials credentials;
  ASSIGN_OR_RETURN(credentials.mode, ModeOf(ValueOf(environment, "WANDB_MODE")));
  ASSIGN_OR_RETURN(credentials.base_url, BaseUrlOf(ValueOf(environment, "WANDB_BASE_URL")));
  credentials.app_url = AppUrlOf(credentials.base_url);
  credentials.api_key = KeyOf(environment, read, HostOf(credentials.base_url));
  credentials.entity = ValueOf(environment, "WANDB_ENTITY");
  credentials.project = ValueOf(environment, "WANDB_PROJECT");
  credentials.folder = ValueOf(environment, "WANDB_DIR");
  return credentials;
}

absl::Status CheckKeyForServer(const WandbCredentials& credentials) {
  if (!credentials.api_key.empty()) return absl::OkStatus();
  return ConfigError(absl::StrCat("there is no key for Weights & Biases at ", credentials.base_url,
                                  ": set WANDB_API_KEY, or add to ~/.netrc the line \"machine ",
                                  HostOf(credentials.base_url), " login user password KEY\" (the key is at ",
                                  credentials.app_url, "/authorize)"));
}

absl::Status CheckKeyForLogging(const WandbCredentials& credentials) {
  if (credentials.mode != WandbMode::kOnline) return absl::OkStatus();
  const absl::Status status = CheckKeyForServer(credentials);
  return WithMessage(status, absl::StrCat(status.message(), "; or train without it: --logger_type none, or ",
                                          "WANDB_MODE=offline, which keeps the run on this machine for wandb_sync"));
}

}  // namespace cubist

// Where Weights & Biases is and who we are there: what the environment and ~/.netrc say, as its Python package reads
// them.
#ifndef CUBIST_TOOLS_WANDB_CREDENTIALS_H_
#define CUBIST_TOOLS_WANDB_CREDENTIALS_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/training/launch/rendezvous_environment.h"

namespace cubist {

enum class WandbMode { kOnline, kOffline, kDisabled };

struct WandbCredentials {
  WandbMode mode = WandbMode::kOnline;  // WANDB_MODE
  std::string base_url;                 // of the server's interface, WANDB_BASE_URL; no slash at its end
  std::string app_url;                  // of its pages
  std::string api_key;                  // WANDB_API_KEY, else of a netrc file; empty: none was found
  std::string entity;                   // WANDB_ENTITY; empty: the key's own
  std::string project;                  // WANDB_PROJECT; may be empty
  std::string folder;                   // WANDB_DIR: runs are kept in <folder>/wandb; may be empty
};

// The contents of a file; nothing if it is not there or cannot be read.
using FileReader = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> ReadFileIfThere(const std::string& path);

// A variable that is empty counts as not set. The netrc file is $NETRC, else ~/.netrc, else ~/_netrc.
// Errors (ConfigError): a mode or an address that there is not.
absl::StatusOr<WandbCredentials> ReadWandbCredentials(const Environment& environment,
                                                      const FileReader& read = ReadFileIfThere);

// ConfigError if a run that is logged online has no key; it says what else can be done.
absl::Status CheckKeyForLogging(const WandbCredentials& credentials);
// ConfigError if there is no key, whatever the mode: for programs that talk to the server.
absl::Status CheckKeyForServer(const WandbCredentials& credentials);

// The password for `host` in the text of a netrc file: of its "machine" entry, else of "default".
std::optional<std::string> NetrcPassword(std::string_view text, std::string_view host);

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_CREDENTIALS_H_

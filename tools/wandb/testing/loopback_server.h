// loopback_server.py as a process of a test.
#ifndef CUBIST_TOOLS_WANDB_TESTING_LOOPBACK_SERVER_H_
#define CUBIST_TOOLS_WANDB_TESTING_LOOPBACK_SERVER_H_

#include <sys/types.h>

#include <string>

#include "nlohmann/json.hpp"
#include "tools/wandb/credentials.h"

namespace cubist {

// Aborts the test where it does not start.
class LoopbackServer {
 public:
  // `folder`: a new one for what it keeps.
  explicit LoopbackServer(const std::string& folder);
  ~LoopbackServer() { Kill(); }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  // As for a server that is at hand; mode online, with the key that it knows.
  WandbCredentials Credentials() const;
  // Lines "NAME ACTION [COUNT]", from the next request on: see loopback_server.py.
  void SetFaults(const std::string& lines);
  // Before the next request it has this too, as others have put it there: see loopback_server.py.
  void Seed(const nlohmann::json& seed);
  // What it holds, with all that it was sent before this call.
  nlohmann::json State() const;
  // State()["runs"] whose name is `id`; null if there is none.
  nlohmann::json Run(const std::string& id) const;
  // Ends it at once.
  void Kill();
  // After Kill(): a new one, which knows nothing, at the same address.
  void Restart();

 private:
  void Start();
  const std::string folder_;
  std::string port_;
  pid_t pid_ = -1;
};

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_TESTING_LOOPBACK_SERVER_H_

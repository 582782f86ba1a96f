#include "configs/message_loader.h"

#include "base/status.h"
#include "configs/diagnostics.h"
#include "configs/field_rules.h"
#include "configs/layered_config.h"

namespace cubist {

absl::Status LoadMessage(const std::string& path, google::protobuf::Message* message) {
  LayeredConfig config;
  config.message.reset(message->New());
  Diagnostics diagnostics;
  if (!path.empty()) ApplyFile(path, &config, &diagnostics);
  CheckFieldRules(&config, &diagnostics);
  RETURN_IF_ERROR(diagnostics.ToStatus());
  FillDefaults(config.message.get());
  message->CopyFrom(*config.message);
  return absl::OkStatus();
}

}  // namespace cubist

// What every conversation with the server of Weights & Biases begins with.
#ifndef CUBIST_TOOLS_WANDB_WANDB_SETTINGS_H_
#define CUBIST_TOOLS_WANDB_WANDB_SETTINGS_H_

#include "tools/wandb/credentials.h"
#include "wandb/proto/wandb_settings.pb.h"

namespace cubist {

// Address and key. wandb-core has no address of its own.
inline void SetServer(const WandbCredentials& credentials, wandb_internal::Settings* settings) {
  settings->mutable_base_url()->set_value(credentials.base_url);
  settings->mutable_app_url()->set_value(credentials.app_url);
  if (!credentials.api_key.empty()) settings->mutable_api_key()->set_value(credentials.api_key);
  // Without it config, summary and metadata are not uploaded.
  settings->mutable_x_primary()->set_value(true);
}

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_WANDB_SETTINGS_H_

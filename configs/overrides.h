// `--set path.to.field=value`, and flags that stand for a field, laid over the files.
#ifndef CUBIST_CONFIGS_OVERRIDES_H_
#define CUBIST_CONFIGS_OVERRIDES_H_

#include <string>

#include "configs/diagnostics.h"
#include "configs/layered_config.h"

namespace cubist {

// `assignment` is what followed --set: "batch.per_gpu=2", "data.crop_min=[-1, 2, 3]", "data.crop_min=-1,2,3",
// "name=a name", "data.synthesize={ clips: 4 }". Mistakes name the flag.
void ApplySetFlag(const std::string& assignment, LayeredConfig* config, Diagnostics* diagnostics);

// `flag value` ("--data_root", "/data") for the field at `path`; text is taken as it is.
void ApplyFieldFlag(const std::string& flag, const std::string& path, const std::string& value, LayeredConfig* config,
                    Diagnostics* diagnostics);

}  // namespace cubist

#endif  // CUBIST_CONFIGS_OVERRIDES_H_

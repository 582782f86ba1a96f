// A wandb-core of a test, with somebody who talks to it.
#ifndef CUBIST_TOOLS_WANDB_TESTING_CORE_H_
#define CUBIST_TOOLS_WANDB_TESTING_CORE_H_

#include <string>

#include "tools/wandb/core_session.h"

namespace cubist {

using TestCore = CoreSession;

// `folder` is for its files. Aborts the test where it does not start.
TestCore StartTestCore(const std::string& folder);

// Two pixels, 2 wide and 1 high.
std::string TestPng();

}  // namespace cubist

#endif  // CUBIST_TOOLS_WANDB_TESTING_CORE_H_

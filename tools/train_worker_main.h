// One rank of a training run. Started by `train`, which has checked the config, locked the run folder and
// chosen this rank's place (environment variables CUBIST_*); by hand it is a world of its own.
#ifndef CUBIST_TOOLS_TRAIN_WORKER_MAIN_H_
#define CUBIST_TOOLS_TRAIN_WORKER_MAIN_H_

#include "tools/training/loop/run_observer.h"

namespace cubist {

// The program: parses the command line that tools/training/launch makes, runs, and ends the process with the exit code
// (threads of a failed communicator may still wait). `observer`: null, or a test's; outlives the call.
int TrainWorkerMain(int argc, char** argv, RunObserver* observer);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAIN_WORKER_MAIN_H_

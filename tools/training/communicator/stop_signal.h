// Asks a program to stop at its next safe point.
//
// SIGINT, SIGTERM, SIGUSR1 (SLURM's warning before a time limit) and SIGHUP (unless it is ignored, as
// under nohup) set a flag that loops poll. A SIGINT or SIGTERM after another one ends the process at once, by
// that signal; after a warning alone it does not. What arrives within a second of the first is the same request coming
// in twice, as when a terminal or SLURM signals all processes and a parent passes it on. SLURM sends SIGTERM several
// times, and SIGKILL when it wants an end: in its jobs only SIGINT is a second request.
#ifndef CUBIST_TOOLS_TRAINING_COMMUNICATOR_STOP_SIGNAL_H_
#define CUBIST_TOOLS_TRAINING_COMMUNICATOR_STOP_SIGNAL_H_

namespace cubist {

// Installs the handlers of this process and unblocks these signals, which tools/training/launch starts a
// worker with blocked. Call once, early in main, while there is one thread.
void InstallStopSignalHandlers();

// The first stopping signal that came, or 0. Any thread; a relaxed atomic read.
int StopSignal();

inline bool StopRequested() { return StopSignal() != 0; }

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_COMMUNICATOR_STOP_SIGNAL_H_

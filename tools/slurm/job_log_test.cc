#include "tools/slurm/job_log.h"

#include <gtest/gtest.h>

namespace cubist {
namespace {

// As SLURM 22.05 writes them.
std::string Log(const std::string& why) {
  return "slurm_launch: slot 3 of the run goes on from step 22\n"
         "slurmstepd-n1: error: *** JOB 1 ON n1 CANCELLED AT 2026-11-23T06:36:11" +
         why + " ***\nslurm_launch: signal TERM\n";
}

TEST(EndStateInJobLog, SaysWhyTheJobEnds) {
  EXPECT_EQ(EndStateInJobLog(Log(""), 3), "CANCELLED");
  EXPECT_EQ(EndStateInJobLog(Log(" DUE TO TIME LIMIT"), 3), "TIMEOUT");
  EXPECT_EQ(EndStateInJobLog(Log(" DUE TO PREEMPTION"), 3), "PREEMPTED");
  EXPECT_EQ(EndStateInJobLog(Log(" DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS"), 3), "NODE_FAIL");
  EXPECT_EQ(EndStateInJobLog(Log(" DUE TO JOB REQUEUE"), 3), "");
}

TEST(EndStateInJobLog, OfThisSlotAlone) {
  EXPECT_EQ(EndStateInJobLog(Log(" DUE TO TIME LIMIT"), 4), "");
  EXPECT_EQ(EndStateInJobLog(Log(" DUE TO TIME LIMIT") + "slurm_launch: slot 4 of the run goes on from step 30\n", 4),
            "");
  EXPECT_EQ(EndStateInJobLog("", 1), "");
  // The step's own line, and what a run prints, say nothing of the job.
  EXPECT_EQ(EndStateInJobLog("slot 1 of the run \nslurmstepd: error: *** STEP 1.0 ON n1 CANCELLED AT t ***\n"
                             "0: *** JOB 1 ON n1 CANCELLED AT t ***\n",
                             1),
            "");
}

}  // namespace
}  // namespace cubist

#include "tools/training/communicator/testing/rank_threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/status.h"
#include "tools/training/communicator/gloo_communicator.h"
#include "tools/training/launch/launcher.h"

namespace cubist {

void RunRanks(int world_size, const std::function<void(Communicator&)>& body) {
  const absl::StatusOr<ListeningSocket> listening = ListenOnLoopback();
  ASSERT_TRUE(listening.ok()) << listening.status();
  // Torn down when all are done: rank 0's has the store.
  std::vector<std::unique_ptr<Communicator>> communicators(static_cast<size_t>(world_size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      GlooOptions options;
      options.rank = rank;
      options.world_size = world_size;
      options.master_address = "127.0.0.1";
      options.master_port = listening->port;
      options.listen_descriptor = rank == 0 ? listening->descriptor : -1;
      options.deadline = options.meeting_deadline = std::chrono::seconds(60);
      absl::StatusOr<std::unique_ptr<Communicator>> connected = ConnectGloo(options);
      ASSERT_TRUE(connected.ok()) << connected.status();
      communicators[static_cast<size_t>(rank)] = *std::move(connected);
      body(*communicators[static_cast<size_t>(rank)]);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cubist

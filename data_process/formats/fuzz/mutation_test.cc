// Every file of a format's corpus, whole and mutated, is read or refused with a DataError: nothing crashes, hangs, or
// takes more memory than the limits allow.
//
// 1. The files run in a child process that can have little memory and that an alarm ends when one of them takes a
// minute.
// 2. Each is copied into memory that both processes share before it is read.
// 3. Where the child does not end well, the file that it was reading is kept and named: it belongs into the corpus.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "base/file_ops.h"
#include "data_process/formats/format_testing.h"
#include "data_process/formats/fuzz/fuzz_target.h"

namespace cubist {
namespace {

constexpr size_t kMostBytes = size_t{1} << 20;  // of one mutated file
constexpr unsigned kSecondsForOneFile = 60;

struct Seed {
  std::string name;
  std::string bytes;
};

std::vector<Seed> Corpus() {
  std::vector<Seed> seeds;
  for (const auto& entry : std::filesystem::directory_iterator("data_process/formats/fuzz/corpus/" FUZZ_FORMAT)) {
    const auto bytes = ReadWholeFile(entry.path().string());
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (bytes.ok()) seeds.push_back({entry.path().filename().string(), *bytes});
  }
  std::sort(seeds.begin(), seeds.end(), [](const Seed& a, const Seed& b) { return a.name < b.name; });
  EXPECT_GE(seeds.size(), 10u);
  return seeds;
}

bool IsBad(const Seed& seed) { return seed.name.rfind("bad_", 0) == 0; }
bool IsGood(const Seed& seed) { return seed.name.rfind("good_", 0) == 0 || seed.name.rfind("good.", 0) == 0; }

// What the child says of its work.
struct Shared {
  int64_t read = 0;
  int64_t refused = 0;
  char seed[256] = {};  // that the file was made of
  size_t size = 0;      // of the file that is being read
  char bytes[kMostBytes];
};

using Visit = std::function<void(const Seed& seed, std::string_view mutated)>;

// Reads every file that `mutate` makes, in a child process, and records how many were read and refused.
void ReadAll(const std::string& kind, const std::function<void(const Visit&)>& mutate) {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const shared = new (memory) Shared;
  std::fflush(nullptr);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
#ifndef __SANITIZE_ADDRESS__  // which takes memory of its own, and much
    if (!LimitMemory(kFuzzMemoryBytes)) std::_Exit(3);
#endif
    const auto read = [&](const Seed& seed, std::string_view mutated) {
      if (mutated.size() > kMostBytes) mutated = mutated.substr(0, kMostBytes);
      std::snprintf(shared->seed, sizeof(shared->seed), "%s", seed.name.c_str());
      std::memcpy(shared->bytes, mutated.data(), mutated.size());
      shared->size = mutated.size();
      alarm(kSecondsForOneFile);
      ++(FuzzFormat(mutated) ? shared->read : shared->refused);
    };
    // An exception, such as for too little memory, ends the child: it must not go on with the tests.
    [&]() noexcept { mutate(read); }();
    std::_Exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const char* const outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR");
    const std::string path = (outputs == nullptr ? ::testing::TempDir() : outputs) + "/" + kind + "." FUZZ_FORMAT;
    std::ofstream(path, std::ios::binary).write(shared->bytes, static_cast<std::streamsize>(shared->size));
    ADD_FAILURE() << kind << " of " << shared->seed << ", file " << shared->read + shared->refused << ": "
                  << (WIFSIGNALED(status) ? std::string("signal ") + strsignal(WTERMSIG(status))
                                          : "ended with an error")
                  << "; its " << shared->size << " bytes are in " << path;
  }
  ::testing::Test::RecordProperty(kind + "_read", std::to_string(shared->read));
  ::testing::Test::RecordProperty(kind + "_refused", std::to_string(shared->refused));
  std::printf(FUZZ_FORMAT " %s: %ld read, %ld refused\n", kind.c_str(), static_cast<long>(shared->read),
              static_cast<long>(shared->refused));
  munmap(memory, sizeof(Shared));
}

// Readers that take milliseconds for a file look at fewer places.
#ifndef FUZZ_SPARSE
#define FUZZ_SPARSE 1
#endif

// Places of a file that a mutation of it looks at: all of the first and last ones, and some between.
std::vector<size_t> Places(size_t size, size_t first, size_t last, size_t between, std::mt19937& random) {
  first /= FUZZ_SPARSE;
  last /= FUZZ_SPARSE;
  between /= FUZZ_SPARSE;
  std::vector<size_t> places;
  for (size_t at = 0; at < size; ++at) {
    if (at < first || size - at <= last) places.push_back(at);
  }
  if (size > first + last) {
    for (size_t i = 0; i < between; ++i) places.push_back(first + random() % (size - first - last));
  }
  return places;
}

TEST(MutationTest, FilesAsTheyAre) {
  const std::vector<Seed> seeds = Corpus();
  ReadAll("whole", [&](const Visit& visit) {
    for (const Seed& seed : seeds) visit(seed, seed.bytes);
  });
  for (const Seed& seed : seeds) {
    if (!IsBad(seed) && !IsGood(seed)) continue;
    EXPECT_EQ(FuzzFormat(seed.bytes), IsGood(seed)) << seed.name;
  }
}

TEST(MutationTest, TruncatedFiles) {
  const std::vector<Seed> seeds = Corpus();
  ReadAll("truncated", [&](const Visit& visit) {
    std::mt19937 random(1);
    for (const Seed& seed : seeds) {
      for (const size_t size : Places(seed.bytes.size(), IsBad(seed) ? 256 : 4096, 256, 256, random)) {
        visit(seed, std::string_view(seed.bytes).substr(0, size));
      }
    }
  });
}

TEST(MutationTest, FlippedBits) {
  const std::vector<Seed> seeds = Corpus();
  ReadAll("flipped", [&](const Visit& visit) {
    std::mt19937 random(2);
    for (const Seed& seed : seeds) {
      std::string bytes = seed.bytes;
      for (const size_t at :
           Places(8 * bytes.size(), IsBad(seed) ? 0 : 8 * 1024, IsBad(seed) ? 0 : 8 * 64, 500, random)) {
        bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << at % 8));
        visit(seed, bytes);
        bytes[at / 8] = seed.bytes[at / 8];
      }
      // Several at once.
      for (int i = 0; i < 200 && !bytes.empty(); ++i) {
        bytes = seed.bytes;
        for (size_t flips = 2 + random() % 8; flips > 0; --flips) {
          const size_t at = random() % (8 * bytes.size());
          bytes[at / 8] = static_cast<char>(bytes[at / 8] ^ (1 << at % 8));
        }
        visit(seed, bytes);
      }
    }
  });
}

// Sizes, counts and offsets wherever they may stand: zero, the largest and the smallest of 8 to 64 bits, in both byte
// orders, and in decimal and octal digits.
TEST(MutationTest, ExtremeNumbers) {
  std::vector<std::string> numbers = {"99999999999",         "-1",         "77777777777", "18446744073709551615",
                                      "9223372036854775807", "4294967296", "1e300"};
  for (const size_t width : {1, 2, 4, 8}) {
    numbers.push_back(std::string(width, '\0'));
    numbers.push_back(std::string(width, '\xff'));
    for (const bool big_endian : {false, true}) {
      std::string largest(width, '\xff'), smallest(width, '\0'), one(width, '\0');
      largest[big_endian ? 0 : width - 1] = '\x7f';
      smallest[big_endian ? 0 : width - 1] = '\x80';
      one[big_endian ? width - 1 : 0] = 1;
      numbers.insert(numbers.end(), {largest, smallest, one});
    }
  }
  const std::vector<Seed> seeds = Corpus();
  ReadAll("numbers", [&](const Visit& visit) {
    std::mt19937 random(3);
    for (const Seed& seed : seeds) {
      for (const size_t at : Places(seed.bytes.size(), IsBad(seed) ? 0 : 640, IsBad(seed) ? 0 : 64, 20, random)) {
        for (const std::string& number : numbers) {
          if (number.size() > seed.bytes.size() - at) continue;
          std::string bytes = seed.bytes;
          visit(seed, bytes.replace(at, number.size(), number));
        }
      }
    }
  });
}

// Parts that occur twice, are missing, stand elsewhere, or come from another file.
TEST(MutationTest, MovedParts) {
  const std::vector<Seed> seeds = Corpus();
  ReadAll("moved", [&](const Visit& visit) {
    std::mt19937 random(4);
    const auto part = [&random](const std::string& bytes) {
      const size_t at = random() % (bytes.size() + 1);
      const size_t most = bytes.size() - at;
      return std::make_pair(at,
                            most == 0 ? 0 : random() % (random() % 2 == 0 ? most + 1 : std::min<size_t>(most, 16) + 1));
    };
    for (const Seed& seed : seeds) {
      for (int i = 0; i < 500; ++i) {
        std::string bytes = seed.bytes;
        const auto [at, size] = part(bytes);
        const std::string& source = i % 4 == 3 ? seeds[random() % seeds.size()].bytes : seed.bytes;
        const auto [from, length] = part(source);
        if (i % 4 == 0) bytes.erase(at, size);
        if (i % 4 == 1) bytes.insert(at, bytes.substr(at, size));
        if (i % 4 == 2) bytes.replace(at, std::min(length, bytes.size() - at), source.substr(from, length));
        if (i % 4 == 3) bytes.replace(at, size, source.substr(from, length));
        visit(seed, bytes);
      }
    }
  });
}

}  // namespace
}  // namespace cubist

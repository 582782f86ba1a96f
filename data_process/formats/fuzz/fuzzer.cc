// libFuzzer's entry to FuzzFormat. Without files or folders on the command line it starts from the format's corpus and
// keeps new inputs in fuzz/FORMAT under the folder the user stands in, and what fails as fuzz/FORMAT-crash-... .
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "data_process/formats/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::vector<std::string> arguments(*argv, *argv + *argc);
  bool inputs = false;
  for (size_t i = 1; i < arguments.size(); ++i) inputs = inputs || arguments[i].substr(0, 1) != "-";
  // `bazel run` starts a program in its runfiles and says where the user is.
  const char* const user_folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (inputs && user_folder != nullptr) std::filesystem::current_path(user_folder);
  if (!inputs) {
    const std::filesystem::path corpus = std::filesystem::absolute("data_process/formats/fuzz/corpus/" FUZZ_FORMAT);
    const std::filesystem::path found =
        std::filesystem::path(user_folder == nullptr ? "." : user_folder) / "fuzz" / FUZZ_FORMAT;
    std::filesystem::create_directories(found);
    // Before the user's own flags, of which the last counts.
    arguments.insert(arguments.begin() + 1, "-artifact_prefix=" + found.string() + "-");
    arguments.push_back(found.string());
    arguments.push_back(corpus.string());
  }
  static std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  *argc = static_cast<int>(arguments.size());
  *argv = pointers.data();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  cubist::FuzzFormat(std::string_view(reinterpret_cast<const char*>(bytes), size));
  return 0;
}

// Counts in messages.
#ifndef CUBIST_BASE_COUNT_OF_H_
#define CUBIST_BASE_COUNT_OF_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace cubist {

// "1 clip", "2 clips". `noun` takes an s for more than one.
inline std::string CountOf(uint64_t count, std::string_view noun) {
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

}  // namespace cubist

#endif  // CUBIST_BASE_COUNT_OF_H_

// Bytes that pass by in pieces.
#ifndef CUBIST_BASE_BYTE_SINK_H_
#define CUBIST_BASE_BYTE_SINK_H_

#include <functional>
#include <string_view>

#include "absl/status/status.h"

namespace cubist {

// Takes bytes in order, in pieces of any size. An error ends whoever gives them.
using ByteSink = std::function<absl::Status(std::string_view bytes)>;

// Gives all bytes of something to a sink; the same ones whenever it is called. An error may come after bytes that are
// wrong: what was made of them is to be thrown away then.
using ByteStream = std::function<absl::Status(const ByteSink& sink)>;

}  // namespace cubist

#endif  // CUBIST_BASE_BYTE_SINK_H_

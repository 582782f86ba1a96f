// How numbers, names and checkpoints are written for people and for programs, the same in all that is said of them.
#ifndef CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_TEXT_H_
#define CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "nlohmann/json.hpp"
#include "tools/interchange/any_checkpoint.h"

namespace cubist {

// Text out of a file as it may stand on a terminal: control and non-ASCII bytes escaped.
std::string Escaped(std::string_view text);
// The same of at most `length` bytes, with "..." for the rest.
std::string Shortened(std::string_view text, size_t length);

std::string CountText(int64_t count);                                  // "1,234,567"
std::string BytesText(uint64_t bytes);                                 // "78.4 MB", "1.2 kB", "16 B"
std::string NumberText(double number);                                 // "0.00123": three digits
std::string TensorsText(int64_t count);                                // "1 tensor", "321 tensors"
std::string TypeText(DType dtype, const std::vector<int64_t>& shape);  // "float32 512x512x3", "int64 scalar"
std::string TimeText(double seconds);                                  // "2026-01-31 12:00:00 UTC"
std::string ShortIdentity(std::string_view identity);                  // its first 12 digits

// "Lightning 1.9.4, step 6250, a1b2c3d4e5f6"; for a parent also what it gave.
std::string OneLine(const CheckpointDescription& description);
std::string OneLine(const checkpoint::Parent& parent);

using Json = nlohmann::ordered_json;
// Everything but the tensors and the text of the config.
Json DescriptionJson(const CheckpointDescription& description);
// As a file: indented, text that is no UTF-8 replaced.
std::string JsonText(const Json& json);

}  // namespace cubist

#endif  // CUBIST_TOOLS_INTERCHANGE_CHECKPOINT_TEXT_H_

// The two hashes of a checkpoint: XXH3-128 for damage, SHA-256 for identity.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_HASHES_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_HASHES_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace cubist {

// 32 lower-case hexadecimal digits in canonical order: what xxh128sum prints.
std::string Xxh3Hex(const void* bytes, size_t size);

// 32 bytes.
std::string Sha256(std::string_view bytes);
// 64 lower-case hexadecimal digits: what sha256sum prints.
std::string Sha256Hex(std::string_view bytes);

// Two lower-case hexadecimal digits a byte.
std::string ToHex(std::string_view bytes);
// Whether `text` is `digits` lower-case hexadecimal digits.
bool IsHex(std::string_view text, size_t digits);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_HASHES_H_

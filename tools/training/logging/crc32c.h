// CRC32C (Castagnoli), RFC 3720 appendix B.4, and its masked form in TensorFlow's record files.
#ifndef CUBIST_TOOLS_TRAINING_LOGGING_CRC32C_H_
#define CUBIST_TOOLS_TRAINING_LOGGING_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace cubist {

uint32_t Crc32c(std::string_view bytes);

// Rotated right by 15 bits plus a constant, so that the CRC of bytes that hold CRCs is a good one
// (TensorFlow, core/lib/hash/crc32c.h).
uint32_t MaskedCrc32c(std::string_view bytes);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_LOGGING_CRC32C_H_

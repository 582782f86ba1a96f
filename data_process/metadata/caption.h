// Captions as generate_caption writes them, and the prompts of metadata.csv that they become.
#ifndef CUBIST_DATA_PROCESS_METADATA_CAPTION_H_
#define CUBIST_DATA_PROCESS_METADATA_CAPTION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace cubist {

// What every prompt begins with, by the letter as the video model was trained with it.
inline constexpr std::string_view kPromptPrefix = "This video is capture by a camera mounted on a vehicle. ";

// The caption in a JSON object: the value of "weather", else of the first key in the file; empty for an empty object.
// `what` names the file in messages. Errors: DataError: not JSON in UTF-8 (ParseJson, at most 1 MiB), no object, a
// value that is no text or holds a NUL character.
absl::StatusOr<std::string> ParseCaption(std::string_view json, std::string_view what);

}  // namespace cubist

#endif  // CUBIST_DATA_PROCESS_METADATA_CAPTION_H_

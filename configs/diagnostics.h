// What is wrong with a config, collected and rendered for people:
//
//   2 mistakes in the config
//
//   configs/vae.textproto:12:3: voxel_vae has no field "bas_channels"
//      12 |   bas_channels: 64
//         |   ^~~~~~~~~~~~
//     did you mean base_channels?
//     base_channels: Channels of the finest level; they double at each coarser one. (...)
#ifndef CUBIST_CONFIGS_DIAGNOSTICS_H_
#define CUBIST_CONFIGS_DIAGNOSTICS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "configs/source_text.h"

namespace cubist {

struct Diagnostic {
  Place place;                     // what the caret points at; an empty extent: the text as a whole
  std::string message;             // names the field by its path and says what is wrong
  std::vector<std::string> notes;  // the way out, one a line
};

std::string RenderDiagnostic(const Diagnostic& diagnostic);

// Collects; reports in the order of files as first met, and by position within each.
class Diagnostics {
 public:
  void Add(Place place, std::string message, std::vector<std::string> notes = {});
  bool empty() const { return diagnostics_.empty(); }
  size_t size() const { return diagnostics_.size(); }
  const std::vector<Diagnostic>& all() const { return diagnostics_; }
  // OK without any, else one ConfigError with all of them. It is one line where all there is to say is that the file
  // that was asked for is none.
  absl::Status ToStatus() const;

 private:
  std::vector<Diagnostic> diagnostics_;
};

}  // namespace cubist

#endif  // CUBIST_CONFIGS_DIAGNOSTICS_H_

#include "data_process/formats/json.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data_process/formats/bytes.h"

namespace cubist {
namespace {

using nlohmann::json;

// Builds the value from the library's parse events, which report errors without exceptions, and
// stops at the first repeated key or exceeded limit.
class Builder {
 public:
  Builder(const std::string& what, const JsonLimits& limits) : what_(what), limits_(limits) {}

  const absl::Status& status() const { return status_; }
  json TakeRoot() { return std::move(root_); }

  // The interface that nlohmann::json::sax_parse calls; false stops it.
  bool null() { return Add(nullptr); }
  bool boolean(bool value) { return Add(value); }
  bool number_integer(json::number_integer_t value) { return Add(value); }
  bool number_unsigned(json::number_unsigned_t value) { return Add(value); }
  bool number_float(json::number_float_t value, const std::string&) { return Add(value); }
  bool string(std::string& value) { return Add(std::move(value)); }
  bool binary(json::binary_t&) { return Fail("binary values are no JSON"); }
  bool start_object(size_t) { return Open(json::object()); }
  bool key(std::string& name) {
    const auto [place, added] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!added) return Fail(absl::StrCat("key ", Quoted(name), " occurs twice in one object"));
    member_ = &place->second;
    return true;
  }
  bool end_object() { return Close(); }
  bool start_array(size_t) { return Open(json::array()); }
  bool end_array() { return Close(); }
  template <typename Exception>
  bool parse_error(size_t position, const std::string& token, const Exception& error) {
    // What the library adds in brackets is the error's number.
    const std::string text = error.what();
    const size_t bracket = text.find("] ");
    const std::string reason = bracket == std::string::npos ? text : text.substr(bracket + 2);
    return Fail(absl::StrCat("at offset ", position, " near ", Quoted(token), ": ", Printable(reason)));
  }

 private:
  bool Fail(const std::string& message) {
    status_ = DataError(absl::StrCat(what_, ": JSON: ", message));
    return false;
  }
  json* Place(json&& value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->get_ref<json::array_t&>().push_back(std::move(value));
      return &open_.back()->back();
    }
    *member_ = std::move(value);
    return member_;
  }
  bool Count() {
    if (++values_ <= limits_.max_values) return true;
    return Fail(absl::StrCat("more than the limit of ", limits_.max_values, " values"));
  }
  bool Add(json&& value) {
    if (!Count()) return false;
    Place(std::move(value));
    return true;
  }
  bool Open(json&& container) {
    if (!Count()) return false;
    if (open_.size() >= static_cast<size_t>(limits_.max_depth)) {
      return Fail(absl::StrCat("nested deeper than the limit of ", limits_.max_depth));
    }
    // Stays valid: while a container is open, nothing is added to the one around it.
    open_.push_back(Place(std::move(container)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  const std::string& what_;
  const JsonLimits& limits_;
  absl::Status status_;
  json root_;
  std::vector<json*> open_;
  json* member_ = nullptr;
  size_t values_ = 0;
};

}  // namespace

absl::StatusOr<json> ParseJson(std::string_view bytes, std::string_view what_view, const JsonLimits& limits) {
  const std::string what(what_view);
  if (bytes.size() > limits.max_bytes) {
    return DataError(
        absl::StrCat(what, ": JSON of ", bytes.size(), " bytes is more than the limit of ", limits.max_bytes));
  }
  Builder builder(what, limits);
  const bool parsed = json::sax_parse(bytes.begin(), bytes.end(), &builder);
  RETURN_IF_ERROR(builder.status());
  if (!parsed) return InternalError(absl::StrCat(what, ": JSON: the parser stopped without a reason"));
  return builder.TakeRoot();
}

}  // namespace cubist

// The two hashes of a checkpoint: XXH3-128 for damage, SHA-256 for identity.
#ifndef CUBIST_TOOLS_TRAINING_CHECKPOINT_HASHES_H_
#define CUBIST_TOOLS_TRAINING_CHECKPOINT_HASHES_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace cubist {

// 32 lower-case hexadecimal digits in canonical order: what xxh128sum prints.
std::string Xxh3Hex(const void* bytes, size_t size);

// The same for bytes that pass by in pieces.
class Xxh3Hasher {
 public:
  Xxh3Hasher();
  ~Xxh3Hasher();
  Xxh3Hasher(const Xxh3Hasher&) = delete;
  Xxh3Hasher& operator=(const Xxh3Hasher&) = delete;
  void Add(std::string_view bytes);
  std::string Hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// 32 bytes.
std::string Sha256(std::string_view bytes);
// 64 lower-case hexadecimal digits: what sha256sum prints.
std::string Sha256Hex(std::string_view bytes);

// The same for bytes that pass by in pieces.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;
  void Add(std::string_view bytes);
  // Of all that was added; nothing may be added after it.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Two lower-case hexadecimal digits a byte.
std::string ToHex(std::string_view bytes);
// Whether `text` is `digits` lower-case hexadecimal digits.
bool IsHex(std::string_view text, size_t digits);

}  // namespace cubist

#endif  // CUBIST_TOOLS_TRAINING_CHECKPOINT_HASHES_H_

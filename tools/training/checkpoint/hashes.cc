#include "tools/training/checkpoint/hashes.h"

// The functions in its place drag in half of libcrypto when it is linked statically.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <xxhash.h>

namespace cubist {

namespace {

std::string Hex(const XXH128_hash_t& hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return ToHex(std::string_view(reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)));
}

}  // namespace

std::string Xxh3Hex(const void* bytes, size_t size) { return Hex(XXH3_128bits(bytes, size)); }

struct Xxh3Hasher::State {
  XXH3_state_t* xxh3 = XXH3_createState();
  ~State() { XXH3_freeState(xxh3); }
};

Xxh3Hasher::Xxh3Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->xxh3); }
Xxh3Hasher::~Xxh3Hasher() = default;
void Xxh3Hasher::Add(std::string_view bytes) { XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size()); }
std::string Xxh3Hasher::Hex() const { return cubist::Hex(XXH3_128bits_digest(state_->xxh3)); }

std::string Sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

std::string Sha256Hex(std::string_view bytes) { return ToHex(Sha256(bytes)); }

struct Sha256Hasher::State {
  SHA256_CTX context;
};

Sha256Hasher::Sha256Hasher() : state_(std::make_unique<State>()) { SHA256_Init(&state_->context); }
Sha256Hasher::~Sha256Hasher() = default;
void Sha256Hasher::Add(std::string_view bytes) { SHA256_Update(&state_->context, bytes.data(), bytes.size()); }
std::string Sha256Hasher::Hex() {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256_Final(reinterpret_cast<unsigned char*>(digest.data()), &state_->context);
  return ToHex(digest);
}

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace cubist

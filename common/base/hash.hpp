#pragma once
// XXH3-128 (xxhash wall) for block keys and model ids; not for secrets.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/base/ids.hpp"

namespace troupe {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

[[nodiscard]] Hash128 xxh3_128(std::span<const std::byte> bytes);
[[nodiscard]] std::uint64_t xxh3_64(std::span<const std::byte> bytes);

/// Feeds fields one after another; each is fed with its length, so ("ab","c") differs from ("a","bc").
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& bytes(std::span<const std::byte> data);
  Hasher& text(std::string_view data);
  Hasher& number(std::uint64_t value);
  template <class Tag>
  Hasher& id(const Id128<Tag>& value) {
    return number(value.high).number(value.low);
  }
  template <class Id>
  [[nodiscard]] Id finish() const {
    const Hash128 h = digest();
    return Id{h.high, h.low};
  }

 private:
  [[nodiscard]] Hash128 digest() const;
  void* state_;
};

}  // namespace troupe

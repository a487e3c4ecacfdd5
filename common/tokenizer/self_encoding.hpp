#pragma once
// Remembers which tokens come out whole when their own text is encoded, as nearly all do: such a word needs
// one lookup and no merging. Found out at a token's first use; racing threads find the same answer, so
// relaxed atomics do.
#include <atomic>
#include <cstdint>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe {

class SelfEncoding {
 public:
  explicit SelfEncoding(std::size_t tokens) : state_(tokens) {}

  /// `encodes_to_itself()` is asked at most a few times per token.
  template <class Test>
  [[nodiscard]] bool holds(TokenId id, const Test& encodes_to_itself) const {
    std::atomic<std::uint8_t>& state = state_[static_cast<std::size_t>(id)];
    std::uint8_t known = state.load(std::memory_order_relaxed);
    if (known == kUnknown) {
      known = encodes_to_itself() ? kYes : kNo;
      state.store(known, std::memory_order_relaxed);
    }
    return known == kYes;
  }

 private:
  static constexpr std::uint8_t kUnknown = 0, kYes = 1, kNo = 2;
  mutable std::vector<std::atomic<std::uint8_t>> state_;
};

}  // namespace troupe

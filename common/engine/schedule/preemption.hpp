#pragma once
// How a sequence gives way: its pages are copied to host memory and back, or dropped and computed again, whichever costs less
// time [Kwon et al. 2023, arXiv:2309.06180, section 4.5, compares the two; the choice by measured costs is ours].
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "common/base/clock.hpp"
#include "common/engine/schedule/policy.hpp"
#include "common/engine/schedule/step_time_model.hpp"

namespace troupe::engine {

/// Host memory for pages of sequences that wait. Threads: one owner. Must outlive its buffers.
class SwapStore {
 public:
  explicit SwapStore(std::uint64_t capacity_bytes) : capacity_(capacity_bytes) {}
  SwapStore(const SwapStore&) = delete;
  SwapStore& operator=(const SwapStore&) = delete;

  /// Gives its memory back when it goes.
  class Buffer {
   public:
    Buffer(Buffer&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)), bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
      std::swap(store_, other.store_);
      std::swap(bytes_, other.bytes_);
      std::swap(size_, other.size_);
      return *this;
    }
    ~Buffer() {
      if (store_ != nullptr) store_->used_ -= size_;
    }
    [[nodiscard]] std::span<std::byte> bytes() { return {bytes_.get(), size_}; }

   private:
    friend class SwapStore;
    Buffer(SwapStore& store, std::size_t size)
        : store_(&store), bytes_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {
      store.used_ += size;
    }
    SwapStore* store_;
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_;
  };

  /// None when that much is not left.
  [[nodiscard]] std::optional<Buffer> take(std::size_t size) {
    if (size > capacity_ - used_) return std::nullopt;
    return Buffer(*this, size);
  }
  [[nodiscard]] std::uint64_t used() const { return used_; }

 private:
  std::uint64_t capacity_, used_ = 0;
};

/// Threads: one owner.
class PreemptionCost {
 public:
  explicit PreemptionCost(PreemptionPolicy policy) : policy_(policy) {}

  /// Whether `tokens` computed tokens in `bytes` of pages are swapped rather than dropped; prompts are computed in steps of
  /// `rows`. automatic drops while the step model knows nothing. Departs from an exact count: what the prefix cache will
  /// still hold when the sequence comes back is not known, and counts as gone.
  [[nodiscard]] bool swaps(std::uint32_t tokens, std::uint64_t bytes, std::uint32_t rows, const StepTimeModel& steps) const;
  [[nodiscard]] double recompute_seconds(std::uint32_t tokens, std::uint32_t rows, const StepTimeModel& steps) const;
  [[nodiscard]] double swap_seconds(std::uint64_t bytes) const { return 2 * static_cast<double>(bytes) / bytes_per_second_; }
  /// A copy of pages, either way, was measured.
  void copied(std::uint64_t bytes, Duration time);

 private:
  PreemptionPolicy policy_;
  double bytes_per_second_ = 2e9;  // until measured: below what any machine of today copies
};

}  // namespace troupe::engine

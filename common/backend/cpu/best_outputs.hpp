#pragma once
// What one thread keeps of the rows of linear_best() while outputs come and go, a group of panels at a time.
//
// A list takes every output that reaches its floor; when it is full, all but the best are dropped and the floor rises to the
// last of these, so a row costs one comparison an output and few others. The order of outputs is strict and total: which
// thread saw what cannot show in what is left after the lists of all threads are put together.
#include <cstdint>
#include <span>
#include <vector>

#include "common/backend/backend.hpp"
#include "common/backend/cpu/kernels.hpp"

namespace troupe::backend::cpu {

[[nodiscard]] inline bool better(const Scored& a, const Scored& b) {
  return a.value != b.value ? a.value > b.value : a.id < b.id;
}

/// One thread's lists of all rows, and the outputs of the group at hand. Keeps the memory it has grown to.
class BestLists {
 public:
  /// Empty lists for `keep` per row; groups are of `cols` outputs at most.
  void begin(std::span<const std::int32_t> keep, std::uint32_t cols);
  /// Where the group's outputs of row 0 go; those of the others follow `cols` apart.
  [[nodiscard]] float* group() { return group_.data(); }
  /// Takes what the best of row `row` may be of `count` outputs, numbered from `first`.
  void offer(const Kernels& kernels, std::uint32_t row, const float* outputs, std::uint32_t count, std::int32_t first);
  [[nodiscard]] std::span<const Scored> list(std::uint32_t row) const {
    return {items_.data() + rows_[row].begin, rows_[row].size};
  }

 private:
  struct Row {
    std::size_t begin = 0;
    std::uint32_t keep = 0;
    std::uint32_t room = 0;
    std::uint32_t size = 0;
    float floor = 0.0F;
  };
  void drop_worst(Row& row);

  std::vector<float> group_;
  std::vector<Scored> items_;
  std::vector<Row> rows_;
};

}  // namespace troupe::backend::cpu

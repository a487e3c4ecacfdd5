#pragma once
// What the machine itself can do, measured beside a model's speed so that a figure can be given as a share of it: bytes a
// second read from memory, and integer multiply-adds a second of the instruction set in use. Both with the threads the
// backend would have; nothing that computes on the same weights can be faster than these allow.
#include <cstddef>
#include <memory>

#include "common/backend/backend.hpp"

namespace troupe::backend {

class LimitProbe {
 public:
  virtual ~LimitProbe() = default;
  /// Bytes a second, reading the whole buffer as often as fits into a tenth of a second (at least once).
  [[nodiscard]] virtual double read_bandwidth() = 0;
  /// 8-bit integer multiply-adds a second, from registers; a tenth of a second.
  [[nodiscard]] virtual double multiply_adds() = 0;
};

/// `buffer_bytes`: as large as the packed weights, or caches would flatter the figure.
/// Errors: invalid_argument when the machine lacks the instruction set, does_not_fit.
/// Threads: one. Cost: the buffer, until it is destroyed.
[[nodiscard]] Expected<std::unique_ptr<LimitProbe>> make_cpu_limit_probe(const CpuOptions& options, std::size_t buffer_bytes);

}  // namespace troupe::backend

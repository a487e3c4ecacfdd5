#pragma once
// A backend that passes every op on to another and counts: where a step's time goes, which weights it read and how many
// multiply-adds it made. What a step takes beyond its ops is the engine's overhead.
#include <array>
#include <memory>
#include <set>
#include <string_view>

#include "common/backend/backend.hpp"

namespace troupe::bench {

/// Ops by what they are for.
enum class OpKind : std::uint8_t { products, attention, rows, copies };
inline constexpr std::size_t kOpKinds = 4;
[[nodiscard]] std::string_view op_kind_name(OpKind kind);

struct OpCounts {
  std::array<double, kOpKinds> seconds{};
  std::uint64_t ops = 0;
  double multiply_adds = 0;     ///< of products: rows * N * K
  std::size_t weight_bytes = 0;  ///< packed, of the matrices read, each once
  [[nodiscard]] double total_seconds() const { return seconds[0] + seconds[1] + seconds[2] + seconds[3]; }
};

/// Counts are kept between reset() and counts(). Threads: one, as for a stream.
class TimedBackend : public backend::Backend {
 public:
  virtual void reset() = 0;
  [[nodiscard]] virtual OpCounts counts() const = 0;
};

[[nodiscard]] std::shared_ptr<TimedBackend> make_timed_backend(std::unique_ptr<backend::Backend> inner);

}  // namespace troupe::bench

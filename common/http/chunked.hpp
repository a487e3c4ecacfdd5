#pragma once
// The chunked transfer coding (RFC 9112, section 7.1), fed in pieces of any size.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.hpp"

namespace troupe {

class ChunkedDecoder {
 public:
  /// The body bytes in `bytes`; what comes after the last chunk's trailer is ignored. Errors: wire_malformed.
  [[nodiscard]] Expected<std::string> feed(std::string_view bytes);
  [[nodiscard]] bool finished() const { return state_ == State::finished; }

 private:
  enum class State : std::uint8_t { size_line, data, data_end, trailer, finished };
  [[nodiscard]] Expected<void> end_size_line();
  State state_ = State::size_line;
  std::string line_;
  std::uint64_t left_ = 0;
};

}  // namespace troupe

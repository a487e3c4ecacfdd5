#pragma once
// A multipart/form-data body (RFC 7578) read as it arrives. Keeps no more than a delimiter, one part's head
// and short fields.
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "services/gateway/http_errors.hpp"

namespace troupe::gateway {

/// The boundary that a Content-Type names. Errors: unsupported_media_type, invalid_value.
[[nodiscard]] Parsed<std::string> multipart_boundary(std::string_view content_type);

struct MultipartLimits {
  std::size_t parts = 16;
  std::size_t head_bytes = 8U << 10;   ///< of one part
  std::size_t field_bytes = 4U << 10;  ///< of a part that is no file
};

class MultipartReader {
 public:
  struct Handler {
    /// A field without a file name, whole.
    std::function<Parsed<void>(std::string name, std::string value)> field;
    /// A file begins. Its name is what the client wrote.
    std::function<Parsed<void>(std::string name, std::string filename)> file;
    /// Bytes of the file that began last.
    std::function<Parsed<void>(std::string_view bytes)> data;
  };

  MultipartReader(std::string boundary, Handler handler, MultipartLimits limits = {});

  /// Reads on; after an error nothing is read any more. Errors: malformed_multipart, and the handler's.
  [[nodiscard]] Parsed<void> feed(std::string_view bytes);
  /// The closing delimiter has been read; what follows is no part of the form.
  [[nodiscard]] bool ended() const { return state_ == State::ended; }

 private:
  enum class State : std::uint8_t { preamble, delimiter, head, field, file, ended };

  [[nodiscard]] Parsed<bool> read_some();
  [[nodiscard]] Parsed<bool> read_preamble();
  [[nodiscard]] Parsed<bool> read_delimiter();
  [[nodiscard]] Parsed<bool> read_head();
  [[nodiscard]] Parsed<bool> read_content();
  [[nodiscard]] Parsed<void> begin_part(std::string_view head);
  [[nodiscard]] Parsed<void> take_content(std::string_view bytes);

  const std::string delimiter_;  ///< CRLF "--" boundary
  const Handler handler_;
  const MultipartLimits limits_;
  State state_ = State::preamble;
  std::string waiting_;  ///< read, not yet understood
  std::string name_, value_;
  std::size_t parts_ = 0;
};

}  // namespace troupe::gateway

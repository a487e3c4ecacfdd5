#pragma once
// The one error type. Expected<T> for what a caller can act on; TROUPE_CHECK for a programmer's fault.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace troupe {

/// Numbers, texts, HTTP statuses and retry classes: common/base/error_codes.def.
enum class Errc : std::uint16_t {
#define X(name, number, http, retry, sentence) name = number,
#include "common/base/error_codes.def"
#undef X
};

enum class Retry : std::uint8_t { never, later, elsewhere };

struct Error {
  Errc code = Errc::internal;
  std::string detail;  ///< what was found and what was expected, for a person
  std::uint32_t retry_after_ms = 0;  ///< when trying again is predicted to succeed; 0: not said
};

template <class T>
using Expected = tl::expected<T, Error>;

[[nodiscard]] std::string_view name(Errc code);      ///< "queue_full"; "unknown" for a number outside the table
[[nodiscard]] std::string_view sentence(Errc code);  ///< when it occurs
[[nodiscard]] int http_status(Errc code);
[[nodiscard]] Retry retry_class(Errc code);
[[nodiscard]] std::optional<Errc> errc_from_number(std::uint16_t number);
/// "queue_full: decode-0 holds 64 of 64 requests"
[[nodiscard]] std::string to_string(const Error& error);

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string detail = {}) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line, std::string_view message);
}

/// Ends the process with the place and the message when `condition` is false: for invariants, never for input.
#define TROUPE_CHECK(condition, message)                                              \
  do {                                                                                \
    if (!(condition)) ::troupe::detail::check_failed(#condition, __FILE__, __LINE__, message); \
  } while (false)

/// Returns the error of an Expected from the enclosing function.
#define TROUPE_TRY(expression)                                                  \
  do {                                                                          \
    if (auto&& troupe_try_result = (expression); !troupe_try_result)            \
      return ::tl::unexpected<::troupe::Error>(std::move(troupe_try_result.error())); \
  } while (false)

}  // namespace troupe

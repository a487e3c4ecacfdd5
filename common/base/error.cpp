#include "common/base/error.hpp"

#include <cstdio>
#include <cstdlib>

namespace troupe {
namespace {

struct Row {
  Errc code;
  std::string_view name;
  int http;
  Retry retry;
  std::string_view sentence;
};

constexpr Row kRows[] = {
#define X(name, number, http, retry, sentence) {Errc::name, #name, http, Retry::retry, sentence},
#include "common/base/error_codes.def"
#undef X
};

const Row* find(Errc code) {
  for (const Row& row : kRows)
    if (row.code == code) return &row;
  return nullptr;
}

}  // namespace

std::string_view name(Errc code) {
  const Row* row = find(code);
  return row ? row->name : "unknown";
}

std::string_view sentence(Errc code) {
  const Row* row = find(code);
  return row ? row->sentence : "An error of a newer version.";
}

int http_status(Errc code) {
  const Row* row = find(code);
  return row ? row->http : 500;
}

Retry retry_class(Errc code) {
  const Row* row = find(code);
  return row ? row->retry : Retry::never;
}

std::optional<Errc> errc_from_number(std::uint16_t number) {
  if (find(static_cast<Errc>(number)) == nullptr) return std::nullopt;
  return static_cast<Errc>(number);
}

std::string to_string(const Error& error) {
  std::string text(name(error.code));
  if (!error.detail.empty()) text.append(": ").append(error.detail);
  return text;
}

namespace detail {
void check_failed(const char* condition, const char* file, int line, std::string_view message) {
  std::fprintf(stderr, "troupe: check failed: %s at %s:%d: %.*s\n", condition, file, line,
               static_cast<int>(message.size()), message.data());
  std::abort();
}
}  // namespace detail

}  // namespace troupe

#include "services/gateway/batches/multipart.hpp"

#include <algorithm>
#include <utility>

namespace troupe::gateway {
namespace {

constexpr std::size_t kLongestBoundary = 70;  // RFC 2046
constexpr std::size_t kLongestPadding = 256;  // blanks after a delimiter
constexpr std::string_view kBlank = " \t";

auto malformed(std::string what) {
  return refuse("malformed_multipart", "", "the body is no multipart/form-data: " + std::move(what));
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

/// Reads a value behind "name=": a token, or a quoted string. As browsers write them, a backslash only
/// escapes a quote or itself. Moves `text` behind it.
std::string take_value(std::string_view& text) {
  std::string out;
  if (!text.starts_with('"')) {
    const auto end = std::min(text.find(';'), text.size());
    out = trimmed(text.substr(0, end));
    text.remove_prefix(end);
    return out;
  }
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\' && text.size() > 1 && (text[1] == '"' || text[1] == '\\')) text.remove_prefix(1);
    out += text.front();
    text.remove_prefix(1);
  }
  if (!text.empty()) text.remove_prefix(1);
  return out;
}

/// The parameter of a header's value; none where it is not given.
std::optional<std::string> parameter(std::string_view header, std::string_view wanted) {
  std::optional<std::string> found;
  auto at = header.find(';');
  while (at != std::string_view::npos) {
    header.remove_prefix(at + 1);
    const auto equals = header.find_first_of("=;");
    if (equals == std::string_view::npos) break;
    if (header[equals] == ';') {
      at = equals;
      continue;
    }
    const std::string_view name = trimmed(header.substr(0, equals));
    header.remove_prefix(equals + 1);
    header.remove_prefix(std::min(header.find_first_not_of(kBlank), header.size()));
    std::string value = take_value(header);
    if (!found && same_word(name, wanted)) found = std::move(value);
    at = header.find(';');
  }
  return found;
}

std::string_view media_type(std::string_view content_type) {
  return trimmed(content_type.substr(0, content_type.find(';')));
}

}  // namespace

Parsed<std::string> multipart_boundary(std::string_view content_type) {
  if (!same_word(media_type(content_type), "multipart/form-data"))
    return tl::unexpected<ApiError>(
        ApiError{415, "unsupported_media_type", "",
                 "files are sent as multipart/form-data with the fields file and purpose"});
  auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > kLongestBoundary || boundary->ends_with(' '))
    return malformed("its Content-Type names no boundary of 1 to 70 characters");
  return std::move(*boundary);
}

MultipartReader::MultipartReader(std::string boundary, Handler handler, MultipartLimits limits)
    : delimiter_("\r\n--" + std::move(boundary)),
      handler_(std::move(handler)),
      limits_(limits),
      waiting_("\r\n") {}  // the first delimiter may be the first line

Parsed<void> MultipartReader::feed(std::string_view bytes) {
  if (state_ == State::ended) return {};
  waiting_ += bytes;
  for (;;) {
    auto more = read_some();
    if (!more) {
      state_ = State::ended;
      waiting_.clear();
      return tl::unexpected<ApiError>(std::move(more.error()));
    }
    if (!*more) return {};
  }
}

// Each step says whether another may follow without further bytes.
Parsed<bool> MultipartReader::read_some() {
  switch (state_) {
    case State::preamble:
      return read_preamble();
    case State::delimiter:
      return read_delimiter();
    case State::head:
      return read_head();
    case State::field:
    case State::file:
      return read_content();
    case State::ended:
      waiting_.clear();
      break;
  }
  return false;
}

Parsed<bool> MultipartReader::read_preamble() {
  const auto at = waiting_.find(delimiter_);
  if (at == std::string::npos) {
    if (waiting_.size() > limits_.head_bytes) return malformed("its boundary does not come");
    return false;
  }
  waiting_.erase(0, at + delimiter_.size());
  state_ = State::delimiter;
  return true;
}

Parsed<bool> MultipartReader::read_delimiter() {
  if (waiting_.size() < 2) return false;
  if (waiting_.starts_with("--")) {
    state_ = State::ended;
    return true;
  }
  const std::size_t padding = std::min(waiting_.find_first_not_of(kBlank), waiting_.size());
  if (padding <= kLongestPadding && waiting_.size() < padding + 2) return false;
  if (padding > kLongestPadding || waiting_.compare(padding, 2, "\r\n") != 0)
    return malformed("its boundary is followed by something else");
  waiting_.erase(0, padding);  // the CRLF stays: a head without fields ends like any other
  state_ = State::head;
  return true;
}

Parsed<bool> MultipartReader::read_head() {
  const auto end = waiting_.find("\r\n\r\n");
  if (std::min(end, waiting_.size()) > limits_.head_bytes)
    return malformed("a part's head is over " + std::to_string(limits_.head_bytes) + " bytes");
  if (end == std::string::npos) return false;
  const std::string head = waiting_.substr(0, end);
  waiting_.erase(0, end + 4);
  if (auto begun = begin_part(head); !begun) return tl::unexpected<ApiError>(std::move(begun.error()));
  return true;
}

// `head`: lines, each behind its CRLF.
Parsed<void> MultipartReader::begin_part(std::string_view head) {
  if (++parts_ > limits_.parts) return malformed("it has over " + std::to_string(limits_.parts) + " parts");
  std::optional<std::string> name, filename;
  while (!head.empty()) {
    head.remove_prefix(2);
    const auto end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !same_word(trimmed(line.substr(0, colon)), "Content-Disposition"))
      continue;
    name = parameter(line.substr(colon), "name");
    filename = parameter(line.substr(colon), "filename");
  }
  if (!name) return malformed("a part has no name");
  name_ = std::move(*name);
  value_.clear();
  state_ = filename ? State::file : State::field;
  if (!filename) return {};
  return handler_.file(name_, std::move(*filename));
}

Parsed<bool> MultipartReader::read_content() {
  const auto at = waiting_.find(delimiter_);
  const bool whole = at != std::string::npos;
  // The last bytes may be the beginning of a delimiter.
  const std::size_t kept = std::min(waiting_.size(), delimiter_.size() - 1);
  const std::size_t size = whole ? at : waiting_.size() - kept;
  auto taken = take_content(std::string_view(waiting_).substr(0, size));
  waiting_.erase(0, whole ? size + delimiter_.size() : size);
  if (taken && whole && state_ == State::field) taken = handler_.field(name_, std::exchange(value_, {}));
  if (!taken) return tl::unexpected<ApiError>(std::move(taken.error()));
  if (whole) state_ = State::delimiter;
  return whole;
}

Parsed<void> MultipartReader::take_content(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (state_ == State::file) return handler_.data(bytes);
  if (value_.size() + bytes.size() > limits_.field_bytes)
    return malformed("the field '" + name_ + "' is over " + std::to_string(limits_.field_bytes) + " bytes");
  value_ += bytes;
  return {};
}

}  // namespace troupe::gateway

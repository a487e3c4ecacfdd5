#pragma once
// Bytes of an HTTP/1.1 answer: head, chunk, end.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "services/gateway/http_types.hpp"

namespace troupe::gateway {

/// What every answer on one connection repeats.
struct AnswerContext {
  std::string request_id;           ///< hex; "" sends none
  std::string cors_origin;          ///< "" sends none
  std::vector<Header> fields = {};  ///< of this answer's head, besides those of its kind
  bool head_only = false;           ///< HEAD: the body's length without the body
  bool close = false;               ///< this is the connection's last answer
  bool chunked = true;              ///< a stream is chunked (HTTP/1.1) or ends with the connection (HTTP/1.0)
};

[[nodiscard]] std::string_view reason_phrase(int status);
/// Head and body of a complete answer.
[[nodiscard]] std::string compose_response(const Response& response, const AnswerContext& context);
/// Head of a stream.
[[nodiscard]] std::string compose_stream_head(int status, std::string_view content_type,
                                              const AnswerContext& context);
/// Appends `bytes` as one chunk; nothing for no bytes, since an empty chunk would end the stream.
void append_chunk(std::string& out, std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace troupe::gateway

#pragma once
// A server on loopback that answers one connection after another with prepared bytes.
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace troupe {

struct ScriptedAnswer {
  std::vector<std::string> pieces;  ///< sent one by one
  bool hold = false;                ///< then wait until the client closes, instead of closing
};

class ScriptServer {
 public:
  explicit ScriptServer(std::vector<ScriptedAnswer> answers);
  ~ScriptServer();  ///< joins
  ScriptServer(const ScriptServer&) = delete;
  ScriptServer& operator=(const ScriptServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Waits until every answer was given, then: the requests as they came.
  [[nodiscard]] const std::vector<std::string>& requests();
  /// How many held connections the client closed.
  [[nodiscard]] int closed_by_client();

 private:
  void serve(const std::vector<ScriptedAnswer>& answers);
  void join();
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::string> requests_;
  int closed_ = 0;
  std::thread thread_;
};

/// A 200 with a length.
[[nodiscard]] std::string plain_answer(const std::string& body, int status = 200);
/// The header of a chunked event stream, an event as a chunk, and the last chunk.
[[nodiscard]] std::string stream_header();
[[nodiscard]] std::string event_chunk(const std::string& data);
[[nodiscard]] std::string last_chunk();

}  // namespace troupe

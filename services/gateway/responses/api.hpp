#pragma once
// The routes below /v1/responses.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "services/gateway/api_host.hpp"
#include "services/gateway/request_store.hpp"
#include "services/gateway/responses/store.hpp"

namespace troupe::gateway::responses {

/// Its name in records of requests.
inline constexpr std::string_view kApi = "responses";
inline constexpr std::string_view kPath = "/v1/responses";

/// What is asked of one response.
struct Target {
  enum class What : std::uint8_t { response, input_items, cancel };
  What what = What::response;
  std::string id;  ///< as it stands in the path
};
/// "/v1/responses/ID", ".../input_items", ".../cancel"; nothing: another path.
[[nodiscard]] std::optional<Target> target_of(std::string_view path);

/// A page of a stored response's input items, as `query` asks for it: limit, order, after.
[[nodiscard]] Parsed<std::string> input_page(const Json& stored, std::string_view query);

/// Errors of a chat with the names that fields have here.
[[nodiscard]] Response error_form(const ApiError& error);

/// Threads: any.
class ResponsesApi {
 public:
  /// Makes a recorded stream again, from the first event that is wanted.
  using Replay = std::function<void(Call call, const RequestId& id, std::uint64_t from)>;

  /// `requests` may be null. All of them must outlive it, and no answer of the directory comes after its
  /// end (RequestStore::close).
  ResponsesApi(ApiHost& host, const StoreOptions& options, const RequestLimits& limits,
               RequestStore* requests, Replay replay);

  void create(Call call);
  /// Makes the answer of `record` again, from event `from` on.
  void again(Call call, wire::RequestRecord record, std::uint64_t from);
  /// How many tokens a request's prompt has.
  void count(Call call);
  /// For a method that the target takes.
  void serve(Call call, const Target& target);

 private:
  struct Work;
  void begin(Call& call, std::shared_ptr<Work> work);
  void look_up(std::shared_ptr<Work> work, std::size_t next);
  void run(Call& call, Work& work);
  void answer_count(Call& call, Parsed<GenerateRequest> request) const;
  void with_stored(Call call, const RequestId& id, std::function<void(Call&, const Json& stored)> use);
  void replay(Call call, const RequestId& id) const;
  void remove(Call& call, const RequestId& id);

  ApiHost& host_;
  const RequestLimits limits_;
  SteadyClock clock_;
  RequestStore* const requests_;
  ResponseStore store_;
  const Replay replay_;
};

}  // namespace troupe::gateway::responses

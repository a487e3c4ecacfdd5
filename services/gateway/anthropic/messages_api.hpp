#pragma once
// Anthropic's API: /v1/messages, /v1/messages/count_tokens, and its form of /v1/models.
#include <string>

#include "services/gateway/api_host.hpp"

namespace troupe::gateway::anthropic {

/// Whether a request comes from a client of this API, where paths are shared with OpenAI's.
[[nodiscard]] bool is_from_client(const Request& request);

/// Threads: any.
class MessagesApi {
 public:
  /// `host` must outlive it.
  MessagesApi(ApiHost& host, RequestLimits limits) : host_(host), limits_(limits) {}

  void messages(Call call);
  void count_tokens(Call call);
  void list_models(Call call) const;
  void one_model(Call call, const std::string& name) const;

 private:
  ApiHost& host_;
  const RequestLimits limits_;
};

}  // namespace troupe::gateway::anthropic

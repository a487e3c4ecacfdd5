#pragma once
// Ollama's API: /api/chat, /api/generate, and what tells of models.
#include <string>

#include "services/gateway/api_host.hpp"
#include "services/gateway/ollama/run_request.hpp"

namespace troupe::gateway::ollama {

/// Threads: any.
class OllamaApi {
 public:
  /// `host` must outlive it.
  OllamaApi(ApiHost& host, RequestLimits limits) : host_(host), limits_(limits) {}

  void chat(Call call);
  void generate(Call call);
  void tags(Call call) const;
  void running(Call call) const;
  void show(Call call) const;
  void version(Call call) const;
  void embed(Call call) const;

 private:
  void run(Call& call, Parsed<RunRequest> parsed);
  /// The model that a name stands for: "x:latest" is x, unless there is one of that name.
  [[nodiscard]] std::string plain_name(const std::string& name, const Caller& caller) const;

  ApiHost& host_;
  const RequestLimits limits_;
};

}  // namespace troupe::gateway::ollama

#include "services/bench/endpoint.hpp"

#include <nlohmann/json.hpp>

#include "common/http/client.hpp"

namespace troupe::load {

Expected<std::string> first_model(const Url& url, const std::string& api_key, int interrupt_fd,
                                  std::shared_ptr<const TlsTrust> trust) {
  HttpRequest request;
  request.path = path_below(url, "/models");
  if (!api_key.empty()) request.headers.emplace_back("Authorization", "Bearer " + api_key);
  auto answer = HttpAnswer::open(url, request, interrupt_fd,
                                 {std::chrono::seconds(10), std::chrono::seconds(30)}, std::move(trust));
  if (!answer) return tl::unexpected<Error>(std::move(answer.error()));
  const auto text = answer->read_all(4U << 20);
  if (!text) return tl::unexpected<Error>(text.error());
  if (answer->status() != 200)
    return fail(Errc::io_failed, place(url) + request.path + " answered " + std::to_string(answer->status()));
  const auto body = nlohmann::json::parse(*text, nullptr, false);
  const auto data = body.is_object() ? body.find("data") : body.end();
  if (!body.is_object() || data == body.end() || !data->is_array() || data->empty() ||
      !data->front().is_object() || !data->front().value("id", nlohmann::json()).is_string())
    return fail(Errc::model_not_found, place(url) + " lists no model: give --model");
  return data->front()["id"].get<std::string>();
}

}  // namespace troupe::load

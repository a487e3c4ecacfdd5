#include "services/gateway/responses/api.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "services/gateway/prepare.hpp"
#include "services/gateway/responses/writer.hpp"
#include "services/gateway/run_starter.hpp"

namespace troupe::gateway::responses {
namespace {

ApiError unknown(std::string_view id) {
  return {404, "not_found", "response_id", "Response with id '" + std::string(id) + "' not found.", 0};
}
ApiError no_response(const RequestId& id) {
  return unknown(response_id(id));
}

ApiError wrong(const char* param, const std::string& what) {
  return {400, "invalid_value", param, std::string(param) + ": " + what, 0};
}

bool read_number(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// Of a stored response that belongs to `owner`; discarded otherwise.
Json parse_stored(const std::string& text, const RequestId& owner) {
  Json stored = Json::parse(text, nullptr, false);
  if (!stored.is_object() || stored.value("owner", "") != to_hex(owner))
    return Json(Json::value_t::discarded);
  return stored;
}

}  // namespace

std::optional<Target> target_of(std::string_view path) {
  if (!path.starts_with(kPath) || path.size() < kPath.size() + 2 || path[kPath.size()] != '/')
    return std::nullopt;
  path.remove_prefix(kPath.size() + 1);
  const auto slash = path.find('/');
  Target out{Target::What::response, std::string(path.substr(0, slash))};
  if (slash == std::string_view::npos) return out;
  const std::string_view rest = path.substr(slash + 1);
  if (rest == "input_items") {
    out.what = Target::What::input_items;
  } else if (rest == "cancel") {
    out.what = Target::What::cancel;
  } else {
    return std::nullopt;
  }
  return out;
}

Parsed<std::string> input_page(const Json& stored, std::string_view query) {
  std::uint64_t limit = 20;
  const auto limited = query_parameter(query, "limit");
  if (limited && (!read_number(*limited, limit) || limit < 1 || limit > 100))
    return tl::unexpected<ApiError>(wrong("limit", "expected an integer from 1 to 100"));
  const std::string_view order = query_parameter(query, "order").value_or("desc");
  if (order != "asc" && order != "desc")
    return tl::unexpected<ApiError>(wrong("order", "expected one of asc, desc"));
  std::vector<const Json*> items;
  for (const Json& item : stored["input"]) items.push_back(&item);
  if (order == "desc") std::ranges::reverse(items);
  std::size_t from = 0;
  if (const auto after = query_parameter(query, "after")) {
    while (from < items.size() && (*items[from])["id"] != std::string(*after)) ++from;
    if (from == items.size())
      return tl::unexpected<ApiError>(wrong("after", "the response has no input item of this id"));
    ++from;
  }
  const std::size_t end = std::min(items.size(), from + static_cast<std::size_t>(limit));
  Json page = Json::object();
  page["object"] = "list";
  page["data"] = Json::array();
  for (std::size_t i = from; i < end; ++i) page["data"].push_back(*items[i]);
  page["first_id"] = from < end ? (*items[from])["id"] : Json("");
  page["last_id"] = from < end ? (*items[end - 1])["id"] : Json("");
  page["has_more"] = end < items.size();
  return page.dump();
}

Response error_form(const ApiError& error) {
  return to_response(renamed(error));
}

/// A request on its way to its run: what it asks, and what was found of what it goes on from.
struct ResponsesApi::Work {
  ResponseRequest request;
  RequestId owner;
  std::vector<RequestId> wanted;  ///< stored responses
  std::map<RequestId, Json> found;
  std::optional<wire::RequestRecord> record;  ///< it is made again
  std::uint64_t from = 0;
  bool count = false;  ///< the prompt's tokens are all that is asked
  Call call;           ///< while the directory answers
};

ResponsesApi::ResponsesApi(ApiHost& host, const StoreOptions& options, const RequestLimits& limits,
                           RequestStore* requests, Replay replay)
    : host_(host),
      limits_(limits),
      requests_(requests),
      store_(options, clock_, requests == nullptr ? nullptr : requests->shared()),
      replay_(std::move(replay)) {}

void ResponsesApi::create(Call call) {
  host_.on_pool(std::move(call), [this](Call& c) { begin(c, std::make_shared<Work>()); });
}

void ResponsesApi::count(Call call) {
  host_.on_pool(std::move(call), [this](Call& c) {
    auto work = std::make_shared<Work>();
    work->count = true;
    begin(c, std::move(work));
  });
}

void ResponsesApi::again(Call call, wire::RequestRecord record, std::uint64_t from) {
  auto work = std::make_shared<Work>();
  work->record = std::move(record);
  work->from = from;
  call.error_form = error_form;
  host_.on_pool(std::move(call), [this, work](Call& c) { begin(c, work); });
}

// On the text pool.
void ResponsesApi::begin(Call& call, std::shared_ptr<Work> work) {
  const RequestId id = work->record ? work->record->request : call.request.id;
  auto body = read_json(work->record ? split_body(*work->record).body : std::string_view(call.request.body));
  if (!body) return call.reply(body.error());
  auto request = read_request(*body, id);
  if (!request) return call.reply(request.error());
  work->request = std::move(*request);
  work->owner = call.visit->caller().owner;
  work->wanted = work->request.referred;
  if (work->request.previous) work->wanted.push_back(*work->request.previous);
  if (work->wanted.empty()) return run(call, *work);
  work->call = std::move(call);
  look_up(std::move(work), 0);
}

void ResponsesApi::look_up(std::shared_ptr<Work> work, std::size_t next) {
  if (next == work->wanted.size()) {
    Call call = std::move(work->call);
    return host_.on_pool(std::move(call), [this, work](Call& c) { run(c, *work); });
  }
  const RequestId id = work->wanted[next];
  store_.get(id, [this, work = std::move(work), id, next](auto got) {
    if (!got) return work->call.reply(to_api(got.error(), "previous_response_id"));
    if (*got) {
      Json stored = parse_stored(**got, work->owner);
      if (!stored.is_discarded()) work->found.emplace(id, std::move(stored));
    }
    look_up(work, next + 1);
  });
}

// On the text pool.
void ResponsesApi::run(Call& call, Work& work) {
  const auto stored = [&work](const RequestId& id) -> const Json* {
    const auto at = work.found.find(id);
    return at == work.found.end() ? nullptr : &at->second;
  };
  auto request = to_chat(work.request, stored, limits_);
  if (work.count) return answer_count(call, std::move(request));
  AnswerForm form;
  form.api = kApi;
  form.make_writer = [settings = std::make_shared<const Settings>(std::move(work.request.settings)),
                      keeper = Keeper{&store_, work.owner}](AnswerHead head) {
    return response_writer(std::move(head), settings, keeper);
  };
  if (!work.record) return host_.generate(call, std::move(request), std::move(form));
  host_.generate_again(call, std::move(request), std::move(form), *work.record, work.from);
}

void ResponsesApi::answer_count(Call& call, Parsed<GenerateRequest> request) const {
  if (!request) return call.reply(request.error());
  auto found = host_.find_model(request->model, false, call.visit->caller());
  if (!found) return call.reply(found.error());
  auto tokens = chat_tokens(std::move(request->input), *found->first);
  if (!tokens) return call.reply(tokens.error());
  call.reply_json("{\"object\":\"response.input_tokens\",\"input_tokens\":" + std::to_string(tokens->size()) +
                  '}');
}

void ResponsesApi::with_stored(Call call, const RequestId& id,
                               std::function<void(Call&, const Json& stored)> use) {
  auto shared = std::make_shared<Call>(std::move(call));  // the store's answer is copyable
  store_.get(id, [this, shared, id, use = std::move(use)](auto got) {
    if (!got) return shared->reply(to_api(got.error()));
    if (!*got) return shared->reply(no_response(id));
    host_.on_pool(std::move(*shared), [id, use, text = std::move(**got)](Call& c) {
      const Json stored = parse_stored(text, c.visit->caller().owner);
      if (stored.is_discarded()) return c.reply(no_response(id));
      use(c, stored);
    });
  });
}

void ResponsesApi::serve(Call call, const Target& target) {
  const auto id = id_of_response(target.id);
  if (!id) return call.reply(unknown(target.id));
  if (target.what == Target::What::input_items)
    return with_stored(std::move(call), *id, [](Call& c, const Json& stored) {
      auto page = input_page(stored, c.request.query);
      page ? c.reply_json(std::move(*page)) : c.reply(page.error());
    });
  if (target.what == Target::What::cancel)
    return with_stored(std::move(call), *id, [](Call& c, const Json&) {
      c.reply(ApiError{400, "invalid_request", "",
                       "Cannot cancel a response that was not made in the background.", 0});
    });
  if (call.request.method == "DELETE")
    return with_stored(std::move(call), *id, [this, id = *id](Call& c, const Json&) { remove(c, id); });
  if (query_parameter(call.request.query, "stream") == "true") return replay(std::move(call), *id);
  with_stored(std::move(call), *id,
              [](Call& c, const Json& stored) { c.reply_json(stored["response"].dump()); });
}

void ResponsesApi::replay(Call call, const RequestId& id) const {
  std::uint64_t from = 0;
  if (const auto after = query_parameter(call.request.query, "starting_after")) {
    if (!read_number(*after, from) || from == std::numeric_limits<std::uint64_t>::max())
      return call.reply(wrong("starting_after", "expected the number of an event"));
    ++from;
  }
  replay_(std::move(call), id, from);
}

void ResponsesApi::remove(Call& call, const RequestId& id) {
  auto shared = std::make_shared<Call>(std::move(call));
  store_.erase(id, [this, shared, id](const auto& erased) {
    if (!erased) return shared->reply(to_api(erased.error()));
    if (requests_ != nullptr) requests_->drop(id);  // its stream cannot be taken up again either
    shared->reply_json("{\"id\":\"" + response_id(id) + "\",\"object\":\"response\",\"deleted\":true}");
  });
}

}  // namespace troupe::gateway::responses

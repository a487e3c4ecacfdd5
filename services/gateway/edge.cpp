#include "services/gateway/edge.hpp"

#include <mutex>
#include <utility>

#include "common/base/log.hpp"
#include "services/gateway/anthropic/messages_api.hpp"
#include "services/gateway/api_host.hpp"
#include "services/gateway/call.hpp"
#include "services/gateway/embeddings/vector_run.hpp"
#include "services/gateway/generate_run.hpp"
#include "services/gateway/key_ring.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/ollama/ollama_api.hpp"
#include "services/gateway/openapi/docs.hpp"
#include "services/gateway/prepare.hpp"
#include "services/gateway/responses/api.hpp"
#include "services/gateway/resume_target.hpp"
#include "services/gateway/routes.hpp"
#include "services/gateway/run_starter.hpp"
#include "services/gateway/text_pool.hpp"
#include "services/gateway/web_files.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kModelsPrefix = "/v1/models/", kRequestsPrefix = "/v1/requests/",
                           kTraceSuffix = "/trace";
constexpr std::size_t kSmallBody = 64U << 10;  ///< of paths that take no texts

class EdgeServer final : public Edge, private ApiHost, private LineHost {
 public:
  EdgeServer(EdgeOptions options, ModelTable models, Dispatcher& dispatcher, metrics::Registry& registry)
      : options_(std::move(options)),
        models_(std::move(models)),
        dispatcher_(dispatcher),
        registry_(registry),
        metrics_(std::make_shared<const EdgeMetrics>(registry, names(models_))),
        starter_(dispatcher, options_.requests.get(), options_.request_deadline,
                 [this](Call call, wire::RequestRecord record, std::uint64_t from) {
                   make_again(std::move(call), std::move(record), from);
                 }),
        messages_(*this, options_.limits),
        ollama_(*this, options_.limits),
        responses_(*this, options_.response_store, options_.limits, options_.requests.get(),
                   [this](Call call, const RequestId& id, std::uint64_t from) {
                     if (take_request(call)) events(std::move(call), {true, id, from, {}});
                   }),
        pool_(options_.text_threads, options_.text_queue),
        dashboard_(
            options_.dashboard, *options_.log, [this] { return state_json(); },
            [this](std::function<void()> work) { return pool_.submit(std::move(work)); }) {}

  Expected<void> listen() {
    TROUPE_TRY(open_doors());
    auto batches = BatchService::start(options_.batches, *this, registry_);
    if (!batches) return tl::unexpected<Error>(std::move(batches.error()));
    batches_ = std::move(*batches);
    TROUPE_TRY(open_server(server_, options_.http, options_.admin ? Place::clients : Place::one));
    if (options_.admin) TROUPE_TRY(open_server(admin_, *options_.admin, Place::admin));
    {
      const std::lock_guard lock(alive_->mutex);
      alive_->edge = this;
    }
    registry_.before_collect([alive = alive_] {
      const std::lock_guard lock(alive->mutex);
      if (alive->edge != nullptr) alive->edge->refresh_gauges();
    });
    server_->run();  // routes use server_, so only now
    if (admin_) admin_->run();
    log::info("http listening",
              {{"address", options_.http.address}, {"port", static_cast<unsigned>(server_->port())}});
    if (admin_)
      log::info("admin listening",
                {{"address", options_.admin->address}, {"port", static_cast<unsigned>(admin_->port())}});
    return {};
  }

  ~EdgeServer() override {
    {
      const std::lock_guard lock(alive_->mutex);
      alive_->edge = nullptr;
    }
    if (options_.requests) options_.requests->close();  // its answers come here, from a thread of its own
    if (server_) server_->stop(Duration::zero());
    if (admin_) admin_->stop(Duration::zero());
    if (batches_) batches_->stop();
  }

  std::uint16_t port() const override { return server_->port(); }
  std::optional<std::uint16_t> admin_port() const override {
    return admin_ ? std::optional(admin_->port()) : std::nullopt;
  }
  std::size_t connections() const override {
    return server_->connections() + (admin_ ? admin_->connections() : 0);
  }
  std::size_t in_flight() const override { return server_->in_flight() + (admin_ ? admin_->in_flight() : 0); }
  Expected<void> tune(const EdgeTuning& tuning) override {
    server_->set_limits(tuning.http);
    if (admin_) admin_->set_limits(tuning.http);
    starter_.set_deadline(tuning.request_deadline);
    return audit_->turn_to(tuning.audit);
  }
  void refresh() override {
    if (keys_) (void)keys_->reload();
    audit_->reopen();
  }
  void begin_drain() override {
    server_->begin_drain();
    if (admin_) admin_->begin_drain();
    dashboard_.close();
    batches_->stop_taking();
  }
  bool stop(Duration deadline) override {
    const TimePoint until = std::chrono::steady_clock::now() + deadline;
    dashboard_.close();
    const bool clean = server_->stop(deadline);
    const bool admin_clean = !admin_ || admin_->stop(until - std::chrono::steady_clock::now());
    batches_->stop();  // lines that still run do so again after the next start
    return clean && admin_clean;
  }

 private:
  /// Which port a request came to.
  enum class Place : std::uint8_t { one, clients, admin };

  Expected<void> open_doors() {
    if (!options_.api_keys.empty()) {
      const auto count = [m = metrics_](bool taken) { m->key_files[taken ? 0 : 1].add(); };
      auto ring = KeyRing::open({options_.api_keys, std::chrono::seconds(1), count});
      if (!ring) return tl::unexpected<Error>(std::move(ring.error()));
      keys_ = std::move(*ring);
    }
    AuditOptions audit = options_.audit;
    audit.on_line = [m = metrics_](bool written) { m->audit_lines[written ? 0 : 1].add(); };
    auto opened = AuditLog::open(std::move(audit));
    if (!opened) return tl::unexpected<Error>(std::move(opened.error()));
    audit_ = std::move(*opened);
    return {};
  }

  Expected<void> open_server(std::unique_ptr<HttpServer>& made, HttpOptions http, Place place) {
    http.body_limit = [this](const Request& head) { return body_limit(head); };
    http.on_refusal = [metrics = metrics_](int status) {
      metrics->count_request(route_index("refused"), status);
    };
    http.on_failed_handshake = [metrics = metrics_] { metrics->failed_handshakes.add(); };
    http.on_certificate = [metrics = metrics_](bool taken) { metrics->certificates[taken ? 0 : 1].add(); };
    auto server = HttpServer::open(std::move(http),
                                   [this, place](Request request, std::shared_ptr<ResponseWriter> writer) {
                                     route(place, std::move(request), std::move(writer));
                                   });
    if (!server) return tl::unexpected<Error>(std::move(server.error()));
    made = std::move(*server);
    return {};
  }

  // The registry keeps its callback for good; this says whether the edge is still there.
  struct Alive {
    std::mutex mutex;
    EdgeServer* edge = nullptr;
  };

  static std::vector<std::string> names(const ModelTable& models) {
    std::vector<std::string> out;
    for (const auto& model : models.models()) out.push_back(model->name);
    return out;
  }

  // Threads: a connection's, as every action. Reading JSON, templates and tokens happen on the text pool.
  void route(Place place, Request request, std::shared_ptr<ResponseWriter> writer) {
    Caller caller = take_caller(request, keys_.get());
    Call call{std::move(request),
              std::move(writer),
              metrics_,
              route_index("other"),
              std::chrono::steady_clock::now(),
              options_.log};
    call.visit = std::make_shared<Visit>(std::move(caller), call.request.id, call.arrived);
    const RouteMatch match = find_route(call.request.method, call.request.path, place != Place::clients);
    if (match.route != nullptr) return enter(*match.route, place, std::move(call));
    if (call.request.method == "OPTIONS") return preflight(call, match.allowed);
    if (match.allowed.empty()) return call.reply(no_path(call.request));
    Response response =
        to_response(to_api(Error{Errc::method_not_allowed, "this path takes " + match.allowed}));
    response.headers.push_back({"Allow", match.allowed});
    call.reply(std::move(response));
  }

  static ApiError no_path(const Request& request) {
    return to_api(Error{Errc::not_found, "there is no path '" + request.path + "'"});
  }

  void enter(const Route& row, Place place, Call call) {
    call.route = route_index(row.name);
    call.error_form = row.error_form;
    if (!pass(call, row.door)) return;
    if (row.starts_work && call.request.draining) return call.reply(draining());
    if (row.starts_work && !take_request(call)) return;
    if (row.starts_work)
      call.trace = RequestTrace::begin(options_.tracer, call.request.header("traceparent"), call.request.id);
    act(row.action, place, std::move(call));
  }

  void act(Action action, Place place, Call call) {
    switch (action) {
      case Action::chat:
        return chat(std::move(call));
      case Action::completions:
        return completions(std::move(call));
      case Action::create_response:
        return responses_.create(std::move(call));
      case Action::count_input:
        return responses_.count(std::move(call));
      case Action::stored_response:
        return stored_response(std::move(call));
      case Action::embeddings:
        return embeddings(std::move(call));
      case Action::rerank:
        return rerank(std::move(call));
      case Action::score:
        return score(std::move(call));
      case Action::list_models:
        return list_models(std::move(call));
      case Action::one_model:
        return one_model(std::move(call));
      case Action::tokenize:
        return tokenize(std::move(call));
      case Action::detokenize:
        return detokenize(std::move(call));
      case Action::messages:
        return messages_.messages(std::move(call));
      case Action::count_tokens:
        return messages_.count_tokens(std::move(call));
      case Action::ollama_chat:
        return ollama_.chat(std::move(call));
      case Action::ollama_generate:
        return ollama_.generate(std::move(call));
      case Action::ollama_tags:
        return ollama_.tags(std::move(call));
      case Action::ollama_running:
        return ollama_.running(std::move(call));
      case Action::ollama_show:
        return ollama_.show(std::move(call));
      case Action::ollama_version:
        return ollama_.version(std::move(call));
      case Action::ollama_embed:
        return ollama_.embed(std::move(call));
      case Action::keep_or_batch:
        return keep_or_batch(std::move(call));
      case Action::trace:
        return show_trace(call);
      case Action::events:
        return resume(std::move(call));
      case Action::healthz:
        return healthz(std::move(call));
      case Action::readyz:
        return readyz(std::move(call));
      case Action::metrics:
        return expose_metrics(std::move(call));
      case Action::openapi:
        return call.reply(web_response(openapi::document_file(place != Place::clients), call.request));
      case Action::docs:
        return call.reply(web_response(openapi::docs_page(), call.request));
      case Action::config:
        return config(std::move(call));
      case Action::state:
        return state(std::move(call));
      case Action::dashboard:
        return dashboard_.serve(std::move(call));
    }
  }

  void stored_response(Call call) {
    const auto target = responses::target_of(call.request.path);
    target ? responses_.serve(std::move(call), *target) : call.reply(no_path(call.request));
  }

  void resume(Call call) {
    const auto target = resume_target(call.request);
    if (!target.matches) return call.reply(no_path(call.request));
    if (take_request(call)) events(std::move(call), target);
  }

  // Files and batches: what brings new work counts as such.
  void keep_or_batch(Call call) {
    const bool brings = call.request.method == "POST";
    if (brings && call.request.draining) return call.reply(draining());
    if (brings && !take_request(call)) return;
    batches_->serve(std::move(call));
  }

  static ApiError draining() {
    ApiError error = to_api(Error{Errc::draining, "the server finishes what it has and takes nothing new"});
    error.retry_after_seconds = 5;
    return error;
  }

  /// Whether the caller gets through this door; else it has been answered.
  bool pass(Call& call, Door door) const {
    if (door == Door::open) return true;
    const auto refused = refusal(call.visit->caller(), door, keys_ != nullptr);
    const bool orders = call.request.method == "POST";
    // Who looks at the cluster is written down only where it may not.
    if (door == Door::inference || orders || refused)
      call.visit->write_to(audit_, kRouteNames[call.route],
                           door == Door::admin ? std::string_view(call.request.path) : std::string_view());
    if (!refused) return true;
    metrics_->refusals[refused->status == 401 ? 0 : 1].add();
    call.reply(*refused);
    return false;
  }

  /// Whether the key may send one more request; else it has been answered.
  bool take_request(Call& call) const { return within_limits(call, call.visit->enter(call.arrived)); }

  /// The same for the tokens of its prompts and of the longest answers that it asks for. What a client leaves
  /// open is paid for when it is known.
  bool take_tokens(Call& call, const PreparedRun& run) const {
    std::uint64_t tokens = 0;
    for (const auto& prompt : run.prompts) tokens += prompt.size();
    for (const std::uint32_t most : run.max_tokens)
      if (run.request.max_tokens) tokens += std::uint64_t{most} * run.request.choices;
    return within_limits(call, call.visit->take_tokens(tokens, std::chrono::steady_clock::now()));
  }

  bool within_limits(Call& call, const std::optional<LimitRefusal>& refused) const {
    call.writer->answer_with(call.visit->limit_headers(std::chrono::steady_clock::now()));
    if (!refused) return true;
    metrics_->refusals[2 + static_cast<std::size_t>(refused->limit)].add();
    call.reply(to_api(*refused));
    return false;
  }

  /// Texts are long, and are kept only of those who will be let in.
  BodyLimit body_limit(Request head) const {
    const Route* row = find_route(head.method, head.path, true).route;
    const ErrorForm form = row == nullptr ? to_response : row->error_form;
    const bool takes_texts = row != nullptr && row->starts_work;
    const bool brings_file = row != nullptr && row->action == Action::keep_or_batch;
    BodyLimit small{kSmallBody, {}, form};
    if (!takes_texts && !brings_file) return small;
    const Caller caller = take_caller(head, keys_.get());
    small.beyond = refusal(caller, Door::inference, keys_ != nullptr);
    if (small.beyond) return small;
    if (takes_texts) return {.form = form};
    return batches_->upload_limit(head, caller).value_or(small);
  }

  // Times only, and whoever asks knows the request's unguessable id.
  void show_trace(Call& call) {
    std::string_view text = call.request.path;
    text.remove_prefix(kRequestsPrefix.size());
    text.remove_suffix(kTraceSuffix.size());
    const auto id = id_from_hex<RequestId>(text);
    std::vector<trace::Span> spans;
    if (id && options_.tracer) spans = options_.tracer->of(*id);
    if (spans.empty())
      return call.reply(to_api(Error{Errc::request_unknown, id ? "no trace of request " + to_hex(*id)
                                                               : "a request's id is 32 hex digits"}));
    call.reply_json(trace::to_chrome(trace::by_process(spans, {"gateway", options_.instance})));
  }

  void preflight(Call& call, const std::string& allowed) {
    call.route = route_index("options");
    Response response{204, "", "", {{"Allow", allowed.empty() ? "GET, HEAD, POST, OPTIONS" : allowed}}};
    if (!options_.http.cors_origin.empty()) {
      response.headers.push_back({"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS"});
      const std::string_view wanted = call.request.header("Access-Control-Request-Headers");
      response.headers.push_back({"Access-Control-Allow-Headers",
                                  wanted.empty() ? "Authorization, Content-Type" : std::string(wanted)});
      response.headers.push_back({"Access-Control-Max-Age", "600"});
    }
    call.reply(std::move(response));
  }

  void on_pool(Call call, std::function<void(Call&)> work) override {
    const auto shared = std::make_shared<Call>(std::move(call));
    const auto submitted = pool_.submit([shared, work = std::move(work)]() {
      try {
        work(*shared);
      } catch (const std::exception& e) {
        log::error("route failed", {{"request", to_hex(shared->request.id)}, {"what", e.what()}});
        shared->reply(to_api(Error{Errc::internal, "the request could not be processed"}));
      }
    });
    if (!submitted) shared->reply(to_api(submitted.error()));
  }

  void chat(Call call) {
    on_pool(std::move(call),
            [this](Call& c) { generate(c, parse_chat(c.request.body, options_.limits), {}); });
  }
  void completions(Call call) {
    on_pool(std::move(call),
            [this](Call& c) { generate(c, parse_completion(c.request.body, options_.limits), {}); });
  }

  /// Nothing when the call has been answered. `model`: the only one that will do; zero: any.
  std::optional<PreparedRun> prepared(Call& call, Parsed<GenerateRequest> request, AnswerForm form,
                                      const ModelId& model = {}) {
    const auto refuse = [&call](const ApiError& error) {
      call.reply(error);
      return std::nullopt;
    };
    if (!request) return refuse(request.error());
    auto found = find_model(request->model, true, call.visit->caller());
    if (!found) return refuse(found.error());
    if (model != ModelId{} && found->second.id != model)
      return refuse(to_api(Error{Errc::record_outdated, {}}));
    auto run = prepare(std::move(*request), found->first, found->second);
    if (!run) return refuse(run.error());
    run->form = std::move(form);
    if (!take_tokens(call, *run)) return std::nullopt;
    return std::move(*run);
  }

  void generate(Call& call, Parsed<GenerateRequest> request, AnswerForm form) override {
    auto run = prepared(call, std::move(request), std::move(form));
    if (!run) return;
    std::string body;
    body.swap(call.request.body);
    starter_.start(std::move(call), std::move(*run), std::move(body));
  }

  Parsed<Caller> caller_of(const Batch& batch) const override {
    Caller caller{batch.owner, batch.tenant, true, nullptr};
    if (keys_ == nullptr) return caller;
    caller.key = keys_->named(batch.key);
    if (caller.key && caller.key->key.inference) return caller;
    return tl::unexpected<ApiError>(ApiError{
        401, "invalid_api_key", "", "The API key that this batch was made with is not valid any more.", 0});
  }

  Parsed<PreparedRun> prepare_line(std::string_view endpoint, std::string_view body,
                                   const Caller& caller) const override {
    auto request = endpoint == "/v1/completions" ? parse_completion(body, options_.limits)
                                                 : parse_chat(body, options_.limits);
    if (!request) return tl::unexpected<ApiError>(std::move(request.error()));
    if (request->stream)
      return refuse("unsupported_parameter", "stream", "stream: lines of a batch are no streams");
    request->priority = kBatchPriority;
    auto found = find_model(request->model, true, caller);
    if (!found) return tl::unexpected<ApiError>(std::move(found.error()));
    return prepare(std::move(*request), found->first, found->second);
  }

  void run_line(const RequestId& id, std::string_view endpoint, Caller caller, PreparedRun run,
                std::shared_ptr<ResponseWriter> writer) override {
    Request request;
    request.id = id;
    request.method = "POST";
    request.path = endpoint;
    Call call{std::move(request),
              std::move(writer),
              metrics_,
              route_index("batch_lines"),
              std::chrono::steady_clock::now(),
              options_.log};
    call.visit = std::make_shared<Visit>(std::move(caller), id, call.arrived);
    call.visit->write_to(audit_, kRouteNames[call.route]);
    starter_.start(std::move(call), std::move(run), {});
  }

  void embeddings(Call call) {
    on_pool(std::move(call), [this](Call& c) { vectors(c, parse_embedding(c.request.body)); });
  }
  void rerank(Call call) {
    on_pool(std::move(call), [this](Call& c) { vectors(c, parse_rerank(c.request.body)); });
  }
  void score(Call call) {
    on_pool(std::move(call), [this](Call& c) { vectors(c, parse_score(c.request.body)); });
  }

  template <class VectorRequest>
  void vectors(Call& call, Parsed<VectorRequest> request) {
    if (!request) return call.reply(request.error());
    auto found = find_model(request->model, true, call.visit->caller());
    if (!found) return call.reply(found.error());
    auto prepared = prepare_vectors(std::move(*request), *found->first, found->second);
    if (!prepared) return call.reply(prepared.error());
    if (!within_limits(call, call.visit->take_tokens(prepared->tokens(), std::chrono::steady_clock::now())))
      return;
    std::string().swap(call.request.body);
    const auto writer = call.writer;
    const TimePoint deadline = call.arrived + options_.request_deadline;
    const auto run =
        std::make_shared<VectorRun>(std::move(call), std::move(*prepared), dispatcher_, deadline);
    writer->post([run] { run->start(); });
  }

  // The events of an earlier request from a number on. Whoever asks must show what its client showed.
  void events(Call call, const ResumeTarget& target) {
    if (!target.error.empty()) return call.reply(to_api(Error{Errc::invalid_argument, target.error}));
    const auto unknown = Error{Errc::request_unknown, "no record of request " + to_hex(target.id)};
    if (!options_.requests) return call.reply(to_api(unknown));
    const auto shared = std::make_shared<Call>(std::move(call));  // the store's answer is copyable
    options_.requests->find(target.id, [this, shared, unknown, from = target.from](auto record) {
      if (!record) return shared->reply(to_api(record.error()));
      if (record->owner != shared->visit->caller().owner) return shared->reply(to_api(unknown));
      if (!record->stream) {
        return shared->reply(to_api(Error{
            Errc::invalid_argument, "the request was no stream; send it again with its idempotency key"}));
      }
      options_.requests->count_resumed();
      make_again(std::move(*shared), std::move(*record), from);
    });
  }

  // Threads: any. The body parses, since it did before.
  void make_again(Call call, wire::RequestRecord record, std::uint64_t from) {
    if (split_body(record).api == responses::kApi)
      return responses_.again(std::move(call), std::move(record), from);
    on_pool(std::move(call), [this, record = std::move(record), from](Call& c) {
      auto request = record.chat ? parse_chat(record.body, options_.limits)
                                 : parse_completion(record.body, options_.limits);
      generate_again(c, std::move(request), {}, record, from);
    });
  }

  void generate_again(Call& call, Parsed<GenerateRequest> request, AnswerForm form,
                      const wire::RequestRecord& record, std::uint64_t from) override {
    if (request) {
      request->sampling.seed = record.seed;
      if (record.chat) request->token_prompts = {record.prompt};
    }
    auto run = prepared(call, std::move(request), std::move(form), record.model);
    if (!run) return;
    std::string().swap(call.request.body);
    starter_.again(std::move(call), std::move(*run), record, from);
  }

  // A model that a key may not use is none for it.
  Parsed<Found> find_model(const std::string& name, bool must_be_ready, const Caller& caller) const override {
    auto text = caller.may_use(name) ? models_.find(name) : nullptr;
    if (!text) {
      std::string known;
      for (const auto& model : models_.models()) {
        if (!caller.may_use(model->name)) continue;
        if (!known.empty()) known += ", ";
        known += model->name;
      }
      return tl::unexpected<ApiError>(to_api(
          Error{Errc::model_not_found, "there is no model '" + name + "'; served: " + known}, "model"));
    }
    for (ServedModel& served : dispatcher_.models()) {
      if (served.name == name) return Found{std::move(text), std::move(served)};
    }
    if (!must_be_ready) return Found{std::move(text), ServedModel{name, {}, 0, 0}};
    return tl::unexpected<ApiError>(
        to_api(Error{Errc::no_ready_worker, "no worker serves '" + name + "' yet"}, "model"));
  }

  void tokenize(Call call) {
    on_pool(std::move(call), [this](Call& c) {
      auto request = parse_tokenize(c.request.body);
      if (!request) return c.reply(request.error());
      auto found = find_model(request->model, false, c.visit->caller());
      if (!found) return c.reply(found.error());
      const ModelText& model = *found->first;
      auto ids = tokens_of(*request, model);
      if (!ids) return c.reply(ids.error());
      c.reply_json(tokenize_answer(*ids, model, found->second.context_length, request->return_token_strs));
    });
  }

  static Parsed<std::vector<TokenId>> tokens_of(TokenizeRequest& request, const ModelText& model) {
    if (!request.prompt) return chat_tokens(std::move(request.input), model);
    auto ids = model.tokenizer->encode(*request.prompt, SpecialTokens::parse, request.add_special_tokens);
    if (!ids) return tl::unexpected<ApiError>(to_api(ids.error(), "prompt"));
    return std::move(*ids);
  }

  static std::string tokenize_answer(const std::vector<TokenId>& ids, const ModelText& model,
                                     std::uint32_t context, bool texts) {
    std::string out = "{\"count\":" + std::to_string(ids.size()) +
                      ",\"max_model_len\":" + std::to_string(context) + ",\"tokens\":[";
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i != 0) out += ',';
      out += std::to_string(ids[i]);
    }
    out += "]";
    if (texts) {
      out += ",\"token_strs\":[";
      for (std::size_t i = 0; i < ids.size(); ++i) {
        if (i != 0) out += ',';
        append_quoted(out, model.tokenizer->token_text(ids[i]));
      }
      out += "]";
    }
    return out + "}";
  }

  void detokenize(Call call) {
    on_pool(std::move(call), [this](Call& c) {
      auto request = parse_detokenize(c.request.body);
      if (!request) return c.reply(request.error());
      auto found = find_model(request->model, false, c.visit->caller());
      if (!found) return c.reply(found.error());
      const Tokenizer& tokenizer = *found->first->tokenizer;
      if (auto checked = check_ids(request->tokens, tokenizer, "tokens"); !checked)
        return c.reply(checked.error());
      auto text = tokenizer.decode(request->tokens, true);
      if (!text) return c.reply(to_api(text.error(), "tokens"));
      std::string out = "{\"prompt\":";
      append_quoted(out, *text);
      c.reply_json(out + "}");
    });
  }

  void append_model(std::string& out, const ServedModel& served) const {
    out += "{\"id\":";
    append_quoted(out, served.name);
    out += ",\"object\":\"model\",\"created\":" + std::to_string(started_) +
           ",\"owned_by\":\"troupe\",\"max_model_len\":" + std::to_string(served.context_length) +
           ",\"fingerprint\":\"" + to_hex(served.id) + "\",\"numerics\":\"" + served.numerics +
           "\",\"ready_workers\":" + std::to_string(served.ready_workers);
    const auto text = models_.find(served.name);
    out += text && text->chat_template ? ",\"chat\":true}" : ",\"chat\":false}";
  }

  // What is listed can be used: models that the cluster serves and whose text side is known here.
  std::vector<Found> models(const Caller& caller) const override {
    std::vector<Found> out;
    for (ServedModel& served : dispatcher_.models()) {
      auto text = models_.find(served.name);
      if (text && caller.may_use(served.name)) out.emplace_back(std::move(text), std::move(served));
    }
    return out;
  }

  std::string model_list(const Caller& caller) const {
    std::string out = "[";
    for (const Found& found : models(caller)) {
      if (out.size() > 1) out += ',';
      append_model(out, found.second);
    }
    return out + "]";
  }

  void list_models(Call call) {
    if (anthropic::is_from_client(call.request)) return messages_.list_models(std::move(call));
    call.reply_json("{\"object\":\"list\",\"data\":" + model_list(call.visit->caller()) + "}");
  }

  void one_model(Call call) {
    const auto name = percent_decoded(std::string_view(call.request.path).substr(kModelsPrefix.size()));
    if (anthropic::is_from_client(call.request)) return messages_.one_model(std::move(call), name);
    for (const Found& found : models(call.visit->caller())) {
      if (found.second.name != name) continue;
      std::string out;
      append_model(out, found.second);
      return call.reply_json(std::move(out));
    }
    call.reply(to_api(Error{Errc::model_not_found, "there is no model '" + name + "'"}, "model"));
  }

  bool ready() const {
    for (const ServedModel& served : dispatcher_.models()) {
      if (served.ready_workers > 0 && models_.find(served.name)) return true;
    }
    return false;
  }

  void healthz(Call call) { call.reply(Response{200, "text/plain; charset=utf-8", "ok\n", {}}); }

  void readyz(Call call) {
    if (call.request.draining) return call.reply(to_api(Error{Errc::draining, {}}));
    if (!ready()) return call.reply(to_api(Error{Errc::no_ready_worker, "no model has a ready worker"}));
    call.reply(Response{200, "text/plain; charset=utf-8", "ready\n", {}});
  }

  // Not on the pool: what is happening must be visible above all when the pool is full.
  void expose_metrics(Call call) {
    const metrics::Format format = metrics::negotiate(call.request.header("Accept"));
    call.reply(Response{
        200, std::string(metrics::content_type(format)), registry_.serialize(format), {{"Vary", "Accept"}}});
  }

  void config(Call call) { call.reply_json(options_.config_json ? options_.config_json() : "{}"); }

  void state(Call call) {
    std::string json = state_json();
    json.pop_back();
    json += ",\"models\":" + model_list(call.visit->caller());
    if (options_.router_json) json += ",\"router\":" + options_.router_json();
    call.reply_json(json + '}');
  }

  // Of this gateway, for /state and for the dashboard's events.
  std::string state_json() const {
    return "{\"in_flight\":" + std::to_string(dispatcher_.in_flight()) +
           ",\"http_in_flight\":" + std::to_string(in_flight()) +
           ",\"connections\":" + std::to_string(connections()) +
           ",\"text_queue\":" + std::to_string(pool_.waiting()) +
           ",\"draining\":" + (server_->draining() ? "true" : "false") + '}';
  }

  void refresh_gauges() const {
    metrics_->in_flight.set(static_cast<double>(in_flight()));
    metrics_->connections.set(static_cast<double>(connections()));
    metrics_->text_queue.set(static_cast<double>(pool_.waiting()));
    if (options_.requests) options_.requests->refresh();
  }

  const EdgeOptions options_;
  const ModelTable models_;
  Dispatcher& dispatcher_;
  metrics::Registry& registry_;
  const std::shared_ptr<const EdgeMetrics> metrics_;
  const std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();
  const std::int64_t started_ =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  std::unique_ptr<KeyRing> keys_;  // null: whoever reaches the port may use it
  std::shared_ptr<AuditLog> audit_;
  RunStarter starter_;
  anthropic::MessagesApi messages_;
  ollama::OllamaApi ollama_;
  responses::ResponsesApi responses_;
  std::unique_ptr<HttpServer> server_, admin_;
  std::unique_ptr<BatchService>
      batches_;          // its lines go to the starter; ended before the servers' memory goes
  TextPool pool_;        // ends before the server it answers through
  Dashboard dashboard_;  // its events ask for the state: ends first
};

}  // namespace

Expected<std::unique_ptr<Edge>> Edge::start(EdgeOptions options, ModelTable models, Dispatcher& dispatcher,
                                            metrics::Registry& registry) {
  auto edge = std::make_unique<EdgeServer>(std::move(options), std::move(models), dispatcher, registry);
  TROUPE_TRY(edge->listen());
  return std::unique_ptr<Edge>(std::move(edge));
}

}  // namespace troupe::gateway

#include "services/gateway/dashboard.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/speculation/techniques.hpp"
#include "services/gateway/json_text.hpp"
#include "services/gateway/web_files.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kFiles = "/web/";
constexpr std::string_view kEvents = "/events/cluster";
constexpr std::string_view kTechniques = "/techniques";
constexpr std::string_view kBenchmarks = "/benchmarks";
constexpr std::string_view kWorkers = "/cluster/workers/";
constexpr std::uintmax_t kMaxRunBytes = 32u << 20;
constexpr std::size_t kMaxRuns = 1000;

constexpr std::array<std::string_view, 3> kOperationNames{"none", "drain", "kill"};

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += out.ends_with('{') ? "\"" : ",\"";
  out += name;
  out += "\":";
  append_quoted(out, text);
}

std::string techniques_json() {
  std::string out = "{\"techniques\":[";
  for (const Technique& technique : techniques()) {
    out += out.ends_with('[') ? "{" : ",{";
    append_member(out, "name", technique.name);
    append_member(out, "summary", technique.summary);
    append_member(out, "paper", technique.paper);
    append_member(out, "service", technique.service);
    append_member(out, "class", name(technique.effect));
    append_member(out, "needs", technique.needs);
    append_member(out, "option", technique.option);
    append_member(out, "request", technique.request);
    out += '}';
  }
  return out + "]}";
}

std::string runs_json(const std::vector<std::string>& names) {
  std::string out = "{\"runs\":[";
  for (const std::string& each : names) {
    if (!out.ends_with('[')) out += ',';
    append_quoted(out, each);
  }
  return out + "]}";
}

std::string_view host_of(std::string_view host_and_port) {
  if (host_and_port.starts_with('[')) return host_and_port.substr(0, host_and_port.find(']') + 1);
  return host_and_port.substr(0, host_and_port.find(':'));
}

bool is_loopback_name(std::string_view host) {
  return host.empty() || host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

ApiError forbidden(std::string why) {
  return to_api(Error{Errc::forbidden, std::move(why)});
}

/// /cluster/workers/<name>/<operation>
struct Order {
  std::string worker;
  wire::Operation operation = wire::Operation::drain;
};
std::optional<Order> order_of(std::string_view path) {
  path.remove_prefix(kWorkers.size());
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  constexpr std::array<std::pair<std::string_view, wire::Operation>, 3> kNames{
      {{"drain", wire::Operation::drain},
       {"undrain", wire::Operation::undrain},
       {"kill", wire::Operation::kill}}};
  for (const auto& [word, operation] : kNames)
    if (path.substr(slash + 1) == word) return Order{percent_decoded(path.substr(0, slash)), operation};
  return std::nullopt;
}

}  // namespace

bool is_cross_site(const Request& request, bool loopback) {
  // A page that was given this address under a name of its own would be of the same origin; its name gives it
  // away.
  const std::string_view host = request.header("Host");
  if (loopback && !is_loopback_name(host_of(host))) return true;
  const std::string_view site = request.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string_view origin = request.header("Origin");
  if (origin.empty()) return false;
  const auto scheme = origin.find("://");
  return scheme == std::string_view::npos || origin.substr(scheme + 3) != host;
}

std::vector<std::string> recorded_runs(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end;
       at.increment(failed)) {
    const std::string each = at->path().filename().string();
    std::error_code ignored;
    if (each.ends_with(".json") && !invalid_utf8_at(each) && at->is_regular_file(ignored))
      names.push_back(each);
  }
  std::ranges::sort(names, std::greater());
  if (names.size() > kMaxRuns) names.resize(kMaxRuns);
  return names;
}

Dashboard::Dashboard(DashboardOptions options, const RequestLog& log,
                     std::function<std::string()> gateway_json, Submit submit)
    : options_(std::move(options)),
      submit_(std::move(submit)),
      feed_(options_.console, log, std::move(gateway_json), hello_json(log)) {}

std::string Dashboard::hello_json(const RequestLog& log) const {
  std::string out = "{";
  append_member(out, "gateway", to_hex(random_id<NodeId>()).substr(0, 8));
  append_member(out, "operations", kOperationNames[static_cast<std::size_t>(options_.operations)]);
  out += options_.benchmarks.empty() ? ",\"benchmarks\":false" : ",\"benchmarks\":true";
  out += options_.console == nullptr ? ",\"cluster\":false" : ",\"cluster\":true";
  // The wall clock at the log's zero, so that a page can say when a request came.
  const double now_ms =
      std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch()).count();
  out += ",\"zero_unix_ms\":";
  append_number(out, static_cast<std::uint64_t>(now_ms - log.milliseconds(std::chrono::steady_clock::now())));
  out += ",\"columns\":[";
  for (const std::string_view column : kRowColumns) {
    if (!out.ends_with('[')) out += ',';
    append_quoted(out, column);
  }
  return out + "]}";
}

void Dashboard::serve(Call call) {
  const std::string path = call.request.path;
  if (path == kEvents) return events(call);
  if (path == kTechniques) return call.reply_json(techniques_json());
  if (path.starts_with(kBenchmarks))
    return benchmarks(std::move(call),
                      std::string_view(path).substr(std::min(path.size(), kBenchmarks.size() + 1)));
  if (path.starts_with(kWorkers)) return operate(call);
  std::string_view name = "index.html";
  if (path == "/favicon.ico") name = "icon.svg";
  if (path.starts_with(kFiles)) name = std::string_view(path).substr(kFiles.size());
  const WebFile* file = find_web_file(name);
  if (file == nullptr) return call.reply(to_api(Error{Errc::not_found, "there is no path '" + path + "'"}));
  call.reply(web_response(*file, call.request));
}

void Dashboard::events(const Call& call) {
  if (!feed_.open(call.writer)) {
    return call.reply(
        to_api(Error{call.request.draining ? Errc::draining : Errc::queue_full, "no more pages are served"}));
  }
  call.over(200);
}

// Disks may be slow: not on the connection's thread.
void Dashboard::benchmarks(Call call, std::string_view name) {
  const auto shared = std::make_shared<Call>(std::move(call));
  const auto submitted = submit_([shared, folder = options_.benchmarks, wanted = percent_decoded(name)] {
    const auto names = folder.empty() ? std::vector<std::string>() : recorded_runs(folder);
    if (wanted.empty()) return shared->reply_json(runs_json(names));
    // Only what was listed is read, so that no name leads out of the folder.
    const std::filesystem::path file = std::filesystem::path(folder) / wanted;
    std::error_code failed;
    const auto missing = Error{Errc::not_found, "there is no recorded run '" + wanted + "'"};
    if (std::ranges::find(names, wanted) == names.end()) return shared->reply(to_api(missing));
    if (std::filesystem::file_size(file, failed) > kMaxRunBytes || failed)
      return shared->reply(to_api(missing));
    std::ifstream in(file, std::ios::binary);
    shared->reply_json(std::string(std::istreambuf_iterator<char>(in), {}));
  });
  if (!submitted) shared->reply(to_api(submitted.error()));
}

void Dashboard::operate(Call& call) {
  const auto order = order_of(call.request.path);
  if (!order || options_.console == nullptr)
    return call.reply(to_api(Error{Errc::not_found, "there is no path '" + call.request.path + "'"}));
  if (is_cross_site(call.request, options_.loopback))
    return call.reply(forbidden("orders come from the dashboard of this address only"));
  const auto needed = order->operation == wire::Operation::kill ? Operations::kill : Operations::drain;
  if (options_.operations < needed) return call.reply(forbidden("dashboard.operations does not allow it"));
  if (const auto done = options_.console->operate(order->worker, order->operation); !done)
    return call.reply(to_api(done.error()));
  call.reply(Response{202, "application/json", "{\"accepted\":true}", {}});
}

}  // namespace troupe::gateway

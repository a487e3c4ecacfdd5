// `troupe top`: a cluster in a terminal, from a gateway's live events.
#include <unistd.h>

#include <memory>
#include <optional>
#include <ostream>
#include <utility>

#include "common/config/value.hpp"
#include "common/http/client.hpp"
#include "common/terminal/printable.hpp"
#include "services/cli/command.hpp"
#include "services/cli/top/cluster_watch.hpp"
#include "services/cli/top/frame.hpp"
#include "services/cli/top/screen.hpp"

namespace troupe::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kHelp =
    "usage: troupe top [--url URL] [--interval TIME] [--width N] [--once]\n\n"
    "Shows a cluster while it works, by what one of its gateways knows: workers with their streams, queues, "
    "KV "
    "pages (# in use,\n"
    "+ cached, . free) and tokens a second; requests a second and times to the first token of that gateway. "
    "q or "
    "Ctrl-C ends it.\n\n"
    "  --url URL        a gateway (http://127.0.0.1:8080)\n"
    "  --cacert FILE    authorities to believe of an https URL, PEM; without it the system's\n"
    "  --interval TIME  between two frames (1s)\n"
    "  --width N        columns, in place of the terminal's\n"
    "  --once           one frame, after one interval, then end; with 1 when no router answers the gateway\n\n"
    "The key of OPENAI_API_KEY is shown to a gateway that wants one; it needs the scope admin.\n";
constexpr auto kConnect = 5s;
constexpr auto kSilence = 30s;   // a gateway says something every five seconds
constexpr auto kPatience = 10s;  // of --once, for a router's report
constexpr std::size_t kLargestBody = 64U << 10;

struct Settings {
  Url gateway;
  std::shared_ptr<const TlsTrust> trust = nullptr;
  Duration interval = 1s;
  std::size_t width = 0;  ///< 0: the terminal's
  bool once = false;
};

Expected<Settings> read_settings(Arguments arguments) {
  Settings settings;
  settings.once = take_switch(arguments, "--once");
  const auto url = take_flag(arguments, "--url"), interval = take_flag(arguments, "--interval"),
             width = take_flag(arguments, "--width"), authorities = take_flag(arguments, "--cacert");
  for (const auto* flag : {&url, &interval, &width, &authorities})
    if (!*flag) return tl::unexpected<Error>(flag->error());
  if (!arguments.empty())
    return fail(Errc::config_invalid,
                "top does not know \"" + arguments.front() + "\"; see troupe top --help");
  auto gateway = parse_any_url(url->value_or("http://127.0.0.1:8080"));
  if (!gateway) return tl::unexpected<Error>(std::move(gateway.error()));
  auto trust = trust_for(*gateway, authorities->value_or(""));
  if (!trust) return tl::unexpected<Error>(std::move(trust.error()));
  settings.gateway = std::move(*gateway);
  settings.trust = std::move(*trust);
  if (*interval) {
    const auto time = parse_duration(**interval);
    if (!time || *time < 10ms || *time > 1h)
      return fail(Errc::config_invalid, "--interval: expected 10ms to 1h");
    settings.interval = *time;
  }
  if (*width) {
    const auto columns = parse_value(OptionType::integer, **width);
    if (!columns || std::get<std::int64_t>(*columns) < 10 || std::get<std::int64_t>(*columns) > 1000)
      return fail(Errc::config_invalid, "--width: expected 10 to 1000");
    settings.width = static_cast<std::size_t>(std::get<std::int64_t>(*columns));
  }
  return settings;
}

class Top {
 public:
  Top(Settings settings, Io& io)
      : settings_(std::move(settings)),
        io_(io),
        live_(!settings_.once && ::isatty(STDOUT_FILENO) == 1),
        watch_(place(settings_.gateway)),
        wakeups_(io.input) {}

  int run() {
    for (;;) {
      wakeups_.stop_clock();  // a connection is made however long a tick is
      auto answer = connect();
      std::optional<Error> broke;
      if (answer) {
        watch_.connected();
        broke = follow(*answer);
        if (!broke) return code_;
      } else {
        broke = answer.error();
      }
      if (broke->code == Errc::cancelled) {
        if (wakeups_.asked_to_end()) return code_;
        continue;  // another key
      }
      if (settings_.once || !shown_) return report(*broke, io_);
      watch_.lost(broke->detail + "; trying again");
      draw();
      if (rest()) return code_;
    }
  }

 private:
  static TimePoint now() { return std::chrono::steady_clock::now(); }

  Expected<HttpAnswer> connect() {
    HttpRequest request;
    request.path = path_below(settings_.gateway, "/events/cluster");
    request.headers = key_header(io_);
    auto answer = HttpAnswer::open(settings_.gateway, request, wakeups_.fd(), {kConnect, kSilence}, settings_.trust);
    if (!answer) return fail(answer.error().code, "the gateway cannot be reached: " + answer.error().detail);
    if (answer->status() == 200 && answer->header("content-type").starts_with("text/event-stream"))
      return answer;
    const auto body = answer->read_all(kLargestBody);
    return fail(Errc::io_failed,
                place(settings_.gateway) + " is no gateway that shows its cluster: it answered " +
                    std::to_string(answer->status()) + " " + printable(body ? *body : std::string()));
  }

  /// Until a person ends it (nothing), or the stream does (why).
  std::optional<Error> follow(HttpAnswer& answer) {
    wakeups_.start_clock(settings_.interval);
    begin_ = now();
    SseParser parser;
    for (;;) {
      const auto some = answer.read_some();
      if (!some && some.error().code != Errc::cancelled) return some.error();
      if (some) {
        if (!*some) return Error{Errc::peer_lost, "the gateway ended its events"};
        const auto events = parser.events(**some);
        if (!events) return events.error();
        for (const SseEvent& event : *events) watch_.take(event, now());
        if (live_ && !shown_ && watch_.sees_cluster()) draw();
      }
      if (look()) return std::nullopt;
    }
  }

  /// What a wake-up asks for. true: to end.
  bool look() {
    if (wakeups_.asked_to_end()) return true;
    if (!wakeups_.ticked()) return false;
    if (!settings_.once) {
      draw();
      return false;
    }
    const bool sees = watch_.sees_cluster();
    if (!std::exchange(saw_, sees) && now() - begin_ < kPatience)
      return false;  // rates need a whole interval
    draw();
    code_ = sees ? ok : failed;
    return true;
  }

  /// One interval without a gateway. true: to end.
  bool rest() {
    wakeups_.start_clock(settings_.interval);
    while (!wakeups_.ticked()) {
      wakeups_.wait();
      if (wakeups_.asked_to_end()) return true;
    }
    return false;
  }

  void draw() {
    top::FrameOptions options;
    const top::ScreenSize size = top::screen_size(STDOUT_FILENO);
    options.width = settings_.width != 0 ? settings_.width : size.width;
    options.height = live_ ? size.height : 0;
    options.colour = live_;
    const std::string frame = top::frame(watch_.state(now()), options);
    if (live_ && !screen_) screen_ = std::make_unique<top::AlternateScreen>(io_.out);
    if (live_)
      io_.out << top::redrawn(frame);
    else
      io_.out << (shown_ ? "\n" : "") << frame;
    io_.out << std::flush;
    shown_ = true;
  }

  const Settings settings_;
  Io& io_;
  const bool live_;
  top::ClusterWatch watch_;
  top::Wakeups wakeups_;
  std::unique_ptr<top::AlternateScreen> screen_;
  TimePoint begin_{};
  bool shown_ = false;
  bool saw_ = false;  ///< at the last tick
  int code_ = ok;
};

}  // namespace

int top_command(Arguments arguments, Io& io) {
  if (take_switch(arguments, "--help")) {
    io.out << kHelp;
    return ok;
  }
  auto settings = read_settings(std::move(arguments));
  if (!settings) return report(settings.error(), io);
  return Top(std::move(*settings), io).run();
}

}  // namespace troupe::cli

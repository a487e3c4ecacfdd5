#include "common/base/log.hpp"

#include <atomic>
#include <memory>

#include <nlohmann/json.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace troupe::log {
namespace {

std::atomic<Level> g_level{Level::info};
std::atomic<bool> g_json{false};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    case Level::off: return spdlog::level::off;
  }
  return spdlog::level::off;
}

std::shared_ptr<spdlog::logger> make_logger(const std::string& role) {
  auto logger = std::make_shared<spdlog::logger>(role, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog::level::debug);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %n %v");
  logger->flush_on(spdlog::level::debug);
  return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = make_logger("troupe");
  return instance;
}

bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" =\"\n") != std::string_view::npos;
}

}  // namespace

void configure(const Options& options) {
  std::atomic_store(&logger(), make_logger(options.role));
  g_level = options.level;
  g_json = options.json;
  if (options.json) logger()->set_pattern("%v");
}

bool enabled(Level level) { return level >= g_level.load(std::memory_order_relaxed) && level != Level::off; }

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  auto sink = std::atomic_load(&logger());
  const auto dump = [](std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string line;
  if (g_json) {
    const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    line = "{\"time\":" + std::to_string(now) + ",\"level\":" + dump(spdlog::level::to_string_view(to_spdlog(level)).data()) +
           ",\"role\":" + dump(sink->name()) + ",\"event\":" + dump(event);
    for (const Field& field : fields) line.append(",").append(dump(field.key)).append(":").append(dump(field.value));
    line.push_back('}');
  } else {
    line = event;
    for (const Field& field : fields) {
      line.append(" ").append(field.key).append("=");
      line.append(needs_quotes(field.value) ? dump(field.value) : field.value);
    }
  }
  sink->log(to_spdlog(level), "{}", line);
}

}  // namespace troupe::log

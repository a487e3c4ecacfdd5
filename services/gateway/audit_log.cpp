#include "services/gateway/audit_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "common/base/log.hpp"
#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

constexpr std::string_view kLog = "log";

std::string utc(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &parts);
  const std::string millis = std::to_string(1000 + unix_ms % 1000).substr(1);
  return std::string(text.data(), size) + millis + "Z";
}

void append_text(std::string& out, std::string_view name, std::string_view value) {
  out.append(",\"").append(name).append("\":");
  append_quoted(out, invalid_utf8_at(value) ? std::string_view("?") : value);
}

std::int64_t unix_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

std::string audit_line(const AuditEntry& entry, std::int64_t unix_ms) {
  std::string out = "{\"time\":\"" + utc(unix_ms) + "\"";
  append_text(out, "request", to_hex(entry.request));
  append_text(out, "key", entry.key);
  append_text(out, "route", entry.route);
  if (!entry.target.empty()) append_text(out, "target", entry.target);
  append_text(out, "model", entry.model);
  out += ",\"status\":" + std::to_string(entry.status);
  out += ",\"prompt_tokens\":" + std::to_string(entry.prompt_tokens);
  out += ",\"completion_tokens\":" + std::to_string(entry.completion_tokens);
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%.6f", entry.seconds);
  return out + ",\"seconds\":" + seconds.data() + "}\n";
}

Expected<std::unique_ptr<AuditLog>> AuditLog::open(AuditOptions options) {
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(options)));
  if (log->options_.target != kLog) {
    TROUPE_TRY(log->open_file());
    log->thread_ = std::thread([raw = log.get()] { raw->run(); });
  }
  return log;
}

AuditLog::~AuditLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (file_ >= 0) ::close(file_);
}

void AuditLog::add(const AuditEntry& entry) {
  std::string line = audit_line(entry, unix_ms());
  if (!thread_.joinable()) {
    line.pop_back();
    log::info("audit", {{"entry", line}});
    if (options_.on_line) options_.on_line(true);
    return;
  }
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    full = waiting_.size() >= options_.queue;
    if (!full) waiting_.push_back(std::move(line));
  }
  if (!full) return news_.notify_one();
  if (options_.on_line) options_.on_line(false);
}

void AuditLog::reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  news_.notify_one();
}

Expected<void> AuditLog::open_file() {
  const std::string& path = options_.target;
  const int fresh =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (fresh < 0)
    return fail(Errc::io_failed, "audit log " + path + ": cannot be opened: " + std::strerror(errno));
  if (file_ >= 0) ::close(file_);
  file_ = fresh;
  struct stat about {};
  bytes_ = ::fstat(fresh, &about) == 0 ? static_cast<std::uint64_t>(about.st_size) : 0;
  return {};
}

void AuditLog::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return stopping_ || reopen_ || !waiting_.empty(); });
    const std::vector<std::string> lines = std::exchange(waiting_, {});
    const bool again = std::exchange(reopen_, false), last = stopping_;
    lock.unlock();
    if (again)
      if (const auto opened = open_file(); !opened)
        log::error("the audit log stays where it was", {{"error", to_string(opened.error())}});
    write(lines);
    if (last) return;
    lock.lock();
  }
}

void AuditLog::write(const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (bytes_ > 0 && bytes_ + lines[i].size() > options_.max_bytes) {
      const std::string& path = options_.target;
      // Where it cannot be put aside it is not written on: what is there stays, what comes is counted.
      if (::rename(path.c_str(), (path + ".1").c_str()) != 0 || !open_file())
        return lost(lines.size() - i, "it is full and cannot be put aside");
    }
    if (!write_line(lines[i])) return lost(lines.size() - i, std::strerror(errno));
    complained_ = false;
    if (options_.on_line) options_.on_line(true);
  }
}

bool AuditLog::write_line(std::string_view line) {
  while (!line.empty()) {
    const ssize_t size = ::write(file_, line.data(), line.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    bytes_ += static_cast<std::uint64_t>(size);
    line.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

void AuditLog::lost(std::size_t lines, std::string_view why) {
  if (!std::exchange(complained_, true))
    log::error("audit lines are lost", {{"file", options_.target}, {"why", why}});
  for (std::size_t i = 0; options_.on_line && i < lines; ++i) options_.on_line(false);
}

}  // namespace troupe::gateway

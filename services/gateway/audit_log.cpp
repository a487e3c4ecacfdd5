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

bool is_file(const AuditTarget& to) {
  return !to.target.empty() && to.target != "log";
}

/// A descriptor that belongs to the caller.
Expected<int> open_to_append(const std::string& path) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (file < 0)
    return fail(Errc::io_failed, "audit log " + path + ": cannot be opened: " + std::strerror(errno));
  return file;
}

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

AuditLog::AuditLog(AuditOptions options)
    : queue_(options.queue),
      on_line_(std::move(options.on_line)),
      target_(static_cast<AuditTarget&&>(options)) {}

Expected<std::unique_ptr<AuditLog>> AuditLog::open(AuditOptions options) {
  AuditTarget first = static_cast<const AuditTarget&>(options);
  options.target.clear();
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(options)));
  TROUPE_TRY(log->turn_to(std::move(first)));
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
  {
    const std::lock_guard lock(mutex_);
    if (target_.target.empty()) return;
  }
  std::string line = audit_line(entry, unix_ms());
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    if (is_file(target_)) {
      full = waiting_.size() >= queue_;
      if (!full) waiting_.push_back(std::exchange(line, {}));
    }
  }
  if (full) {
    if (on_line_) on_line_(false);
  } else if (line.empty()) {
    news_.notify_one();
  } else {
    line.pop_back();
    log::info("audit", {{"entry", line}});
    if (on_line_) on_line_(true);
  }
}

Expected<void> AuditLog::turn_to(AuditTarget next) {
  if (is_file(next)) {
    // The thread opens it when it comes to the first line that is for it; whether it can is told here.
    const auto tried = open_to_append(next.target);
    if (!tried) return tl::unexpected<Error>(tried.error());
    ::close(*tried);
  }
  const bool file = is_file(next);
  {
    const std::lock_guard lock(mutex_);
    if (file || thread_.joinable()) turns_.push_back({waiting_.size(), next});
    target_ = std::move(next);
  }
  if (file && !thread_.joinable()) thread_ = std::thread([this] { run(); });
  news_.notify_one();
  return {};
}

void AuditLog::reopen() {
  AuditTarget same;
  {
    const std::lock_guard lock(mutex_);
    same = target_;
  }
  if (const auto opened = turn_to(std::move(same)); !opened)
    log::error("the audit log stays where it was", {{"error", to_string(opened.error())}});
}

Expected<void> AuditLog::open_file() {
  const auto fresh = open_to_append(written_.target);
  if (!fresh) return tl::unexpected<Error>(fresh.error());
  if (file_ >= 0) ::close(file_);
  file_ = *fresh;
  struct stat about {};
  bytes_ = ::fstat(file_, &about) == 0 ? static_cast<std::uint64_t>(about.st_size) : 0;
  return {};
}

void AuditLog::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return stopping_ || !turns_.empty() || !waiting_.empty(); });
    const std::vector<std::string> lines = std::exchange(waiting_, {});
    const std::vector<Turn> turns = std::exchange(turns_, {});
    const bool last = stopping_;
    lock.unlock();
    const std::span all(lines);
    std::size_t written = 0;
    for (const Turn& each : turns) {
      write(all.subspan(written, each.after - written));
      turn(each.to);
      written = each.after;
    }
    write(all.subspan(written));
    if (last) return;
    lock.lock();
  }
}

void AuditLog::turn(const AuditTarget& next) {
  if (!is_file(next)) {  // nothing more comes to this thread until it is turned to a file
    if (file_ >= 0) ::close(std::exchange(file_, -1));
    return;
  }
  AuditTarget before = std::exchange(written_, next);
  const auto opened = open_file();
  if (opened) return;
  log::error("the audit log stays where it was", {{"error", to_string(opened.error())}});
  written_ = std::move(before);
}

void AuditLog::write(std::span<const std::string> lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (bytes_ > 0 && bytes_ + lines[i].size() > written_.max_bytes) {
      const std::string& path = written_.target;
      // Where it cannot be put aside it is not written on: what is there stays, what comes is counted.
      if (::rename(path.c_str(), (path + ".1").c_str()) != 0 || !open_file())
        return lost(lines.size() - i, "it is full and cannot be put aside");
    }
    if (!write_line(lines[i])) return lost(lines.size() - i, std::strerror(errno));
    complained_ = false;
    if (on_line_) on_line_(true);
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
    log::error("audit lines are lost", {{"file", written_.target}, {"why", why}});
  for (std::size_t i = 0; on_line_ && i < lines; ++i) on_line_(false);
}

}  // namespace troupe::gateway

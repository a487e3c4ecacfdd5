#include "services/gateway/request_log.hpp"

#include <cmath>
#include <cstdio>
#include <utility>

#include "services/gateway/json_text.hpp"

namespace troupe::gateway {
namespace {

// Enough to find it in a log of the same cluster, too little to ask for its stream.
constexpr std::size_t kShownDigits = 8;

void append_time(std::string& out, double milliseconds) {
  std::array<char, 32> text;
  const int size = std::snprintf(text.data(), text.size(), milliseconds < 0 ? "-1" : "%.1f", milliseconds);
  out.append(text.data(), static_cast<std::size_t>(size));
}

}  // namespace

double RequestLog::milliseconds(TimePoint at) const {
  return std::chrono::duration<double, std::milli>(at - start_).count();
}

RequestLog::Entry* RequestLog::find(const RequestId& id) {
  const auto at = numbers_.find(id);
  return at == numbers_.end() ? nullptr : &entries_[at->second - entries_.front().row.number];
}

void RequestLog::touch(Entry& entry) {
  changes_.erase(entry.change);
  entry.change = ++change_;
  changes_.emplace(entry.change, entry.row.number);
}

void RequestLog::prepared(Arrival arrival, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (keep_ == 0 || numbers_.contains(arrival.id)) return;
  if (entries_.size() >= keep_) {
    numbers_.erase(entries_.front().row.id);
    changes_.erase(entries_.front().change);
    entries_.pop_front();
  }
  Entry& entry = entries_.emplace_back();
  RequestRow& row = entry.row;
  row.number = next_++;
  row.id = arrival.id;
  row.model = std::move(arrival.model);
  row.chat = arrival.chat;
  row.stream = arrival.stream;
  row.arrived = milliseconds(arrival.arrived);
  row.prepared = milliseconds(now);
  row.prompt_tokens = arrival.prompt_tokens;
  numbers_.emplace(row.id, row.number);
  touch(entry);
}

void RequestLog::placed(const RequestId& id, std::string decode, std::string prefill, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(id);
  if (entry == nullptr || entry->row.ended >= 0) return;
  ++entry->row.placements;
  entry->row.decode = std::move(decode);
  entry->row.prefill = std::move(prefill);
  if (entry->row.started < 0) entry->row.placed = milliseconds(now);
  touch(*entry);
}

void RequestLog::started(const RequestId& id, std::uint64_t cached_tokens, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(id);
  if (entry == nullptr || entry->row.started >= 0) return;
  entry->row.started = milliseconds(now);
  entry->row.cached_tokens = cached_tokens;
  touch(*entry);
}

void RequestLog::tokens(const RequestId& id, std::uint64_t more, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(id);
  if (entry == nullptr) return;
  entry->row.completion_tokens += more;
  const double at = milliseconds(now);
  if (at - entry->told_tokens < kTokenPauseMs) return;
  entry->told_tokens = at;
  touch(*entry);
}

void RequestLog::ended(const RequestId& id, int status, std::uint64_t completion_tokens, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Entry* entry = find(id);
  if (entry == nullptr) return;
  entry->row.ended = milliseconds(now);
  entry->row.status = status;
  entry->row.completion_tokens = completion_tokens;
  touch(*entry);
}

std::vector<RequestRow> RequestLog::changed_since(std::uint64_t& change, std::size_t most) const {
  std::vector<RequestRow> rows;
  const std::lock_guard lock(mutex_);
  for (auto at = changes_.upper_bound(change); at != changes_.end() && rows.size() < most; ++at) {
    rows.push_back(entries_[at->second - entries_.front().row.number].row);
    change = at->first;
  }
  return rows;
}

void append_row(std::string& out, const RequestRow& row) {
  out += '[' + std::to_string(row.number) + ",\"" + to_hex(row.id).substr(0, kShownDigits) + "\",";
  append_quoted(out, row.model);
  out += row.chat ? ",true" : ",false";
  out += row.stream ? ",true" : ",false";
  for (const double time : {row.arrived, row.prepared, row.placed, row.started, row.ended}) {
    out += ',';
    append_time(out, time);
  }
  out += ',';
  append_quoted(out, row.decode);
  out += ',';
  append_quoted(out, row.prefill);
  for (const std::uint64_t count : {row.prompt_tokens, row.cached_tokens, row.completion_tokens})
    out += ',' + std::to_string(count);
  out += ',' + std::to_string(row.placements) + ',' + std::to_string(row.status) + ']';
}

}  // namespace troupe::gateway

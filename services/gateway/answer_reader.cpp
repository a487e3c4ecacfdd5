#include "services/gateway/answer_reader.hpp"

#include <utility>

namespace troupe::gateway {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

bool is_blank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

}  // namespace

AnswerReader::AnswerReader(Options options)
    : state_(!options.reasoning      ? State::content
             : options.begins_inside ? State::inside
                                     : State::before) {
  if (options.format != nullptr) calls_.emplace(*options.format, std::move(options.tools));
}

void AnswerReader::push(std::string_view text, AnswerParts& out) {
  std::size_t at = 0;
  while (at < text.size() && state_ != State::content) step(text[at++], out);
  if (at < text.size()) content(text.substr(at), out);
}

void AnswerReader::step(char c, AnswerParts& out) {
  if (state_ == State::before) return in_before(c, out);
  if (state_ == State::inside) return in_inside(c, out);
  if (is_blank(c)) return;  // behind the end mark
  state_ = State::content;
  content(std::string_view(&c, 1), out);
}

void AnswerReader::in_before(char c, AnswerParts& out) {
  held_.push_back(c);
  const auto begin = held_.find_first_not_of(kBlanks);
  if (begin == std::string::npos) return;
  const std::string_view mark = std::string_view(held_).substr(begin);
  if (!kThinkBegin.starts_with(mark)) {
    state_ = State::content;
    content(std::exchange(held_, {}), out);
  } else if (mark.size() == kThinkBegin.size()) {
    state_ = State::inside;
    held_.clear();
  }
}

void AnswerReader::in_inside(char c, AnswerParts& out) {
  held_.push_back(c);
  if (held_ == kThinkEnd) {
    state_ = State::behind;
    held_.clear();
    blanks_.clear();
    return;
  }
  if (kThinkEnd.starts_with(held_)) return;
  // The mark begins with its only '<', so nothing but the last byte can begin it anew.
  const bool again = c == kThinkEnd.front();
  if (again) held_.pop_back();
  think(std::exchange(held_, {}), out);
  if (again) held_.push_back(c);
}

void AnswerReader::think(std::string_view text, AnswerParts& out) {
  for (const char c : text) {
    if (is_blank(c)) {
      if (thought_) blanks_ += c;
      continue;
    }
    thought_ = true;
    out.reasoning += blanks_;
    blanks_.clear();
    out.reasoning += c;
  }
}

void AnswerReader::content(std::string_view text, AnswerParts& out) {
  if (calls_) {
    calls_->push(text, out);
  } else {
    out.text += text;
  }
}

void AnswerReader::finish(AnswerParts& out) {
  const std::string held = std::exchange(held_, {});
  if (state_ == State::before) content(held, out);
  if (state_ == State::inside) {
    think(held, out);
    out.reasoning += std::exchange(blanks_, {});
  }
  if (calls_) calls_->finish(out);
}

}  // namespace troupe::gateway

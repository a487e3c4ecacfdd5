#include "services/gateway/stop_matcher.hpp"

#include <algorithm>
#include <utility>

namespace troupe::gateway {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool keep) : keep_(keep) {
  for (std::string& stop : stops) {
    if (stop.empty()) continue;
    Automaton automaton{std::move(stop), {}, 0};
    const std::string& text = automaton.text;
    automaton.fallback.assign(text.size() + 1, 0);
    for (std::size_t i = 1, border = 0; i < text.size(); ++i) {
      while (border > 0 && text[i] != text[border]) border = automaton.fallback[border];
      if (text[i] == text[border]) ++border;
      automaton.fallback[i + 1] = static_cast<std::uint32_t>(border);
    }
    automata_.push_back(std::move(automaton));
  }
}

void StopMatcher::step(Automaton& automaton, char byte) {
  std::uint32_t state = automaton.state;
  while (state > 0 && automaton.text[state] != byte) state = automaton.fallback[state];
  automaton.state = automaton.text[state] == byte ? state + 1 : 0;
}

std::string StopMatcher::push(std::string_view text) {
  if (matched_) return {};
  if (automata_.empty()) return std::string(text);
  held_.reserve(held_.size() + text.size());
  std::size_t pending = 0;
  for (const char byte : text) {
    held_ += byte;
    pending = 0;
    std::size_t complete = 0;
    for (std::size_t i = 0; i < automata_.size(); ++i) {
      Automaton& automaton = automata_[i];
      step(automaton, byte);
      pending = std::max<std::size_t>(pending, automaton.state);
      if (automaton.state < automaton.text.size() || automaton.state <= complete) continue;
      complete = automaton.state;
      matched_automaton_ = i;
    }
    if (complete > 0) {
      matched_ = true;
      const std::string text_before = std::exchange(held_, {});
      return keep_ ? text_before : text_before.substr(0, text_before.size() - complete);
    }
  }
  if (text.empty()) return {};
  std::string out = held_.substr(0, held_.size() - pending);
  held_.erase(0, out.size());
  return out;
}

std::string_view StopMatcher::matched_text() const {
  return matched_ ? std::string_view(automata_[matched_automaton_].text) : std::string_view();
}

std::string StopMatcher::flush() {
  return matched_ ? std::string() : std::exchange(held_, {});
}

}  // namespace troupe::gateway

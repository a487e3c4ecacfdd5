#include "services/gateway/api_words.hpp"

#include <string>

namespace troupe::gateway {
namespace {

void replace_all(std::string& text, const Renamed& name) {
  for (auto at = text.find(name.chat); at != std::string::npos;
       at = text.find(name.chat, at + name.own.size()))
    text.replace(at, name.chat.size(), name.own);
}

}  // namespace

ApiError rename(ApiError error, std::span<const Renamed> names) {
  for (const Renamed& name : names) {
    replace_all(error.message, name);
    replace_all(error.param, name);
  }
  return error;
}

}  // namespace troupe::gateway

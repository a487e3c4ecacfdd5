#pragma once

namespace troupe {

/// Built with a sanitizer, which makes a step about ten times as long: what runs in full elsewhere may be shorter here.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace troupe

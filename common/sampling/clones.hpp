#pragma once
// TROUPE_CLONES compiles a loop once per vector width and picks at load time. Results do not change: integers, or
// floating-point operations one by one (-ffp-contract=off). Sanitizers cannot run the resolver before they are set up.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TROUPE_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define TROUPE_CLONES
#endif

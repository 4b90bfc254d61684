#pragma once
// Detects the sanitizers that this program is built with (g++ defines macros, clang features), so that tests can use smaller sizes.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WENGERT_TEST_ADDRESS_SANITIZER 1
#else
#define WENGERT_TEST_ADDRESS_SANITIZER 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define WENGERT_TEST_THREAD_SANITIZER 1
#else
#define WENGERT_TEST_THREAD_SANITIZER 0
#endif

namespace wengert::testing {

constexpr bool kAddressSanitizer = WENGERT_TEST_ADDRESS_SANITIZER;
constexpr bool kSanitizer = WENGERT_TEST_ADDRESS_SANITIZER || WENGERT_TEST_THREAD_SANITIZER;

}  // namespace wengert::testing

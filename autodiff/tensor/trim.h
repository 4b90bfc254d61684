#pragma once
// What the pool asks others to release.
namespace wengert::pool {

/// trim() calls `release` first, which gives memory that the calling thread keeps for later back to the pool. One function; setting it
/// again replaces it. It may be called in the middle of any allocation.
void release_when_trimming(void (*release)() noexcept) noexcept;

}  // namespace wengert::pool

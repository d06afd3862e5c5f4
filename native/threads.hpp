// Rows shared out among threads. No pool is kept, so a fork has nothing to lose.
#pragma once

#include <cstdint>
#include <functional>

namespace nescio {

// How many threads are worth it for so many logits, at most `allowed`.
int useful_threads(std::int64_t logits, std::int64_t rows, int allowed);

// Calls body(row, slot) for every row, slot in [0, threads) naming the thread; body
// says whether the row is a distribution. Returns the first row that is not, or -1;
// rows behind it may be left out. What a body
// throws is thrown again when every thread is done.
std::int64_t for_rows(std::int64_t rows, int threads,
                      const std::function<bool(std::int64_t row, int slot)>& body);

}  // namespace nescio

#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace nescio {

namespace {

constexpr std::int64_t LOGITS_WORTH_A_THREAD = 1 << 18;

void lower(std::atomic<std::int64_t>& bound, std::int64_t row) {
    std::int64_t now = bound.load();
    while (row < now && !bound.compare_exchange_weak(now, row)) {
    }
}

}  // namespace

int useful_threads(std::int64_t logits, std::int64_t rows, int allowed) {
    const std::int64_t worth = logits / LOGITS_WORTH_A_THREAD;
    return static_cast<int>(
        std::max<std::int64_t>(1, std::min<std::int64_t>({worth, rows, allowed})));
}

std::int64_t for_rows(std::int64_t rows, int threads,
                      const std::function<bool(std::int64_t, int)>& body) {
    std::atomic<std::int64_t> next{0}, refused{rows};
    const std::int64_t chunk = std::max<std::int64_t>(1, rows / (threads * 16));
    std::vector<std::exception_ptr> thrown(threads);
    const auto share = [&](int slot) {
        for (;;) {
            const std::int64_t start = next.fetch_add(chunk);
            const std::int64_t end = std::min(start + chunk, refused.load());
            if (start >= end) return;
            for (std::int64_t row = start; row < end; ++row)
                if (!body(row, slot)) {
                    lower(refused, row);
                    break;
                }
        }
    };
    const auto work = [&](int slot) noexcept {
        try {
            share(slot);
        } catch (...) {
            thrown[slot] = std::current_exception();
            lower(refused, 0);  // the others may stop
        }
    };
    std::vector<std::thread> others;
    others.reserve(threads);
    try {
        for (int slot = 1; slot < threads; ++slot) others.emplace_back(work, slot);
    } catch (const std::system_error&) {
        // The system gives no more threads; those that run do all the work.
    }
    work(0);
    for (std::thread& other : others) other.join();
    for (const std::exception_ptr& one : thrown)
        if (one) std::rethrow_exception(one);
    return refused < rows ? refused.load() : -1;
}

}  // namespace nescio

#include "calls.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sampler.hpp"
#include "threads.hpp"
#include "top.hpp"

namespace nescio {

namespace {

struct Pools {
    std::vector<std::vector<WideEntry>> memory;

    Pools(int threads, std::int64_t top)
        : memory(threads, std::vector<WideEntry>(top > 0 ? pool_size(top) : 0)) {}

    Scratch of(int slot) { return {memory[slot].data()}; }
};

int threads_for(const Rows& rows, int allowed) {
    return useful_threads(rows.count * rows.vocab, rows.count, allowed);
}

}  // namespace

std::int64_t row_statistics(const Kernels& kernels, const Rows& rows,
                            const RowsRequest& request, const RowArrays& arrays,
                            int allowed) {
    const int threads = threads_for(rows, allowed);
    Pools pools(threads, request.top);
    const Powers powers = powers_of(request.powers, request.power_count);
    return for_rows(rows.count, threads, [&](std::int64_t row, int slot) {
        const std::int64_t target = request.targets ? request.targets[row] : -1;
        RowAnswer answer{};
        answer.top_ids = arrays.top_ids + row * request.top;
        answer.top_logp = arrays.top_logp + row * request.top;
        answer.log_powers = arrays.log_powers + row * request.power_count;
        if (!kernels.row(rows, row, {target, request.top, &powers}, pools.of(slot),
                         answer))
            return false;
        arrays.logsumexp[row] = answer.logsumexp;
        arrays.entropy[row] = answer.entropy;
        arrays.varentropy[row] = answer.varentropy;
        if (request.targets) {
            arrays.logp[row] = answer.logp;
            arrays.rank[row] = answer.rank;
        }
        return true;
    });
}

std::int64_t pair_statistics(const Kernels& kernels, const Rows& p, const Rows& q,
                             const std::int64_t* targets, const PairArrays& arrays,
                             int allowed) {
    return for_rows(p.count, threads_for(p, allowed), [&](std::int64_t row, int) {
        Normaliser p_side, q_side;
        if (!kernels.normaliser(p, row, p_side) || !kernels.normaliser(q, row, q_side))
            return false;
        PairAnswer answer;
        kernels.divergences(p, q, row, p_side, q_side, answer);
        arrays.forward[row] = answer.forward;
        arrays.backward[row] = answer.backward;
        arrays.js[row] = answer.js;
        arrays.same_top[row] = p_side.id == q_side.id;
        if (targets) {
            const double x = kernels.value(p, row, targets[row]) - p_side.peak;
            const double y = kernels.value(q, row, targets[row]) - q_side.peak;
            arrays.delta_p[row] =
                std::exp(x - p_side.log_sum) - std::exp(y - q_side.log_sum);
        }
        return true;
    });
}

std::int64_t draw(const Kernels& kernels, const Rows& rows, const Sampling& sampling,
                  const Uniforms& uniforms, const DrawArrays& arrays, int allowed) {
    const int threads = threads_for(rows, allowed);
    const Powers powers = powers_of(arrays.powers, arrays.power_count);
    std::vector<Sampler> samplers(threads, Sampler(kernels, rows, sampling));
    return for_rows(rows.count, threads, [&](std::int64_t row, int slot) {
        const Uniforms own = {uniforms.at + row * uniforms.levels, uniforms.levels};
        return samplers[slot].draw(row, own, arrays.ids[row], arrays.logp[row], powers,
                                   arrays.log_powers + row * powers.count);
    });
}

std::int64_t process(const Kernels& kernels, const Rows& rows, const Sampling& sampling,
                     double* logp, int allowed) {
    const int threads = threads_for(rows, allowed);
    std::vector<Sampler> samplers(threads, Sampler(kernels, rows, sampling));
    return for_rows(rows.count, threads, [&](std::int64_t row, int slot) {
        return samplers[slot].process(row, logp + row * rows.vocab);
    });
}

double read(const Kernels& kernels, const Rows& rows, int allowed) {
    const int threads = threads_for(rows, allowed);
    std::vector<double> sums(rows.count);
    for_rows(rows.count, threads, [&](std::int64_t row, int) {
        sums[row] = kernels.read(rows, row);
        return true;
    });
    double sum = 0;
    for (double part : sums) sum += part;
    return sum;
}

}  // namespace nescio

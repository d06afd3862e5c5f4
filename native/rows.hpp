// Row statistics of one row.
namespace nescio::NESCIO_VARIANT {

// log sum p^power over the possible tokens, in double precision; a pass or two more.
template <class E>
inline double log_power_sum(Blocks<E>& row, double peak, double log_sum, double power) {
    const Doubles origin = Doubles::fill(peak);
    const Doubles never = Doubles::fill(-HUGE_VAL), zero = Doubles::fill(0);
    double anchor = 0;  // the possible d = logit - peak of the largest p^power
    int columns;
    if (power < 0)
        for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
            const unsigned char* at = row.at(from, columns);
            Doubles deepest = zero;
            for (int i = 0; i < columns; i += Doubles::width) {
                const Doubles d =
                    Doubles::load(E(), at + i * Blocks<E>::size) - origin;
                deepest = larger(choose(above(d, never), zero - d, zero), deepest);
            }
            const double lowest = -largest_lane(deepest);
            if (lowest < anchor) anchor = lowest;
        }
    const Doubles start = Doubles::fill(anchor), exponent = Doubles::fill(power);
    const Exponential<Doubles> exponential;
    Doubles sum = zero;
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        const unsigned char* at = row.at(from, columns);
        for (int i = 0; i < columns; i += Doubles::width) {
            const Doubles d = Doubles::load(E(), at + i * Blocks<E>::size) - origin;
            const auto possible = above(d, never);
            const Doubles power_of_p = exponential((choose(possible, d, zero) - start) *
                                                   exponent);
            sum = sum + choose(possible, power_of_p, zero);
        }
    }
    return power * (anchor - log_sum) + std::log(total(sum));
}

// The log sum in double precision for the Renyi sums of a narrower type.
template <class E>
inline double precise_log_sum(Blocks<E>& row, double peak) {
    return log_power_sum(row, peak, 0.0, 1.0);
}

template <class E>
bool row_statistics(const Rows& rows, std::int64_t index, const RowRequest& request,
                    const Scratch& scratch, RowAnswer& answer) {
    using V = typename Working<E>::Vector;
    using Lane = typename V::Lane;
    Blocks<E> row(rows, index);
    Collector<V> best(request.top, scratch);
    const double target = request.target < 0 ? HUGE_VAL : row.value(request.target);
    Watch<V> watch{best, static_cast<Lane>(target)};
    Moments<V> sums;
    const Exponential<V, true> exponential;
    const double peak = scan<V, E, true>(row, exponential, 1.0, sums, watch,
                                         [](std::int64_t, const auto&, double) {});
    const double zeroth = total(sums.zeroth), first = total(sums.first);
    const double second = total(sums.second);
    if (!is_distribution(peak, zeroth + first + second)) return false;
    const double log_sum = std::log(zeroth), mean = first / zeroth;
    const double most = std::log(static_cast<double>(rows.vocab));
    const double entropy = log_sum - mean, spread = second / zeroth - mean * mean;
    answer.logsumexp = peak + log_sum;
    answer.entropy = entropy < most ? entropy : most;
    answer.varentropy = spread > 0 ? spread : 0;
    answer.logp = (target - peak) - log_sum;
    answer.rank = 1 + watch.larger_count;
    if (request.top > 0) best.finish(row, answer.top_ids);
    for (std::int64_t i = 0; i < request.top; ++i)
        answer.top_logp[i] = (row.value(answer.top_ids[i]) - peak) - log_sum;
    if (request.power_count > 0) {
        const double precise = precise_log_sum(row, peak);
        for (std::int64_t i = 0; i < request.power_count; ++i)
            answer.log_powers[i] =
                log_power_sum(row, peak, precise, request.powers[i]);
    }
    return true;
}

template <class E>
double read_row(const Rows& rows, std::int64_t index) {
    using V = typename Working<E>::Vector;
    Blocks<E> row(rows, index);
    V sums[4] = {V::fill(0), V::fill(0), V::fill(0), V::fill(0)};
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK) {
        int columns;
        const unsigned char* at = row.at(from, columns);
        for (int i = 0; i < columns; i += 4 * V::width)
            for (int j = 0; j < 4; ++j) {
                const int start = i + j * V::width;
                sums[j] = sums[j] + V::load(E(), at + start * Blocks<E>::size);
            }
    }
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace nescio::NESCIO_VARIANT

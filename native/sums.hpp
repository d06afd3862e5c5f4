// The passes behind the sampler and the pair statistics: peak, normaliser, weights.
namespace nescio::NESCIO_VARIANT {

// Watches for nothing.
template <class V>
struct Nothing {
    Collector<V> none{0, Scratch{nullptr}};
    Watch<V> watch{none, HUGE_VALF};
};

// Remembers from which column on the largest logit is to be looked for: the first
// reference stems from the first look, a later one from its own block.
struct PeakPlace {
    double reference = HUGE_VAL;
    std::int64_t from = 0;
    void operator()(std::int64_t block, double now) {
        if (block > 0 && now != reference) from = block * BLOCK;
        reference = now;
    }
};

template <class E>
inline std::int64_t first_equal(const Blocks<E>& row, std::int64_t from, double value) {
    while (row.value(from) != value) ++from;
    return from;
}

template <class E>
bool normaliser(const Rows& rows, std::int64_t index, Normaliser& found) {
    Blocks<E> row(rows, index);
    Nothing<Doubles> nothing;
    Mass<Doubles> sums;
    PeakPlace place;
    const double peak = scan<Doubles, E, false>(
        row, Exponential<Doubles>(), 1.0, sums, nothing.watch,
        [&](std::int64_t block, const auto&, double now) { place(block, now); });
    const double zeroth = total(sums.zeroth);
    if (!is_distribution(peak, zeroth)) return false;
    found = {peak, first_equal(row, place.from, peak), std::log(zeroth)};
    return true;
}

template <class E>
bool peak_of(const Rows& rows, std::int64_t index, double& peak, std::int64_t& id) {
    using V = typename Working<E>::Vector;
    Blocks<E> row(rows, index);
    V best = V::fill(-HUGE_VAL), spoiled = V::fill(0);
    std::int64_t from = 0;
    typename V::Lane highest = -HUGE_VAL;
    for (std::int64_t start = 0; start < row.vocab; start += BLOCK) {
        int columns;
        const unsigned char* at = row.at(start, columns);
        for (int i = 0; i < columns; i += V::width) {
            const V x = V::load(E(), at + i * Blocks<E>::size);
            best = larger(x, best);
            // 0 x is NaN for NaN; the clamp keeps it from being so for -inf.
            spoiled = fma(larger(V::fill(-1), x), V::fill(0), spoiled);
        }
        const auto now = largest_lane(best);
        if (now > highest) {
            highest = now;
            from = start;
        }
    }
    peak = highest;
    if (!is_distribution(peak, total(spoiled))) return false;
    id = first_equal(row, from, peak);
    return true;
}

template <class E>
bool top_of(const Rows& rows, std::int64_t index, std::int64_t top,
            const Scratch& scratch, std::int32_t* ids, double& peak) {
    using V = typename Working<E>::Vector;
    Blocks<E> row(rows, index);
    Collector<V> best(top, scratch);
    Watch<V> watch{best, HUGE_VALF};
    Mass<V> sums;
    peak = scan<V, E, true>(row, Exponential<V>(), 1.0, sums, watch,
                            [](std::int64_t, const auto&, double) {});
    if (!is_distribution(peak, total(sums.zeroth))) return false;
    best.finish(row, ids);
    return true;
}

template <class E>
bool block_sums(const Rows& rows, std::int64_t index, double temperature, double* sums,
                double& peak) {
    using V = typename Working<E>::Vector;
    Blocks<E> row(rows, index);
    Nothing<V> nothing;
    Mass<V> mass;
    const double scale = 1 / temperature;
    double sum = 0, reference = HUGE_VAL;
    peak = scan<V, E, false>(
        row, Exponential<V>(scale), scale, mass, nothing.watch,
        [&](std::int64_t block, const auto& found, double now) {
            if (now != reference && block > 0) {  // bring the earlier sums along
                const double factor = std::exp((reference - now) * scale);
                for (std::int64_t i = 0; i < block; ++i) sums[i] *= factor;
            }
            reference = now;
            sums[block] = total(found.zeroth);
        });
    sum = total(mass.zeroth);
    return is_distribution(peak, sum);
}

template <class E>
void weights(const Rows& rows, std::int64_t index, std::int64_t from,
             double temperature, double peak, double* weights) {
    using V = typename Working<E>::Vector;
    using Lane = typename V::Lane;
    Blocks<E> row(rows, index);
    int columns;
    const unsigned char* at = row.at(from, columns);
    const Exponential<V> exponential(1 / temperature);
    const V origin = V::fill(static_cast<Lane>(peak));
    Lane lanes[V::width];
    for (int i = 0; i < columns; i += V::width) {
        exponential(V::load(E(), at + i * Blocks<E>::size) - origin).store(lanes);
        for (int j = 0; j < V::width; ++j) weights[i + j] = lanes[j];
    }
}

// Calls visit(place, score, weight) for every vector of the columns from `from` on.
template <class E, class Visit>
inline void each_score(Blocks<E>& row, std::int64_t from, double temperature,
                       double peak, Visit visit) {
    int columns;
    const unsigned char* at = row.at(from, columns);
    const Exponential<Doubles> exponential;
    const Doubles origin = Doubles::fill(peak), divisor = Doubles::fill(temperature);
    // A product is faster than a quotient, but its factor has to be a number.
    const bool moderate = temperature > 1e-300 && temperature < 1e300;
    const Doubles factor = Doubles::fill(moderate ? 1 / temperature : 1);
    for (int i = 0; i < columns; i += Doubles::width) {
        const Doubles d = Doubles::load(E(), at + i * Blocks<E>::size) - origin;
        const Doubles score = moderate ? d * factor : d / divisor;
        visit(i, score, exponential(score));
    }
}

template <class E>
void scores(const Rows& rows, std::int64_t index, std::int64_t from, double temperature,
            double peak, double* scores, double* weights) {
    Blocks<E> row(rows, index);
    each_score(row, from, temperature, peak, [&](int i, Doubles score, Doubles weight) {
        score.store(scores + i);
        weight.store(weights + i);
    });
}

template <class E>
void score_sums(const Rows& rows, std::int64_t index, double temperature, double peak,
                double& all, double& moment) {
    Blocks<E> row(rows, index);
    Doubles zeroth = Doubles::fill(0), first = zeroth;
    const Exponential<Doubles> exponential;
    for (std::int64_t from = 0; from < row.vocab; from += BLOCK)
        each_score(row, from, temperature, peak,
                   [&](int, Doubles score, Doubles weight) {
                       zeroth = zeroth + weight;
                       first = fma(weight, exponential.clamped(score), first);
                   });
    all = total(zeroth);
    moment = total(first);
}

template <class E>
double value_at(const Rows& rows, std::int64_t index, std::int64_t id) {
    return E::read(rows.data + index * rows.row_stride + id * rows.column_stride);
}

}  // namespace nescio::NESCIO_VARIANT

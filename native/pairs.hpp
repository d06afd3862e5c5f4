// Pair statistics of one row, in double precision whatever the types.
namespace nescio::NESCIO_VARIANT {

struct Side {
    Doubles peak, log_sum;
    explicit Side(const Normaliser& from)
        : peak(Doubles::fill(from.peak)), log_sum(Doubles::fill(from.log_sum)) {}
    Doubles logp(Doubles x) const { return (x - peak) - log_sum; }
};

// (1+u) log(1+u) + (1-u) log(1-u) = log(1-u^2) + u gap, where u = |p-q| / (p+q) =
// tanh(gap/2), for gap = |log p - log q|. Where u is near 1 it is log 4 less what is
// small there, with the smaller's share of p+q. Always at least 0 up to rounding,
// exactly 0 for p = q.
inline Doubles entropic(Doubles p, Doubles q, Doubles gap) {
    const Doubles zero = Doubles::fill(0), one = Doubles::fill(1);
    const Doubles tiny = Doubles::fill(2.2250738585072014e-308);
    const Doubles more = larger(p, q), less = zero - larger(zero - p, zero - q);
    const Doubles part = one / larger(p + q, tiny);
    const Doubles u = (more - less) * part, share = less * part;
    const auto far = above(gap, one);
    const Doubles logarithm = small_log1p(zero - choose(far, share, u * u));
    const Doubles near_value = fma(u, gap, logarithm);
    const Doubles rest = fms(gap, share, logarithm);
    const Doubles far_value = Doubles::fill(1.3862943611198906) - (rest + rest);
    return choose(far, far_value, near_value);
}

struct PairSums {
    Doubles forward = Doubles::fill(0), backward = forward, js = forward;
    Doubles p_alone = forward, q_alone = forward;  // not 0 where a side is alone

    void add(Doubles p_logp, Doubles q_logp, const Exponential<Doubles>& exponential) {
        const Doubles never = Doubles::fill(-HUGE_VAL), one = Doubles::fill(1);
        const Doubles zero = Doubles::fill(0), floor = Doubles::fill(-1e300);
        const Doubles p_on = choose(above(p_logp, never), one, zero);
        const Doubles q_on = choose(above(q_logp, never), one, zero);
        p_alone = larger(p_on - q_on, p_alone);
        q_alone = larger(q_on - p_on, q_alone);
        const Doubles p = exponential(p_logp), q = exponential(q_logp);
        const Doubles gap = larger(floor, p_logp) - larger(floor, q_logp);
        forward = fma(p, gap, forward);
        backward = fma(zero - q, gap, backward);
        js = fma(p + q, entropic(p, q, absolute(gap)), js);
    }
};

template <class P, class Q>
void divergences(const Rows& p_rows, const Rows& q_rows, std::int64_t index,
                 const Normaliser& p_side, const Normaliser& q_side,
                 PairAnswer& answer) {
    Blocks<P> p_row(p_rows, index);
    Blocks<Q> q_row(q_rows, index);
    const Side p(p_side), q(q_side);
    const Exponential<Doubles> exponential;
    PairSums sums;
    for (std::int64_t from = 0; from < p_row.vocab; from += BLOCK) {
        int columns;
        const unsigned char* p_at = p_row.at(from, columns);
        const unsigned char* q_at = q_row.at(from, columns);
        for (int i = 0; i < columns; i += Doubles::width)
            sums.add(p.logp(Doubles::load(P(), p_at + i * Blocks<P>::size)),
                     q.logp(Doubles::load(Q(), q_at + i * Blocks<Q>::size)),
                     exponential);
    }
    const double forward = total(sums.forward), backward = total(sums.backward);
    const double js = total(sums.js) / 4, most = 0.69314718055994530942;
    answer.forward = total(sums.p_alone) > 0 ? HUGE_VAL : forward > 0 ? forward : 0;
    answer.backward = total(sums.q_alone) > 0 ? HUGE_VAL : backward > 0 ? backward : 0;
    answer.js = js > most ? most : js > 0 ? js : 0;
}

}  // namespace nescio::NESCIO_VARIANT

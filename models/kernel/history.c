/* Join of windows to a catalogue; models/query/customer_history.py says what each field means. */

#include <math.h>
#include <string.h>

#include "customer.h"

enum { KIND_BITS = 4, STAMPS = 1000, PIECES = 65535 };

int64_t row_of(const Sales *sales, uint64_t key) {
    int64_t low = 0, high = sales->n_sales;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sales->keys[middle] < key) low = middle + 1;
        else high = middle;
    }
    return low < sales->n_sales && sales->keys[low] == key ? low : -1;
}

static int kind_of(const uint64_t *member) { return (int)(member[2] & ((1 << KIND_BITS) - 1)); }

/* Take the pieces of a refund from the latest purchases of its sale before it. */
static void refund(const uint64_t (*members)[3], int64_t at, int64_t *left, int64_t *shows) {
    int64_t pieces = (int64_t)(members[at][0] & PIECES); /* 0: the whole of one purchase */
    const int is_whole = pieces == 0;
    for (int64_t i = at - 1; i >= 0; i--) {
        if (kind_of(members[i]) != PURCHASE || members[i][1] != members[at][1] || !shows[i]) continue;
        const int64_t taken = is_whole || pieces > left[i] ? left[i] : pieces;
        left[i] -= taken;
        pieces -= taken;
        shows[i] = left[i] > 0;
        if (is_whole || pieces == 0) return;
    }
}

/* Which events still show interest; see models.domain.refund_matching. */
static void find_interest(const Rules *rules, const uint64_t (*members)[3], int64_t n,
                          int64_t *shows) {
    int64_t left[MAX_EVENTS];
    for (int64_t i = 0; i < n; i++) {
        shows[i] = rules->shows_interest[kind_of(members[i])];
        left[i] = (int64_t)(members[i][0] & PIECES);
        if (kind_of(members[i]) == REFUND) refund(members, i, left, shows);
    }
    for (int64_t i = 0; i < n; i++) {
        if (kind_of(members[i]) != DISLIKE) continue;
        for (int64_t before = 0; before < i; before++) {
            shows[before] &= members[before][1] != members[i][1];
        }
    }
}

static void join_events(const Rules *rules, const Sales *sales, const Asked *asked, Customer *to) {
    const uint64_t (*members)[3] = (const uint64_t (*)[3])asked->members;
    int64_t shows[MAX_EVENTS];
    find_interest(rules, members, asked->n_members, shows);
    to->active_age_s = NAN;
    for (int64_t i = 0; i < asked->n_members; i++) {
        const int kind = kind_of(members[i]);
        const int64_t stamped = (int64_t)(members[i][2] >> KIND_BITS);
        const int64_t at_us = stamped < asked->now_us ? stamped : asked->now_us;
        const double age_s = (double)(asked->now_us - at_us) / 1e6;
        const int64_t row = row_of(sales, members[i][1]);
        to->active_age_s = age_s;
        to->n_searches += rules->is_search[kind];
        if (kind == DISLIKE && row >= 0) to->disliked[to->n_disliked++] = row;
        if (!shows[i]) continue;
        if (row < 0) {
            to->n_unknown++;
            continue;
        }
        const int64_t n = to->n_events++;
        to->rows[n] = row;
        to->kinds[n] = kind;
        to->days[n] = at_us / DAY_US;
        to->age_s[n] = age_s;
        for (int h = 0; h < N_HALF_LIVES; h++) {
            to->interest[h][n] = rules->interest[kind] * exp2(-age_s / rules->half_lives_s[h]);
        }
    }
}

static void join_shown(const Sales *sales, const Asked *asked, Customer *to) {
    for (int64_t i = 0; i < asked->n_shown; i++) {
        const int64_t row = row_of(sales, asked->shown_keys[i]);
        if (row < 0) continue;
        const int64_t n = to->n_shown++, position = asked->shown_stamps[i] % STAMPS;
        const double age_s = (double)asked->now_us / 1e6 - (double)(asked->shown_stamps[i] / STAMPS);
        to->shown_rows[n] = row;
        to->shown_age_s[n] = age_s > 0.0 ? age_s : 0.0;
        to->shown_position[n] = position > 0 ? (double)position : NAN;
    }
}

/* Sum events by sale, at the newest event with each. */
static void sum_by_sale(const Rules *rules, const Sales *sales, Customer *to) {
    for (int h = 0; h < N_HALF_LIVES; h++) to->weight[h] = rules->evidence;
    for (int64_t i = 0; i < to->n_events; i++) {
        const int64_t newest = sales->event_place[to->rows[i]] - 1;
        to->is_newest[i] = newest == i;
        to->counts[newest][to->kinds[i]]++;
        for (int h = 0; h < N_HALF_LIVES; h++) {
            to->sale_interest[h][newest] += to->interest[h][i];
            to->weight[h] += to->interest[h][i];
        }
    }
    for (int64_t i = 0; i < to->n_events; i++) {
        for (int h = 0; h < N_HALF_LIVES; h++) {
            to->taste_weight[h][i] =
                to->is_newest[i] ? exp2(-to->age_s[i] / rules->taste_half_lives_s[h]) : 0.0;
        }
    }
}

/* Find the impressions that the customer last chose from; see models/query/last_list.py. */
static void find_last_list(const Rules *rules, const Sales *sales, Customer *to) {
    double positions = 0.0, n_positions = 0.0, start_s = NAN;
    to->choice = -1;
    to->choice_position = NAN;
    for (int64_t i = 0; i < to->n_events; i++) {
        const int64_t shown = sales->shown_place[to->rows[i]] - 1;
        /* Shown again since: then the list of the choice is not on record. */
        if (!rules->is_choice[to->kinds[i]] || shown < 0 || to->shown_age_s[shown] < to->age_s[i]) {
            continue;
        }
        to->choice = i;
        to->choice_position = to->shown_position[shown];
        start_s = to->shown_age_s[shown];
        if (!isnan(to->shown_position[shown])) {
            positions += to->shown_position[shown];
            n_positions++;
        }
    }
    to->usual_position = n_positions ? positions / n_positions : NAN;
    for (int64_t i = 0; i < to->n_shown; i++) {
        to->is_in_list[i] = fabs(to->shown_age_s[i] - start_s) <= rules->list_s;
    }
    for (int64_t i = to->choice + 1; i < to->n_events; i++) {
        to->since_choice[sales->event_place[to->rows[i]] - 1]++;
    }
}

void place(const Sales *sales, const Customer *customer) {
    for (int32_t i = 0; i < customer->n_events; i++) {
        sales->event_place[customer->rows[i]] = i + 1; /* of several the newest */
    }
    for (int32_t i = 0; i < customer->n_shown; i++) {
        sales->shown_place[customer->shown_rows[i]] = i + 1;
    }
}

void unplace(const Sales *sales, const Customer *customer) {
    for (int64_t i = 0; i < customer->n_events; i++) sales->event_place[customer->rows[i]] = 0;
    for (int64_t i = 0; i < customer->n_shown; i++) sales->shown_place[customer->shown_rows[i]] = 0;
}

void join(const Rules *rules, const Sales *sales, const Asked *asked, Customer *customers,
          int64_t n_customers) {
    memset(customers, 0, (size_t)n_customers * sizeof *customers);
    for (int64_t i = 0; i < n_customers; i++) {
        Customer *to = customers + i;
        join_events(rules, sales, asked + i, to);
        join_shown(sales, asked + i, to);
        place(sales, to);
        sum_by_sale(rules, sales, to);
        find_last_list(rules, sales, to);
        unplace(sales, to);
    }
}

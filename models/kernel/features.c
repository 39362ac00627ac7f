/* Features that depend on the customer; models/features and models/recommenders say what they mean.
   A family writes the columns of a step for all candidates of a query. A row depends on its own
   sale only, and all sums have one order: a query has the same bits alone and among others. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "customer.h"

enum { N_TABLES = 6, N_SIZES = 4, N_NUMBERS = 2 };
enum { NO_MEMORY = 1, UNKNOWN_ROW };

/* Columns of a feature matrix, by one family with the tables of one catalogue. */
typedef struct {
    int64_t family;
    int64_t column; /* the first */
    int64_t width;
    int64_t given; /* the first of its numbers of a query */
    int64_t sizes[N_SIZES];
    const void *tables[N_TABLES];
    double numbers[N_NUMBERS];
} Step;

/* A feature matrix: the steps, and the columns that are shared by all customers. */
typedef struct {
    const Step *steps;
    const int64_t *shared_columns;
    int64_t n_steps;
    int64_t n_shared;
    int64_t n_columns;
    int64_t n_given; /* numbers of a query */
    int64_t width;   /* of the widest step */
    int64_t n_work;  /* scratch of the step that needs most */
} Plan;

/* What features.py and steps.py have to lay out alike. */
const int64_t SIZES[] = {sizeof(Rules), sizeof(Step), sizeof(Plan), sizeof(Customer)};

typedef struct {
    const Rules *rules;
    const Sales *sales;
    const Asked *asked;
    const Customer *customer;
    const int64_t *rows; /* of the candidates */
    int64_t n_rows;
    const double *numbers; /* of the query itself */
    double *work;          /* as many as the step says */
} Query;

typedef void Family(const Query *, const Step *, double *);

/* Four sums at a time: one alone would wait for each addition. */
static double dot(const double *a, const double *b, int64_t n) {
    double lanes[4] = {0.0, 0.0, 0.0, 0.0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++) lanes[k] += a[i + k] * b[i + k];
    }
    double sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double dot_float(const float *a, const double *b, int64_t n) {
    double lanes[4] = {0.0, 0.0, 0.0, 0.0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++) lanes[k] += (double)a[i + k] * b[i + k];
    }
    double sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static void add(double *to, double weight, const double *vector, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += weight * vector[i];
}

static void fill(double *to, double value, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = value;
}

static double clip(double value, double most) {
    return value > most ? most : value < -most ? -most : value;
}

static double hours_until(int64_t from_us, int64_t to_us) {
    return log1p((double)(to_us > from_us ? to_us - from_us : 0) / 3.6e9);
}

/* ---- features of customer, sale, and both ---- */

static double newest_age(const Customer *customer, int64_t kind) {
    for (int64_t i = customer->n_events - 1; i >= 0; i--) {
        if (kind < 0 || customer->kinds[i] == kind) return customer->age_s[i];
    }
    return NAN;
}

static void customer_features(const Query *query, const Step *step, double *out) {
    const Customer *customer = query->customer;
    const Asked *asked = query->asked;
    double n_by_kind[N_KINDS] = {0.0}, n_visit = 0.0;
    for (int64_t i = 0; i < customer->n_events; i++) {
        n_by_kind[customer->kinds[i]]++;
        n_visit += customer->age_s[i] <= query->rules->visit_gap_s;
    }
    const int64_t since_us = asked->now_us > asked->first_us ? asked->now_us - asked->first_us : 0;
    const double values[] = {
        n_by_kind[VIEW] + n_by_kind[CLICK],
        n_by_kind[CART],
        n_by_kind[PURCHASE],
        n_visit,
        log1p(newest_age(customer, -1)),
        log1p(newest_age(customer, PURCHASE)),
        (double)customer->n_unknown,
        n_by_kind[FAVOURITE],
        (double)customer->n_searches,
        log1p(customer->active_age_s),
        (double)asked->n_past_purchases,
        (double)asked->n_past_events,
        (double)asked->n_month_purchases,
        (double)asked->n_month_events,
        asked->first_us ? (double)since_us / 1e6 / 86400.0 : NAN,
    };
    for (int64_t i = 0; i < query->n_rows; i++) memcpy(out + i * step->width, values, sizeof values);
}

/* tables: log_price, discount, scheduled_us, pictured. */
static void sale_features(const Query *query, const Step *step, double *out) {
    const double *log_price = step->tables[0], *discount = step->tables[1];
    const int64_t *scheduled_us = step->tables[2];
    const uint8_t *pictured = step->tables[3];
    const int64_t now_us = query->asked->now_us;
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const int64_t row = query->rows[i], closes_us = scheduled_us[row];
        out[0] = log_price[row];
        out[1] = discount[row];
        out[2] = hours_until(query->asked->opens_us[row], now_us);
        out[3] = closes_us == INT64_MAX ? NAN : hours_until(now_us, closes_us);
        out[4] = pictured[row];
    }
}

static double is_disliked(const Customer *customer, int64_t row) {
    for (int64_t i = 0; i < customer->n_disliked; i++) {
        if (customer->disliked[i] == row) return 1.0;
    }
    return 0.0;
}

static void cross_features(const Query *query, const Step *step, double *out) {
    const Customer *customer = query->customer;
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const int64_t row = query->rows[i];
        const int64_t event = query->sales->event_place[row] - 1;
        const int64_t shown = query->sales->shown_place[row] - 1;
        memset(out, 0, (size_t)step->width * sizeof *out);
        out[3] = out[4] = NAN;
        if (event >= 0) {
            const int64_t *counts = customer->counts[event];
            out[0] = (double)(counts[VIEW] + counts[CLICK]);
            out[1] = (double)counts[CART];
            out[2] = (double)counts[PURCHASE];
            out[3] = log1p(customer->age_s[event]);
            out[4] = (double)(customer->n_events - 1 - event);
            out[5] = event == customer->n_events - 1;
            out[6] = customer->sale_interest[VISIT][event];
            out[8] = (double)counts[FAVOURITE];
        }
        out[7] = shown < 0 ? NAN : log1p(customer->shown_age_s[shown]);
        out[9] = is_disliked(customer, row);
    }
}

static void last_list_features(const Query *query, const Step *step, double *out) {
    const Customer *customer = query->customer;
    const int has_chosen = customer->choice >= 0;
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const int64_t event = query->sales->event_place[query->rows[i]] - 1;
        const int64_t shown = query->sales->shown_place[query->rows[i]] - 1;
        const int is_in = shown >= 0 && customer->is_in_list[shown];
        const double position = shown < 0 ? NAN : customer->shown_position[shown];
        out[0] = has_chosen ? is_in : NAN;
        out[1] = is_in ? position - customer->choice_position : NAN;
        out[2] = !has_chosen ? NAN : event < 0 ? 0.0 : (double)customer->since_choice[event];
        out[3] = customer->usual_position;
        out[4] = position;
    }
}

/* ---- content, pictures ---- */

/* Share of interest in the value of each text column, 0 without one. */
static void interest_shares(const Query *query, const int64_t *codes, double *out, int64_t width) {
    const Customer *customer = query->customer;
    double *by_code[N_HALF_LIVES] = {query->sales->by_code,
                                     query->sales->by_code + query->sales->n_codes};
    for (int64_t i = 0; i < customer->n_events; i++) {
        const int64_t *own = codes + customer->rows[i] * N_TEXTS;
        for (int k = 0; k < N_TEXTS; k++) {
            for (int h = 0; own[k] && h < N_HALF_LIVES; h++) {
                by_code[h][own[k]] += customer->interest[h][i];
            }
        }
    }
    for (int64_t i = 0; i < query->n_rows; i++, out += width) {
        const int64_t *own = codes + query->rows[i] * N_TEXTS;
        out[3] = by_code[LASTING][own[0]] / customer->weight[LASTING];
        out[4] = by_code[VISIT][own[0]] / customer->weight[VISIT];
        out[5] = by_code[LASTING][own[1]] / customer->weight[LASTING];
        out[6] = by_code[LASTING][own[2]] / customer->weight[LASTING];
    }
    for (int64_t i = 0; i < customer->n_events; i++) {
        const int64_t *own = codes + customer->rows[i] * N_TEXTS;
        for (int k = 0; k < N_TEXTS; k++) by_code[VISIT][own[k]] = by_code[LASTING][own[k]] = 0.0;
    }
}

static double mean_price(const Customer *customer, const double *log_price) {
    double sum = 0.0, total = 0.0;
    for (int64_t i = 0; i < customer->n_events; i++) {
        const double price = log_price[customer->rows[i]];
        if (isnan(price)) continue;
        sum += customer->interest[LASTING][i] * price;
        total += customer->interest[LASTING][i];
    }
    return total > 0.0 ? sum / total : NAN;
}

/* tables: topics, topic_length, codes, log_price; sizes: n_topics; work: 2 n_topics. */
static void content(const Query *query, const Step *step, double *out) {
    const double *topics = step->tables[0], *length = step->tables[1], *log_price = step->tables[3];
    const int64_t n = step->sizes[0];
    const Customer *customer = query->customer;
    const double price = mean_price(customer, log_price);
    fill(query->work, 0.0, N_HALF_LIVES * n);
    for (int h = 0; h < N_HALF_LIVES; h++) {
        double *taste = query->work + h * n;
        for (int64_t i = 0; i < customer->n_events; i++) {
            add(taste, customer->interest[h][i], topics + customer->rows[i] * n, n);
        }
        for (int64_t k = 0; k < n; k++) taste[k] /= customer->weight[h];
    }
    interest_shares(query, step->tables[2], out, step->width);
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const int64_t row = query->rows[i];
        const double *own = topics + row * n;
        out[1] = n ? dot(own, query->work + LASTING * n, n) / length[row] : NAN;
        out[2] = n ? dot(own, query->work + VISIT * n, n) / length[row] : NAN;
        out[0] = (isnan(out[1]) ? 0.0 : out[1]) + out[3] + out[5] + out[6];
        out[7] = log_price[row] - price;
    }
}

/* Lasting interest in the sales beside one, by their weights. */
static double interest_near(const Query *query, const int64_t *near, const double *weights,
                            int64_t n) {
    double sum = 0.0;
    for (int64_t k = 0; k < n; k++) {
        const int64_t event = query->sales->event_place[near[k]] - 1;
        if (event >= 0) sum += weights[k] * query->customer->sale_interest[LASTING][event];
    }
    return sum / query->customer->weight[LASTING];
}

/* tables: embeddings (float), pictured; sizes: their length; work: 2 of it. */
static void images(const Query *query, const Step *step, double *out) {
    const float *embeddings = step->tables[0];
    const uint8_t *pictured = step->tables[1];
    const int64_t n = step->sizes[0], n_near = query->asked->n_neighbours;
    const Customer *customer = query->customer;
    fill(query->work, 0.0, N_HALF_LIVES * n);
    for (int h = 0; h < N_HALF_LIVES; h++) {
        double *taste = query->work + h * n;
        for (int64_t i = 0; i < customer->n_events; i++) {
            const float *own = embeddings + customer->rows[i] * n;
            for (int64_t k = 0; k < n; k++) taste[k] += customer->interest[h][i] * (double)own[k];
        }
        for (int64_t k = 0; k < n; k++) taste[k] /= customer->weight[h];
    }
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const int64_t row = query->rows[i];
        const float *own = embeddings + row * n;
        out[0] = pictured[row] ? dot_float(own, query->work + LASTING * n, n) : NAN;
        out[1] = pictured[row] ? dot_float(own, query->work + VISIT * n, n) : NAN;
        out[2] = interest_near(query, query->asked->neighbours + row * n_near,
                               query->asked->similarities + row * n_near, n_near);
    }
}

/* tables: rows and strengths of companions; sizes: companions of a sale. */
static void covisitation(const Query *query, const Step *step, double *out) {
    const int64_t *companions = step->tables[0];
    const double *strengths = step->tables[1];
    const int64_t n = step->sizes[0];
    for (int64_t i = 0; i < query->n_rows; i++) {
        const int64_t at = query->rows[i] * n;
        int is_known = 0;
        for (int64_t k = 0; k < n; k++) is_known |= strengths[at + k] > 0.0;
        out[i] = is_known ? interest_near(query, companions + at, strengths + at, n) : NAN;
    }
}

/* ---- tastes ---- */

enum { LASTING_TASTE, VISIT_TASTE };

/* Posterior mean of a taste by the distinct sales of a history that have a place.
   sums: becomes the weighted sum of their places. */
static void posterior(const Query *query, const Step *step, int half_life, double *sums,
                      double *taste) {
    const double *places = step->tables[0], *mean = step->tables[1], *spread = step->tables[2];
    const int64_t size = step->sizes[0];
    const Customer *customer = query->customer;
    double n = 0.0;
    fill(sums, 0.0, size);
    for (int64_t i = 0; i < customer->n_events; i++) {
        const double *place = places + customer->rows[i] * size;
        if (!customer->is_newest[i] || isnan(place[0])) continue;
        n += customer->taste_weight[half_life][i];
        add(sums, customer->taste_weight[half_life][i], place, size);
    }
    for (int64_t k = 0; k < size; k++) {
        taste[k] = mean[k] + (sums[k] - n * mean[k]) * spread[k] / (1.0 + spread[k] * n);
    }
}

/* tables: places (NaN without a text), mean, spread; sizes: dimensions; work: 3 of them. */
static void text(const Query *query, const Step *step, double *out) {
    const double *places = step->tables[0];
    const int64_t size = step->sizes[0];
    double *tastes = query->work, *sums = query->work + 2 * size;
    if (!size) {
        fill(out, NAN, query->n_rows * step->width);
        return;
    }
    posterior(query, step, LASTING_TASTE, sums, tastes);
    posterior(query, step, VISIT_TASTE, sums, tastes + size);
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const double *own = places + query->rows[i] * size;
        for (int h = 0; h < 2; h++) out[h] = dot(own, tastes + h * size, size);
    }
}

/* Weight of the interactions that no known impression led to. */
static double weight_not_shown(const Query *query) {
    const Customer *customer = query->customer;
    double weight = 0.0;
    for (int64_t i = 0; i < customer->n_events; i++) {
        if (customer->is_newest[i] && !query->sales->shown_place[customer->rows[i]]) {
            weight += customer->taste_weight[LASTING_TASTE][i];
        }
    }
    return weight;
}

/* Posterior mode of the lasting taste; see `_STEPS` of content_preference.py.
   linear, taste, step: size each; opens, slope and bend on the way are in work. */
static void newton_step(const Query *query, const Step *of, const double *looks, double weight,
                        double *work) {
    const double *places = of->tables[0], *mean = of->tables[1], *spread = of->tables[2];
    const int64_t size = of->sizes[0];
    const double most = of->numbers[1], tiny = 1e-300; /* of a zero step, whose slope is 0 too */
    const double *sums = work;
    double *taste = work + size, *slope = work + 2 * size, *curve = work + 3 * size;
    const Customer *customer = query->customer;
    double opens[MAX_EVENTS], rise = 0.0, bend = 0.0;
    fill(slope, 0.0, 2 * size);
    for (int64_t i = 0; i < customer->n_shown; i++) {
        const double *place = places + customer->shown_rows[i] * size;
        opens[i] = looks[i] * exp(clip(dot(place, taste, size), most));
        for (int64_t k = 0; k < size; k++) {
            const double gain = opens[i] * place[k];
            slope[k] -= gain;
            curve[k] += gain * place[k];
        }
    }
    double *step = curve;
    for (int64_t k = 0; k < size; k++) {
        const double precision = 1.0 / spread[k] + weight;
        slope[k] += sums[k] + mean[k] / spread[k] - precision * taste[k];
        step[k] = slope[k] / (precision + curve[k]);
        rise += slope[k] * step[k];
        bend += precision * step[k] * step[k];
    }
    for (int64_t i = 0; i < customer->n_shown; i++) {
        const double along = dot(places + customer->shown_rows[i] * size, step, size);
        bend += opens[i] * along * along;
    }
    add(taste, rise / (bend > tiny ? bend : tiny), step, size);
}

/* tables: places, mean, spread; sizes: dimensions, Newton steps; numbers: opening rate, largest
   exponent; work: 5 times the dimensions. */
static void taste(const Query *query, const Step *step, double *out) {
    const double *places = step->tables[0], *mean = step->tables[1];
    const int64_t size = step->sizes[0];
    const Customer *customer = query->customer;
    double *visit = query->work, *sums = query->work + size, *lasting = query->work + 2 * size;
    if (!size) {
        fill(out, NAN, query->n_rows * step->width);
        return;
    }
    posterior(query, step, VISIT_TASTE, sums, visit);
    posterior(query, step, LASTING_TASTE, sums, lasting);
    if (step->numbers[0] > 0.0 && customer->n_shown) {
        double looks[MAX_EVENTS];
        for (int64_t i = 0; i < customer->n_shown; i++) {
            const double memory_s = query->rules->taste_half_lives_s[LASTING_TASTE];
            looks[i] = step->numbers[0] * exp2(-customer->shown_age_s[i] / memory_s);
        }
        const double weight = weight_not_shown(query);
        memcpy(lasting, mean, (size_t)size * sizeof *mean);
        for (int64_t n = 0; n < step->sizes[1]; n++) newton_step(query, step, looks, weight, sums);
    }
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const double *own = places + query->rows[i] * size;
        out[0] = dot(own, lasting, size);
        out[1] = dot(own, visit, size);
        out[2] = dot(own, mean, size);
    }
}

/* ---- factors ---- */

/* Solve a x = b for a positive definite matrix, of which the lower half is read; b becomes x. */
static void solve(double *a, double *b, int64_t n) {
    for (int64_t j = 0; j < n; j++) { /* Cholesky, row by row */
        for (int64_t k = 0; k <= j; k++) {
            const double rest = a[j * n + k] - dot(a + j * n, a + k * n, k);
            a[j * n + k] = j == k ? sqrt(rest) : rest / a[k * n + k];
        }
    }
    for (int64_t j = 0; j < n; j++) b[j] = (b[j] - dot(a + j * n, b, j)) / a[j * n + j];
    for (int64_t j = n - 1; j >= 0; j--) {
        for (int64_t k = j + 1; k < n; k++) b[j] -= a[k * n + j] * b[k];
        b[j] /= a[j * n + j];
    }
}

/* tables: factors, gramian; sizes: factors; numbers: confidence; work: n * (n + 1). */
static void collaborative(const Query *query, const Step *step, double *out) {
    const double *factors = step->tables[0], *gramian = step->tables[1];
    const int64_t n = step->sizes[0];
    const double confidence = step->numbers[0];
    const Customer *customer = query->customer;
    double *normal = query->work, *own = query->work + n * n;
    if (!customer->n_events || !n) {
        fill(out, NAN, query->n_rows);
        return;
    }
    memcpy(normal, gramian, (size_t)(n * n) * sizeof *normal);
    fill(own, 0.0, n);
    for (int64_t i = 0; i < customer->n_events; i++) {
        const double *sale = factors + customer->rows[i] * n;
        if (!customer->is_newest[i]) continue;
        for (int64_t j = 0; j < n; j++) add(normal + j * n, confidence * sale[j], sale, j + 1);
        add(own, 1.0 + confidence, sale, n);
    }
    solve(normal, own, n);
    for (int64_t i = 0; i < query->n_rows; i++) out[i] = dot(factors + query->rows[i] * n, own, n);
}

enum { N_LAST = 3 };

/* Describe the visit that goes on by its last sales and the mean of all; 0 if there is none. */
static int describe_visit(const Query *query, const double *places, int64_t n, double *visit) {
    const Customer *customer = query->customer;
    int64_t n_sales = 0;
    fill(visit, 0.0, (N_LAST + 1) * n);
    double later_s = 0.0; /* age of the event after, or of now */
    for (int64_t i = customer->n_events - 1; i >= 0; i--) {
        if (customer->age_s[i] - later_s > query->rules->visit_gap_s) break;
        later_s = customer->age_s[i];
        if (i + 1 < customer->n_events && customer->rows[i] == customer->rows[i + 1]) continue;
        const double *place = places + customer->rows[i] * n;
        if (n_sales < N_LAST) add(visit + n_sales * n, 1.0, place, n);
        add(visit + N_LAST * n, 1.0, place, n);
        n_sales++;
    }
    for (int64_t k = 0; n_sales && k < n; k++) visit[N_LAST * n + k] /= (double)n_sales;
    return n_sales > 0;
}

/* tables: coordinates, steps; sizes: axes; work: 5 times as many. */
static void session(const Query *query, const Step *step, double *out) {
    const double *places = step->tables[0], *steps = step->tables[1];
    const int64_t n = step->sizes[0];
    double *visit = query->work, *expected = query->work + (N_LAST + 1) * n;
    if (!n || !describe_visit(query, places, n, visit)) {
        fill(out, NAN, query->n_rows);
        return;
    }
    fill(expected, 0.0, n);
    for (int64_t j = 0; j < (N_LAST + 1) * n; j++) add(expected, visit[j], steps + j * n, n);
    for (int64_t i = 0; i < query->n_rows; i++) out[i] = dot(places + query->rows[i] * n, expected, n);
}

/* ---- purchases ---- */

typedef struct {
    int64_t row;
    int64_t first_day;
    int64_t last_day;
    int64_t n_days;
} Bought;

static uint64_t big_endian(const uint8_t *bytes, int n) {
    uint64_t number = 0;
    for (int i = 0; i < n; i++) number = number << 8 | bytes[i];
    return number;
}

/* Purchases by sale: those of the profile, and those of the window on later days. */
static int32_t find_bought(const Query *query, Bought *bought) {
    const Customer *customer = query->customer;
    int32_t n = 0, *places = query->sales->bought_place;
    for (int64_t i = 0; i < query->asked->n_bought; i++) {
        const uint8_t *packed = query->asked->bought + i * PACKED_BYTES;
        const int64_t row = row_of(query->sales, big_endian(packed, 8));
        if (row < 0) continue;
        bought[n++] = (Bought){row, (int64_t)big_endian(packed + 8, 2),
                               (int64_t)big_endian(packed + 10, 2),
                               (int64_t)big_endian(packed + 12, 2)};
        places[row] = n;
    }
    for (int64_t i = 0; i < customer->n_events; i++) { /* the oldest first */
        const int64_t row = customer->rows[i], day = customer->days[i];
        if (customer->kinds[i] != PURCHASE) continue;
        if (!places[row]) {
            bought[n++] = (Bought){row, day, -1, 0};
            places[row] = n;
        }
        Bought *own = bought + places[row] - 1;
        if (day < own->first_day) own->first_day = day;
        if (day <= own->last_day) continue;
        own->last_day = day;
        own->n_days++;
    }
    return n;
}

/* tables: rate, interval; numbers: shape. */
static void buy_again(const Query *query, const Step *step, double *out) {
    const double *rates = step->tables[0], *intervals = step->tables[1], shape = step->numbers[0];
    const int64_t today = query->asked->now_us / DAY_US;
    Bought bought[MAX_BOUGHT + MAX_EVENTS];
    const int32_t n = find_bought(query, bought), *places = query->sales->bought_place;
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const int64_t row = query->rows[i];
        out[0] = out[2] = out[3] = out[4] = NAN;
        out[1] = 0.0;
        out[5] = rates[row];
        if (!places[row]) continue;
        const Bought *own = bought + places[row] - 1;
        const double n_days = (double)own->n_days;
        const double since = today > own->last_day ? (double)(today - own->last_day) : 0.0;
        const double waited = today > own->first_day ? (double)(today - own->first_day) : 0.0;
        out[0] = (n_days - 1.0 + shape) / (waited + shape / rates[row]);
        out[1] = n_days;
        out[2] = log1p(since);
        out[4] = log1p(((double)(own->last_day - own->first_day) + intervals[row]) / n_days);
        out[3] = out[2] - out[4];
    }
    for (int32_t i = 0; i < n; i++) query->sales->bought_place[bought[i].row] = 0;
}

/* ---- numbers of the query ---- */

/* The same for all candidates. */
static void given(const Query *query, const Step *step, double *out) {
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        memcpy(out, query->numbers + step->given, (size_t)step->width * sizeof *out);
    }
}

/* tables: places, mean, weights; sizes: dimensions, attributes; given: the attributes, the first of
   them NaN for a customer without any; work: 2 dimensions. */
static void demographic(const Query *query, const Step *step, double *out) {
    const double *places = step->tables[0], *mean = step->tables[1], *weights = step->tables[2];
    const double *own = query->numbers + step->given;
    const int64_t size = step->sizes[0], n_own = step->sizes[1];
    double *beyond = query->work, *taste = query->work + size;
    if (!n_own || !size || isnan(own[0])) {
        fill(out, NAN, query->n_rows * step->width);
        return;
    }
    fill(beyond, 0.0, size);
    for (int64_t k = 0; k < n_own; k++) add(beyond, own[k], weights + k * size, size);
    for (int64_t k = 0; k < size; k++) taste[k] = mean[k] + beyond[k];
    for (int64_t i = 0; i < query->n_rows; i++, out += step->width) {
        const double *place = places + query->rows[i] * size;
        out[0] = dot(place, taste, size);
        out[1] = dot(place, beyond, size);
    }
}

enum { N_COUNTED = 6 };

/*
 * Sum the event counts of the neighbours of sales, weighted by a high power of their similarity.
 * totals: (n_sales, N_COUNTED); neighbours, similarities: (n_sales, n_near); rows: (n_rows,).
 * sums: (n_rows, N_COUNTED), NaN for a sale without neighbours.
 */
void sum_look_alikes(const double *totals, const int64_t *neighbours, const double *similarities,
                     int64_t n_near, const int64_t *rows, int64_t n_rows, double *sums) {
    for (int64_t i = 0; i < n_rows; i++, sums += N_COUNTED) {
        const int64_t *near = neighbours + rows[i] * n_near;
        const double *alike = similarities + rows[i] * n_near;
        int is_known = 0;
        fill(sums, 0.0, N_COUNTED);
        for (int64_t k = 0; k < n_near; k++) {
            const double square = alike[k] * alike[k], fourth = square * square;
            is_known |= alike[k] > 0.0;
            add(sums, fourth * fourth, totals + near[k] * N_COUNTED, N_COUNTED);
        }
        if (!is_known) fill(sums, NAN, N_COUNTED);
    }
}

/* In the order of `Family` in steps.py. */
static Family *const FAMILIES[] = {
    customer_features, sale_features, cross_features, last_list_features, content, images,
    taste,             collaborative, text,           covisitation,       session,
    buy_again,         given,         demographic,
};

static void compute_query(const Query *query, const Plan *plan, const float *shared, double *block,
                          float *matrix) {
    for (int64_t i = 0; i < query->n_rows; i++) {
        float *to = matrix + i * plan->n_columns;
        for (int64_t k = 0; k < plan->n_shared; k++) to[plan->shared_columns[k]] = *shared++;
    }
    for (const Step *step = plan->steps; step < plan->steps + plan->n_steps; step++) {
        FAMILIES[step->family](query, step, block);
        for (int64_t i = 0; i < query->n_rows; i++) {
            const double *from = block + i * step->width;
            float *to = matrix + i * plan->n_columns + step->column;
            for (int64_t k = 0; k < step->width; k++) to[k] = (float)from[k];
        }
    }
}

/*
 * Compute the columns of a plan for the candidates of queries, and return 0; NO_MEMORY, or
 * UNKNOWN_ROW for a candidate beyond the sales.
 * rows: of the candidates (n_queries, n_rows).
 * numbers: of the queries (n_queries, n_given).
 * shared: the columns that no step computes (n_queries, n_rows, n_shared).
 * matrix: (n_queries, n_rows, n_columns), or NULL for the only step alone, in double precision:
 * alone: (n_queries, n_rows, width).
 */
int compute(const Rules *rules, const Sales *sales, const Plan *plan, const Asked *asked,
            const Customer *customers, int64_t n_queries, const int64_t *rows, int64_t n_rows,
            const double *numbers, const float *shared, float *matrix, double *alone) {
    for (int64_t i = 0; i < n_queries * n_rows; i++) {
        if (rows[i] < 0 || rows[i] >= sales->n_sales) return UNKNOWN_ROW;
    }
    double *block = malloc((size_t)(n_rows * plan->width + plan->n_work + 1) * sizeof *block);
    if (!block) return NO_MEMORY;
    double *work = block + n_rows * plan->width;
    for (int64_t q = 0; q < n_queries; q++) {
        const double *own = numbers + q * plan->n_given;
        const Query query = {rules, sales, asked + q, customers + q, rows + q * n_rows, n_rows, own,
                             work};
        place(sales, query.customer);
        if (alone) {
            FAMILIES[plan->steps->family](&query, plan->steps, alone + q * n_rows * plan->width);
        } else {
            compute_query(&query, plan, shared + q * n_rows * plan->n_shared, block,
                          matrix + q * n_rows * plan->n_columns);
        }
        unplace(sales, query.customer);
    }
    free(block);
    return 0;
}

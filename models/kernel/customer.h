/* A customer's history joined to a catalogue: what the features of a query are computed from.
   The layouts are those of features.py, which checks what it passes: nothing is checked here.
   MAX_EVENTS, of a window and of its impressions, and MAX_BOUGHT, sales of a purchase history, come
   from library.py. */

#ifndef CUSTOMER_H
#define CUSTOMER_H

#include <stddef.h>
#include <stdint.h>

enum { VISIT, LASTING, N_HALF_LIVES };
enum { N_KINDS = 16, N_TEXTS = 3 }; /* a stamp has four bits of the type */
enum { PACKED_BYTES = 14 };
#define DAY_US 86400000000
enum { IMPRESSION, VIEW, CLICK, CART, PURCHASE, FAVOURITE, REFUND, DISLIKE };

/* Constants of models.query, in one place for both languages. */
typedef struct {
    double interest[N_KINDS];
    int64_t shows_interest[N_KINDS];
    int64_t is_search[N_KINDS];
    int64_t is_choice[N_KINDS];
    double half_lives_s[N_HALF_LIVES];
    double taste_half_lives_s[N_HALF_LIVES];
    double evidence;
    double visit_gap_s;
    double list_s;
} Rules;

/* The sales of a catalogue. Places and by_code are scratch, all 0 between calls. */
typedef struct {
    int64_t n_sales;
    const uint64_t *keys; /* ascending */
    int32_t *event_place; /* of each sale: its last event, from 1 */
    int32_t *shown_place; /* of each sale: its impression, from 1 */
    int32_t *bought_place; /* of each sale: its purchases, from 1 */
    double *by_code;      /* interest by half-life and code of the vocabulary */
    int64_t n_codes;
} Sales;

/* A query as it is asked. */
typedef struct {
    int64_t now_us;
    int64_t first_us; /* the customer's first event by the profile, 0 if unknown */
    int64_t n_past_purchases;
    int64_t n_past_events;
    int64_t n_month_purchases;
    int64_t n_month_events;
    const uint64_t *members; /* (n_members, 3): event key, sale key, stamp */
    int64_t n_members;
    const uint64_t *shown_keys;
    const int64_t *shown_stamps;
    int64_t n_shown;
    const uint8_t *bought; /* (n_bought, PACKED_BYTES), see models/domain/purchase_history.py */
    int64_t n_bought;
    const int64_t *opens_us;     /* (n_sales,) */
    const int64_t *neighbours;   /* (n_sales, n_neighbours): rows */
    const double *similarities;  /* same shape */
    int64_t n_neighbours;
} Asked;

typedef struct {
    int64_t n_events; /* of known sales, that still show interest */
    int64_t n_unknown;
    int64_t n_searches;
    int64_t n_disliked;
    int64_t n_shown;
    int64_t choice; /* event that chose from the last list, -1 without one */
    double active_age_s;
    double weight[N_HALF_LIVES]; /* evidence plus all interest */
    double choice_position;
    double usual_position;
    int64_t rows[MAX_EVENTS];
    int64_t kinds[MAX_EVENTS];
    int64_t days[MAX_EVENTS];
    double age_s[MAX_EVENTS];
    double interest[N_HALF_LIVES][MAX_EVENTS];
    int64_t is_newest[MAX_EVENTS]; /* of the events with its sale */
    /* At the newest event with each sale: */
    int64_t counts[MAX_EVENTS][N_KINDS];
    double sale_interest[N_HALF_LIVES][MAX_EVENTS];
    double taste_weight[N_HALF_LIVES][MAX_EVENTS];
    int64_t since_choice[MAX_EVENTS]; /* events with it after the choice */
    int64_t disliked[MAX_EVENTS];
    int64_t shown_rows[MAX_EVENTS];
    double shown_age_s[MAX_EVENTS];
    double shown_position[MAX_EVENTS];
    int64_t is_in_list[MAX_EVENTS];
} Customer;

void join(const Rules *rules, const Sales *sales, const Asked *asked, Customer *customers,
          int64_t n_customers);

/* Row of a sale in a catalogue, -1 if it is not there. */
int64_t row_of(const Sales *sales, uint64_t key);

/* Let both places of the sales of a customer be found, or forget them again. */
void place(const Sales *sales, const Customer *customer);
void unplace(const Sales *sales, const Customer *customer);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the curve of a row over time, for charts. Must never smooth: a point is the mean over relays of what
 * was measured in its slice. */
#include "report/report.h"

typedef struct Piece {
    uint32_t index;
    size_t relay;
    double sum, moment, seconds;
} Piece;

static int piece_compare(const void *a, const void *b)
{
    const Piece *x = a, *y = b;

    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return x->relay < y->relay ? -1 : x->relay > y->relay;
}

/* Sorts them; a point for each index. `members`: of how many relays they can be. */
static CurvePoint *curve_of_pieces(Piece *pieces, size_t n, size_t members, size_t *ret_n)
{
    size_t points = 0;

    if (n > 0)
        qsort(pieces, n, sizeof(*pieces), piece_compare);
    _cleanup_(freep) double *values = xcalloc(members, sizeof(*values));
    CurvePoint *curve = xcalloc(n, sizeof(*curve));
    for (size_t i = 0; i < n;) {
        uint32_t index = pieces[i].index;
        double moment = 0, seconds = 0;
        size_t relays = 0;
        while (i < n && pieces[i].index == index) {
            Piece sum = pieces[i++]; /* a relay may have two pieces in a slice: of two processes */
            while (i < n && pieces[i].index == index && pieces[i].relay == sum.relay) {
                sum.sum += pieces[i].sum;
                sum.moment += pieces[i].moment;
                sum.seconds += pieces[i++].seconds;
            }
            values[relays++] = sum.sum / sum.seconds;
            moment += sum.moment;
            seconds += sum.seconds;
        }
        curve[points++] = (CurvePoint){ .time = (usec_t)(moment / seconds * (double)USEC_PER_SEC),
                                        .mean = stats_mean(values, relays),
                                        .interval = stats_mean_interval(values, relays),
                                        .relays = relays };
    }
    *ret_n = points;
    return curve;
}

CurvePoint *report_curve(const Report *report, const ReportRow *row, size_t *ret_n)
{
    const Series *series = report->series;
    Piece *pieces = NULL;
    size_t n = 0, capacity = 0;

    for (size_t i = 0; i < row->n_members; i++) {
        const Track *t = &series->tracks[row->members[i].track];
        for (size_t k = 0; k < t->n_slices; k++) {
            const Slice *s = &t->slices[k];
            if (s->seconds <= 0)
                continue;
            GROW(pieces, capacity, n);
            pieces[n++] = (Piece){ s->index, t->relay, s->sum, s->moment, s->seconds };
        }
    }
    CurvePoint *curve = curve_of_pieces(pieces, n, row->n_members, ret_n);
    free(pieces);
    return curve;
}

/* ---- traffic ---- */

/* A day most often; in a trial that is shorter than that, the longest time that one entry tells of. */
static usec_t day_width(const Series *series)
{
    usec_t width = 0;

    for (size_t i = 0; i < series->n_days; i++) {
        const usec_t length = series->days[i].to - series->days[i].from;
        width = length > width ? length : width;
    }
    return width > USEC_PER_DAY / 2 || width == 0 ? USEC_PER_DAY : width;
}

static bool of_row(const ReportRow *row, const SeriesDay *day)
{
    for (size_t i = 0; i < row->n_members; i++)
        if (day->track != SERIES_NONE && row->members[i].track == day->track)
            return true;
    return false;
}

CurvePoint *report_traffic_curve(const Report *report, const ReportRow *row, size_t *ret_n)
{
    const Series *series = report->series;
    const usec_t width = day_width(series);
    Piece *pieces = NULL;
    size_t n = 0, capacity = 0;

    for (size_t i = 0; i < series->n_days; i++) {
        const SeriesDay *day = &series->days[i];
        const usec_t middle = day->from + (day->to - day->from) / 2;
        const double seconds = (double)(day->to - day->from) / (double)USEC_PER_SEC;
        if (!of_row(row, day))
            continue;
        GROW(pieces, capacity, n);
        pieces[n++] = (Piece){ .index = (uint32_t)(middle / width),
                               .relay = day->relay,
                               .sum = day->moved * 86400,
                               .moment = (double)middle / (double)USEC_PER_SEC * seconds,
                               .seconds = seconds };
    }
    CurvePoint *curve = curve_of_pieces(pieces, n, row->n_members, ret_n);
    free(pieces);
    return curve;
}

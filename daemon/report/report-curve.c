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

CurvePoint *report_curve(const Report *report, const ReportRow *row, size_t *ret_n)
{
    const Series *series = report->series;
    Piece *pieces = NULL;
    size_t n = 0, capacity = 0, points = 0;

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
    if (n > 0)
        qsort(pieces, n, sizeof(*pieces), piece_compare);
    _cleanup_(freep) double *values = xcalloc(row->n_members, sizeof(*values));
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
    free(pieces);
    *ret_n = points;
    return curve;
}

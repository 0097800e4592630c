/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as JSON: everything that the table is made of, in bytes, µs and parts of one. */
#include "ctl/report.h"
#include "report/report-text.h"

#include <json-c/json.h>
#include <math.h>

static void add(struct json_object *object, const char *key, struct json_object *take)
{
    json_object_object_add(object, key, take);
}

static struct json_object *number(uint64_t value)
{
    return json_object_new_uint64(value);
}

/* µs since 1970, null for 0: none, and for the end of time: no bound. */
static struct json_object *time_or_null(usec_t value)
{
    return value == 0 || value == USEC_INFINITY ? NULL : number(value);
}

struct json_object *ctl_json_real(double value)
{
    if (!isfinite(value))
        return NULL;
    /* Bytes need no digits behind the point, parts of one do. */
    _cleanup_(freep) char *text = xasprintf("%.*f", fabs(value) >= 1000 ? 0 : 6, value);
    return json_object_new_double_s(value, text);
}

struct json_object *ctl_json_interval(Interval interval)
{
    if (!interval_is_set(interval))
        return NULL;
    struct json_object *array = json_object_new_array();
    json_object_array_add(array, ctl_json_real(interval.low));
    json_object_array_add(array, ctl_json_real(interval.high));
    return array;
}

static struct json_object *growth_json(const Growth *growth)
{
    struct json_object *o = json_object_new_object();

    const bool told = growth_is_told(growth);
    add(o, "bytes_per_day", told ? ctl_json_real(growth->per_day) : NULL);
    add(o, "interval", told ? ctl_json_interval(growth->interval) : NULL);
    add(o, "relays", number(growth->relays));
    add(o, "from", time_or_null(growth->from));
    add(o, "to", time_or_null(growth->to));
    return o;
}

static struct json_object *traffic_json(const ReportTraffic *traffic)
{
    struct json_object *o = json_object_new_object();

    add(o, "bytes_per_day", ctl_json_real(traffic->per_day));
    add(o, "relays", number(traffic->relays));
    add(o, "days", ctl_json_real(traffic->days));
    add(o, "difference", ctl_json_real(traffic->difference));
    add(o, "interval", ctl_json_interval(traffic->interval));
    add(o, "reason", ctl_json_text(traffic->why));
    return o;
}

/* µs, null for NAN. */
static struct json_object *span_json(double seconds)
{
    return isnan(seconds) ? NULL : number((uint64_t)llround(seconds * (double)USEC_PER_SEC));
}

static struct json_object *flags_json(const ReportRow *row)
{
    struct json_object *o = json_object_new_object();

    for (Flag flag = 0; flag < _FLAG_MAX; flag++) {
        const ReportFlag *v = &row->flags[flag];
        struct json_object *one = json_object_new_object();
        add(one, "share", ctl_json_real(v->share));
        add(one, "had", number(v->had));
        add(one, "kept", number(v->kept));
        add(one, "restarts", number(v->restarts));
        add(one, "restarts_lost", number(v->lost));
        add(one, "restarts_back", number(v->back));
        add(one, "until_back", span_json(v->back_seconds));
        add(o, flag_to_string(flag), one);
    }
    return o;
}

/* What it said last. */
static struct json_object *tally_json(const FlagTally *tally)
{
    struct json_object *array = tally ? json_object_new_array() : NULL;

    for (Flag flag = 0; tally && flag < _FLAG_MAX; flag++)
        if (flags_have(tally->last, flag))
            json_object_array_add(array, json_object_new_string(flag_to_string(flag)));
    return array;
}

static void add_costs(struct json_object *o, const Report *report, const ReportRow *row)
{
    if (report->has_traffic)
        add(o, "traffic", traffic_json(&row->traffic));
    if (report->has_flags) {
        add(o, "flags", flags_json(row));
        add(o, "flags_known", span_json(row->looked));
    }
    if (report->has_traffic || report->has_flags) {
        _cleanup_(freep) char *sentence = report_cost_sentence(report, row);
        add(o, "cost", ctl_json_text(sentence));
    }
}

static struct json_object *member_json(const Report *report, const ReportMember *member)
{
    const Track *track = &report->series->tracks[member->track];
    struct json_object *o = json_object_new_object();

    add(o, "relay", ctl_json_text(member->name));
    add(o, "average", ctl_json_real(member->mean));
    add(o, "growth_bytes_per_day", ctl_json_real(member->per_day));
    add(o, "samples", number(track->samples));
    add(o, "counted", number(track->counted));
    add(o, "warmup", number(track->warm));
    add(o, "gap", number(track->gap));
    add(o, "restarts", number(track->restarts + track->moves));
    add(o, "moves", number(track->moves));
    add(o, "mixed", json_object_new_boolean(member->mixed));
    add(o, "left_out", ctl_json_text(member->left_out));
    if (report->has_traffic)
        add(o, "traffic_bytes_per_day", ctl_json_real(member->moved));
    if (report->has_flags)
        add(o, "flags", tally_json(track->flags));
    return o;
}

static struct json_object *row_json(const Report *report, const ReportRow *row)
{
    struct json_object *o = json_object_new_object(), *members = json_object_new_array();

    if (report->series->options.by_group)
        add(o, report_by(report), ctl_json_text(row->group));
    add(o, "allocator", ctl_json_text(row->allocator));
    add(o, "version", ctl_json_text(row->version));
    add(o, "relays", number(row->relays));
    add(o, "average", ctl_json_real(row->average));
    add(o, "deviation", ctl_json_real(row->deviation));
    add(o, "baseline", json_object_new_boolean(row->baseline));
    add(o, "reduction", ctl_json_real(row->comparison.reduction));
    add(o, "reduction_interval", ctl_json_interval(row->comparison.interval));
    add(o, "reduction_reason", ctl_json_text(row->why));
    add(o, "waiting", json_object_new_boolean(row->waiting));
    add(o, "growth", growth_json(&row->growth));
    add(o, "verdict", row->waiting ? NULL : json_object_new_string(trend_to_string(row->growth.trend)));
    add(o, "verdict_reason", ctl_json_text(row->growth.reason));
    add(o, "samples", number(row->samples));
    add(o, "counted", number(row->counted));
    add(o, "warmup", number(row->warm));
    add(o, "gap", number(row->gap));
    add(o, "restarts", number(row->restarts + row->moves));
    add(o, "moves", number(row->moves));
    add(o, "left_out", number(row->left_out));
    add(o, "mixed", number(row->mixed));
    add_costs(o, report, row);
    for (size_t i = 0; i < row->n_members; i++)
        json_object_array_add(members, member_json(report, &row->members[i]));
    add(o, "members", members);
    return o;
}

struct json_object *ctl_report_json(const CtlSource *source, const Report *report, char *const *notes)
{
    const Series *series = report->series;
    struct json_object *o = json_object_new_object(), *rows = json_object_new_array(),
                       *sentences = json_object_new_array();

    add(o, "by", json_object_new_string(report_by(report)));
    add(o, "since", time_or_null(series->options.since));
    add(o, "until", time_or_null(series->options.until));
    add(o, "at", time_or_null(series->options.at));
    add(o, "first", time_or_null(series->first));
    add(o, "last", time_or_null(series->last));
    add(o, "warmup", number(series->options.warmup));
    add(o, "seed", number(report->seed));
    add(o, "draws", number(STATS_DRAWS));
    add(o, "proved", json_object_new_boolean(!source->file));
    add(o, "samples", number(series->samples));
    add(o, "unproved", number(series->unproved));
    add(o, "relays", number(report->relays));
    add(o, "mixed", number(report->mixed));
    add(o, "left_out", number(report->left_out));
    add(o, "counted", number(report->counted));
    add(o, "left_out_as_warmup", number(report->warm));
    add(o, "gap", number(report->gap));
    add(o, "restarts", number(report->restarts + report->moves));
    add(o, "moves", number(report->moves));
    add(o, "compare", json_object_new_string(report->beside ? "beside" : "all"));
    add(o, "compared", number(report->compared));
    add(o, "confidence", ctl_json_real(1 - report->error));
    if (report->has_traffic) {
        add(o, "traffic_compared", number(report->traffic_compared));
        add(o, "traffic_confidence", ctl_json_real(1 - report->traffic_error));
        add(o, "traffic_of", json_object_new_string(series->only_written ? "written" : "read and written"));
    }
    if (report->baseline >= 0) {
        _cleanup_(freep) char *name = report_row_name(report, &report->rows[report->baseline]);
        add(o, "baseline", ctl_json_text(name));
    } else
        add(o, "baseline", NULL);
    for (size_t i = 0; i < report->n_rows; i++)
        json_object_array_add(rows, row_json(report, &report->rows[i]));
    add(o, "rows", rows);
    STRV_FOREACH (note, notes)
        json_object_array_add(sentences, ctl_json_text(*note));
    add(o, "notes", sentences);
    return o;
}

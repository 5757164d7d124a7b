/* Reading what the tools write as JSON. */
#ifndef FACET_TESTS_JSON_TESTING_H
#define FACET_TESTS_JSON_TESTING_H

#include <check.h>
#include <jansson.h>
#include <math.h>

/* Member `name` as a number, which it is or, with an interval, has as "value"; NaN for null. */
static inline double json_value_of(const json_t *object, const char *name) {
    const json_t *v = json_object_get(object, name);
    ck_assert_msg(v != NULL, "no member %s", name);
    if (json_is_object(v)) {
        double value = json_value_of(v, "value"), low = json_value_of(v, "low"),
               high = json_value_of(v, "high");
        ck_assert_msg(low <= high && isfinite(value), "the interval of %s is %g to %g", name, low, high);
        return value;
    }
    ck_assert_msg(json_is_number(v) || json_is_null(v), "%s is no number", name);
    return json_is_null(v) ? NAN : json_number_value(v);
}

#endif

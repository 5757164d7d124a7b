#include "data/color.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {[FT_COLOR_NONE] = "none", [FT_COLOR_INCEPTION] = "inception"};

ft_err ft_color_parse(const char *name, ft_color *color) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *color = (ft_color)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG, "there is no change of colour \"%s\"; use none or inception", name);
}

bool ft_color_changes(const ft_color_options *o) {
    return o->color != FT_COLOR_NONE || o->brightness > 0 || o->contrast > 0 || o->saturation > 0 ||
           o->hue > 0;
}

ft_err ft_color_check(const ft_color_options *o) {
    const float factors[] = {o->brightness, o->contrast, o->saturation};
    static const char *const what[] = {"brightness", "contrast", "saturation"};
    for (int i = 0; i < 3; i++)
        FT_REQUIRE(factors[i] >= 0 && factors[i] < 1e6f, CONFIG, "augment.%s is %g; it must not be negative",
                   what[i], (double)factors[i]);
    FT_REQUIRE(o->hue >= 0 && o->hue <= 0.5f, CONFIG, "augment.hue is %g; it lies between 0 and 0.5",
               (double)o->hue);
    return FT_OK;
}

/* ---- the draws ---- */

static void add_step(ft_color_plan *plan, ft_color_op op, double by) {
    plan->step[plan->n].op = op;
    plan->step[plan->n++].by = (float)by;
}

static double between(ft_rng *rng, double low, double high) {
    return low + ft_rng_uniform(rng) * (high - low);
}

static void draw_inception(ft_color_plan *plan, ft_rng *rng) {
    bool contrast_second = ft_rng_below(rng, 2);
    double brightness = between(rng, -32. / 255, 32. / 255), saturation = between(rng, 0.5, 1.5);
    double hue = between(rng, -0.2, 0.2), contrast = between(rng, 0.5, 1.5);
    add_step(plan, FT_COLOR_ADD, brightness);
    if (contrast_second) add_step(plan, FT_COLOR_CHANNEL_CONTRAST, contrast);
    add_step(plan, FT_COLOR_HSV_SATURATION, saturation);
    add_step(plan, FT_COLOR_TURN_HUE, hue);
    if (!contrast_second) add_step(plan, FT_COLOR_CHANNEL_CONTRAST, contrast);
}

static void draw_jitter(const ft_color_options *o, ft_color_plan *plan, ft_rng *rng) {
    const float limits[] = {o->brightness, o->contrast, o->saturation, o->hue};
    static const ft_color_op ops[] = {FT_COLOR_SCALE, FT_COLOR_GREY_CONTRAST, FT_COLOR_GREY_SATURATION,
                                      FT_COLOR_TURN_HUE};
    int32_t order[] = {0, 1, 2, 3};
    ft_rng_shuffle(rng, order, 4);
    for (int i = 0; i < 4; i++) {
        double limit = (double)limits[order[i]];
        if (limit <= 0) continue;
        bool turn = ops[order[i]] == FT_COLOR_TURN_HUE;
        add_step(plan, ops[order[i]],
                 turn ? between(rng, -limit, limit) : between(rng, fmax(0, 1 - limit), 1 + limit));
    }
}

ft_color_plan ft_color_draw(const ft_color_options *o, ft_rng *rng) {
    ft_color_plan plan = {.n = 0};
    if (!ft_color_changes(o)) return plan; /* and nothing is drawn */
    if (o->color == FT_COLOR_INCEPTION) draw_inception(&plan, rng);
    draw_jitter(o, &plan, rng);
    return plan;
}

/* ---- pixels ---- */

static float clamp(float x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* Grey as torchvision weighs it. */
static float grey(const float *p, int32_t c) {
    return c == 1 ? p[0] : 0.2989f * p[0] + 0.587f * p[1] + 0.114f * p[2];
}

static void channel_contrast(int64_t pixels, int32_t c, float by, float *x) {
    for (int32_t k = 0; k < c; k++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++) sum += (double)x[i * c + k];
        float mean = (float)(sum / (double)pixels);
        for (int64_t i = 0; i < pixels; i++) x[i * c + k] = mean + by * (x[i * c + k] - mean);
    }
}

void ft_color_to_grey(int64_t pixels, int32_t c, float *x) {
    for (int64_t i = 0; i < pixels && c == 3; i++) {
        float g = grey(x + i * 3, 3);
        x[3 * i] = x[3 * i + 1] = x[3 * i + 2] = g;
    }
}

static void grey_contrast(int64_t pixels, int32_t c, float by, float *x) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++) sum += (double)grey(x + i * c, c);
    float mean = (float)(sum / (double)pixels);
    for (int64_t i = 0; i < pixels * c; i++) x[i] = clamp(mean + by * (x[i] - mean));
}

static void grey_saturation(int64_t pixels, float by, float *x) {
    for (int64_t i = 0; i < pixels; i++, x += 3) {
        float g = grey(x, 3);
        for (int k = 0; k < 3; k++) x[k] = clamp(g + by * (x[k] - g));
    }
}

/* Hue in [0, 1), saturation, value of a colour whose channels may lie beyond [0, 1]. */
static void to_hsv(const float *p, float hsv[3]) {
    float high = fmaxf(p[0], fmaxf(p[1], p[2])), low = fminf(p[0], fminf(p[1], p[2])), range = high - low;
    float h = 0;
    if (range > 0) {
        if (high == p[0])
            h = (p[1] - p[2]) / range;
        else if (high == p[1])
            h = (p[2] - p[0]) / range + 2;
        else
            h = (p[0] - p[1]) / range + 4;
        h /= 6;
        if (h < 0) h += 1;
    }
    hsv[0] = h;
    hsv[1] = high > 0 ? range / high : 0;
    hsv[2] = high;
}

static void from_hsv(const float hsv[3], float *p) {
    float h = hsv[0] * 6, s = hsv[1], v = hsv[2];
    const float full[3] = {clamp(fabsf(h - 3) - 1), clamp(2 - fabsf(h - 2)), clamp(2 - fabsf(h - 4))};
    for (int k = 0; k < 3; k++) p[k] = (1 - s + s * full[k]) * v;
}

static void change_hsv(int64_t pixels, float turn, float saturate, float *x) {
    for (int64_t i = 0; i < pixels; i++, x += 3) {
        float hsv[3];
        to_hsv(x, hsv);
        hsv[0] += turn;
        hsv[0] -= floorf(hsv[0]);
        hsv[1] = clamp(hsv[1] * saturate);
        from_hsv(hsv, x);
    }
}

void ft_color_apply(const ft_color_plan *plan, int64_t pixels, int32_t c, float *x) {
    for (int32_t i = 0; i < plan->n; i++) {
        float by = plan->step[i].by;
        switch (plan->step[i].op) {
        case FT_COLOR_ADD:
            for (int64_t k = 0; k < pixels * c; k++) x[k] += by;
            break;
        case FT_COLOR_SCALE:
            for (int64_t k = 0; k < pixels * c; k++) x[k] = clamp(by * x[k]);
            break;
        case FT_COLOR_CHANNEL_CONTRAST:
            channel_contrast(pixels, c, by, x);
            break;
        case FT_COLOR_GREY_CONTRAST:
            grey_contrast(pixels, c, by, x);
            break;
        case FT_COLOR_GREY_SATURATION:
            if (c == 3) grey_saturation(pixels, by, x);
            break;
        case FT_COLOR_HSV_SATURATION:
            if (c == 3) change_hsv(pixels, 0, by, x);
            break;
        case FT_COLOR_TURN_HUE:
            if (c == 3) change_hsv(pixels, by, 1, x);
            break;
        }
    }
    for (int64_t k = 0; plan->n && k < pixels * c; k++) x[k] = clamp(x[k]);
}

#include "layers/window.h"

static ft_err axis(const char *name, int32_t in, int32_t k, int32_t s, int32_t d, int32_t padding,
                   int32_t before, int32_t after, int32_t *out, int32_t *first) {
    FT_REQUIRE(k > 0 && s > 0 && d > 0, GRAPH, "%s: kernel %d, stride %d and dilation %d must be positive",
               name, k, s, d);
    FT_REQUIRE(before >= 0 && after >= 0, GRAPH, "%s: padding %d, %d must not be negative", name, before,
               after);
    int64_t extent = (int64_t)(k - 1) * d + 1;
    if (padding == FT_PAD_SAME) {
        int64_t n = (in + s - 1) / s, total = (n - 1) * s + extent - in;
        *out = (int32_t)n;
        *first = total > 0 ? (int32_t)(total / 2) : 0;
        return FT_OK;
    }
    if (padding == FT_PAD_VALID) before = after = 0;
    int64_t padded = (int64_t)in + before + after;
    FT_REQUIRE(padded >= extent, GRAPH,
               "%s: a window of %lld does not fit into %lld pixels; use a larger image or 'same' padding",
               name, (long long)extent, (long long)padded);
    *out = (int32_t)((padded - extent) / s + 1);
    *first = before;
    return FT_OK;
}

ft_err ft_window_geometry(const ft_window *win, int32_t h, int32_t w, ft_geometry *out) {
    FT_TRY(axis("height", h, win->kh, win->sh, win->dh, win->padding, win->pad[0], win->pad[1], &out->oh,
                &out->top));
    return axis("width", w, win->kw, win->sw, win->dw, win->padding, win->pad[2], win->pad[3], &out->ow,
                &out->left);
}

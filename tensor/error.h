/* Errors: one code, one sentence, one exit status for each kind of failure.
 *
 * A function that can fail returns ft_err. The message says what, where and what to do; it belongs to the
 * calling thread and is valid until that thread's next failure. The library never prints, exits or aborts.
 */
#ifndef FACET_TENSOR_ERROR_H
#define FACET_TENSOR_ERROR_H

#include <stddef.h>

/*   name      exit  sentence */
#define FT_ERRORS(X)                           \
    X(OK, 0, "done")                           \
    X(USAGE, 2, "wrong usage")                 \
    X(CONFIG, 2, "invalid configuration")      \
    X(GRAPH, 2, "invalid network")             \
    X(DATA, 3, "bad data")                     \
    X(WEIGHTS, 3, "bad weights or checkpoint") \
    X(NUMERIC, 4, "not a finite number")       \
    X(IO, 5, "input or output failed")         \
    X(MEMORY, 5, "out of memory")              \
    X(STOPPED, 130, "stopped by a signal")

typedef enum ft_err {
#define FT_ERR_ENUM(name, code, sentence) FT_E_##name,
    FT_ERRORS(FT_ERR_ENUM)
#undef FT_ERR_ENUM
} ft_err;
#define FT_OK FT_E_OK

/* The kind's fixed sentence; never NULL. */
const char *ft_err_sentence(ft_err e);
/* The exit status of a tool that ends with this error. */
int ft_err_exit_status(ft_err e);
/* This thread's last message; "" before the first failure. */
const char *ft_err_message(void);
/* Sets this thread's message, without control characters but tabs and new lines, and returns e. */
ft_err ft_err_set(ft_err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "text: " in front of this thread's message and returns e; for callers that know where it happened. */
ft_err ft_err_prefix(ft_err e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define FT_FAIL(code, ...) return ft_err_set(FT_E_##code, __VA_ARGS__)
#define FT_REQUIRE(cond, code, ...)              \
    do {                                         \
        if (!(cond)) FT_FAIL(code, __VA_ARGS__); \
    } while (0)
#define FT_TRY(expr)                                  \
    do {                                              \
        ft_err ft_try_err_ = (expr);                  \
        if (ft_try_err_ != FT_OK) return ft_try_err_; \
    } while (0)

/* count * size bytes of zeroed memory on a 64-byte boundary, or NULL (overflow included); release with
 * free(). */
void *ft_alloc(size_t count, size_t size);

#endif

/* Reading Python's pickles (protocols 2 to 5, Lib/pickletools.py) without executing anything.
 *
 * A pickle is a program for a small stack machine that may call any function of Python. Here it is only
 * read: a call becomes a value that tells what was to be called with what, and only names that the caller
 * knows may be called at all. The result is a graph of values, which may share parts and, in a hostile file,
 * contain themselves: walk it along known paths only.
 */
#ifndef FACET_TRAIN_PICKLE_H
#define FACET_TRAIN_PICKLE_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ft_pickle_kind {
    FT_PICKLE_OTHER, /* None, truth values, floats, bytes, integers beyond 64 bits: not told apart */
    FT_PICKLE_INT,   /* i */
    FT_PICKLE_TEXT,  /* text, n bytes */
    FT_PICKLE_TUPLE, /* item[n] */
    FT_PICKLE_LIST,  /* item[n] */
    FT_PICKLE_DICT,  /* item[n]: key, value, key, value, ... */
    FT_PICKLE_NAME,  /* i: what ft_pickle_resolve made of it */
    FT_PICKLE_CALL,  /* called, args (a tuple); item[n]: keys and values set in what the call returns */
    FT_PICKLE_SAVED, /* args: the "persistent id" of something kept outside of the pickle */
} ft_pickle_kind;

typedef struct ft_pickle_value {
    ft_pickle_kind kind;
    int32_t n, room;
    union {
        int64_t i;
        const char *text; /* in the pickle's own bytes, no NUL behind it */
        struct ft_pickle_value **item;
    };
    int32_t called; /* of a call: the name's i */
    const struct ft_pickle_value *args;
} ft_pickle_value;

/* Says what "collections.OrderedDict" is to the caller, or refuses it: its error becomes that of the read. */
typedef ft_err (*ft_pickle_resolve)(const char *where, const char *name, int32_t *id);

typedef struct ft_pickle ft_pickle;

/* Reads the pickle p (n bytes, which must outlive *out); where says in messages whose it is. FT_E_WEIGHTS:
 * damaged, too large, or it needs more of Python than data; FT_E_MEMORY. *out is then NULL. */
ft_err ft_pickle_read(const uint8_t *p, size_t n, const char *where, ft_pickle_resolve resolve,
                      ft_pickle **out);
const ft_pickle_value *ft_pickle_root(const ft_pickle *pickle);
void ft_pickle_free(ft_pickle *pickle); /* NULL is fine */

/* The value of a key in a dict or in what a call returned; the last one, as in Python. NULL: there is none.
 */
const ft_pickle_value *ft_pickle_get(const ft_pickle_value *dict, const char *key);
bool ft_pickle_is_text(const ft_pickle_value *v, const char *text);

#endif

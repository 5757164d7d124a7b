/* Pickles, read as data: a stack of values, a memo of values to be used again, a list of marks in the stack.
 */
#include "train/pickle.h"

#include "train/input_file.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_BYTES = 1 << 24,  /* some 100,000 tensors */
    MAX_VALUES = 1 << 22, /* also the largest memo */
    MAX_MARKS = 1024,     /* how deeply containers may be nested */
    MAX_NAME = 256,
    BLOCK_VALUES = 256
};

typedef struct block {
    struct block *next;
    int32_t n;
    ft_pickle_value value[BLOCK_VALUES];
} block;

struct ft_pickle {
    block *blocks; /* own all values and their lists */
    int32_t n_values;
    ft_pickle_value *root;
};

typedef struct value_list {
    ft_pickle_value **p;
    int32_t n, room;
} value_list;

typedef struct reader {
    const uint8_t *p;
    size_t n, at, opcode_at;
    const char *where;
    ft_pickle_resolve resolve;
    ft_pickle *out;
    value_list stack, memo; /* the memo has holes of NULL */
    int32_t mark[MAX_MARKS], n_marks;
} reader;

static ft_err broken(const reader *r) {
    ft_err_set(FT_E_WEIGHTS, "'%s': its pickle is damaged at byte %zu; fetch the file again", r->where,
               r->opcode_at);
    return FT_E_WEIGHTS; /* a constant: GCC sees that what failed is not used */
}

static ft_err no_memory(const reader *r) {
    FT_FAIL(MEMORY, "'%s': no memory for its pickle", r->where);
}

/* The next n bytes. */
static ft_err take(reader *r, uint64_t n, const uint8_t **p) {
    if (n > r->n - r->at) return broken(r);
    *p = r->p + r->at;
    r->at += n;
    return FT_OK;
}

/* An unsigned little-endian number of 1, 2, 4 or 8 bytes. */
static ft_err take_number(reader *r, int bytes, uint64_t *x) {
    const uint8_t *p;
    FT_TRY(take(r, (uint64_t)bytes, &p));
    *x = bytes == 1 ? *p : bytes == 2 ? ft_le16(p) : bytes == 4 ? ft_le32(p) : ft_le64(p);
    return FT_OK;
}

/* ---- values, lists, the stack ---- */

static ft_err make_room(const reader *r, ft_pickle_value ***p, int32_t *room, int64_t wanted) {
    if (wanted <= *room) return FT_OK;
    int64_t more = 2 * (int64_t)*room > wanted ? 2 * (int64_t)*room : wanted;
    if (more > INT32_MAX) return broken(r);
    ft_pickle_value **list = reallocarray(*p, (size_t)more, sizeof *list);
    if (!list) return no_memory(r);
    memset(list + *room, 0, (size_t)(more - *room) * sizeof *list);
    *p = list;
    *room = (int32_t)more;
    return FT_OK;
}

static ft_err push(reader *r, ft_pickle_value *v) {
    FT_TRY(make_room(r, &r->stack.p, &r->stack.room, (int64_t)r->stack.n + 1));
    r->stack.p[r->stack.n++] = v;
    return FT_OK;
}

static ft_err new_value(reader *r, ft_pickle_value value, ft_pickle_value **v) {
    ft_pickle *o = r->out;
    *v = NULL;
    FT_REQUIRE(o->n_values < MAX_VALUES, WEIGHTS, "'%s': its pickle has more than %d values: refused",
               r->where, MAX_VALUES);
    if (!o->blocks || o->blocks->n == BLOCK_VALUES) {
        block *b = malloc(sizeof *b);
        if (!b) return no_memory(r);
        b->n = 0;
        b->next = o->blocks;
        o->blocks = b;
    }
    *v = &o->blocks->value[o->blocks->n++];
    o->n_values++;
    **v = value;
    return FT_OK;
}

static ft_err push_new(reader *r, ft_pickle_value value) {
    ft_pickle_value *v;
    FT_TRY(new_value(r, value, &v));
    return push(r, v);
}

/* How many values there are above the last mark. */
static int32_t above_mark(const reader *r) {
    return r->stack.n - (r->n_marks ? r->mark[r->n_marks - 1] : 0);
}

static ft_err pop(reader *r, ft_pickle_value **v) {
    if (above_mark(r) < 1) return broken(r);
    *v = r->stack.p[--r->stack.n];
    return FT_OK;
}

/* Takes values from the stack: n of them; n < 0: those above the last mark, and the mark. They stay valid
 * until the next push. */
static ft_err pop_items(reader *r, int32_t *n, ft_pickle_value ***items) {
    if (*n < 0 ? r->n_marks == 0 : above_mark(r) < *n) return broken(r);
    if (*n < 0) {
        *n = above_mark(r);
        r->n_marks--;
    }
    r->stack.n -= *n;
    *items = *n ? r->stack.p + r->stack.n : NULL;
    return FT_OK;
}

static ft_pickle_value *top(const reader *r) {
    return above_mark(r) > 0 ? r->stack.p[r->stack.n - 1] : NULL;
}

static bool has_items(const ft_pickle_value *v) {
    return v->kind == FT_PICKLE_TUPLE || v->kind == FT_PICKLE_LIST || v->kind == FT_PICKLE_DICT ||
           v->kind == FT_PICKLE_CALL;
}

static ft_err append(const reader *r, ft_pickle_value *to, ft_pickle_value *const *items, int32_t n) {
    FT_TRY(make_room(r, &to->item, &to->room, (int64_t)to->n + n));
    if (n) memcpy(to->item + to->n, items, (size_t)n * sizeof *items);
    to->n += n;
    return FT_OK;
}

/* ---- operations; what k is, their table tells ---- */

static ft_err skip(reader *r, int k) {
    const uint8_t *p;
    return take(r, (uint64_t)k, &p);
}

/* k bytes of what is not looked at. */
static ft_err push_other(reader *r, int k) {
    FT_TRY(skip(r, k));
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_OTHER});
}

static ft_err push_empty(reader *r, int k) {
    return push_new(r, (ft_pickle_value){.kind = (ft_pickle_kind)k});
}

/* The length in k bytes, then so many. */
static ft_err take_counted(reader *r, int k, const uint8_t **p, uint64_t *n) {
    FT_TRY(take_number(r, k, n));
    return take(r, *n, p);
}

static ft_err push_text(reader *r, int k) {
    uint64_t n;
    const uint8_t *p;
    FT_TRY(take_counted(r, k, &p, &n));
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_TEXT, .n = (int32_t)n, .text = (const char *)p});
}

static ft_err push_bytes(reader *r, int k) {
    uint64_t n;
    const uint8_t *p;
    FT_TRY(take_counted(r, k, &p, &n));
    return push_other(r, 0);
}

/* Two's complement, little-endian, of any length. */
static ft_err push_long(reader *r, int k) {
    uint64_t n, x = 0;
    const uint8_t *p;
    FT_TRY(take_counted(r, k, &p, &n));
    if (n > 8) return push_other(r, 0);
    if (n && p[n - 1] & 0x80) x = UINT64_MAX;
    for (uint64_t i = n; i-- > 0;) x = x << 8 | p[i];
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_INT, .i = (int64_t)x});
}

static ft_err push_int(reader *r, int k) {
    uint64_t x;
    FT_TRY(take_number(r, k, &x));
    int64_t i = k == 4 ? (int32_t)x : (int64_t)x;
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_INT, .i = i});
}

static ft_err push_tuple(reader *r, int k) {
    ft_pickle_value **items, *tuple;
    FT_TRY(pop_items(r, &k, &items));
    FT_TRY(new_value(r, (ft_pickle_value){.kind = FT_PICKLE_TUPLE}, &tuple));
    FT_TRY(append(r, tuple, items, k));
    return push(r, tuple);
}

static ft_err put_items(reader *r, int k) {
    ft_pickle_value **items;
    FT_TRY(pop_items(r, &k, &items));
    ft_pickle_value *to = top(r);
    return to && to->kind == FT_PICKLE_LIST ? append(r, to, items, k) : broken(r);
}

static ft_err put_pairs(reader *r, int k) {
    ft_pickle_value **items;
    FT_TRY(pop_items(r, &k, &items));
    ft_pickle_value *to = top(r);
    bool fits = to && (to->kind == FT_PICKLE_DICT || to->kind == FT_PICKLE_CALL) && k % 2 == 0;
    return fits ? append(r, to, items, k) : broken(r);
}

static ft_err put_at(reader *r, uint64_t i) {
    ft_pickle_value *v = top(r);
    if (!v || i >= MAX_VALUES) return broken(r);
    FT_TRY(make_room(r, &r->memo.p, &r->memo.room, (int64_t)i + 1));
    r->memo.n += !r->memo.p[i];
    r->memo.p[i] = v;
    return FT_OK;
}

static ft_err memo_put(reader *r, int k) {
    uint64_t i;
    FT_TRY(take_number(r, k, &i));
    return put_at(r, i);
}

static ft_err memo_next(reader *r, int k) {
    (void)k;
    return put_at(r, (uint64_t)r->memo.n);
}

static ft_err memo_get(reader *r, int k) {
    uint64_t i;
    FT_TRY(take_number(r, k, &i));
    if (i >= (uint64_t)r->memo.room || !r->memo.p[i]) return broken(r);
    return push(r, r->memo.p[i]);
}

/* "module" and "name": what the caller makes of them, or its refusal. */
static ft_err push_name(reader *r, const char *module, size_t n_module, const char *name, size_t n_name) {
    char text[MAX_NAME];
    if (n_module + n_name + 2 > sizeof text) return broken(r);
    size_t n = n_module + 1 + n_name;
    memcpy(text, module, n_module);
    text[n_module] = '.';
    memcpy(text + n_module + 1, name, n_name);
    text[n] = 0;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~') return broken(r);
    int32_t id = 0;
    FT_TRY(r->resolve(r->where, text, &id));
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_NAME, .i = id});
}

static ft_err take_line(reader *r, const char **line, size_t *n) {
    const uint8_t *p = r->p + r->at, *end = memchr(p, '\n', r->n - r->at);
    if (!end) return broken(r);
    *line = (const char *)p;
    *n = (size_t)(end - p);
    r->at += *n + 1;
    return FT_OK;
}

static ft_err name_of_lines(reader *r, int k) {
    (void)k;
    const char *module, *name;
    size_t n_module, n_name;
    FT_TRY(take_line(r, &module, &n_module));
    FT_TRY(take_line(r, &name, &n_name));
    return push_name(r, module, n_module, name, n_name);
}

static ft_err name_of_stack(reader *r, int k) {
    (void)k;
    ft_pickle_value *module, *name;
    FT_TRY(pop(r, &name));
    FT_TRY(pop(r, &module));
    if (module->kind != FT_PICKLE_TEXT || name->kind != FT_PICKLE_TEXT) return broken(r);
    return push_name(r, module->text, (size_t)module->n, name->text, (size_t)name->n);
}

static ft_err call(reader *r, int k) {
    (void)k;
    ft_pickle_value *args, *name;
    FT_TRY(pop(r, &args));
    FT_TRY(pop(r, &name));
    if (args->kind != FT_PICKLE_TUPLE || name->kind != FT_PICKLE_NAME) return broken(r);
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_CALL, .called = (int32_t)name->i, .args = args});
}

/* Further attributes of an object (a state dict's _metadata): nothing is kept of them. */
static ft_err build(reader *r, int k) {
    (void)k;
    ft_pickle_value *state;
    FT_TRY(pop(r, &state));
    return top(r) && top(r)->kind == FT_PICKLE_CALL ? FT_OK : broken(r);
}

static ft_err saved(reader *r, int k) {
    (void)k;
    ft_pickle_value *id;
    FT_TRY(pop(r, &id));
    return push_new(r, (ft_pickle_value){.kind = FT_PICKLE_SAVED, .args = id});
}

static ft_err mark(reader *r, int k) {
    (void)k;
    FT_REQUIRE(r->n_marks < MAX_MARKS, WEIGHTS, "'%s': its pickle is nested more than %d deep: refused",
               r->where, MAX_MARKS);
    r->mark[r->n_marks++] = r->stack.n;
    return FT_OK;
}

static ft_err protocol(reader *r, int k) {
    (void)k;
    uint64_t version;
    FT_TRY(take_number(r, 1, &version));
    FT_REQUIRE(
        version >= 2 && version <= 5, WEIGHTS,
        "'%s': its pickle is of protocol %d; protocols 2 to 5 are read: save it with torch.save's default",
        r->where, (int)version);
    return FT_OK;
}

/* By their codes; the names in pickletools.py. */
static const struct {
    ft_err (*run)(reader *r, int k);
    int k;
} operations[256] = {
    [0x80] = {protocol, 0},               /* PROTO */
    [0x95] = {skip, 8},                   /* FRAME */
    ['N'] = {push_other, 0},              /* NONE */
    [0x88] = {push_other, 0},             /* NEWTRUE */
    [0x89] = {push_other, 0},             /* NEWFALSE */
    ['G'] = {push_other, 8},              /* BINFLOAT */
    ['C'] = {push_bytes, 1},              /* SHORT_BINBYTES */
    ['B'] = {push_bytes, 4},              /* BINBYTES */
    [0x8e] = {push_bytes, 8},             /* BINBYTES8 */
    ['K'] = {push_int, 1},                /* BININT1 */
    ['M'] = {push_int, 2},                /* BININT2 */
    ['J'] = {push_int, 4},                /* BININT */
    [0x8a] = {push_long, 1},              /* LONG1 */
    [0x8b] = {push_long, 4},              /* LONG4 */
    ['U'] = {push_text, 1},               /* SHORT_BINSTRING */
    ['T'] = {push_text, 4},               /* BINSTRING */
    [0x8c] = {push_text, 1},              /* SHORT_BINUNICODE */
    ['X'] = {push_text, 4},               /* BINUNICODE */
    [0x8d] = {push_text, 8},              /* BINUNICODE8 */
    [')'] = {push_tuple, 0},              /* EMPTY_TUPLE */
    [0x85] = {push_tuple, 1},             /* TUPLE1 */
    [0x86] = {push_tuple, 2},             /* TUPLE2 */
    [0x87] = {push_tuple, 3},             /* TUPLE3 */
    ['t'] = {push_tuple, -1},             /* TUPLE */
    [']'] = {push_empty, FT_PICKLE_LIST}, /* EMPTY_LIST */
    ['a'] = {put_items, 1},               /* APPEND */
    ['e'] = {put_items, -1},              /* APPENDS */
    ['}'] = {push_empty, FT_PICKLE_DICT}, /* EMPTY_DICT */
    ['s'] = {put_pairs, 2},               /* SETITEM */
    ['u'] = {put_pairs, -1},              /* SETITEMS */
    ['('] = {mark, 0},                    /* MARK */
    ['q'] = {memo_put, 1},                /* BINPUT */
    ['r'] = {memo_put, 4},                /* LONG_BINPUT */
    [0x94] = {memo_next, 0},              /* MEMOIZE */
    ['h'] = {memo_get, 1},                /* BINGET */
    ['j'] = {memo_get, 4},                /* LONG_BINGET */
    ['c'] = {name_of_lines, 0},           /* GLOBAL */
    [0x93] = {name_of_stack, 0},          /* STACK_GLOBAL */
    ['R'] = {call, 0},                    /* REDUCE */
    [0x81] = {call, 0},                   /* NEWOBJ */
    ['b'] = {build, 0},                   /* BUILD */
    ['Q'] = {saved, 0},                   /* BINPERSID */
};

static ft_err operation(reader *r, uint8_t code) {
    FT_REQUIRE(operations[code].run, WEIGHTS,
               "'%s': byte %zu of its pickle is operation 0x%02x, which state dicts do not need: refused",
               r->where, r->opcode_at, code);
    return operations[code].run(r, operations[code].k);
}

static ft_err read_all(reader *r) {
    for (;;) {
        const uint8_t *opcode;
        r->opcode_at = r->at;
        FT_TRY(take(r, 1, &opcode));
        if (*opcode == '.') break;
        FT_TRY(operation(r, *opcode));
    }
    if (r->n_marks || r->stack.n != 1) return broken(r);
    r->out->root = r->stack.p[0];
    return FT_OK;
}

ft_err ft_pickle_read(const uint8_t *p, size_t n, const char *where, ft_pickle_resolve resolve,
                      ft_pickle **out) {
    *out = NULL;
    FT_REQUIRE(n <= MAX_BYTES, WEIGHTS, "'%s': its pickle has %zu bytes, more than any state dict's: refused",
               where, n);
    reader r = {.p = p, .n = n, .where = where, .resolve = resolve, .out = calloc(1, sizeof *r.out)};
    ft_err e = r.out ? read_all(&r) : no_memory(&r);
    free(r.stack.p);
    free(r.memo.p);
    if (e != FT_OK)
        ft_pickle_free(r.out);
    else
        *out = r.out;
    return e;
}

const ft_pickle_value *ft_pickle_root(const ft_pickle *pickle) {
    return pickle->root;
}

void ft_pickle_free(ft_pickle *pickle) {
    if (!pickle) return;
    for (block *b = pickle->blocks, *next; b; b = next) {
        next = b->next;
        for (int32_t i = 0; i < b->n; i++)
            if (has_items(&b->value[i])) free(b->value[i].item);
        free(b);
    }
    free(pickle);
}

bool ft_pickle_is_text(const ft_pickle_value *v, const char *text) {
    return v->kind == FT_PICKLE_TEXT && (size_t)v->n == strlen(text) &&
           memcmp(v->text, text, (size_t)v->n) == 0;
}

const ft_pickle_value *ft_pickle_get(const ft_pickle_value *dict, const char *key) {
    if (dict->kind != FT_PICKLE_DICT && dict->kind != FT_PICKLE_CALL) return NULL;
    for (int32_t i = dict->n - 2; i >= 0; i -= 2)
        if (ft_pickle_is_text(dict->item[i], key)) return dict->item[i + 1];
    return NULL;
}

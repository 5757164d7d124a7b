/* PyTorch's state dicts, as torch.save writes them since 1.6: a ZIP archive
 *
 *   NAME/data.pkl    the pickle of a dict of tensors, each a call
 *                    _rebuild_tensor_v2(saved storage, offset, size, stride, ...)
 *   NAME/data/KEY    the storages: little-endian numbers, which tensors may share
 *   NAME/byteorder   "little" (since 2.0)
 *
 * The saved storage is a tuple ("storage", torch.FloatStorage, KEY, device, count).
 */
#include "train/pickle.h"
#include "train/weight_formats.h"
#include "train/weight_numbers.h"
#include "train/zip_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the names in a pickle may be; the storages are STORAGE + their ft_number. */
enum { ORDERED_DICT = 1, REBUILD_TENSOR, REBUILD_PARAMETER, STORAGE };

enum { MAX_NAME = 1024, MAX_KEY = 64, MAX_MEMBER = 1280 }; /* bytes */

static const ft_number_name storages[] = {
    {"torch.FloatStorage", FT_NUMBER_F32},
    {"torch.DoubleStorage", FT_NUMBER_F64},
    {"torch.HalfStorage", FT_NUMBER_F16},
    {"torch.BFloat16Storage", FT_NUMBER_BF16},
    {"torch.LongStorage", FT_NUMBER_I64},
    {"torch.IntStorage", FT_NUMBER_I32},
    {"torch.ShortStorage", FT_NUMBER_I16},
    {"torch.CharStorage", FT_NUMBER_I8},
    {"torch.ByteStorage", FT_NUMBER_U8},
    {"torch.BoolStorage", FT_NUMBER_BOOL},
    {NULL, FT_NUMBER_NONE},
};

typedef struct torch_file {
    const char *path;
    ft_zip zip;
    const ft_zip_member *data_pkl;
    uint8_t *pickle_bytes;
    ft_pickle *pickle;
    const ft_zip_member *loaded; /* whose bytes are in storage */
    uint8_t *storage;
    int64_t room; /* what tensors may have yet: four numbers for every byte of the file */
    ft_weight_file *out;
} torch_file;

/* A tensor in a storage: number offset + sum of i[k]*stride[k]. */
typedef struct strided {
    ft_number type;
    const ft_zip_member *storage;
    int64_t count; /* of the storage's numbers */
    int64_t offset, n;
    int32_t rank;
    int64_t dims[FT_WEIGHT_RANK], stride[FT_WEIGHT_RANK];
} strided;

#define SAVE_IT "torch.save(model.state_dict(), 'NEW.pth')"

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static ft_err resolve(const char *path, const char *name, int32_t *id) {
    static const char *const calls[] = {[ORDERED_DICT] = "collections.OrderedDict",
                                        [REBUILD_TENSOR] = "torch._utils._rebuild_tensor_v2",
                                        [REBUILD_PARAMETER] = "torch._utils._rebuild_parameter"};
    for (*id = ORDERED_DICT; *id < STORAGE; ++*id)
        if (strcmp(name, calls[*id]) == 0) return FT_OK;
    ft_number type = ft_number_find(storages, name);
    *id = STORAGE + (int32_t)type;
    if (type != FT_NUMBER_NONE) return FT_OK;
    FT_REQUIRE(
        !begins(name, "torch.nn.") && !begins(name, "__torch__."), WEIGHTS,
        "'%s' holds a whole module (its pickle builds a '%s'), which only Python code can rebuild; save its "
        "numbers alone, in Python: " SAVE_IT,
        path, name);
    FT_REQUIRE(
        !begins(name, "torch."), WEIGHTS,
        "'%s': its pickle asks for '%s', a kind of tensor or object that is not read; save dense tensors of "
        "a usual type, in Python: " SAVE_IT,
        path, name);
    FT_FAIL(WEIGHTS,
            "'%s': its pickle asks for '%s', which the weights of a network do not need: refused; loading "
            "the file in "
            "Python would run code. If you trust it, save the numbers alone, in Python: " SAVE_IT,
            path, name);
}

/* ---- the archive ---- */

/* FOLDER/name; NULL: there is none. */
static const ft_zip_member *member(const torch_file *t, const char *name) {
    char text[MAX_MEMBER];
    int folder = (int)(strlen(t->data_pkl->name) - strlen("data.pkl"));
    snprintf(text, sizeof text, "%.*s%s", folder, t->data_pkl->name, name);
    return ft_zip_find(&t->zip, text);
}

/* Compares a small member, where there is one, with what it should be (NULL: anything). */
static ft_err check_note(const torch_file *t, const char *name, const char *wanted) {
    const ft_zip_member *m = member(t, name);
    uint8_t *bytes = NULL;
    if (!m) return FT_OK;
    FT_TRY(ft_zip_read(&t->zip, m, &bytes));
    bool same = !wanted || (m->size == (int64_t)strlen(wanted) && memcmp(bytes, wanted, strlen(wanted)) == 0);
    free(bytes);
    FT_REQUIRE(same, WEIGHTS,
               "'%s' was written on a machine of another byte order; save it again on a little-endian one",
               t->path);
    return FT_OK;
}

static ft_err open_file(torch_file *t) {
    FT_TRY(ft_zip_open(&t->zip, t->path));
    t->room = t->zip.file.size;
    t->data_pkl = ft_zip_find_in_folder(&t->zip, "data.pkl");
    FT_REQUIRE(t->data_pkl, WEIGHTS, "'%s' is no PyTorch file: the ZIP archive has no data.pkl in a folder",
               t->path);
    FT_TRY(check_note(t, "version", NULL)); /* of the operators: only that it is whole */
    FT_TRY(check_note(t, "byteorder", "little"));
    FT_TRY(ft_zip_read(&t->zip, t->data_pkl, &t->pickle_bytes));
    return ft_pickle_read(t->pickle_bytes, (size_t)t->data_pkl->size, t->path, resolve, &t->pickle);
}

/* ---- one tensor ---- */

static bool is_call(const ft_pickle_value *v, int32_t called, int32_t n_args) {
    return v->kind == FT_PICKLE_CALL && v->called == called && v->args->n >= n_args;
}

static ft_err malformed(const torch_file *t, const char *name, const char *what) {
    FT_FAIL(WEIGHTS, "'%s': %s of '%s' is not as PyTorch writes it; the file is damaged: fetch it again",
            t->path, what, name);
}

static ft_err read_storage(const torch_file *t, const char *name, const ft_pickle_value *saved, strided *s) {
    const ft_pickle_value *id = saved->kind == FT_PICKLE_SAVED ? saved->args : NULL;
    if (!id || id->kind != FT_PICKLE_TUPLE || id->n < 5) return malformed(t, name, "the storage");
    ft_pickle_value **item = id->item;
    const ft_pickle_value *key = item[2];
    if (!ft_pickle_is_text(item[0], "storage") || item[1]->kind != FT_PICKLE_NAME || item[1]->i <= STORAGE ||
        key->kind != FT_PICKLE_TEXT || key->n > MAX_KEY || item[4]->kind != FT_PICKLE_INT)
        return malformed(t, name, "the storage");
    char text[MAX_KEY + 8];
    snprintf(text, sizeof text, "data/%.*s", (int)key->n, key->text);
    s->type = (ft_number)(item[1]->i - STORAGE);
    s->count = item[4]->i;
    s->storage = member(t, text);
    FT_REQUIRE(s->storage, WEIGHTS,
               "'%s': the storage '%s' of '%s' is not in the ZIP archive; fetch the file again", t->path,
               text, name);
    int64_t bytes = ft_number_bytes(s->type);
    FT_REQUIRE(
        s->count >= 0 && s->storage->size % bytes == 0 && s->storage->size / bytes == s->count, WEIGHTS,
        "'%s': the storage '%s' of '%s' has %lld bytes, which are not %lld numbers of %lld; fetch the file "
        "again",
        t->path, text, name, (long long)s->storage->size, (long long)s->count, (long long)bytes);
    return FT_OK;
}

static ft_err read_shape(const torch_file *t, const char *name, const ft_pickle_value *size,
                         const ft_pickle_value *stride, strided *s) {
    if (size->kind != FT_PICKLE_TUPLE || stride->kind != FT_PICKLE_TUPLE || size->n != stride->n)
        return malformed(t, name, "the shape");
    FT_REQUIRE(size->n <= FT_WEIGHT_RANK, WEIGHTS, "'%s': '%s' has %d dimensions; weights have at most %d",
               t->path, name, size->n, FT_WEIGHT_RANK);
    s->rank = size->n;
    s->n = 1;
    bool overflow = false, inside = true;
    int64_t last = s->offset;
    for (int32_t i = 0; i < s->rank; i++) {
        const ft_pickle_value *d = size->item[i], *by = stride->item[i];
        int64_t reach;
        if (d->kind != FT_PICKLE_INT || by->kind != FT_PICKLE_INT || d->i < 0 || by->i < 0)
            return malformed(t, name, "the shape");
        s->dims[i] = d->i;
        s->stride[i] = by->i;
        overflow |= __builtin_mul_overflow(s->n, d->i, &s->n);
        inside &= d->i == 0 || (!__builtin_mul_overflow(d->i - 1, by->i, &reach) &&
                                !__builtin_add_overflow(last, reach, &last));
    }
    FT_REQUIRE(!overflow && (s->n == 0 || (inside && last < s->count)), WEIGHTS,
               "'%s': '%s' reaches beyond its storage of %lld numbers; the file is damaged: fetch it again",
               t->path, name, (long long)s->count);
    return FT_OK;
}

static ft_err read_strided(const torch_file *t, const char *name, const ft_pickle_value *v, strided *s) {
    if (is_call(v, REBUILD_PARAMETER, 1)) v = v->args->item[0];
    FT_REQUIRE(
        is_call(v, REBUILD_TENSOR, 4), WEIGHTS,
        "'%s': the entry '%s' is not a tensor, so this is no state dict; save one, in Python: " SAVE_IT,
        t->path, name);
    ft_pickle_value **arg = v->args->item;
    FT_TRY(read_storage(t, name, arg[0], s));
    if (arg[1]->kind != FT_PICKLE_INT || arg[1]->i < 0) return malformed(t, name, "the offset");
    s->offset = arg[1]->i;
    return read_shape(t, name, arg[2], arg[3], s);
}

/* Joins neighbouring dimensions that lie in one row, so that rows are long; drops those of size 1, whose
 * strides mean nothing. */
static void join_dimensions(strided *s) {
    int32_t k = 0;
    for (int32_t i = 0; i < s->rank; i++) {
        int64_t d = s->dims[i];
        if (d == 1) continue;
        bool joined = k > 0 && s->stride[k - 1] == d * s->stride[i];
        if (!joined) s->dims[k++] = 1;
        s->dims[k - 1] *= d;
        s->stride[k - 1] = s->stride[i];
    }
    s->rank = k;
}

/* storage: all of the storage; to: (s.n), n > 0. */
static void gather(strided s, const uint8_t *storage, float *to) {
    join_dimensions(&s);
    int64_t at[FT_WEIGHT_RANK] = {0}, bytes = ft_number_bytes(s.type);
    int32_t last = s.rank - 1;
    int64_t row = s.rank ? s.dims[last] : 1, step = s.rank ? s.stride[last] : 1;
    for (int64_t done = 0; done < s.n; done += row) {
        int64_t first = s.offset;
        for (int32_t i = 0; i < last; i++) first += at[i] * s.stride[i];
        ft_numbers_to_float(s.type, storage + first * bytes, step, row, to + done);
        for (int32_t i = last - 1; i >= 0 && ++at[i] == s.dims[i]; i--) at[i] = 0;
    }
}

static ft_err add_tensor(torch_file *t, const char *name, const ft_pickle_value *v) {
    strided s = {0};
    float *p;
    FT_TRY(read_strided(t, name, v, &s));
    FT_REQUIRE(s.n / 4 <= t->room, WEIGHTS,
               "'%s': the tensors have far more numbers than the file ('%s': %lld): refused", t->path, name,
               (long long)s.n);
    t->room -= s.n / 4;
    if (s.storage != t->loaded) { /* tensors that share one are neighbours, as a rule */
        free(t->storage);
        t->loaded = NULL;
        FT_TRY(ft_zip_read(&t->zip, s.storage, &t->storage));
        t->loaded = s.storage;
    }
    FT_TRY(ft_weight_file_add(t->out, name, s.rank, s.dims, &p));
    if (s.n) gather(s, t->storage, p);
    return FT_OK;
}

/* ---- the state dict ---- */

static bool is_dict(const ft_pickle_value *v) {
    return v->kind == FT_PICKLE_DICT || is_call(v, ORDERED_DICT, 0);
}

/* The root, or what training scripts call it in theirs. */
static ft_err find_state_dict(const torch_file *t, const ft_pickle_value **dict) {
    static const char *const keys[] = {"state_dict", "model_state_dict", "model"};
    *dict = ft_pickle_root(t->pickle);
    FT_REQUIRE(is_dict(*dict), WEIGHTS, "'%s' holds no state dict; save one, in Python: " SAVE_IT, t->path);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ft_pickle_value *inner = ft_pickle_get(*dict, keys[i]);
        if (!inner || !is_dict(inner)) continue;
        *dict = inner;
        break;
    }
    FT_REQUIRE((*dict)->n > 0, WEIGHTS, "'%s': the state dict is empty", t->path);
    return FT_OK;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ft_err check_unique(const ft_weight_file *f) {
    char **names = calloc((size_t)f->n_tensors, sizeof *names);
    FT_REQUIRE(names, MEMORY, "'%s': no memory for the names", f->path);
    for (int32_t i = 0; i < f->n_tensors; i++) names[i] = f->tensor[i].name;
    qsort(names, (size_t)f->n_tensors, sizeof *names, by_text);
    ft_err e = FT_OK;
    for (int32_t i = 1; i < f->n_tensors && e == FT_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            e = ft_err_set(FT_E_WEIGHTS, "'%s': two tensors are named '%s'; fetch the file again", f->path,
                           names[i]);
    free(names);
    return e;
}

/* What DataParallel puts before all names. */
static void remove_prefix(ft_weight_file *f) {
    static const char prefix[] = "module.";
    enum { LENGTH = sizeof prefix - 1 };
    for (int32_t i = 0; i < f->n_tensors; i++)
        if (!begins(f->tensor[i].name, prefix) || !f->tensor[i].name[LENGTH]) return;
    for (int32_t i = 0; i < f->n_tensors; i++)
        memmove(f->tensor[i].name, f->tensor[i].name + LENGTH, strlen(f->tensor[i].name + LENGTH) + 1);
}

static ft_err read_file(torch_file *t) {
    const ft_pickle_value *dict;
    FT_TRY(open_file(t));
    FT_TRY(find_state_dict(t, &dict));
    FT_TRY(ft_weight_file_new(t->path, FT_WEIGHTS_TORCH, &t->out));
    t->out->producer = strdup("PyTorch");
    FT_REQUIRE(t->out->producer, MEMORY, "no memory for the weights of '%s'", t->path);
    FT_TRY(ft_weight_file_add_layer(t->out, "", NULL));
    for (int32_t i = 0; i < dict->n; i += 2) {
        const ft_pickle_value *key = dict->item[i];
        char name[MAX_NAME + 1];
        FT_REQUIRE(
            key->kind == FT_PICKLE_TEXT && key->n > 0 && key->n <= MAX_NAME &&
                !memchr(key->text, 0, (size_t)key->n),
            WEIGHTS,
            "'%s': key %d of the state dict is not the name of a tensor; save one, in Python: " SAVE_IT,
            t->path, i / 2);
        snprintf(name, sizeof name, "%.*s", (int)key->n, key->text);
        FT_TRY(add_tensor(t, name, dict->item[i + 1]));
    }
    FT_TRY(check_unique(t->out));
    remove_prefix(t->out);
    return FT_OK;
}

ft_err ft_weights_read_torch(const char *path, ft_weight_file **out) {
    *out = NULL;
    torch_file t = {.path = path, .zip.file.fd = -1};
    ft_err e = read_file(&t);
    if (e != FT_OK)
        ft_weight_file_free(t.out);
    else
        *out = t.out;
    free(t.storage);
    ft_pickle_free(t.pickle);
    free(t.pickle_bytes);
    ft_zip_close(&t.zip);
    return e;
}

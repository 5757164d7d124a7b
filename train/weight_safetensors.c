/* safetensors (github.com/huggingface/safetensors, README):
 *
 *   u64 N | N bytes of JSON, spaces at its end | data
 *   {"__metadata__": {"format": "pt"}, NAME: {"dtype": "F32", "shape": [64,3], "data_offsets": [0, 768]},
 * ...}
 *
 * Little-endian, row-major. The offsets count from the data's start; the tensors fill the data without holes.
 */
#include "tensor/atomic_file.h"
#include "tensor/escape.h"
#include "train/input_file.h"
#include "train/weight_formats.h"
#include "train/weight_numbers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum { PREFIX = 8, MAX_HEADER = 100000000, PIECE = 1 << 16 };

static const ft_number_name types[] = {
    {"F64", FT_NUMBER_F64},   {"F32", FT_NUMBER_F32}, {"F16", FT_NUMBER_F16}, {"BF16", FT_NUMBER_BF16},
    {"I64", FT_NUMBER_I64},   {"I32", FT_NUMBER_I32}, {"I16", FT_NUMBER_I16}, {"I8", FT_NUMBER_I8},
    {"U64", FT_NUMBER_U64},   {"U32", FT_NUMBER_U32}, {"U16", FT_NUMBER_U16}, {"U8", FT_NUMBER_U8},
    {"BOOL", FT_NUMBER_BOOL}, {NULL, FT_NUMBER_NONE},
};

/* One tensor of the header. */
typedef struct entry {
    const char *name; /* the header's */
    ft_number type;
    int32_t rank;
    int64_t dims[FT_WEIGHT_RANK], n;
    int64_t begin, end;
} entry;

typedef struct tensors_file {
    ft_input_file file;
    int64_t data; /* offset of its start */
    char *text;   /* the header */
    json_t *header;
    entry *entries; /* (n), by their places */
    size_t n;
    ft_weight_file *out;
} tensors_file;

/* ---- the header ---- */

static ft_err read_header(tensors_file *t) {
    const char *path = t->file.path;
    uint8_t prefix[PREFIX];
    json_error_t error;
    FT_TRY(ft_input_file_read(&t->file, 0, PREFIX, prefix));
    uint64_t n = ft_le64(prefix);
    FT_REQUIRE(
        n <= MAX_HEADER, WEIGHTS,
        "'%s' claims a header of %llu bytes, more than the %d that safetensors allows; fetch the file again",
        path, (unsigned long long)n, MAX_HEADER);
    FT_REQUIRE((int64_t)n <= t->file.size - PREFIX, WEIGHTS,
               "'%s' is cut off: its %lld bytes do not hold the header of %llu; fetch it again", path,
               (long long)t->file.size, (unsigned long long)n);
    t->data = PREFIX + (int64_t)n;
    t->text = malloc(n + 1);
    FT_REQUIRE(t->text, MEMORY, "'%s': no memory for its header", path);
    FT_TRY(ft_input_file_read(&t->file, PREFIX, (int64_t)n, t->text));
    FT_REQUIRE(n > 0 && t->text[0] == '{', WEIGHTS, "'%s' has no safetensors header; fetch the file again",
               path);
    t->header = json_loadb(t->text, n, JSON_REJECT_DUPLICATES, &error);
    FT_REQUIRE(t->header || json_error_code(&error) != json_error_out_of_memory, MEMORY,
               "'%s': no memory for its header", path);
    FT_REQUIRE(t->header, WEIGHTS,
               "'%s': its header is not JSON as safetensors has it (%s, at byte %d of it); fetch the "
               "file again",
               path, error.text, error.position);
    return FT_OK;
}

static bool is_true(const json_t *metadata, const char *key) {
    const char *value = json_string_value(json_object_get(metadata, key));
    return value && strcmp(value, "true") == 0;
}

static ft_err read_metadata(const tensors_file *t, json_t *metadata) {
    const char *key;
    json_t *value;
    bool strings = json_is_object(metadata);
    json_object_foreach(metadata, key, value) strings &= json_is_string(value);
    FT_REQUIRE(strings, WEIGHTS, "'%s': __metadata__ may only hold strings; write the file anew",
               t->file.path);
    const char *format = json_string_value(json_object_get(metadata, "format")),
               *epsilon = json_string_value(json_object_get(metadata, "bn_epsilon"));
    if (!format) return FT_OK;
    t->out->count_padding = is_true(metadata, "count_padding");
    t->out->bn_unbiased = is_true(metadata, "bn_unbiased");
    t->out->bn_epsilon = epsilon ? strtod(epsilon, NULL) : 0;
    t->out->metadata_format = strdup(format);
    FT_REQUIRE(t->out->metadata_format, MEMORY, "'%s': no memory for its header", t->file.path);
    return FT_OK;
}

static ft_err malformed(const tensors_file *t, const char *name, const char *what) {
    FT_FAIL(WEIGHTS, "'%s': the %s of '%s' is not as safetensors has it; fetch the file again", t->file.path,
            what, name);
}

static ft_err read_shape(const tensors_file *t, const json_t *shape, entry *e) {
    FT_REQUIRE(json_array_size(shape) <= FT_WEIGHT_RANK, WEIGHTS,
               "'%s': '%s' has %zu dimensions; weights have at most %d", t->file.path, e->name,
               json_array_size(shape), FT_WEIGHT_RANK);
    e->rank = (int32_t)json_array_size(shape);
    e->n = 1;
    for (int32_t i = 0; i < e->rank; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0) return malformed(t, e->name, "shape");
        e->dims[i] = json_integer_value(d);
        FT_REQUIRE(!__builtin_mul_overflow(e->n, e->dims[i], &e->n), WEIGHTS,
                   "'%s': '%s' has more numbers than can be counted; fetch the file again", t->file.path,
                   e->name);
    }
    return FT_OK;
}

static ft_err read_entry(const tensors_file *t, const char *name, const json_t *value, entry *e) {
    const char *path = t->file.path;
    const json_t *type = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape"),
                 *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    *e = (entry){.name = name, .begin = json_integer_value(begin), .end = json_integer_value(end)};
    if (!json_is_string(type)) return malformed(t, name, "dtype");
    if (!json_is_array(shape)) return malformed(t, name, "shape");
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return malformed(t, name, "data_offsets");
    e->type = ft_number_find(types, json_string_value(type));
    FT_REQUIRE(e->type != FT_NUMBER_NONE, WEIGHTS,
               "'%s': '%s' has numbers of type %.20s, which are not read; write it as F32", path, name,
               json_string_value(type));
    FT_TRY(read_shape(t, shape, e));
    int64_t bytes;
    bool counted = !__builtin_mul_overflow(e->n, ft_number_bytes(e->type), &bytes);
    FT_REQUIRE(e->begin >= 0 && e->begin <= e->end && e->end <= t->file.size - t->data, WEIGHTS,
               "'%s': '%s' has bytes %lld to %lld of data of %lld bytes; the file is cut off or damaged: "
               "fetch it again",
               path, name, (long long)e->begin, (long long)e->end, (long long)(t->file.size - t->data));
    FT_REQUIRE(counted && e->end - e->begin == bytes, WEIGHTS,
               "'%s': '%s' has %lld numbers in %lld bytes, which is not their size; fetch the file again",
               path, name, (long long)e->n, (long long)(e->end - e->begin));
    return FT_OK;
}

static int by_place(const void *a, const void *b) {
    const entry *p = a, *q = b;
    if (p->begin != q->begin) return p->begin < q->begin ? -1 : 1;
    return p->end != q->end ? (p->end < q->end ? -1 : 1) : strcmp(p->name, q->name);
}

/* The tensors must fill the data: no byte is free, none belongs to two. */
static ft_err check_places(const tensors_file *t) {
    const char *path = t->file.path;
    int64_t at = 0, size = t->file.size - t->data;
    for (size_t i = 0; i < t->n; i++) {
        const entry *e = &t->entries[i];
        FT_REQUIRE(e->begin >= at, WEIGHTS, "'%s': '%s' overlaps the tensor before it: refused", path,
                   e->name);
        FT_REQUIRE(e->begin == at, WEIGHTS, "'%s': nobody has the %lld bytes before '%s': refused", path,
                   (long long)(e->begin - at), e->name);
        at = e->end;
    }
    FT_REQUIRE(at == size, WEIGHTS, "'%s': nobody has the last %lld bytes: refused", path,
               (long long)(size - at));
    return FT_OK;
}

static ft_err read_entries(tensors_file *t) {
    const char *name;
    json_t *value;
    t->entries = calloc(json_object_size(t->header) + 1, sizeof *t->entries);
    FT_REQUIRE(t->entries, MEMORY, "'%s': no memory for its header", t->file.path);
    json_object_foreach(t->header, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            FT_TRY(read_metadata(t, value));
        else
            FT_TRY(read_entry(t, name, value, &t->entries[t->n++]));
    }
    qsort(t->entries, t->n, sizeof *t->entries, by_place);
    return check_places(t);
}

/* ---- the numbers ---- */

static ft_err read_numbers(const tensors_file *t, const entry *e, float *p) {
    uint8_t piece[PIECE];
    int64_t bytes = ft_number_bytes(e->type), most = PIECE / bytes;
    for (int64_t done = 0; done < e->n; done += most) {
        int64_t n = e->n - done < most ? e->n - done : most;
        FT_TRY(ft_input_file_read(&t->file, t->data + e->begin + done * bytes, n * bytes, piece));
        ft_numbers_to_float(e->type, piece, 1, n, p + done);
    }
    return FT_OK;
}

static ft_err read_file(tensors_file *t, const char *path) {
    FT_TRY(ft_input_file_open(&t->file, path));
    FT_TRY(ft_weight_file_new(path, FT_WEIGHTS_SAFETENSORS, &t->out));
    FT_TRY(ft_weight_file_add_layer(t->out, "", NULL));
    FT_TRY(read_header(t));
    FT_TRY(read_entries(t));
    for (size_t i = 0; i < t->n; i++) {
        const entry *e = &t->entries[i];
        float *p;
        FT_TRY(ft_weight_file_add(t->out, e->name, e->rank, e->dims, &p));
        FT_TRY(read_numbers(t, e, p));
    }
    return FT_OK;
}

ft_err ft_weights_read_safetensors(const char *path, ft_weight_file **out) {
    *out = NULL;
    tensors_file t = {.file.fd = -1};
    ft_err e = read_file(&t, path);
    if (e != FT_OK)
        ft_weight_file_free(t.out);
    else
        *out = t.out;
    free(t.entries);
    free(t.text);
    json_decref(t.header);
    ft_input_file_close(&t.file);
    return e;
}

/* ---- writing ---- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const ft_weight_tensor *const *)a)->name, (*(const ft_weight_tensor *const *)b)->name);
}

static void print_metadata(FILE *s, const ft_weight_file *f) {
    fputs("\"__metadata__\":{\"format\":", s);
    ft_json_string(s, f->metadata_format);
    if (f->count_padding) fputs(",\"count_padding\":\"true\"", s);
    if (f->bn_unbiased) fputs(",\"bn_unbiased\":\"true\"", s);
    if (f->bn_epsilon > 0) fprintf(s, ",\"bn_epsilon\":\"%.9g\"", f->bn_epsilon);
    fputc('}', s);
}

static void print_header(FILE *s, const ft_weight_file *f, const ft_weight_tensor *const *tensors) {
    int64_t at = 0;
    int32_t n = f->n_tensors;
    fputc('{', s);
    if (f->metadata_format) {
        print_metadata(s, f);
        if (n) fputc(',', s);
    }
    for (int32_t i = 0; i < n; i++) {
        const ft_weight_tensor *t = tensors[i];
        int64_t bytes = t->n * (int64_t)sizeof *t->p;
        ft_json_string(s, t->name);
        fputs(":{\"dtype\":\"F32\",\"shape\":[", s);
        for (int32_t k = 0; k < t->rank; k++) fprintf(s, "%s%lld", k ? "," : "", (long long)t->dims[k]);
        fprintf(s, "],\"data_offsets\":[%lld,%lld]}%s", (long long)at, (long long)(at + bytes),
                i + 1 < n ? "," : "");
        at += bytes;
    }
    fputc('}', s);
    while (ftell(s) % PREFIX != 0) fputc(' ', s); /* so that the data begins at a multiple of 8, too */
}

/* The header with the number of its bytes before it; both are *bytes long. */
static ft_err make_header(const ft_weight_file *f, const ft_weight_tensor *const *tensors, char **header,
                          size_t *bytes) {
    *header = NULL;
    FILE *s = open_memstream(header, bytes);
    bool ok = s != NULL;
    if (s) {
        for (int i = 0; i < PREFIX; i++) fputc(0, s);
        print_header(s, f, tensors);
        ok = !ferror(s);
        ok &= fclose(s) == 0 && *header; /* none, and no error, where memory ends in closing */
    }
    FT_REQUIRE(ok, MEMORY, "cannot write safetensors: no memory for the header");
    for (int i = 0; i < PREFIX; i++) (*header)[i] = (char)((*bytes - PREFIX) >> 8 * i);
    return FT_OK;
}

/* As the reference does it: those of the widest type first (here all are F32), then by name. */
static ft_err sort_tensors(const ft_weight_file *f, const ft_weight_tensor **tensors) {
    for (int32_t i = 0; i < f->n_tensors; i++) tensors[i] = &f->tensor[i];
    qsort(tensors, (size_t)f->n_tensors, sizeof *tensors, by_name);
    for (int32_t i = 0; i < f->n_tensors; i++) {
        const char *name = tensors[i]->name;
        FT_REQUIRE(
            strcmp(name, "__metadata__") != 0 && (i == 0 || strcmp(name, tensors[i - 1]->name) != 0), USAGE,
            "cannot write safetensors with two tensors named '%s'; give every tensor a name of its own",
            name);
    }
    return FT_OK;
}

static ft_err write_sorted(const ft_weight_file *f, const ft_weight_tensor *const *tensors,
                           const char *path) {
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");
    char *header;
    size_t bytes;
    ft_atomic_file a;
    ft_err e = make_header(f, tensors, &header, &bytes);
    if (e == FT_OK) e = ft_atomic_open(&a, path);
    if (e == FT_OK) {
        fwrite(header, 1, bytes, a.stream); /* errors are found by commit */
        for (int32_t i = 0; i < f->n_tensors; i++)
            fwrite(tensors[i]->p, sizeof *tensors[i]->p, (size_t)tensors[i]->n, a.stream);
        e = ft_atomic_commit(&a);
    }
    free(header);
    return e;
}

ft_err ft_weights_write_safetensors(const ft_weight_file *f, const char *path) {
    const ft_weight_tensor **tensors = calloc((size_t)f->n_tensors + 1, sizeof *tensors);
    FT_REQUIRE(tensors, MEMORY, "cannot write '%s': no memory for the header", path);
    ft_err e = sort_tensors(f, tensors);
    if (e == FT_OK) e = write_sorted(f, tensors, path);
    free(tensors);
    return e;
}

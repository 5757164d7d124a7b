/* The files an evaluation leaves besides metrics.json: report.html, history.csv, TensorBoard events; and how
 * files are replaced. */
#include "eval/history.h"
#include "eval/report.h"
#include "eval/svg.h"
#include "eval/tfevents.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static char folder[64];

static void make_folder(void) {
    strcpy(folder, "/tmp/facet-report-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}
static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
static const char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}
static int count_files(void) {
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}
static char *read_file(const char *path, size_t *n_bytes) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "no '%s'", path);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1);
    ck_assert_uint_eq(fread(text, 1, n, f), n);
    text[n] = '\0';
    fclose(f);
    if (n_bytes) *n_bytes = n;
    return text;
}
static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    fputs(text, f);
    fclose(f);
}
static void assert_content(const char *path, const char *want) {
    char *got = read_file(path, NULL);
    ck_assert_str_eq(got, want);
    free(got);
}

/* ---- atomic file ---- */

START_TEST(atomic_replaces_or_leaves) {
    const char *path = in_folder("a.txt");
    ft_atomic_file a;
    ck_assert_int_eq(ft_atomic_open(&a, path), FT_OK);
    fputs("first", a.stream);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(ft_atomic_commit(&a), FT_OK);
    assert_content(path, "first");

    ck_assert_int_eq(ft_atomic_open(&a, path), FT_OK);
    fputs("second", a.stream);
    ft_atomic_abort(&a);
    ft_atomic_abort(&a);
    assert_content(path, "first");
    ck_assert_int_eq(count_files(), 1);

    ck_assert_int_eq(ft_atomic_begin(&a, path), FT_OK);
    ck_assert_ptr_null(a.stream);
    write_file(a.temp, "by a library");
    ck_assert_int_eq(ft_atomic_commit(&a), FT_OK);
    assert_content(path, "by a library");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(atomic_survives_a_full_disk) {
    const char *path = in_folder("a.txt");
    write_file(path, "old");
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ft_atomic_file a;
    ck_assert_int_eq(ft_atomic_open(&a, path), FT_OK);
    for (int i = 0; i < 50000; i++) fputs("0123456789", a.stream);
    limit.rlim_cur = RLIM_INFINITY; /* space comes back: what was lost before is still lost */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(ft_atomic_commit(&a), FT_E_IO);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), path));
    assert_content(path, "old");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(atomic_errors) {
    ft_atomic_file a;
    ck_assert_int_eq(ft_atomic_open(&a, in_folder("missing/a.txt")), FT_E_IO);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "No such file or directory"));
    ft_atomic_abort(&a);
    ck_assert_int_eq(ft_atomic_open(&a, folder), FT_E_IO);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "folder"));

    /* what a killed writer left is overwritten; of two writers at a time the first one loses, loudly */
    const char *path = in_folder("b.txt");
    write_file(in_folder("b.txt.tmp"), "left by a killed process");
    path = in_folder("b.txt");
    ft_atomic_file b;
    ck_assert_int_eq(ft_atomic_open(&a, path), FT_OK);
    fputs("a", a.stream);
    ck_assert_int_eq(ft_atomic_open(&b, path), FT_OK);
    fputs("b", b.stream);
    ck_assert_int_eq(ft_atomic_commit(&a), FT_E_IO);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "another process"));
    ck_assert_int_eq(ft_atomic_commit(&b), FT_OK);
    assert_content(path, "b");
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

/* ---- history ---- */

static const ft_history_row rows[] = {{1, 0.05, 2.25, NAN, 0.5, 0.4, 1.0 / 3, NAN, 20, 61.5},
                                      {2, 4.5e-5, 1.5, 1.75, 0.625, 0.5, 0.5, 0.9, 21, 60}};

START_TEST(history_reads_back) {
    const char *path = in_folder("history.csv");
    ft_history_row *got;
    int64_t n;
    ck_assert_int_eq(ft_history_read(path, &got, &n), FT_OK);
    ck_assert_int_eq(n, 0);
    for (int i = 0; i < 2; i++) ck_assert_int_eq(ft_history_append(path, &rows[i]), FT_OK);
    assert_content(
        path,
        "epoch,lr,train_loss,val_loss,val_accuracy,val_recall,val_f1,val_auc,images_per_second,seconds\n"
        "1,0.05,2.25,,0.5,0.4,0.333333333,,20,61.5\n"
        "2,4.5e-05,1.5,1.75,0.625,0.5,0.5,0.9,21,60\n");
    ck_assert_int_eq(ft_history_read(path, &got, &n), FT_OK);
    ck_assert_int_eq(n, 2);
    ck_assert(isnan(got[0].val_loss) && isnan(got[0].val_auc) && got[0].seconds == 61.5 && got[0].epoch == 1);
    ck_assert(got[1].lr == 4.5e-5 && got[1].val_auc == 0.9 && got[1].seconds == 60);
    free(got);

    ft_history_row again = rows[1]; /* a resumed run does its last epoch again */
    again.seconds = NAN;
    ck_assert_int_eq(ft_history_append(path, &again), FT_OK);
    ck_assert_int_eq(ft_history_read(path, &got, &n), FT_OK);
    ck_assert_int_eq(n, 2);
    ck_assert(isnan(got[1].seconds));
    free(got);
}
END_TEST

START_TEST(history_errors) {
    static const char *const bad[] = {
        "epoch,loss\n1,2\n",
        "epoch,lr,train_loss,val_loss,val_accuracy,val_recall,val_f1,val_auc,images_per_second,"
        "seconds\n1,0.05,2.25,,0.5,0.4,0.3,,20\n",
        "epoch,lr,train_loss,val_loss,val_accuracy,val_recall,val_f1,val_auc,images_per_second,"
        "seconds\n1,0.05,2.25,x,0.5,0.4,0.3,,20,1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *path = in_folder("bad.csv");
        write_file(path, bad[i]);
        ft_history_row *got;
        int64_t n;
        ck_assert_int_eq(ft_history_read(path, &got, &n), FT_E_DATA);
        ck_assert_ptr_nonnull(strstr(ft_err_message(), i == 0 ? "bad.csv:1:" : "bad.csv:2:"));
        ck_assert_ptr_null(got);
        ck_assert_int_eq(ft_history_append(path, &rows[0]), FT_E_DATA);
        assert_content(path, bad[i]);
    }
}
END_TEST

/* ---- TensorBoard events ---- */

/* CRC-32C from its definition, bit by bit; the writer uses a table. */
static uint32_t slow_crc(const unsigned char *p, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            uint32_t one = (crc ^ (uint32_t)(p[i] >> bit)) & 1;
            crc = crc >> 1 ^ (one ? 0x82f63b78 : 0);
        }
    return ~crc;
}
static uint64_t little(const unsigned char *p, int n) {
    uint64_t x = 0;
    for (int i = n - 1; i >= 0; i--) x = x << 8 | p[i];
    return x;
}
static uint64_t varint(const unsigned char **p) {
    uint64_t x = 0;
    for (int shift = 0;; shift += 7) {
        unsigned char b = *(*p)++;
        x |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) return x;
    }
}

typedef struct {
    double wall_time;
    int64_t step;
    char version[32], tag[64];
    uint64_t session; /* its status; 1: it starts */
    float value;
} event;

static void decode(const unsigned char *p, size_t n, event *e) {
    const unsigned char *end = p + n;
    while (p < end) {
        uint64_t key = varint(&p);
        if (key == (1 << 3 | 1)) {
            memcpy(&e->wall_time, p, 8);
            p += 8;
        } else if (key == (2 << 3 | 0)) {
            e->step = (int64_t)varint(&p);
        } else {
            ck_assert_uint_eq(key & 7, 2);
            uint64_t size = varint(&p);
            if (key >> 3 == 3)
                memcpy(e->version, p, size);
            else if (key >> 3 == 7) {
                const unsigned char *v = p;
                ck_assert_uint_eq(varint(&v), 1 << 3 | 0);
                e->session = varint(&v);
                ck_assert_ptr_eq(v, p + size);
            } else {
                ck_assert_uint_eq(key >> 3, 5);
                const unsigned char *v = p;
                ck_assert_uint_eq(varint(&v), 1 << 3 | 2);
                ck_assert_uint_eq(varint(&v), (uint64_t)(p + size - v));
                ck_assert_uint_eq(varint(&v), 1 << 3 | 2);
                uint64_t tag_bytes = varint(&v);
                memcpy(e->tag, v, tag_bytes);
                v += tag_bytes;
                ck_assert_uint_eq(varint(&v), 2 << 3 | 5);
                memcpy(&e->value, v, 4);
                ck_assert_ptr_eq(v + 4, p + size);
            }
            p += size;
        }
    }
    ck_assert_ptr_eq(p, end);
}

static int read_events(const char *path, event *events) {
    size_t n_bytes;
    int n = 0;
    unsigned char *data = (unsigned char *)read_file(path, &n_bytes), *p = data;
    for (; p < data + n_bytes; n++) {
        uint64_t size = little(p, 8);
        const uint32_t sum[] = {slow_crc(p, 8), slow_crc(p + 12, size)};
        const unsigned char *const stored[] = {p + 8, p + 12 + size};
        for (int i = 0; i < 2; i++) {
            uint32_t masked = (sum[i] >> 15 | sum[i] << 17) + 0xa282ead8u;
            ck_assert_uint_eq(little(stored[i], 4), masked);
        }
        decode(p + 12, size, &events[n]);
        p += 16 + size;
    }
    free(data);
    return n;
}

START_TEST(crc32c) {
    unsigned char bytes[32] = {0};
    ck_assert_uint_eq(ft_crc32c("123456789", 9), 0xE3069283);
    ck_assert_uint_eq(ft_crc32c("", 0), 0);
    ck_assert_uint_eq(ft_crc32c(bytes, 32), 0x8A9136AA); /* RFC 3720, B.4 */
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    ck_assert_uint_eq(ft_crc32c(bytes, 32), 0x46DD794E);
}
END_TEST

START_TEST(events_read_back) {
    ft_tfevents w;
    ck_assert_int_eq(ft_tfevents_open(&w, folder, 1), FT_OK);
    char *path = strdup(w.path);
    ck_assert_ptr_nonnull(strstr(path, "/events.out.tfevents."));
    ck_assert_int_eq(ft_tfevents_scalar(&w, "loss/train", 1, 0.75), FT_OK);
    ck_assert_int_eq(ft_tfevents_scalar(&w, "accuracy", 300, 1.0 / 3), FT_OK);
    ck_assert_int_eq(ft_tfevents_flush(&w), FT_OK);
    event e[8] = {0};
    ck_assert_int_eq(read_events(path, e), 4); /* readable while the run goes on */
    ck_assert_int_eq(ft_tfevents_scalar(&w, "accuracy", (int64_t)1 << 40, -2), FT_OK);
    ck_assert_int_eq(ft_tfevents_close(&w), FT_OK);
    memset(e, 0, sizeof e);
    ck_assert_int_eq(read_events(path, e), 5);
    ck_assert_str_eq(e[0].version, "brain.Event:2");
    ck_assert(e[1].session == 1 && e[1].step == 1);
    ck_assert_str_eq(e[2].tag, "loss/train");
    ck_assert(e[2].step == 1 && e[2].value == 0.75f);
    ck_assert(e[3].step == 300 && e[3].value == (float)(1.0 / 3));
    ck_assert(e[4].step == (int64_t)1 << 40 && e[4].value == -2);
    ck_assert(e[2].wall_time > 1.6e9 && e[4].wall_time >= e[2].wall_time);
    free(path);
    ck_assert_int_eq(ft_tfevents_open(&w, in_folder("missing"), 1), FT_E_IO);
}
END_TEST

/* ---- report ---- */

/* Every tag is closed by its own name, in order; attributes are quoted. */
static void assert_balanced(const char *html) {
    char stack[64][16];
    int depth = 0;
    for (const char *s = html; (s = strchr(s, '<')); s++) {
        if (s[1] == '!') continue;
        char name[16] = "";
        bool closing = s[1] == '/';
        sscanf(s + 1 + closing, "%15[a-z0-9]", name);
        ck_assert_msg(*name, "a stray '<': %.40s", s);
        bool quoted = false;
        const char *end = s + 1;
        for (; *end && (quoted || *end != '>'); end++) {
            if (*end == '"') quoted = !quoted;
            ck_assert_msg(*end != '<', "'<' inside a tag: %.60s", s);
        }
        ck_assert_msg(*end == '>', "a tag without end: %.60s", s);
        if (strcmp(name, "meta") == 0 || end[-1] == '/') continue;
        if (!closing) {
            ck_assert_int_lt(depth, 64);
            strcpy(stack[depth++], name);
        } else {
            ck_assert_msg(depth > 0 && strcmp(stack[depth - 1], name) == 0, "</%s> closes <%s>: %.80s", name,
                          depth ? stack[depth - 1] : "nothing", s);
            depth--;
        }
        s = end;
    }
    ck_assert_int_eq(depth, 0);
}

static bool has_word(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *s = text; (s = strcasestr(s, word)); s++)
        if ((s == text || !isalnum((unsigned char)s[-1])) && !isalnum((unsigned char)s[n])) return true;
    return false;
}

enum { N = 60, MAX_K = 130 };

/* n rows of which a fourth is mistaken for the next class; the last class does not occur when missing. */
static char *make_report(int32_t k, bool missing, const char *const *names, int64_t n_history) {
    static float prob[2 * MAX_K * MAX_K];
    static int32_t label[2 * MAX_K];
    static const char *paths[2 * MAX_K];
    int32_t n = k > N / 2 ? 2 * k : N;
    memset(prob, 0, sizeof prob);
    for (int32_t i = 0; i < n; i++) {
        label[i] = i % (k - missing);
        paths[i] = "a/<b>&\"c\".jpg";
        int32_t predicted = i % 4 == 3 ? (label[i] + 1) % (k - missing) : label[i];
        for (int32_t c = 0; c < k; c++) prob[i * k + c] = (c == predicted ? 0.5f : 0) + 0.5f / (float)k;
    }
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, n, k, prob, label), FT_OK);
    ft_report r = {.title = "A <run> & \"more\"",
                   .split = "test",
                   .metrics = &m,
                   .loss = NAN,
                   .class_names = names,
                   .prob = prob,
                   .label = label,
                   .paths = paths,
                   .history = rows,
                   .n_history = n_history,
                   .model = "lenet",
                   .version = "1.2.3",
                   .fingerprint = "feedc0de",
                   .seed = "42",
                   .date = "2025-01-02",
                   .config = "model:\n  arch: <lenet> # \"x\" & y\n"};
    const char *path = in_folder("report.html");
    ck_assert_msg(ft_report_write(path, &r) == FT_OK, "%s", ft_err_message());
    ft_metrics_free(&m);
    char *html = read_file(path, NULL);
    assert_balanced(html);
    ck_assert(!has_word(html, "nan") && !has_word(html, "inf"));
    ck_assert(!strstr(html, "http:") && !strstr(html, "https:") && !strstr(html, "src=") &&
              !strstr(html, "href=") && !strstr(html, "url(") && !strstr(html, "<script") &&
              !strstr(html, "@import"));
    return html;
}

static void assert_contains(const char *html, const char *what) {
    ck_assert_msg(strstr(html, what) != NULL, "no '%s'", what);
}

static const char *const odd_names[] = {"<b>bold</b>", "a & b", "\"quoted\" 'name'", "plain\x01\xff"};

START_TEST(report_has_all_sections) {
    char *html = make_report(4, true, odd_names, 2);
    static const char *const parts[] = {">Result</h2>",
                                        ">Training</h2>",
                                        ">Classes</h2>",
                                        ">Confusion matrix</h2>",
                                        ">ROC curves</h2>",
                                        ">Precision-recall curves</h2>",
                                        ">Certainty</h2>",
                                        ">Most confident mistakes</h2>",
                                        ">Least certain</h2>",
                                        ">What was run</h2>",
                                        "prefers-color-scheme:dark",
                                        "name=\"viewport\"",
                                        "lang=\"en\"",
                                        "A &lt;run&gt; &amp; &quot;more&quot;</h1>",
                                        "a/&lt;b&gt;&amp;&quot;c&quot;.jpg",
                                        "arch: &lt;lenet&gt; # &quot;x&quot; &amp; y",
                                        "feedc0de",
                                        "1.2.3",
                                        "2025-01-02",
                                        "training ends at 1.5; validation ends at 1.75",
                                        "is undefined: not every class occurs in the set",
                                        "title=\"no example of this class in the set\"",
                                        "title=\"this class is never predicted\"",
                                        "The 15 surest of 15 wrong predictions"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) assert_contains(html, parts[i]);
    static const char *const escaped[] = {"&lt;b&gt;bold&lt;/b&gt;", "a &amp; b",
                                          "&quot;quoted&quot; &#39;name&#39;",
                                          "plain\xef\xbf\xbd\xef\xbf\xbd"};
    for (size_t i = 0; i < 4; i++) assert_contains(html, escaped[i]);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(!strstr(html, odd_names[i]), "'%s' is not escaped", odd_names[i]);
    for (const char *s = html; (s = strstr(s, "<svg ")); s++) {
        const char *end = strchr(s, '>'), *label = strstr(s, "aria-");
        ck_assert_msg(label && label < end, "an SVG without aria-label: %.60s", s);
    }
    free(html);
}
END_TEST

START_TEST(report_sizes) {
    static char text[MAX_K][24];
    static const char *names[MAX_K];
    for (int c = 0; c < MAX_K; c++) {
        snprintf(text[c], sizeof text[c], "class%03d", c);
        names[c] = text[c];
    }
    char *html = make_report(2, false, names, 1);
    ck_assert_ptr_null(strstr(html, "Most confused pairs"));
    ck_assert_ptr_null(strstr(html, "class000 (")); /* one ROC curve for two classes */
    assert_contains(html, "class001 (");
    free(html);
    html = make_report(2, true, names, 0); /* one class only */
    ck_assert_ptr_null(strstr(html, ">Training</h2>"));
    assert_contains(html, "There is no curve");
    assert_contains(html, "Every example was recognised");
    free(html);
    html = make_report(20, false, names, 2);
    assert_contains(html, "class=\"name\"");
    free(html);
    html = make_report(21, false, names, 2);
    ck_assert_ptr_null(strstr(html, "class=\"name\""));
    assert_contains(html, "Most confused pairs");
    assert_contains(html, "mean of 21 classes (");
    assert_contains(html, "best: class");
    free(html);
    html = make_report(MAX_K, false, names, 2);
    assert_contains(html, "neighbours taken together");
    free(html);
}
END_TEST

START_TEST(nice_steps) {
    ck_assert(ft_nice_step(0, 1, 5, false) == 0.2);
    ck_assert(ft_nice_step(0, 0.93, 5, false) == 0.2);
    ck_assert(fabs(ft_nice_step(2.08, 2.15, 5, false) - 0.01) < 1e-12);
    ck_assert(ft_nice_step(1, 30, 6, true) == 5);
    ck_assert(ft_nice_step(1, 3, 6, true) == 1);
    ck_assert(ft_nice_step(0, 7000, 5, false) == 1000);
}
END_TEST

START_TEST(charts_bear_anything) {
    static const double x[] = {1, 2, 3, 4}, y[] = {NAN, 1e-12, INFINITY, -1e300},
                        flat[] = {3, 3 + 1e-15, 3, 3};
    const ft_series all[] = {{"a", x, y, 4, false},
                             {"b", x, flat, 4, true},
                             {"c", x, y, 1, true},
                             {"d", x, y, 0, true}};
    for (int first = 0; first < 4; first++)
        for (int n = 0; first + n <= 4; n++) {
            char *text;
            size_t bytes;
            FILE *f = open_memstream(&text, &bytes);
            ft_chart c = {.title = "t",
                          .description = "d",
                          .x_label = "x",
                          .y_label = "y",
                          .series = all + first,
                          .n_series = n,
                          .width = 300,
                          .height = 200,
                          .x_whole = n % 2};
            ft_svg_chart(f, &c);
            fclose(f);
            assert_balanced(text);
            ck_assert_msg(!has_word(text, "nan") && !has_word(text, "inf") && bytes < 20000, "%s", text);
            free(text);
        }
}
END_TEST

START_TEST(utf8) {
    static const struct {
        const char *bytes;
        uint32_t first;
        int length;
    } cases[] = {{"A", 'A', 1},
                 {"\xc3\xa9", 0xe9, 1},
                 {"\xe2\x82\xac", 0x20ac, 1},
                 {"\xf0\x9f\x90\x88", 0x1f408, 1},
                 {"\xc0\xaf", 0xfffd, 2},         /* overlong */
                 {"\xed\xa0\x80", 0xfffd, 3},     /* surrogate */
                 {"\xf4\x90\x80\x80", 0xfffd, 4}, /* above U+10FFFF */
                 {"\xe2\x82", 0xfffd, 2},         /* cut off */
                 {"\x80", 0xfffd, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *s = cases[i].bytes;
        ck_assert_int_eq(ft_utf8_length(s), cases[i].length);
        ck_assert_uint_eq(ft_utf8_next(&s), cases[i].first);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("report");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, make_folder, remove_folder);
    tcase_add_test(c, atomic_replaces_or_leaves);
    tcase_add_test(c, atomic_survives_a_full_disk);
    tcase_add_test(c, atomic_errors);
    tcase_add_test(c, history_reads_back);
    tcase_add_test(c, history_errors);
    tcase_add_test(c, crc32c);
    tcase_add_test(c, events_read_back);
    tcase_add_test(c, report_has_all_sections);
    tcase_add_test(c, report_sizes);
    tcase_add_test(c, nice_steps);
    tcase_add_test(c, charts_bear_anything);
    tcase_add_test(c, utf8);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What the tests of whole training runs share: data to train on, and what runs left. */
#ifndef FACET_TESTS_TRAIN_TESTING_H
#define FACET_TESTS_TRAIN_TESTING_H

#include "tests/tool_testing.h"
#include "train/checkpoint.h"

#include <sys/stat.h>

enum { CLASSES = 3, PER_CLASS = 20, SIDE = 28 };

static inline void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* Class folders of grey pictures: stripes of a direction for each class, with noise. */
static inline void make_faces(void) {
    unsigned state = 1;
    ck_assert_int_eq(mkdir("faces", 0777), 0);
    for (int c = 0; c < CLASSES; c++) {
        char path[64];
        snprintf(path, sizeof path, "faces/person%d", c);
        ck_assert_int_eq(mkdir(path, 0777), 0);
        for (int i = 0; i < PER_CLASS; i++) {
            snprintf(path, sizeof path, "faces/person%d/%02d.pgm", c, i);
            FILE *f = fopen(path, "wb");
            ck_assert_ptr_nonnull(f);
            fprintf(f, "P5\n%d %d\n255\n", SIDE, SIDE);
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++) {
                    int along = c == 0 ? x : c == 1 ? y : x + y;
                    state = state * 1664525u + 1013904223u;
                    fputc(((along + i) / 3 % 2 ? 150 : 40) + (int)(state >> 26), f);
                }
            ck_assert_int_eq(fclose(f), 0);
        }
    }
}

/* Column `name` of the last row of a history. */
static inline double last_in_history(const char *path, const char *name) {
    static char text[65536];
    tool_read(path, text, sizeof text);
    int column = -1, at = 0;
    char *end = strchr(text, '\n');
    ck_assert_ptr_nonnull(end);
    *end = 0;
    for (char *word = strtok(text, ","); word; word = strtok(NULL, ","), at++)
        if (strcmp(word, name) == 0) column = at;
    ck_assert_int_ge(column, 0);
    char *row = end + 1, *newline;
    while ((newline = strchr(row, '\n')) && newline[1]) row = newline + 1;
    for (; column > 0; column--) row = strchr(row, ',') + 1;
    return strtod(row, NULL);
}

/* The first parameter whose bits differ between two checkpoints (the average's, where they keep one), or "".
 */
static inline const char *first_difference(const char *a_path, const char *b_path) {
    static char name[96];
    ft_model *a, *b;
    ck_assert_msg(ft_checkpoint_read_model(a_path, &a) == FT_OK, "%s", ft_err_message());
    ck_assert_msg(ft_checkpoint_read_model(b_path, &b) == FT_OK, "%s", ft_err_message());
    *name = 0;
    for (int32_t i = 0; i < ft_graph_n_params(a->g) && !*name; i++) {
        const ft_param *p = ft_graph_param(a->g, i), *q = ft_graph_param(b->g, i);
        if (memcmp(p->p, q->p, (size_t)ft_shape_size(p->shape) * sizeof *p->p) != 0) strcpy(name, p->name);
    }
    ft_model_free(a);
    ft_model_free(b);
    return name;
}

static inline void assert_same_model(const char *a_path, const char *b_path) {
    const char *name = first_difference(a_path, b_path);
    ck_assert_msg(!*name, "%s differs", name);
}

/* The bits of all columns but the times. */
static inline void assert_same_history(const char *a_folder, const char *b_folder) {
    char command[256];
    snprintf(command, sizeof command,
             "cut -d, -f1-8 %s/history.csv >a.csv; cut -d, -f1-8 %s/history.csv >b.csv; cmp a.csv b.csv",
             a_folder, b_folder);
    ck_assert_int_eq(system(command), 0);
}

/* Trains into the folder "whole", and once more into "parts", stopped by a signal after some tenths of a
 * second again and again; both must leave the same. */
static inline void assert_interruptible(const char *arguments, int tenths) {
    static char err[8192];
    assert_ends(tool("ft-train %s --quiet --out whole", arguments), 0);
    int status = 130;
    for (int rounds = 0; status == 130 && rounds < 200; rounds++) {
        char command[512];
        snprintf(command, sizeof command,
                 "timeout --preserve-status -s INT 0.%d %s/ft-train %s --out parts --resume >stdout.txt "
                 "2>stderr.txt",
                 tenths + rounds % 5, FACET_PROGRAMS, arguments);
        int s = system(command);
        status = WIFEXITED(s) ? WEXITSTATUS(s) : -1;
        tool_read("stderr.txt", err, sizeof err);
        if (status == 130 && strstr(err, "stopped at")) assert_has(err, "--resume");
    }
    ck_assert_msg(status == 0, "exit status %d:\n%s", status, err);
    assert_same_model("whole/last.h5", "parts/last.h5");
    assert_same_model("whole/best.h5", "parts/best.h5");
    assert_same_history("whole", "parts");
    ck_assert_int_eq(system("cmp whole/metrics.json parts/metrics.json"), 0);
}

#endif

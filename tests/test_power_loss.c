/* The power fails: what was written and not brought to the disk (fsync) is lost, and of the changes to a
 * folder that was not brought there any may have happened and any not. From the system calls of a training,
 * every state that the disk may be in at every moment is made up; in each one there is a whole resume point,
 * once there was one.
 */
#include "tests/train_testing.h"

enum { MOST_FILES = 64, MOST_PENDING = 12, MOST_CONTENTS = 4096, NAME = 96 };

/* The files of the run's folder: names, and which content each has. Content is whole on the disk or not. */
typedef struct files {
    int n;
    struct {
        char name[NAME];
        int content;
    } at[MOST_FILES];
} files;

typedef enum change_kind { PUT, RENAME, LINK, UNLINK } change_kind;
typedef struct change {
    change_kind kind;
    char from[NAME], to[NAME];
    int content; /* of PUT */
} change;

typedef struct disk {
    files now, durable;
    change pending[MOST_PENDING];
    int n_pending;
    bool whole[MOST_CONTENTS]; /* by content */
    int n_contents;
    bool saved; /* there was a resume point for good */
    long states;
} disk;

static int find(const files *f, const char *name) {
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->at[i].name, name) == 0) return i;
    return -1;
}

static void drop(files *f, const char *name) {
    int i = find(f, name);
    if (i >= 0) f->at[i] = f->at[--f->n];
}

static void put(files *f, const char *name, int content) {
    drop(f, name);
    ck_assert_int_lt(f->n, MOST_FILES);
    snprintf(f->at[f->n].name, NAME, "%s", name);
    f->at[f->n++].content = content;
}

/* Nothing happens where the source is not there. */
static void apply(files *f, const change *c) {
    int i = c->kind == PUT ? -1 : find(f, c->from), content = i >= 0 ? f->at[i].content : c->content;
    if (c->kind != PUT && i < 0) return;
    if (c->kind == RENAME || c->kind == UNLINK) drop(f, c->from);
    if (c->kind != UNLINK) put(f, c->to, content);
}

static bool is_generation(const char *name) {
    int number, end = 0;
    if (strcmp(name, "last.h5") == 0) return true;
    return sscanf(name, "last.%d.h5%n", &number, &end) == 1 && end > 0 && !name[end];
}

static bool has_whole_generation(const disk *d, const files *f) {
    for (int i = 0; i < f->n; i++)
        if (is_generation(f->at[i].name) && d->whole[f->at[i].content]) return true;
    return false;
}

static void check(disk *d, const char *line) {
    if (!d->saved) return;
    for (unsigned some = 0; some < 1u << d->n_pending; some++) {
        files left = d->durable;
        for (int k = 0; k < d->n_pending; k++)
            if (some >> k & 1) apply(&left, &d->pending[k]);
        d->states++;
        ck_assert_msg(has_whole_generation(d, &left), "no resume point is left if the power fails after %s",
                      line);
    }
}

static void changed(disk *d, change c) {
    apply(&d->now, &c);
    ck_assert_int_lt(d->n_pending, MOST_PENDING);
    d->pending[d->n_pending++] = c;
}

static void folder_synced(disk *d) {
    d->durable = d->now;
    d->n_pending = 0;
    d->saved |= has_whole_generation(d, &d->durable);
}

/* The name in the run's folder that begins behind `run/` at text, up to its end; false: it is no such. */
static bool name_in_run(const char *text, char name[NAME]) {
    const char *at = text ? strstr(text, "run/") : NULL;
    size_t n = at ? strcspn(at + 4, "\">") : 0;
    if (n == 0 || n >= NAME) return false;
    memcpy(name, at + 4, n);
    name[n] = '\0';
    return true;
}

/* What a line of strace says. */
static void read_line(disk *d, const char *line) {
    char a[NAME], b[NAME];
    const char *call = strchr(line, ' ');
    if (!call || strstr(line, " = -1 ") || strstr(line, "resumed>")) return;
    while (*call == ' ') call++;
    bool first = name_in_run(call, a);
    const char *comma = strchr(call, ',');
    int i = first ? find(&d->now, a) : -1;
    if (strncmp(call, "openat(", 7) == 0 && first && strstr(call, "O_CREAT") && i < 0) {
        change made = {.kind = PUT, .content = d->n_contents++};
        ck_assert_int_lt(made.content, MOST_CONTENTS);
        snprintf(made.to, NAME, "%s", a);
        changed(d, made);
        i = find(&d->now, a);
    }
    bool writes = strncmp(call, "write(", 6) == 0 || strncmp(call, "pwrite64(", 9) == 0 ||
                  strncmp(call, "ftruncate(", 10) == 0 ||
                  (strncmp(call, "openat(", 7) == 0 && strstr(call, "O_TRUNC"));
    if (writes && i >= 0) d->whole[d->now.at[i].content] = false;
    if (strncmp(call, "fsync(", 6) == 0 && i >= 0) d->whole[d->now.at[i].content] = true;
    if (strncmp(call, "fsync(", 6) == 0 && strstr(call, "/run>")) folder_synced(d);
    bool two = comma && first && name_in_run(comma, b);
    change c = {.kind = UNLINK};
    snprintf(c.from, NAME, "%s", first ? a : "");
    snprintf(c.to, NAME, "%s", two ? b : "");
    if (strncmp(call, "rename(", 7) == 0 && two) c.kind = RENAME, changed(d, c);
    if (strncmp(call, "link(", 5) == 0 && two) c.kind = LINK, changed(d, c);
    if (strncmp(call, "unlink(", 7) == 0 && first) changed(d, c);
    check(d, line);
}

static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", "seed: 3\n"
                           "data:\n"
                           "  path: faces\n"
                           "  split: {train: 0.7, val: 0.3, test: 0}\n"
                           "  image: {size: 28, channels: 1}\n"
                           "model: {arch: lenet}\n"
                           "train:\n"
                           "  batch: 6\n"
                           "  epochs: 3\n"
                           "  checkpoint: {every_steps: 2}\n"
                           "output: run\n");
}

static disk *replay(const char *calls) {
    static disk d;
    static char line[65536];
    d = (disk){.n_contents = 0};
    FILE *f = fopen(calls, "rb");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) read_line(&d, line);
    fclose(f);
    return &d;
}

START_TEST(at_any_moment) {
    for (int keep = 1; keep <= 3; keep++) {
        char command[512];
        snprintf(command, sizeof command,
                 "rm -rf run; OMP_NUM_THREADS=1 strace -f -y -qq -o calls.txt -e "
                 "trace=openat,write,pwrite64,fsync,rename,link,unlink,ftruncate %s/ft-train run.yaml "
                 "--quiet --set "
                 "train.checkpoint.keep=%d >out.txt 2>err.txt",
                 FACET_PROGRAMS, keep);
        ck_assert_int_eq(system(command), 0);
        disk *d = replay("calls.txt");
        ck_assert(d->saved);
        ck_assert_int_gt(d->states, 500);
        printf("keep %d: %ld states of the disk, a whole resume point in each\n", keep, d->states);
    }
}
END_TEST

/* A training that brought nothing to the disk would be found out. */
START_TEST(a_missing_fsync_is_found) {
    static disk d;
    static const char *const lines[] = {
        "1 openat(AT_FDCWD</t>, \"run/last.new.h5.tmp\", O_RDWR|O_CREAT|O_EXCL, 0666) = 5",
        "1 pwrite64(5</t/run/last.new.h5.tmp>, \"x\", 1, 0) = 1", "1 fsync(5</t/run/last.new.h5.tmp>) = 0",
        "1 rename(\"run/last.new.h5.tmp\", \"run/last.h5\") = 0", "1 fsync(5</t/run>) = 0"};
    d = (disk){.n_contents = 0};
    for (int i = 0; i < 5; i++) read_line(&d, lines[i]);
    ck_assert(d.saved && has_whole_generation(&d, &d.durable));
    d = (disk){.n_contents = 0};
    for (int i = 0; i < 5; i++)
        if (i != 2) read_line(&d, lines[i]);
    ck_assert(!d.saved && !has_whole_generation(&d, &d.now)); /* it was never whole */
}
END_TEST

int main(void) {
    Suite *s = suite_create("power_loss");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, at_any_moment);
    tcase_add_test(t, a_missing_fsync_is_found);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

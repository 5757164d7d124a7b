/* Reports as a reader sees them: opened in headless Chromium, light and dark, 1280 and 400 pixels wide. The
 * checks are browser_checks.js; the data are made up, the Fashion-MNIST of Debian's package, and, where
 * ../shared is, real faces.
 */
#include "eval/report.h"
#include "tests/train_testing.h"

#include <unistd.h>

static char root[4096];

static void setup(void) {
    ck_assert_ptr_nonnull(getcwd(root, sizeof root));
    tool_setup();
}

static char *whole_file(const char *path) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "no %s", path);
    fseek(f, 0, SEEK_END);
    size_t bytes = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, bytes + 1);
    ck_assert_uint_eq(fread(text, 1, bytes, f), bytes);
    fclose(f);
    return text;
}

/* The report with the checks at its end, and a page that shows it at both widths and collects what they say.
 */
static void write_pages(const char *report, const char *sections) {
    char path[4200];
    snprintf(path, sizeof path, "%s/tests/browser_checks.js", root);
    char *html = whole_file(report), *script = whole_file(path), *end = strstr(html, "</body>");
    ck_assert_ptr_nonnull(end);
    FILE *f = fopen("page.html", "wb");
    ck_assert_ptr_nonnull(f);
    fwrite(html, 1, (size_t)(end - html), f);
    fprintf(
        f,
        "<script>const SECTIONS = '%s'.split(' ');\naddEventListener('load', () => {\n%s\n});</script>\n%s",
        sections, script, end);
    ck_assert_int_eq(fclose(f), 0);
    write_text("frames.html",
               "<!DOCTYPE html><body style=\"margin:0\"><pre id=\"told\"></pre><script>\n"
               "let n = 0; const told = document.getElementById('told');\n"
               "addEventListener('message', e => { told.textContent += e.data + '\\n'; if (++n == 2) "
               "told.textContent += 'all told'; });\n"
               "for (const width of [1280, 400]) {\n"
               "  const frame = document.createElement('iframe');\n"
               "  frame.style = `position:absolute;top:0;left:0;border:0;width:${width}px;height:30000px`;\n"
               "  frame.src = 'page.html'; document.body.append(frame);\n"
               "}\n</script></body>");
    free(html);
    free(script);
}

/* What the checks say of the page: a line for each width, and one for everything that is wrong. messages: the
 * console's. */
static const char *told_of(const char *report, const char *sections, bool dark, const char **messages) {
    static char dom[1 << 16], log[1 << 16];
    char command[512];
    write_pages(report, sections);
    snprintf(
        command, sizeof command,
        "timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
        "--user-data-dir=profile --enable-logging=stderr --blink-settings=preferredColorScheme=%d "
        "--window-size=1300,1000 --virtual-time-budget=20000 --dump-dom frames.html >dom.txt 2>log.txt",
        dark ? 0 : 1);
    int status = system(command);
    tool_read("dom.txt", dom, sizeof dom);
    tool_read("log.txt", log, sizeof log);
    char *told = strstr(dom, "<pre id=\"told\">");
    ck_assert_msg(status == 0 && told && strstr(told, "all told"),
                  "%s: chromium ended with %d: %.500s %.1500s", report, status, told ? told : "nothing told",
                  log);
    *strstr(told, "all told") = '\0';
    *messages = strstr(log, "CONSOLE");
    return told + strlen("<pre id=\"told\">");
}

static void assert_good(const char *report, const char *sections) {
    for (int dark = 0; dark < 2; dark++) {
        const char *theme = dark ? "dark " : "light ", *messages;
        const char *told = told_of(report, sections, dark, &messages);
        int lines = 0;
        for (const char *c = told; *c; c++) lines += *c == '\n';
        ck_assert_msg(lines == 2 && strstr(told, theme), "%s, %s: %s", report, theme, told);
        ck_assert_msg(!messages, "%s: on the console: %s", report, messages);
    }
}

/* Those of every report of classes. */
#define SECTIONS "result training classes confusion roc precision-recall scores mistakes uncertain run"

static void made_up(int classes) {
    make_faces();
    if (classes == 2) ck_assert_int_eq(system("rm -r faces/person2"), 0);
    write_text("run.yaml", "seed: 3\n"
                           "data: {path: faces, image: {size: 28, channels: 1}}\n"
                           "model: {arch: inception_mini, width: 0.5}\n"
                           "train: {batch: 8, epochs: 2, optimizer: {name: adamw, lr: 0.003}}\n"
                           "output: run\n");
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
}

START_TEST(three_classes) {
    made_up(3);
    assert_good("run/report.html", SECTIONS);
}
END_TEST

START_TEST(two_classes) {
    made_up(2);
    assert_good("run/report.html", SECTIONS " thresholds");
}
END_TEST

START_TEST(pairs) {
    made_up(3);
    FILE *f = fopen("pairs.csv", "wb");
    ck_assert_ptr_nonnull(f);
    fputs("file1,file2,same,fold\n", f);
    for (int i = 0; i < 60; i++)
        fprintf(f, "person%d/%02d.pgm,person%d/%02d.pgm,%d,%d\n", i % 3, i % 20, (i + i / 30) % 3,
                (i * 7 + 3) % 20, i < 30, i % 10 + 1);
    ck_assert_int_eq(fclose(f), 0);
    assert_ends(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --report pairs"), 0);
    assert_good("pairs/report.html", "result roc scores apart alike run");
}
END_TEST

/* Every shade of a confusion matrix with the number on it: class r is right r times of 10. */
START_TEST(shades) {
    enum { K = 11, EACH = 100 };
    static float prob[K * EACH * K];
    static int32_t label[K * EACH];
    static const char *names[K], *paths[K * EACH];
    for (int32_t i = 0; i < K * EACH; i++) {
        int32_t r = i / EACH, said = i % EACH < 10 * r ? r : i % 10 == 9 ? (r + 2) % K : (r + 1) % K;
        label[i] = r;
        names[r] = "a class";
        paths[i] = "a picture";
        for (int32_t c = 0; c < K; c++) prob[i * K + c] = c == said ? 0.6f : 0.4f / (K - 1);
    }
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, K * EACH, K, prob, label), FT_OK);
    ft_report r = {.title = "Shades",
                   .split = "test",
                   .metrics = &m,
                   .loss = 1,
                   .class_names = names,
                   .prob = prob,
                   .label = label,
                   .paths = paths,
                   .version = "1"};
    ck_assert_int_eq(ft_report_write("report.html", &r), FT_OK);
    ft_metrics_free(&m);
    assert_good("report.html", "result classes confusion roc precision-recall scores mistakes uncertain run");
}
END_TEST

/* The checks themselves: a page with one of each fault. */
START_TEST(faults_are_found) {
    FILE *f = fopen("report.html", "wb");
    ck_assert_ptr_nonnull(f);
    fputs("<!DOCTYPE html><html><head><style>body{background:#fff;color:#000;margin:0}</style></head><body>"
          "<section><h2 id=\"a\">Here</h2><p style=\"height:80px\">Some words</p></section>"
          "<p style=\"margin:0 0 -20px\">Under another text</p><p style=\"margin:0\">Over another text</p>"
          "<p style=\"color:#aaa\">Too light</p><div style=\"width:1500px;height:9px\"></div>"
          "<img src=\"nowhere.png\"><script>console.error('a complaint')</script></body></html>",
          f);
    ck_assert_int_eq(fclose(f), 0);
    const char *messages, *told = told_of("report.html", "a b", false, &messages);
    static const char *const faults[] = {"asks for",
                                         "has no section b",
                                         "is 1500 px wide",
                                         "cannot be shown",
                                         "\"Over another text\" and \"Under another text\" over each other",
                                         "\"Too light\" with a contrast of 2.3",
                                         "texts only"};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        const char *first = strstr(told, faults[i]); /* once at either width */
        ck_assert_msg(first && strstr(first + 1, faults[i]), "'%s' was not found twice: %s", faults[i], told);
    }
    ck_assert_ptr_nonnull(messages);
}
END_TEST

/* Its 10,000 test images alone, as if they were all. */
START_TEST(fashion_mnist) {
    ck_assert_int_eq(system("mkdir data && for what in images-idx3 labels-idx1; do ln -s "
                            "/usr/share/datasets/fashion-mnist/t10k-$what-ubyte.gz "
                            "data/train-$what-ubyte.gz; done"),
                     0);
    assert_ends(tool("ft-train %s/examples/fashion_mnist.yaml --quiet --set train.epochs=1 --set "
                     "model.width=0.1 --set data.path=data --out run",
                     root),
                0);
    assert_good("run/report.html", SECTIONS);
}
END_TEST

/* Is this folder of the shared data there? */
static bool shared(const char *name) {
    const char *folder = getenv("FACET_SHARED");
    char path[4200];
    if (folder)
        snprintf(path, sizeof path, "%s/data/%s", folder, name);
    else
        snprintf(path, sizeof path, "%s/../shared/data/%s", root, name);
    bool there = access(path, R_OK) == 0 && symlink(path, "data") == 0;
    if (!there) fprintf(stderr, "skipped: there is no %s\n", path);
    return there;
}

START_TEST(orl_faces) {
    if (!shared("orl_faces")) return;
    assert_ends(
        tool(
            "ft-train %s/examples/orl_faces.yaml --quiet --set train.epochs=6 --set data.path=data --out run",
            root),
        0);
    assert_good("run/report.html", SECTIONS);
}
END_TEST

START_TEST(utkface) {
    if (!shared("utkface")) return;
    write_text("run.yaml",
               "data:\n"
               "  path: data/labels.csv\n"
               "  list: {file: file, folder: images, label: gender, split: split, where: [\"status=ok\", "
               "\"age>=12\"]}\n"
               "  split: {train: 0.9, val: 0.05, test: 0.05}\n"
               "  image: {size: 32, scaled_decode: true}\n"
               "model: {arch: inception_mini, width: 0.25}\n"
               "train: {epochs: 1, optimizer: {name: adamw, lr: 0.003}}\n"
               "output: run\n");
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_good("run/report.html", SECTIONS " thresholds");
}
END_TEST

int main(void) {
    Suite *s = suite_create("browser");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 300);
    tcase_add_test(t, three_classes);
    tcase_add_test(t, two_classes);
    tcase_add_test(t, pairs);
    tcase_add_test(t, faults_are_found);
    tcase_add_test(t, shades);
    tcase_add_test(t, fashion_mnist);
    tcase_add_test(t, orl_faces);
    tcase_add_test(t, utkface);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

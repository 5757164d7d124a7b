#include "train/progress_bar.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24, LINE = 512 };

double ft_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ft_progress_bar_start(ft_progress_bar *bar, FILE *f, const char *title, int64_t done) {
    double now = ft_clock();
    *bar = (ft_progress_bar){.f = f,
                             .terminal = f && isatty(fileno(f)),
                             .started = now,
                             .drawn = now,
                             .first = done,
                             .title = title};
}

static void eta(char *text, size_t bytes, double seconds) {
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, bytes, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, bytes, "%ld:%02ld", s / 60, s % 60);
}

void ft_progress_bar_update(ft_progress_bar *bar, int64_t done, int64_t total, const char *text) {
    double now = ft_clock(), elapsed = now - bar->started;
    if (!bar->f || now - bar->drawn < (bar->terminal ? 0.1 : 60)) return;
    bar->drawn = now;
    double rate = elapsed > 0 ? (double)(done - bar->first) / elapsed : 0;
    char left[32] = "?", line[LINE];
    if (rate > 0) eta(left, sizeof left, (double)(total - done) / rate);
    if (!bar->terminal) {
        fprintf(bar->f, "%s  %lld/%lld  %s  %.1f img/s  ETA %s\n", bar->title, (long long)done,
                (long long)total, text, rate, left);
        fflush(bar->f);
        return;
    }
    struct winsize window;
    int columns = ioctl(fileno(bar->f), TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
    char numbers[LINE / 2], cells[BAR + 1];
    int used = snprintf(numbers, sizeof numbers, "%lld/%lld  %s  %.1f img/s  ETA %s", (long long)done,
                        (long long)total, text, rate, left);
    int width = columns - used - (int)strlen(bar->title) - 5; /* what the terminal has left for the bar */
    width = width < 0 ? 0 : width > BAR ? BAR : width;
    int full = total > 0 ? (int)(done * width / total) : 0;
    for (int i = 0; i < width; i++) cells[i] = i < full ? '=' : i == full ? '>' : ' ';
    cells[width] = '\0';
    snprintf(line, sizeof line, "%s [%s] %s", bar->title, cells, numbers);
    if (columns < LINE) line[columns - 1] = '\0'; /* a wrapped line could not be redrawn */
    fprintf(bar->f, "\r\033[K%s", line);
    fflush(bar->f);
}

void ft_progress_bar_clear(ft_progress_bar *bar) {
    if (bar->f && bar->terminal) {
        fputs("\r\033[K", bar->f);
        fflush(bar->f);
    }
}

/* The rooms of report.html; private to report*.c. Each writes one <section>. */
#ifndef FACET_EVAL_REPORT_PARTS_H
#define FACET_EVAL_REPORT_PARTS_H

#include "eval/report.h"

#include <stdio.h>

extern const char ft_report_style[];

/* The page up to its title; after it the caller says in a line what it is about. Then the sections, and the
 * end. */
void ft_report_begin(FILE *f, const char *title);
void ft_report_end(FILE *f);
void ft_report_section(FILE *f, const char *id, const char *heading);
void ft_report_headline(FILE *f, const ft_report *r);
ft_err ft_report_training(FILE *f, const ft_report *r);
ft_err ft_report_classes(FILE *f, const ft_report *r);
ft_err ft_report_confusion(FILE *f, const ft_report *r);
ft_err ft_report_curves(FILE *f, const ft_report *r);
void ft_report_scores(FILE *f, const ft_report *r);
void ft_report_thresholds(FILE *f, const ft_report *r);
void ft_report_mistakes(FILE *f, const ft_report *r);
void ft_report_uncertain(FILE *f, const ft_report *r);
void ft_report_heads(FILE *f, const ft_report *r);
void ft_report_bad_images(FILE *f, const ft_report *r);
void ft_report_run(FILE *f, const ft_report *r);
/* The picture of that row among n, NULL if there is none; and one as an <img>. */
const ft_report_picture *ft_report_picture_of(int32_t n, const ft_report_picture *pictures, int64_t row);
void ft_report_shot(FILE *f, const unsigned char *jpeg, size_t bytes, const char *what);
/* A name and a value of a list of facts; nothing for NULL. */
void ft_report_fact(FILE *f, const char *name, const char *value);
/* One of the headline numbers. */
void ft_report_tile(FILE *f, const char *label, double value, ft_interval interval, const char *reason);
/* A table cell with an interval. */
void ft_report_interval_cell(FILE *f, ft_interval interval);
/* A table cell with a number of four decimals, or a dash with the reason as its tooltip. */
void ft_report_cell(FILE *f, double value, const char *reason);

#endif

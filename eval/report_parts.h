/* The rooms of report.html; private to report*.c. Each writes one <section>. */
#ifndef FACET_EVAL_REPORT_PARTS_H
#define FACET_EVAL_REPORT_PARTS_H

#include "eval/report.h"

#include <stdio.h>

extern const char ft_report_style[];

void ft_report_section(FILE *f, const char *id, const char *heading);
void ft_report_headline(FILE *f, const ft_report *r);
ft_err ft_report_training(FILE *f, const ft_report *r);
ft_err ft_report_classes(FILE *f, const ft_report *r);
ft_err ft_report_confusion(FILE *f, const ft_report *r);
ft_err ft_report_roc(FILE *f, const ft_report *r);
void ft_report_mistakes(FILE *f, const ft_report *r);
void ft_report_heads(FILE *f, const ft_report *r);
void ft_report_bad_images(FILE *f, const ft_report *r);
void ft_report_run(FILE *f, const ft_report *r);
/* A table cell with a number of four decimals, or a dash with the reason as its tooltip. */
void ft_report_cell(FILE *f, double value, const char *reason);

#endif
